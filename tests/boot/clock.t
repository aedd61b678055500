#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A machine whose clock does not interrupt cannot boot, and says so, where the first program would hang it."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Tap, boot_and_wait  # noqa: E402

tap = Tap(__file__)
for claim, machine, says in (
        ("a machine without an 8254", "pc,pit=off", "no 8254 timer"),
        ("a machine without an 8259", "pc,pic=off", "no clock interrupt within 100 ms")):
    if tap.wanted(claim):
        result = boot_and_wait(limit=30, machine=machine)
        line = next((text for text in result.lines() if text.startswith("cannot boot: ")), "")
        tap.ok(result.status == 2 and result.announced and says in line, f"{claim}: {line or 'no word'}",
               f"status {result.status}, {line!r} ({result.reason})", f"status 2, cannot boot: ...{says}", result=result)
tap.done()

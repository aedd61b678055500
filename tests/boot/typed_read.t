#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Input comes to reads that were requested without waiting (device_request_test typed)."""

import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Tap, boot  # noqa: E402

tap = Tap(__file__)


def tap_line(machine, text, seconds=60):
    """Waits until a line of the second serial port holds the text; True when it came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(text in line for line in machine.tap_lines):
            return True
        machine.pump(0.05)
    return False


with boot(mem="64M", tap=True) as machine:
    machine.prompt()
    machine.send("in root device_request_test typed\n")
    tap.ok(tap_line(machine, "# type now"), "a program goes on after it has requested reads",
           machine=machine)
    machine.type_tap("typed")
    tap_line(machine, "== end device_request_test")
    lines = "\n".join(machine.tap_lines)
    for claim in ("what is typed comes to requested reads, in order", "in line and out of line",
                  "== end device_request_test 0"):
        tap.ok(claim in lines and "not ok" not in lines, claim, lines, claim, machine=machine)
    machine.send("halt\n")
    tap.equal(machine.wait().status, 0, "and the machine ends when told to", machine=machine)
tap.done()

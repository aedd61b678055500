#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The status of a program is told also when its ledger has no room for a message that tells it."""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "floods"))
from floodlib import field  # noqa: E402
from harness import Tap  # noqa: E402

PROGRAMS = 6
# A console that waits takes the message at once; one that prints all the time leaves it in the queue, where it costs.
BUSY = "; ".join(["ledgers", "zones", "ledgers", "sizes"] * 12)

tap = Tap(__file__)
with field(mem="64M", limit=60) as f:
    for resource in ("messages", "kmem"):
        start = len(f.machine.text)
        f.ask(f"ledger {resource}")
        f.ask("; ".join([f"in {resource} bystander -t 1000 &"] * PROGRAMS))
        # Below what is used: only new things are denied.
        f.ask(f"sleep 300; limit {resource} {resource}=1; {BUSY}")
        f.ask("sleep 1000")
        ends = re.findall(r"\] bystander: (.*)", f.machine.text[start:])
        # Its last requests were denied.
        tap.equal(ends, ["status 1"] * PROGRAMS, f"when {resource} are denied each status is told", machine=f.machine)
        f.ask(f"kill {resource}")
    tap.equal(f.audit(), ["audit: the books agree"], "the books agree", machine=f.machine)
    f.machine.send("halt\n")
    tap.equal(f.machine.wait().status, 0, "the machine halts", machine=f.machine)
tap.done()

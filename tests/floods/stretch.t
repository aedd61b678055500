#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Interrupts are never off for long, whatever a flood has made: the longest stretch in instructions (`debug stretch`)."""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from floodlib import kernel_is_release  # noqa: E402
from harness import FULL, Tap, boot  # noqa: E402
from console_text import outputs  # noqa: E402

# A debug build's, with red zones, poison and checks. docs/floods.md has what was found.
MOST = 100000
FLOODS = ("forkbomb -s chain", "portflood", "rightflood", "msgflood -s ool", "memhog")
if FULL:
    FLOODS += ("forkbomb", "forkbomb -s tree", "threadbomb", "rightflood -s refuse", "msgflood", "msgflood -s large",
               "msgflood -s once", "memhog -s entries", "spike")

tap = Tap(__file__)
if kernel_is_release():
    tap.skip("the longest stretch", "only debug builds measure it")
    tap.done()
# The first flood is not counted: it is what the console does for the first time.
commands = ["in root forkbomb -n 5", "debug stretch"]
for flood in FLOODS:
    commands += [f"in root {flood}", "debug stretch"]
commands.append("in root long_calls_test")
with boot(mem="128M", icount=True, limit=300, run="; ".join(commands + ["halt"])) as machine:
    result = machine.wait()
found = [lines for command, lines in outputs(machine.text) if command == "debug stretch"][1:]
for flood, lines in zip(FLOODS, found, strict=True):
    ticks = re.match(r"interrupts off: (\d+) ticks at most, to \w", "\n".join(lines))
    tap.ok(ticks and 1000 < int(ticks[1]) < MOST, f"{flood}: interrupts are off for less than {MOST} instructions",
           lines, f"less than {MOST}", machine=machine)
calls = re.findall(r"long call: (.*)\r?\ninterrupts off: (\d+) ticks at most", machine.text)
longest = max(calls, key=lambda call: int(call[1]), default=("none", 0))
tap.ok(len(calls) > 15 and int(longest[1]) < MOST,
       f"nor for {MOST} in the longest of calls: messages of all that one may hold, memory of 3000 entries", longest,
       f"less than {MOST}", machine=machine)
tap.equal((result.status, result.announced), (0, True), "the machine halts", result=result)
tap.done()

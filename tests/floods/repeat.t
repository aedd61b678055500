#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Floods that are repeated: in one boot, in two boots with ICOUNT=1; the README's first flood."""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Tap, boot_and_wait, comment, make  # noqa: E402
from console_text import DENIED, outputs  # noqa: E402

tap = Tap(__file__)


# The command of the README.
done = make("run", "MEM=128M", "ZONE_MAP=4M", "RUN=forkbomb; portflood -n 100000; zones; halt")
tap.equal(done.returncode, 0, "make run with a fork bomb and a port flood ends with status 0")
if done.returncode:
    comment(done.stderr)
lines = dict(outputs(done.stdout.replace("\r", "")))
for flood in ("forkbomb", "portflood -n 100000"):
    last = (lines.get(flood) or [""])[-1]
    tap.ok(DENIED.fullmatch(last), f"make run: the last line of {flood} is its denial",
           done.stdout[-1500:], "denied: RESOURCE in ledger NAME: USED of LIMIT")

# The same instructions, the same run.
SCRIPT = "forkbomb; forkbomb -s tree; portflood; memhog; in root forkbomb; zones; ledgers; halt"
first, second = (boot_and_wait(mem="48M", zone_map="4M", icount=True, run=SCRIPT)
                 for _ in range(2))
tap.equal((first.status, second.status), (0, 0), "floods with ICOUNT=1 end with status 0",
          result=first)
tap.ok(len(outputs(first.console)) == 8, "all of them have run", first.console[-1500:], "8 commands",
       result=first)
# What each flood made, and how it was denied. Not its milliseconds nor what is just being taken apart: the serial
# line's reader on the host paces the guest, so a loaded host may show in those.
def counts_of(console):
    return re.findall(r"\d+ children|: \d+ (?:ports|pages)|denied: .*", console)


tap.ok(len(counts_of(first.console)) >= 10, "each tells its counts and its denial", counts_of(first.console),
       "10 or more", result=first)
tap.equal(counts_of(first.console), counts_of(second.console),
          "the same floods twice with ICOUNT=1 give the same counts and denials", result=second)
for pair in [pair for pair in zip(first.lines(), second.lines()) if pair[0] != pair[1]][:5]:
    comment(f"differs: {pair}")

# What one flood took is there for the next.
result = boot_and_wait(mem="128M", zone_map="16M", run="; ".join(["forkbomb"] * 5) + "; audit; halt")
counts = [int(n) for n in re.findall(r"forkbomb: (\d+) children", result.console)]
tap.ok(len(counts) == 5 and max(counts) - min(counts) <= 2,
       "five fork bombs one after another end at the same number of children within 2", counts,
       "5 numbers, at most 2 apart", result=result)
tap.contains(result.console, "(?m)^audit: the books agree$", "the books agree after them",
             result=result)
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A bystander keeps its share of the CPU beside a fork bomb whose children all spin."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from floodlib import BYSTANDER, field  # noqa: E402
from harness import Tap  # noqa: E402

LEAST_PERCENT = 40
tap = Tap(__file__)

with field(mem="128M", limit=200) as f:
    machine = f.machine
    f.ask("ledger watch")
    f.ask("forkbomb -s spin -n 100 -k &")
    while len([line for line in f.ask("ps") if " forkbomb " in line]) <= 100:
        pass
    start = len(machine.text)
    f.ask("in watch bystander -s cpu -i 200 -t 3000 &")
    machine.expect(r"(?m)bystander: (done|status \d+)$", 100)
    shares = [int(m[5]) for m in BYSTANDER.finditer(machine.text, start)]
    tap.ok(len(shares) >= 10, "the bystander computes for 3 seconds", shares, "10 lines or more",
           machine=machine)
    tap.ok(shares and sum(shares) / len(shares) >= LEAST_PERCENT,
           f"beside 100 spinning children of a user another ledger has {LEAST_PERCENT} % of the CPU",
           shares, f"{LEAST_PERCENT} in the mean", machine=machine)
    # A pause of the host falls on one of the two: an interval alone is measured less well, and one may be lost to it.
    tap.ok(len(shares) > 1 and sorted(shares)[1] >= LEAST_PERCENT / 2, "and half of that in each interval but one",
           shares, f"all but one at least {LEAST_PERCENT // 2}", machine=machine)
    tap.ok(len([line for line in f.ask("ps") if " forkbomb " in line]) > 100,
           "the bomb goes on meanwhile", machine=machine)
tap.done()

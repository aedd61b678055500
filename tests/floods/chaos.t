#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Chaos at length: tests/kernel/chaos_test with many seeds, in machines of several sizes, most of them in turn with time that
makes each run the same again. WEIR_SEED chooses the first seed, and is printed."""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import FULL, Tap, boot, comment  # noqa: E402

SEED = int(os.environ.get("WEIR_SEED", "20000"))
ROUNDS = 20
MACHINES = (
    {"mem": "128M", "icount": True},
    {"mem": "48M", "zone_map": "6M", "icount": True},
    {"mem": "64M", "zone_map": "8M", "icount": True, "options": ("reclaim=eager",)},
    {"mem": "96M", "options": ("pause=eager",), "icount": True},
    {"mem": "96M"},
)

tap = Tap(__file__)
seed = SEED
for turn in range(8 if FULL else 1):
    for machine in MACHINES if FULL else (MACHINES[1], MACHINES[3]):
        rounds = ROUNDS if FULL else 3
        with boot(limit=300, run=f"in root chaos_test {seed} {rounds}; halt", tap=True, **machine) as m:
            result = m.wait()
        for line in result.tap:
            claim = re.fullmatch(r"(ok|not ok) \d+ - (.*)", line)
            if claim:
                tap.ok(claim[1] == "ok", claim[2], result=result)
            elif tap.failed:
                comment(line)
        tap.equal(result.status, 0, f"the machine is alive after seeds {seed} to {seed + rounds - 1}", result=result)
        seed += rounds
tap.done()

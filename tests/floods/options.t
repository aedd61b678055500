#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Floods with zone maps of all sizes, and with slabs given back at once."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from floodlib import field, plausible, read_ledgers  # noqa: E402
from harness import FULL, Tap  # noqa: E402

tap = Tap(__file__)
FLOODS = ("forkbomb", "portflood") + (("forkbomb -s chain", "forkbomb -s tree", "memhog",
                                       "memhog -s entries") if FULL else ())


def survive(name, **options):
    if not any(tap.wanted(f"{flood} {name}") for flood in FLOODS):
        return
    with field(limit=200, **options) as f:
        for flood in FLOODS:
            lines = f.ask(flood, 100)
            why = plausible(lines[-1] if lines else "", read_ledgers(f.ask("ledgers")))
            tap.ok(not why, f"{flood} {name} ends with its denial", (why, lines),
                   "denied: RESOURCE in ledger NAME: USED of LIMIT", machine=f.machine)
        tap.equal(f.audit(), ["audit: the books agree"], f"the books agree {name}",
                  machine=f.machine)
        f.machine.send("halt\n")
        tap.equal(f.machine.wait().status, 0, f"the machine lives on {name}", machine=f.machine)


for size in (1, 2, 4, 8, 16, 32, 64):
    survive(f"with a zone map of {size}M", mem="128M", zone_map=f"{size}M")
survive("with reclaim=eager", mem="48M", zone_map="8M", options=("reclaim=eager",))
tap.done()

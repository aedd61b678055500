#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""How the machine is divided at boot: a user's flood meets the user's own limit, and others find something left."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from floodlib import DENIED, field, read_ledgers  # noqa: E402
from harness import Tap  # noqa: E402

SIZES = ("32M", "48M", "64M", "128M", "256M", "4G")
FLOODED = ("32M", "64M", "128M")
# Pages and kernel memory together; kernel memory of objects that fill their slabs badly; pages.
FLOODS = (("forkbomb", "ram"), ("threadbomb -s created", "kmem"), ("memhog", "ram"))

tap = Tap(__file__)
for size in SIZES:
    claims = (f"at {size} the user's limits leave the root a twentieth",
              *(f"at {size} a user's {flood} is denied by the user's limit" for flood, _ in FLOODS))
    if not any(tap.wanted(claim) for claim in claims):
        continue
    with field(mem=size, limit=200) as f:
        ledgers = read_ledgers(f.ask("ledgers"))
        left = {part: ledgers["root", machine]["limit"] - ledgers["root", machine]["used"] -
                ledgers["user", part]["limit"] for part, machine in (("kmem", "zone_map"), ("ram", "ram"))}
        least = {part: ledgers["user", part]["limit"] / 20 for part in left}
        tap.ok(all(left[part] > least[part] for part in left), claims[0], left, f"more than {least}", machine=f.machine)
        for flood, resource in FLOODS if size in FLOODED else ():
            said = f.ask(flood, 120)[-1]
            told = DENIED.fullmatch(said)
            tap.equal(told and told.groups()[:2], (resource, "user"),
                      f"at {size} a user's {flood} is denied by the user's limit", machine=f.machine)
            row = read_ledgers(f.ask("ledgers"))
            tap.equal([row["root", part].get("denials", 0) for part in ("zone_map", "ram")], [0, 0],
                      f"at {size} the root has denied nothing during {flood}", machine=f.machine)
        f.machine.send("halt\n")
        tap.equal(f.machine.wait().status, 0, f"at {size} the machine halts")
tap.done()

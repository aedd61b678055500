#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Some cells of the matrix of floods are as committed in docs/floods.tsv; `make floods` does them all."""

import concurrent.futures
import dataclasses
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cells  # noqa: E402
from floodlib import kernel_is_release  # noqa: E402
from harness import FULL, Tap  # noqa: E402
import floods_page  # noqa: E402  (of tools/)

# Each program, each place, each kind of limit.
CHOSEN = (("forkbomb", "user"), ("forkbomb -s tree", "box"), ("threadbomb -s created", "root"),
          ("portflood", "box"), ("rightflood", "box"), ("msgflood -s large", "user"),
          ("msgflood -s ool", "box"), ("msgflood -s big", "root"), ("memhog", "user"),
          ("memhog -s entries", "box"), ("spike", "root"))
MEMORY = cells.BOX_MEMORY

tap = Tap(__file__)
committed, comment = cells.read(floods_page.CELLS)
tap.equal(list(committed), [cell.key for cell in cells.matrix()],
          "docs/floods.tsv holds each cell of the matrix")
tap.equal(sorted(set(floods_page.committed_tables().split("\n")) ^
                 set(floods_page.tables(committed, comment).split("\n"))), [],
          "the tables of docs/floods.md are those of docs/floods.tsv and of the peers, line by line")

# What compares must be able to tell.
boxed = committed["forkbomb", MEMORY, "box"]
machine = committed["memhog", MEMORY, "root"]
tap.equal([key for key, cell in committed.items() if cells.differs(cell, cell)], [], "a cell is as itself")
tap.ok(cells.differs(dataclasses.replace(boxed, objects=boxed.objects - 1), boxed),
       "one object less by a limit that is a number differs")
tap.ok(cells.differs(dataclasses.replace(machine, objects=machine.objects * 103 // 100), machine),
       "3 % more objects by the same limit in memory differ")
tap.ok(cells.differs(dataclasses.replace(machine, ledger="user"), machine),
       "a denial by another ledger differs")

if kernel_is_release():
    tap.skip("cells as committed", "the committed numbers are of a kernel with red zones")
    tap.done()


def measured(cell):
    try:
        return cells.measure(cell)
    except Exception as error:
        return error


wanted = [cells.Cell(flood, MEMORY, place) for flood, place in CHOSEN]
if FULL:
    wanted = [cell for cell in cells.matrix() if cell.memory == MEMORY]
wanted = [cell for cell in wanted if tap.wanted(f"{' '.join(cell.key)} is as committed")]
with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
    for cell, seen in zip(wanted, pool.map(measured, wanted)):
        claim = f"{' '.join(cell.key)} is as committed"
        if isinstance(seen, Exception):
            tap.ok(False, claim, str(seen), "a flood that ends well")
        else:
            difference = cells.differs(seen, committed[cell.key])
            tap.ok(not difference, claim, difference,
                   "what was denied, by whose limit, and after as many objects")
tap.done()

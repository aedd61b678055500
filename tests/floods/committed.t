#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Some cells of the matrix of floods are as committed in docs/floods.tsv; the rest is for make floods."""

import concurrent.futures
import dataclasses
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cells  # noqa: E402
from floodlib import kernel_is_release  # noqa: E402
from harness import FULL, ROOT, Tap  # noqa: E402

# Each program, each place, each kind of limit.
CHOSEN = (("forkbomb", "user"), ("forkbomb -s tree", "box"), ("threadbomb -s created", "root"),
          ("portflood", "box"), ("rightflood", "box"), ("msgflood -s large", "user"),
          ("msgflood -s ool", "box"), ("msgflood -s big", "root"), ("memhog", "user"),
          ("memhog -s entries", "box"), ("spike", "root"))
MEMORY = "48M"

tap = Tap(__file__)
committed = cells.read(os.path.join(ROOT, "docs", "floods.tsv"))
tap.equal(sorted(committed), sorted(cell.key for cell in cells.matrix()),
          "docs/floods.tsv holds each cell of the matrix")

# What compares must be able to tell. The committed denials have limits, so these differ.
first = next(cell for cell in committed.values() if cell.same == "all" and cell.ledger == "root")
boxed = next(cell for cell in committed.values() if cell.same == "all" and cell.resource == "tasks")
more = dataclasses.replace(first, objects=first.objects * 21 // 20)
tap.ok(not cells.differs(first, first) and not cells.differs(boxed, boxed), "a cell is as itself")
tap.ok(cells.differs(more, first), "5 % more objects of the same limit differ")
tap.ok(cells.differs(dataclasses.replace(first, ledger="user"), first), "another ledger's limit differs")
tap.ok(cells.differs(dataclasses.replace(boxed, objects=boxed.objects - 1), boxed),
       "one object less by a limit that is a number differs")
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "cells.tsv")
    cells.write(path, committed.values(), "as read")
    tap.equal(cells.read(path), committed, "cells that are written are read back")

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
            tap.ok(not cells.differs(seen, committed[cell.key]), claim, cells.differs(seen, committed[cell.key]),
                   "what was denied, by whose limit, and after as many objects")
tap.done()

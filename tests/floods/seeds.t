#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What reports about other kernels have seen, in the small form of `make seeds`: the same rows with
smaller numbers (the long test: as they are)."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BUILD, FULL, Tap  # noqa: E402
from seedslib import counts, disks, floods  # noqa: E402
from seedslib.rows import run_rows  # noqa: E402

tap = Tap(__file__)
every = counts.rows(not FULL) + floods.rows(not FULL) + disks.rows(not FULL)
rows = [row for row in every if tap.wanted(f"row {row.name}: {row.title}")]
run_rows(rows, BUILD, lambda _: None)
for row in rows:
    for claim in row.claims:
        tap.ok(claim.passed, f"row {claim.text}", repr(claim.got), "the claim", result=claim.result)
tap.done()

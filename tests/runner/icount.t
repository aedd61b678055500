#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""ICOUNT=1: the same inputs give the same run, to the last digit that the console prints."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Tap, boot_and_wait  # noqa: E402

tap = Tap(__file__)
runs = [boot_and_wait(mem="48M", zone_map="1M", icount=True,
                      run="forkbomb; portflood -n 100000; zones; ledgers; halt")
        for _ in range(2)]
tap.equal([run.status for run in runs], [0, 0], "both runs end as they should", result=runs[0])
tap.contains(runs[0].console, r"(?m)^denied: .+ in ledger \S+:", "the floods were denied",
             result=runs[0])
tap.equal(runs[0].lines(), runs[1].lines(), "the same floods twice print the same",
          result=runs[1])
tap.done()

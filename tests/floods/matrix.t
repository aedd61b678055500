#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each flood at 48, 128 and 256 MiB, in a user's ledger and in root, one boot for each size.

Of each: how it ends, how others are served meanwhile, whether all comes back.
"""

import concurrent.futures
import os
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from floodlib import check, field, tap_lock  # noqa: E402
from harness import FULL, Tap  # noqa: E402

# Memory and zone map ("": as much as there is). With a small zone map a flood of small things is
# over sooner; 48M has room enough for it to be the RAM that is used up.
SIZES = (("128M", ""), ("256M", "16M"), ("48M", ""))
if FULL:
    SIZES = (("256M", ""), ("512M", "32M"), ("128M", ""), ("48M", ""), ("64M", ""), ("128M", "4M"))
FLOODS = ("forkbomb -s wide", "forkbomb -s chain", "forkbomb -s tree", "portflood",
          "memhog -s touch", "memhog -s entries")
ROUNDS = 2 if FULL else 1
# What the console and the servers do for the first time takes memory that stays.
WARM_UP = ("forkbomb -n 20", "in root forkbomb -n 20", "portflood -n 300", "in root memhog -n 20",
           "memhog -n 20", "forkbomb -n 20", "in root portflood -n 20", "denials", "audit", "ps")

tap = Tap(__file__)


def run(memory, zone_map):
    size = f"{memory}, zone map {zone_map}" if zone_map else memory
    with field(mem=memory, zone_map=zone_map, limit=900 if FULL else 280) as f:
        threading.current_thread().field = f
        guarantees = f.watch()
        with tap_lock:
            tap.equal(guarantees, [], f"at {size} a bystander can be guaranteed what it needs",
                      machine=f.machine)
        for command in WARM_UP:
            f.ask(command)
        before = f.floor()
        for number in range(ROUNDS):
            for place in ("", "in root "):
                for flood in FLOODS:
                    check(tap, f, place + flood, f"{flood} {'in root' if place else 'by a user'} at {size}",
                          before)
        f.machine.send("halt\n")
        result = f.machine.wait()
        with tap_lock:
            tap.equal((result.status, result.announced), (0, True),
                      f"at {size} the machine is alive after all floods", result=result)


def guarded(size):
    try:
        run(*size)
    except Exception as error:      # of this size only: the others go on
        with tap_lock:
            tap.ok(False, f"at {size[0]} all floods come to their end", repr(error), "no exception",
                   machine=getattr(threading.current_thread(), "field").machine)


with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
    list(pool.map(guarded, SIZES))
tap.done()

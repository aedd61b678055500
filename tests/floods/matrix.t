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
from floodlib import field, plausible, read_ledgers  # noqa: E402
from harness import FULL, Tap, comment  # noqa: E402

# Memory and zone map ("": as much as there is). With a small zone map a flood of small things is
# over sooner; 48M has room enough for it to be the RAM that is used up.
SIZES = (("128M", ""), ("256M", "16M"), ("48M", ""))
if FULL:
    SIZES = (("256M", ""), ("512M", "32M"), ("128M", ""), ("48M", ""), ("64M", ""), ("128M", "4M"))
FLOODS = ("forkbomb -s wide", "forkbomb -s chain", "forkbomb -s tree", "portflood",
          "memhog -s touch", "memhog -s entries")
ROUNDS = 2 if FULL else 1
WORST_US = 1000000         # of a bystander's request
CONSOLE_SECONDS = 5        # of a word of the console
# What the console and the servers do for the first time takes memory that stays.
WARM_UP = ("forkbomb -n 20", "in root forkbomb -n 20", "portflood -n 300", "in root memhog -n 20",
           "memhog -n 20", "forkbomb -n 20", "in root portflood -n 20", "denials", "audit", "ps")

tap = Tap(__file__)
lock = threading.Lock()


def cell(place, flood_command, size, before):
    name = f"{flood_command} {'in root' if place.startswith('in root') else 'by a user'} at {size}"
    machine = place_machine(place)
    with lock:
        if not any(tap.wanted(f"{name}: {rest}") for rest in CLAIMS):
            return
    flood = machine.flood(place.replace("FLOOD", flood_command))
    ledgers = read_ledgers(machine.ask("ledgers"))
    left = machine.not_back(before)
    audit = machine.audit()
    with lock:
        report(name, machine.machine, flood, ledgers, left, audit)


CLAIMS = ("ends with its denial as the last line", "a bystander is served", "the console answers",
          "everything comes back", "the books agree")


def report(name, machine, flood, ledgers, left, audit):
    why = plausible(flood.last, ledgers)
    comment(f"{name}: {flood.count()} in {flood.seconds:.1f} s; {flood.last}; bystander: "
            f"{len(flood.served)} intervals, least {min([s[0] for s in flood.served] or [0])}, "
            f"worst {max([s[2] for s in flood.served] or [0]) / 1000:.0f} ms; console: "
            f"worst {max(flood.waits or [0]) * 1000:.0f} ms of {len(flood.waits)}")
    tap.ok(flood.status == "done" and flood.count() > 0 and not why,
           f"{name}: ends with its denial as the last line",
           (flood.status, why, flood.lines), "done; denied: RESOURCE in ledger NAME: USED of LIMIT",
           machine=machine)
    tap.ok(flood.served and all(requests > 0 and failed == 0 and worst < WORST_US
                                for requests, failed, worst in flood.served),
           f"{name}: a bystander is served in each tenth of a second, none later than "
           f"{WORST_US // 1000} ms", flood.served, "requests, 0 failed", machine=machine)
    tap.ok(flood.waits and max(flood.waits) < CONSOLE_SECONDS,
           f"{name}: the console answers within {CONSOLE_SECONDS} s", flood.waits,
           f"less than {CONSOLE_SECONDS}", machine=machine)
    tap.equal(left, {}, f"{name}: everything comes back", machine=machine)
    tap.equal(audit, ["audit: the books agree"], f"{name}: the books agree", machine=machine)


def place_machine(place):
    return threading.current_thread().field


def run(memory, zone_map):
    size = f"{memory}, zone map {zone_map}" if zone_map else memory
    with field(mem=memory, zone_map=zone_map, limit=900 if FULL else 280) as f:
        threading.current_thread().field = f
        guarantees = f.watch()
        with lock:
            tap.equal(guarantees, [], f"at {size} a bystander can be guaranteed what it needs",
                      machine=f.machine)
        for command in WARM_UP:
            f.ask(command)
        before = f.floor()
        for number in range(ROUNDS):
            for place in ("FLOOD", "in root FLOOD"):
                for flood in FLOODS:
                    cell(place, flood, size, before)
        f.machine.send("halt\n")
        result = f.machine.wait()
        with lock:
            tap.equal((result.status, result.announced), (0, True),
                      f"at {size} the machine is alive after all floods", result=result)


def guarded(size):
    try:
        run(*size)
    except Exception as error:      # of this size only: the others go on
        with lock:
            tap.ok(False, f"at {size[0]} all floods come to their end", repr(error), "no exception",
                   machine=getattr(threading.current_thread(), "field").machine)


with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
    list(pool.map(guarded, SIZES))
tap.done()

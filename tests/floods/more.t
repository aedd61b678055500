#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Floods of threads, messages, rights and of all at once, in a user's ledger and in root, at 48 and
128 MiB; children that are started and killed over and over; the options that floods share.
"""

import concurrent.futures
import os
import re
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from floodlib import check, field, tap_lock  # noqa: E402
from harness import FULL, Tap  # noqa: E402

FLOODS = ("threadbomb", "threadbomb -s created", "msgflood", "msgflood -s large",
          "msgflood -s ool", "msgflood -s once", "rightflood", "rightflood -s refuse", "spike")
# In the user's ledger, at 48M (the long test: at both): other options.
SHAPED = ("forkbomb -p 20", "threadbomb -t 3", "msgflood -s big -S 7", "msgflood -t 4 -p 100")
WARM_UP = ("forkbomb -n 20", "in root forkbomb -n 20", "threadbomb -n 20", "spike -n 50",
           "in root threadbomb -n 20", "in root msgflood -n 20", "rightflood -n 300",
           "in root rightflood -n 300", "memhog -n 20", "in root memhog -n 20",
           "in root spike -n 50", "denials", "audit", "ps")
ROUNDS = 3 if FULL else 1

tap = Tap(__file__)


def options_hold(f, before):
    flood = check(tap, f, "forkbomb -s churn -n 200", "5 children started and killed 200 times", before,
                denied=False)
    if flood:
        with tap_lock:
            tap.equal(flood.count(), 1000, "a churning bomb starts each of its children",
                      machine=f.machine)
    flood = check(tap, f, "msgflood -n 1000 -r 2000 -S 77 -p 10 -t 2", "2 tasks send 1000 messages each "
                "at a rate of 2000 in a second", before, denied=False)
    if flood:
        match = re.search(r"msgflood: (\d+) messages in (\d+) ms", "\n".join(flood.lines))
        with tap_lock:
            tap.ok(match and int(match[1]) == 2000 and int(match[2]) >= 450,
                   "-n counts for each task and -r holds each of them back", flood.lines,
                   "2000 messages in half a second", machine=f.machine)
    for command, text in (("msgflood -n x", "not a number"), ("spike -z", "usage: spike"),
                          ("rightflood -s none", "hold|refuse")):
        lines = f.ask(command)
        with tap_lock:
            tap.ok(text in "\n".join(lines), f"{command}: told what is wrong", lines, text,
                   machine=f.machine)


def run(memory):
    with field(mem=memory, limit=1800 if FULL else 280) as f:
        threading.current_thread().field = f
        f.watch()
        for command in WARM_UP:
            f.ask(command)
        before = f.floor()
        for _ in range(ROUNDS):
            for place in ("", "in root "):
                for flood in FLOODS:
                    check(tap, f, place + flood, f"{flood} {'in root' if place else 'by a user'} at "
                        f"{memory}", before)
            for flood in SHAPED if FULL or memory == "48M" else ():
                check(tap, f, flood, f"{flood} by a user at {memory}", before)
        if memory == "48M":
            options_hold(f, before)
        f.machine.send("halt\n")
        result = f.machine.wait()
        with tap_lock:
            tap.equal((result.status, result.announced), (0, True),
                      f"at {memory} the machine is alive after all of these floods",
                      result=result)


def guarded(memory):
    try:
        run(memory)
    except Exception as error:      # of this size only: the other goes on
        with tap_lock:
            tap.ok(False, f"at {memory} all floods come to their end", repr(error),
                   "no exception", machine=getattr(threading.current_thread(), "field").machine)


with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
    list(pool.map(guarded, ("128M", "48M")))
tap.done()

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
from floodlib import field, plausible, read_ledgers  # noqa: E402
from harness import FULL, Tap, comment  # noqa: E402

FLOODS = ("threadbomb", "threadbomb -s created", "msgflood", "msgflood -s large",
          "msgflood -s ool", "msgflood -s once", "rightflood", "rightflood -s refuse", "spike")
# In the user's ledger, at 48M (the long test: at both): other options.
SHAPED = ("forkbomb -p 20", "threadbomb -t 3", "msgflood -s big -S 7", "msgflood -t 4 -p 100")
WARM_UP = ("forkbomb -n 20", "in root forkbomb -n 20", "threadbomb -n 20", "spike -n 50",
           "in root threadbomb -n 20", "in root msgflood -n 20", "rightflood -n 300",
           "in root rightflood -n 300", "memhog -n 20", "in root memhog -n 20",
           "in root spike -n 50", "denials", "audit", "ps")
WORST_US = 1000000         # of a bystander's request
CONSOLE_SECONDS = 5        # of a word of the console
ROUNDS = 3 if FULL else 1
CLAIMS = ("ends with its denial as the last line", "a bystander is served", "the console answers",
          "everything comes back", "the books agree")

tap = Tap(__file__)
lock = threading.Lock()


def one(f, command, name, before, denied=True):
    with lock:
        if not any(tap.wanted(f"{name}: {claim}") for claim in CLAIMS):
            return None
    flood = f.flood(command)
    ledgers = read_ledgers(f.ask("ledgers"))
    left = f.not_back(before)
    audit = f.audit()
    with lock:
        why = plausible(flood.last, ledgers) if denied else ""
        comment(f"{name}: {flood.count()} in {flood.seconds:.1f} s; {flood.last}; worst "
                f"{max([s[2] for s in flood.served] or [0]) / 1000:.0f} ms")
        tap.ok(flood.status == "done" and flood.count() > 0 and not why,
               f"{name}: ends with its denial as the last line" if denied else
               f"{name}: ends well", (flood.status, why, flood.lines),
               "done; denied: RESOURCE in ledger NAME: USED of LIMIT", machine=f.machine)
        tap.ok(flood.served and all(requests > 0 and failed == 0 and worst < WORST_US
                                    for requests, failed, worst in flood.served),
               f"{name}: a bystander is served in each tenth of a second, none later than "
               f"{WORST_US // 1000} ms", flood.served, "requests, 0 failed", machine=f.machine)
        tap.ok(max(flood.waits or [0]) < CONSOLE_SECONDS,
               f"{name}: the console answers within {CONSOLE_SECONDS} s", flood.waits,
               f"less than {CONSOLE_SECONDS}", machine=f.machine)
        tap.equal(left, {}, f"{name}: everything comes back", machine=f.machine)
        tap.equal(audit, ["audit: the books agree"], f"{name}: the books agree",
                  machine=f.machine)
    return flood


def options_hold(f, before):
    flood = one(f, "forkbomb -s churn -n 200", "5 children started and killed 200 times", before,
                denied=False)
    if flood:
        with lock:
            tap.equal(flood.count(), 1000, "a churning bomb starts each of its children",
                      machine=f.machine)
    flood = one(f, "msgflood -n 1000 -r 2000 -S 77 -p 10 -t 2", "2 tasks send 1000 messages each "
                "at a rate of 2000 in a second", before, denied=False)
    if flood:
        match = re.search(r"msgflood: (\d+) messages in (\d+) ms", "\n".join(flood.lines))
        with lock:
            tap.ok(match and int(match[1]) == 2000 and int(match[2]) >= 450,
                   "-n counts for each task and -r holds each of them back", flood.lines,
                   "2000 messages in half a second", machine=f.machine)
    for command, text in (("msgflood -n x", "not a number"), ("spike -z", "usage: spike"),
                          ("rightflood -s none", "hold|refuse")):
        lines = f.ask(command)
        with lock:
            tap.ok(text in "\n".join(lines), f"{command}: told what is wrong", lines, text,
                   machine=f.machine)


def run(memory):
    with field(mem=memory, limit=900 if FULL else 280) as f:
        threading.current_thread().field = f
        f.watch()
        for command in WARM_UP:
            f.ask(command)
        before = f.floor()
        for _ in range(ROUNDS):
            for place in ("", "in root "):
                for flood in FLOODS:
                    one(f, place + flood, f"{flood} {'in root' if place else 'by a user'} at "
                        f"{memory}", before)
            for flood in SHAPED if FULL or memory == "48M" else ():
                one(f, flood, f"{flood} by a user at {memory}", before)
        if memory == "48M":
            options_hold(f, before)
        f.machine.send("halt\n")
        result = f.machine.wait()
        with lock:
            tap.equal((result.status, result.announced), (0, True),
                      f"at {memory} the machine is alive after all of these floods",
                      result=result)


def guarded(memory):
    try:
        run(memory)
    except Exception as error:      # of this size only: the other goes on
        with lock:
            tap.ok(False, f"at {memory} all floods come to their end", repr(error),
                   "no exception", machine=getattr(threading.current_thread(), "field").machine)


with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
    list(pool.map(guarded, ("128M", "48M")))
tap.done()

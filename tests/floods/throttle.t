#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The thread explosion: a server that makes a thread for each request is held by its ledger; with a
throttle it makes few. Many clients send to the null server without waiting for its answers.
"""

import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from floodlib import DENIED, field, read_ledgers  # noqa: E402
from harness import Tap, comment  # noqa: E402

LIMIT, CAP, POOL = 200, 12, 3
TASKS, EACH = 50, 100
FLOOD = f"msgflood -s null -t {TASKS} -n {EACH}"
WORST_US = 1000000         # of a bystander's request
LEAVE_SECONDS = 20
# What a task has more of after it had more of other things: its table of names does not shrink. A pool's worker that
# stays may be another one, its memory elsewhere, under nodes of its own.
TABLES = ("kpages", "kmem", "nodes")

tap = Tap(__file__)


def server(f):
    """(threads, ledger, words, starts) as `servers` tells."""
    words = re.fullmatch(r"null: task \d+, (\d+) threads, in (\S+): (.*), started (\d+) times", f.ask("servers")[0])
    return int(words[1]), words[2], words[3], int(words[4])


def small(f):
    return {what: row for (ledger, what), row in read_ledgers(f.ask("ledger small")).items()}


def used(rows):
    return {what: row["used"] for what, row in rows.items() if what not in TABLES}


def settled(f, threads):
    """Waits until it has so many threads: surplus ones leave, the first ones are just made."""
    end = time.monotonic() + LEAVE_SECONDS
    while server(f)[0] != threads and time.monotonic() < end:
        pass
    return server(f)


def served(mode, f, flood):
    tap.ok(flood.served and all(requests > 0 and failed == 0 and worst < WORST_US
                                for requests, failed, worst in flood.served),
           f"{mode}: another ledger is served in each tenth of a second", flood.served, "requests, 0 failed",
           machine=f.machine)


def try_throttle(f, mode, words, at_rest, least, most, denied):
    """Its threads are at_rest without requests (all but one manage), in the flood those that serve least to most; denied:
    the ledger refuses some."""
    began = time.monotonic()
    f.ask(f"ledger small threads={LIMIT}; in small server null {words}")
    tap.equal(settled(f, at_rest)[:3], (at_rest, "small", f"null {words}"),
              f"{mode}: null runs so, its threads: {at_rest}", machine=f.machine)
    f.ask("msgflood -s null -n 1")
    settled(f, at_rest)
    before = used(small(f))
    flood = f.flood(FLOOD, ask=False)
    tap.equal((flood.status, flood.last), ("done", f"took {TASKS * EACH} messages"),
              f"{mode}: every request is answered", machine=f.machine)
    counters = re.search(r"null at the peak: \d+ threads, most (\d+), denied (\d+), requests (\d+)",
                         "\n".join(flood.lines))
    peak, refused, requests = (int(word) for word in counters.groups())
    threads = small(f)["threads"]
    comment(f"{mode}: {peak} workers, {refused} denied, {flood.seconds:.1f} s")
    tap.ok(least <= peak <= most and threads["peak"] == peak + at_rest - 1,
           f"{mode}: its workers become {least} to {most}",
           (peak, threads), machine=f.machine)
    tap.ok(requests >= TASKS * EACH and threads.get("denials", 0) == refused and (refused > 0) == denied,
           f"{mode}: {'some are denied' if denied else 'none is denied'}, as many as the ledger counts",
           (requests, refused, threads), machine=f.machine)
    served(mode, f, flood)
    tap.equal(settled(f, at_rest)[0], at_rest, f"{mode}: then threads leave until there are as many as before", machine=f.machine)
    tap.equal(used(small(f)), before, f"{mode}: and the server has what it had before", machine=f.machine)
    f.ask("server null; kill small")
    comment(f"{mode}: {time.monotonic() - began:.1f} s in all")


with field(mem="128M", limit=100) as field_:
    f = field_
    # It computes: as a client of the server it would keep its threads at work.
    f.watch("-s cpu -i 100")
    f.ask(f"ledger small threads={LIMIT}; in small server null --throttle=none; {FLOOD}; server null; kill small; denials; ps; "
          "servers; audit")
    # The server, started anew, is all there when it has answered.
    f.ask("msgflood -s null -n 1")
    settled(f, 1)
    before = f.floor()
    try_throttle(f, "none", "--throttle=none", 1, LIMIT, LIMIT, True)
    last = f.ask("denials")[-1]
    tap.ok(re.search(r" null: wanted 1, denied: threads in ledger small: ", last) and
           DENIED.search(last).groups() == ("threads", "small", str(LIMIT), str(LIMIT)),
           "none: the denial tells resource, ledger and task", last, machine=f.machine)
    try_throttle(f, "cap", f"--throttle=cap --threads={CAP}", 1, CAP, CAP, False)
    try_throttle(f, "pool", "--throttle=pool", 2, 1, POOL, False)
    tap.equal(server(f), (1, "services", "null", 9), "null has not ended but when it was told to", machine=f.machine)
    tap.equal(f.not_back(before), {}, "every zone and ledger is back at its figure", machine=f.machine)
    tap.equal(f.audit(), ["audit: the books agree"], "the books agree", machine=f.machine)
    f.machine.send("halt\n")
    result = f.machine.wait()
    tap.equal((result.status, result.announced), (0, True), "the machine is alive after these floods",
              result=result)
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Attacks on a throttled pool: handlers that call the same server, that compute for ever, more requests than can be
served in time; clients killed in mid-request, ports destroyed under requests, the server killed and started anew under
a flood. A plain bound locks up, a thread for each request exhausts its ledger, the pool does neither."""

import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from asklib import ANSWERS, ask, background, counters, kill, start, wait_for, wait_jobs  # noqa: E402
from floodlib import field, read_ledgers  # noqa: E402
from harness import Tap, comment  # noqa: E402

STUCK_MS = 50
THREADS = 40               # of the ledger of servers, when one has no throttle
CLIENTS, EACH = 100, 500   # of the flood under which the server is killed
WORST_US = 5000000         # of a bystander's request: pauses of the host are in it (pool.t has none of those)
tap = Tap(__file__)


def totals(f, since):
    """(answered, refused, late) of all that asked since then."""
    found = [tuple(int(n) for n in m.groups()[:3]) for m in ANSWERS.finditer(f.machine.text, since)]
    return tuple(sum(one) for one in zip(*found))


def circles(f):
    cap = start(f, "cap", "-r cap -w 2")
    got, lines = ask(f, "-s cap -T 500 call cap,cap")
    tap.equal(got and got[:3], (0, 0, 1), "a plain bound of 2 threads locks up when both call the same server",
              machine=f.machine)
    got, lines = ask(f, "-s cap -T 500 sleep 0")
    tap.equal(got and got[:3], (0, 0, 1), "and it serves nobody any more", machine=f.machine)
    kill(f, cap)
    for words, what in (("-w 2 -x 2", "with spares answers"), ("-w 2 -x 0", "without spares gives up one of them"),
                        ("-w 1 -x 0", "of 1 worker gives it up")):
        pool = start(f, "p", f"{words} -k {STUCK_MS}")
        got, lines = ask(f, "-s p call p" + ("" if "-w 1" in words else ",p"))
        after, _ = ask(f, "-s p -T 5000 sleep 0")
        seen = counters(f, "p")
        comment(f"{words}: {got} {seen}")
        spared = "with spares" in what
        tap.ok(got and sum(got[:2]) == 1 and got[2] == 0 and after and after[0] == 1 and
               (got[0] == 1 and seen["spares"] > 0 and not seen["aborts"] if spared else
                got[1] == 1 and seen["aborts"] == 1 and not seen["spares"]),
               f"a pool ({words}) in the same trouble {what}, and serves on", (got, after, seen, lines), machine=f.machine)
        tap.ok(seen["most"] <= int(words[3]) + int(words[-1]), f"a pool ({words}) has no more workers than that", seen,
               machine=f.machine)
        kill(f, pool)


def unthrottled(f):
    """Each request takes a thread, until the ledger of servers has no more."""
    f.ask(f"limit services threads={THREADS}")
    server = start(f, "none", "-r none -i 100")
    got, lines = ask(f, f"-s none -t {2 * THREADS} sleep 200")
    row = {what: row for (_, what), row in read_ledgers(f.ask("ledger services")).items()}["threads"]
    seen = counters(f, "none")
    tap.ok(got and got[:3] == (2 * THREADS, 0, 0) and row["peak"] == THREADS and seen["denied"] > 0 and
           row["denials"] >= seen["denied"],
           "a thread for each request exhausts the servers' ledger", (got, row, seen, lines), machine=f.machine)
    kill(f, server)
    server = start(f, "pool", "-w 8")
    got, lines = ask(f, f"-s pool -t {2 * THREADS} sleep 20")
    seen = counters(f, "pool")
    tap.ok(got and got[:3] == (2 * THREADS, 0, 0) and seen["most"] == 8 and not seen["denied"],
           "under the same the pool has its 8 workers, and is denied none", (got, seen, lines), machine=f.machine)
    kill(f, server)
    f.ask("limit services threads=none")


def spinner(f):
    server = start(f, "p", "-c 1 -w 4")
    spins = background(f, "ask -s p -t 2 compute 60000000")
    wait_for(lambda: counters(f, "p")["inside"] == 2, "both compute")
    got, lines = ask(f, "-s p -t 20 -n 3 sleep 1")
    tap.equal(got and got[:3], (60, 0, 0), "beside two handlers that compute for ever all others are served",
              machine=f.machine)
    kill(f, spins, "ask")
    kill(f, server)


def busy(f):
    server = start(f, "p", "-w 2 -b 30")
    before = counters(f, "p")
    got, lines = ask(f, "-s p -t 50 -n 2 sleep 20")
    seen = counters(f, "p")
    comment(f"busy: {got}, {seen}")
    tap.ok(got and got[0] > 0 and got[1] > 0 and sum(got[:2]) == 100 and got[0] == seen["requests"] - before["requests"]
           and got[1] == seen["busy"], "each request is answered, or refused when it waited too long: so both sides count",
           (got, seen, lines), machine=f.machine)
    kill(f, server)


def clients_die(f):
    server = start(f, "p", "-w 4")
    f.ask("ask -s p sleep 1")
    jobs = [background(f, f"ask -s p {words} -t 100 -n 100 sleep 20") for words in ("", "-p")]
    wait_for(lambda: counters(f, "p")["inside"] >= 3, "requests are served")
    for job in jobs:
        kill(f, job, "ask")
    got, lines = ask(f, "-s p -t 10 sleep 1")
    tap.equal(got and got[:3], (10, 0, 0), "when clients are killed in mid-request others are served on", machine=f.machine)
    job = background(f, "ask -s p -p -t 50 -n 20 sleep 100")
    wait_for(lambda: counters(f, "p")["inside"] >= 3, "requests are served")
    since = len(f.machine.text)
    gone = int(re.search(r"(\d+) ports destroyed", "\n".join(f.ask("ask -s p destroy")))[1])
    wait_jobs(f, [job])
    answered, refused, late = totals(f, since)
    comment(f"{gone} ports destroyed: {answered} answered, {refused} refused, {late} late")
    tap.ok(gone > 0 and refused > 0 and (answered + refused, late) == (50 * 20, 0),
           "when ports are destroyed under requests each client is told", (gone, answered, refused, late),
           machine=f.machine)
    got, lines = ask(f, "-s p -t 10 sleep 1")
    tap.equal(got and got[:3], (10, 0, 0), "and others are served on", machine=f.machine)
    kill(f, server)


def server_dies(f):
    server = start(f, "p", "-w 4")
    since = len(f.machine.text)
    jobs = [background(f, f"ask -s p {words} -a -t {CLIENTS} -n {EACH} compute 100") for words in ("", "-p")]
    wait_for(lambda: (f.ask("sleep 10"), f.machine.text.count("have had an answer", since) == 2)[1],
             "each client has had an answer")
    kill(f, server)
    wait_jobs(f, jobs)
    answered, refused, late = totals(f, since)
    comment(f"server killed: {answered} answered, {refused} refused, {late} late")
    tap.ok(answered > 0 and refused > 0 and (answered + refused, late) == (2 * CLIENTS * EACH, 0),
           "when the server is killed under a flood each request was answered, or is refused", (answered, refused, late),
           machine=f.machine)
    server = start(f, "p", "-w 4")
    got, lines = ask(f, "-s p -t 10 sleep 1")
    tap.equal(got and got[:3], (10, 0, 0), "started anew it serves", machine=f.machine)
    kill(f, server)


began = time.monotonic()
with field(mem="256M", limit=200) as field_:
    f = field_
    f.watch()
    f.ask(f"limit services threads={THREADS}; limit services threads=none; ps; audit; in watch ask -s null sleep 0")
    kill(f, start(f, "warm"))
    floor = f.floor(4)
    since = len(f.machine.text)
    for attack in (circles, unthrottled, spinner, busy, clients_die, server_dies):
        start_at = time.monotonic()
        attack(f)
        comment(f"{attack.__name__}: {time.monotonic() - start_at:.1f} s")
    served = f.served(f.machine.text[since:])
    tap.ok(len(served) > 10 and all(requests > 0 and failed == 0 and worst < WORST_US for requests, failed, worst in served),
           "all the time a bystander is served in each tenth of a second", served, "requests, 0 failed", machine=f.machine)
    tap.equal(f.not_back(floor), {}, "every zone and ledger is back at its figure", machine=f.machine)
    tap.equal(f.audit(), ["audit: the books agree"], "the books agree", machine=f.machine)
    f.machine.send("halt\n")
    result = f.machine.wait()
    tap.equal((result.status, result.announced), (0, True), "the machine is alive after these attacks", result=result)
comment(f"{time.monotonic() - began:.1f} s in all")
tap.done()

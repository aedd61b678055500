#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Floods against a throttled pool: from one client thread to a thousand (the long test: ten thousand), in tasks and
ledgers of their own. Few workers; no request lost; as many requests for the same instructions; a quiet client in
another ledger waits no longer than its share of the CPU explains. With deterministic time, in which a nanosecond is
an instruction."""

import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from asklib import background, counters, kill, start, threads_of, wait_for, wait_jobs  # noqa: E402
from floodlib import field  # noqa: E402
from harness import FULL, Tap, comment  # noqa: E402

CLIENTS = (1, 10, 100, 1000) + ((10000,) if FULL else ())
LEDGERS, TASKS = 5, 10
TARGET, MOST = 1, 8                # of the pool: that run at once, and that there are
OPENING_NS = 100000000             # while threads are made and ports opened, which takes all of the server's share
DELAY_NS = 10000000                # Tq: so long a worker without the CPU may hold back a request
REQUESTS = 2000                    # of a flood that is counted
RATE_MS, RATES = 60, 3             # times that a rate is measured; that in the middle counts
QUIET = 200                        # requests of the quiet client
LEAST_RATIO = 0.9
TIMES = re.compile(r"ask: half of them within (\d+) ns, 99 of 100 within (\d+) ns")
tap = Tap(__file__)


def tasks(clients):
    return min(clients, TASKS)


def ledgers_of(clients):
    return min(tasks(clients), LEDGERS)


def flood(f, clients, words):
    """Starts the tasks; the numbers of their jobs."""
    each = clients // tasks(clients)
    for i in range(ledgers_of(clients)):
        f.ask(f"ledger f{i}")
    return [background(f, f"in f{i % LEDGERS} ask -s a -t {each} {words}") for i in range(tasks(clients))]


def begun(f, since, count):
    wait_for(lambda: (f.ask("sleep 10", 120), f.machine.text.count("have had an answer", since) == count)[1],
             "each client has had an answer", 300)


def quiet(f, words):
    """(p50, p99) in ns of a client that asks one request after another."""
    lines = f.ask(f"in watch ask -s a -L -n {QUIET} {words}", 200)
    return tuple(int(n) for n in TIMES.search("\n".join(lines)).groups())


def counted(f, clients, words):
    """Each request that is sent is answered, and the server has had just as many."""
    before = counters(f, "a")["requests"]
    start_at = len(f.machine.text)
    jobs = flood(f, clients, f"-n {max(REQUESTS // clients, 1)} {words}")
    wait_jobs(f, jobs, seconds=300)
    sums = [tuple(int(n) for n in m) for m in
            re.findall(r"ask: (\d+) answered, (\d+) refused, (\d+) late", f.machine.text[start_at:])]
    wanted = max(REQUESTS // clients, 1) * clients
    got = tuple(sum(one) for one in zip(*sums)) + (counters(f, "a")["requests"] - before,)
    return got == (wanted, 0, 0, wanted), got, wanted


def steady(f, clients, options, unloaded):
    """All at once, for as long as is wanted: (ns of a request, workers, quiet's times)."""
    since = len(f.machine.text)
    flood(f, clients, f"{options} -a -n 1000000000 compute 0")
    begun(f, since, tasks(clients))
    rates = [int(re.search(r"each (\d+) ns", "\n".join(f.ask(f"in watch ask -s a rate {RATE_MS}", 200)))[1])
             for _ in range(RATES)]
    each = sorted(rates)[RATES // 2]
    times = quiet(f, "compute 0")
    seen = counters(f, "a")
    for i in range(ledgers_of(clients)):
        f.ask(f"kill f{i}", 200)
    wait_for(lambda: not threads_of(f, "ask"), "the clients have gone")
    share = ledgers_of(clients) + 1
    comment(f"{clients} clients {options}: {each} instructions a request; quiet: {times[0]} and {times[1]} ns, "
            f"unloaded {unloaded[0]} and {unloaded[1]}, {share} ledgers")
    return each, times, share, seen


def waiting(f):
    """All of one ledger, whose requests sleep: the line is long."""
    unloaded = quiet(f, "sleep 1")
    for options, count, clients in (("", 50, 50), ("-p", 20, 1000)):
        f.ask("ledger f0")
        since = len(f.machine.text)
        for _ in range(count):
            background(f, f"in f0 ask -s a {options} -a -t {clients // count} -n 1000000000 sleep 1")
        name = "a port each" if options else "at one port"
        opening = quiet(f, "sleep 1")
        begun(f, since, count)
        times = quiet(f, "sleep 1")
        f.ask("kill f0", 200)
        wait_for(lambda: not threads_of(f, "ask"), "the clients have gone")
        comment(f"{clients} clients in {count} tasks, sleeping, {name}: {opening}, {times}, unloaded {unloaded}")
        tap.ok(opening[1] <= OPENING_NS, f"{clients} clients in {count} tasks of one ledger, {name}: 99 of 100 of a quiet "
               f"client's requests take less than {OPENING_NS // 1000000} ms while these begin", f"{opening} ns",
               machine=f.machine)
        for which, took, alone, delay in zip(("half", "99 of 100"), times, unloaded, (0, DELAY_NS)):
            more = f", and the delay of {DELAY_NS // 1000000} ms" if delay else ""
            tap.ok(took <= 2 * 2 * alone + delay, f"{clients} clients in {count} tasks of one ledger have long lines, "
                   f"{name}: {which} of a quiet client's requests take at most twice what they do alone, times two "
                   f"ledgers{more}", f"{took} ns", f"2 x 2 x {alone} ns + {delay}", machine=f.machine)


began = time.monotonic()
with field(mem="256M", limit=900 if FULL else 200, icount=True) as field_:
    f = field_
    f.ask("ledger watch")
    f.ask("ps; audit; ledgers; zones")
    warm = start(f, "warm")
    kill(f, warm)
    floor = f.floor(2)
    server = start(f, "a", f"-c {TARGET} -w {MOST} -i 50")
    quiet(f, "compute 0")
    unloaded = quiet(f, "compute 0")
    base = {}
    for clients in CLIENTS:
        passed, got, wanted = counted(f, clients, "compute 0")
        tap.ok(passed, f"{clients} clients: every request is answered, and the server has had as many", got,
               f"{wanted} answered, none refused, none late, {wanted} taken", machine=f.machine)
        for options, name in (("", "at one port"), ("-p", "a port each")):
            each, times, share, seen = steady(f, clients, options, unloaded)
            if clients == 10:
                base[options] = each
            if clients > 10:
                tap.ok(base[options] >= LEAST_RATIO * each,
                       f"{clients} clients, {name}: {LEAST_RATIO} of the requests per instruction of 10, or more",
                       f"{base[options]} / {each}", machine=f.machine)
            for which, took, alone in zip(("half", "99 of 100"), times, unloaded):
                tap.ok(took <= 2 * share * alone, f"{clients} clients, {name}: {which} of a quiet client's requests "
                       f"take at most twice what they do alone, times the ledgers that share the CPU",
                       f"{took} ns", f"2 x {share} x {alone} ns", machine=f.machine)
            tap.ok(seen["threads"] <= TARGET + 2, f"{clients} clients, {name}: at most {TARGET + 2} workers, as none waits",
                   seen, machine=f.machine)
    waiting(f)
    seen = counters(f, "a")
    tap.ok(seen["most"] <= MOST, f"never more than {MOST} workers", seen, machine=f.machine)
    kill(f, server)
    # The console's heap keeps some of the pages that its records of fifty jobs took, for the next ones.
    floor["console", "resident_pages"] += 16
    tap.equal(f.not_back(floor), {}, "clients that are killed in mid-request and the server leave nothing",
              machine=f.machine)
    tap.equal(f.audit(), ["audit: the books agree"], "the books agree", machine=f.machine)
    f.machine.send("halt\n")
    result = f.machine.wait()
    tap.equal((result.status, result.announced), (0, True), "the machine is alive after these floods", result=result)
comment(f"{time.monotonic() - began:.1f} s in all")
tap.done()

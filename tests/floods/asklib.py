# SPDX-License-Identifier: BSD-2-Clause
"""The slow server and its clients, as the tests of floods use them."""

import re
import time

from harness import Timeout

ANSWERS = re.compile(r"ask: (\d+) answered, (\d+) refused, (\d+) late in (\d+) ms; mean (\d+) us, worst (\d+) us")
REQUESTS = re.compile(r"ask: \S+: (\d+) requests, (\d+) inside, (\d+) at most")
POOL = re.compile(r"ask: \S+: (\d+) threads, most (\d+), denied (\d+); stalls (\d+), spares (\d+), aborts (\d+), "
                  r"busy (\d+), mean delay (\d+) us")
WORDS = ("requests", "inside", "most_inside", "threads", "most", "denied", "stalls", "spares", "aborts", "busy",
         "delay_us")


def wait_for(what, name, seconds=60):
    """Asks until it is so."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise Timeout(f"not within {seconds} s: {name}")


def ask(f, words, timeout=60):
    """(answered, refused, late, ms) and all lines."""
    lines = f.ask("ask " + words, timeout)
    match = ANSWERS.search("\n".join(lines))
    return tuple(int(n) for n in match.groups()[:4]) if match else None, lines


def counters(f, name):
    """What the server counted: {word: number}."""
    text = "\n".join(f.ask(f"in watch ask -s {name} counters", 120))
    return dict(zip(WORDS, (int(n) for n in REQUESTS.search(text).groups() + POOL.search(text).groups())))


def background(f, command):
    """Starts it; the number of its job."""
    lines = f.ask(command + " &", 120)
    return next(m[1] for m in (re.search(r"\[(\d+)\] \w+$", line) for line in lines) if m)


def wait_jobs(f, jobs, program="ask", how=r"done|status \d+", seconds=100):
    """Waits until all of them have ended so."""
    def ended():
        f.ask("sleep 10", 120)
        return all(re.search(rf"\[{job}\] {program}: ({how})\n", f.machine.text) for job in jobs)
    wait_for(ended, f"jobs {jobs} of {program} have ended", seconds)


def start(f, name, words="", where="services"):
    """Waits until it serves; the number of its job."""
    number = background(f, f"in {where} slow -n {name} {words}")
    wait_for(lambda: ask(f, f"-s {name} sleep 0")[0] is not None, f"server {name}")
    return number


def kill(f, number, program="slow"):
    f.ask(f"kill %{number}")
    wait_jobs(f, [number], program, "killed")


def threads_of(f, program):
    """Of each task of that program."""
    return [int(m[1]) for m in
            (re.match(rf" *\d+ {program} +\S+ +\d+ +(\d+) ", line) for line in f.ask("ps", 120)) if m]

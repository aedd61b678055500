#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The slow server: requests that sleep, compute, call others and themselves, or are handed to another
thread; what its clients are told, and that nothing is left when client or server is killed."""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from asklib import ask, background, kill, start, wait_for, wait_jobs  # noqa: E402
from floodlib import field  # noqa: E402
from harness import Tap  # noqa: E402

tap = Tap(__file__)


def answered(f, words, count, claim, least_ms=0):
    got, lines = ask(f, words)
    return tap.ok(got and got[:3] == (count, 0, 0) and got[3] >= least_ms, claim, lines,
                  f"{count} answered, in {least_ms} ms or more", machine=f.machine)


with field(mem="128M", limit=200) as f:
    f.ask("ask -s null sleep 0; hexdump -n 1 zero; forkbomb -n 5; ps; audit")
    warm = start(f, "warm", "-w 2")
    ask(f, "-s warm -t 3 sleep 1")
    kill(f, warm)
    before = f.floor(4)
    numbers = [start(f, "a"), start(f, "b", "-w 32"), start(f, "c", "-w 2"), start(f, "one", "-w 1 -T 1000")]
    answered(f, "-s a -t 8 -n 2 sleep 40", 16, "four threads answer sixteen requests that sleep 40 ms", 160)
    answered(f, "-s a -t 100 compute 200", 100, "a hundred clients have something computed", 20)
    for claim, words in (("A", "-s a call a"), ("A-B-A", "-s a call b,a"), ("A-B-C-A", "-s a call b,c,a"),
                         ("work handed to another thread that calls A", "-s a handover a"),
                         ("work handed over, A-B-A", "-s a handover b,a")):
        answered(f, f"{words} 5", 1, f"with threads to spare {claim} comes to its end", 5)
    got, lines = ask(f, "-s a call nosuch")
    tap.ok(got and got[:3] == (0, 1, 0) and "ask: refused: no right has that name" in lines,
           "a server that does not exist is told", lines, machine=f.machine)
    f.ask("in services slow -n zero &")
    f.machine.expect("slow: the name is taken", 20)
    tap.contains(f.ask("hexdump -n 1 /dev/zero"), r"00000000  00 +\|\.\|", "no server takes a name that another serves",
                 machine=f.machine)
    got, lines = ask(f, "-s one call one 1")
    tap.ok(got and sum(got[:3]) == 1, "with one thread a call of itself comes to an end at the latest when it is given up",
           lines, machine=f.machine)
    answered(f, "-s one sleep 1", 1, "and the server serves on")
    client = background(f, "ask -s a -t 20 sleep 60000")
    kill(f, client, "ask")
    client = background(f, "ask -s b -t 20 sleep 60000")
    while " 20 inside" not in "\n".join(f.ask("ask -s b counters")):
        pass
    kill(f, numbers[1])
    wait_jobs(f, [client])
    tap.contains(f.machine.text, r"ask: 0 answered, 20 refused, 0 late",
                 "when the server is killed each of its clients is told", machine=f.machine)
    tap.contains(f.ask("ask -s b sleep 1"), "no server b", "and its name is gone", machine=f.machine)
    crowd = [f"new{i}" for i in range(8)]
    lines = f.ask("".join(f"in services slow -n {name} -w 1 -x 0 &; " for name in crowd) + f"ask -s {crowd[-1]} sleep 0")
    tap.contains(lines, "ask: 1 answered, 0 refused", "a server that has only just been started, with others, is waited for",
                 machine=f.machine)
    client = background(f, f"ask -s {crowd[0]} sleep 60000")
    wait_for(lambda: "nothing came in time" in "\n".join(f.ask(f"ask -s {crowd[0]} -T 100 counters")),
             "-T ends the wait for the counters of a server whose only thread is busy")
    kill(f, client, "ask")
    for number in re.findall(r"\[(\d+)\] slow", "\n".join(lines)):
        kill(f, number)
    f.ask("in services ask -s a sleep 10000 &")
    tap.contains(f.ask("ask -s nobody sleep 0"), "^ask: no server nobody: no right has that name",
                 "who starts and never serves is not waited for for long", machine=f.machine)
    again = start(f, "b")
    answered(f, "-s b -t 5 sleep 1", 5, "started anew it serves by its old name")
    for number in (numbers[0], again, *numbers[2:]):
        kill(f, number)
    tap.equal(f.not_back(before), {}, "with the servers all that they held is given back", machine=f.machine)
    tap.equal(f.audit(), ["audit: the books agree"], "the books agree", machine=f.machine)
tap.done()

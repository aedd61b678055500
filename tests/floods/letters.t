#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The options that all floods share: each does what it says, told by what the flood's own ledger had at
its peak; what makes no sense is told and takes nothing. Each flood is run in a new ledger.
"""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from floodlib import PROGRAMS, Field, read_ledgers  # noqa: E402
from harness import Tap, boot  # noqa: E402

CTRL_C = "\x03"

# What is done, without and with the option, and by how much the ledger's peak grows.
EFFECTS = (
    # -n, and each -s: of what so many more are taken
    ("forkbomb", "-n 4", "-n 9", {"tasks": 5}),
    ("forkbomb", "-s chain -n 4", "-s chain -n 9", {"tasks": 5}),
    ("forkbomb", "-s tree -n 4", "-s tree -n 40", {"tasks": 36}),
    ("forkbomb", "-s tree -n 0", "-s tree -n 1", {"tasks": 1}),
    ("forkbomb", "-s spin -n 2", "-s spin -n 3", {"tasks": 1}),
    ("threadbomb", "-n 4", "-n 9", {"threads": 5, "resident_pages": 5}),
    ("threadbomb", "-s created -n 4", "-s created -n 9", {"threads": 5, "resident_pages": 0}),
    ("portflood", "-n 4", "-n 9", {"names": 5, "ports": 0}),
    ("portflood", "-s own -n 4", "-s own -n 9", {"names": 0, "ports": 5}),
    ("msgflood", "-n 5", "-n 15", {"messages": 10, "ports": 2}),
    ("msgflood", "-s large -n 5", "-s large -n 15", {"messages": 10, "ports": 2, "kpages": 40}),
    ("msgflood", "-s ool -n 5", "-s ool -n 15", {"messages": 10, "ports": 2, "virtual_pages": 160}),
    ("msgflood", "-s once -n 5", "-s once -n 15", {"messages": 10, "ports": 0}),
    ("msgflood", "-s big -n 5", "-s big -n 15", {"messages": 10, "ports": 0, "kpages": 40}),
    ("rightflood", "-n 4", "-n 9", {"ports": 5}),
    ("memhog", "-n 4", "-n 9", {"resident_pages": 5, "entries": 0}),
    ("memhog", "-s entries -n 4", "-s entries -n 9", {"resident_pages": 0, "entries": 5}),
    ("spike", "-n 5", "-n 15", {"threads": 2, "tasks": 2, "entries": 2}),
    ("spike", "-s ports -n 4", "-s ports -n 9", {"ports": 5, "tasks": 0}),
    ("spike", "-s threads -n 4", "-s threads -n 9", {"threads": 5, "tasks": 0}),
    ("spike", "-s tasks -n 4", "-s tasks -n 9", {"tasks": 5, "threads": 0}),
    ("spike", "-s entries -n 4", "-s entries -n 9", {"entries": 5, "tasks": 0}),
    ("spike", "-s messages -n 4", "-s messages -n 9", {"messages": 5, "tasks": 0}),
    # -p: of each task; -t: each takes what -n tells
    ("forkbomb", "-n 4", "-n 4 -p 100", {"ports": 400}),
    ("threadbomb", "-n 4 -t 3", "-n 4 -t 3 -p 100", {"ports": 300}),
    # Without any its peak is at another moment.
    ("portflood", "-n 4 -t 3 -p 100", "-n 4 -t 3 -p 200", {"ports": 300}),
    ("msgflood", "-n 4 -t 3", "-n 4 -t 3 -p 100", {"ports": 300}),
    ("rightflood", "-n 4 -t 3", "-n 4 -t 3 -p 100", {"ports": 300}),
    ("memhog", "-n 4 -t 3", "-n 4 -t 3 -p 100", {"ports": 300}),
    ("spike", "-s ports -n 4 -t 3", "-s ports -n 4 -t 3 -p 100", {"ports": 300}),
    ("forkbomb", "-n 4 -t 2", "-n 4 -t 3", {"tasks": 5}),
    ("forkbomb", "-s tree -n 9 -t 2", "-s tree -n 9 -t 3", {"tasks": 10}),
    ("threadbomb", "-n 4 -t 2", "-n 4 -t 3", {"tasks": 1, "threads": 5}),
    ("portflood", "-n 4 -t 2", "-n 4 -t 3", {"tasks": 1}),
    ("msgflood", "-n 4 -t 2", "-n 4 -t 3", {"tasks": 1}),
    ("rightflood", "-n 4 -t 2", "-n 4 -t 3", {"tasks": 2}),      # and its victim
    ("memhog", "-n 4 -t 2", "-n 4 -t 3", {"tasks": 1}),
    ("spike", "-s ports -n 4 -t 2", "-s ports -n 4 -t 3", {"tasks": 1}),
    # -z
    ("forkbomb", "-n 4 -z 4K", "-n 4 -z 16K", {"resident_pages": 12}),
    ("threadbomb", "-n 4", "-n 4 -z 16K", {"resident_pages": 12}),
    ("portflood", "-n 4 -z 64K", "-n 4 -z 128K", {"resident_pages": 16}),
    ("msgflood", "-s once -n 10 -z 4K", "-s once -n 10 -z 12K", {"kpages": 20}),
    ("msgflood", "-s ool -n 4 -z 64K", "-s ool -n 4 -z 128K", {"virtual_pages": 80}),
    ("rightflood", "-s ignore -n 8 -z 8", "-s ignore -n 8 -z 2", {"messages": 3}),
    ("memhog", "-n 64 -z 16", "-n 64 -z 8", {"entries": 4, "resident_pages": 0}),
    ("memhog", "-s entries -n 4", "-s entries -n 4 -z 16", {"virtual_pages": 60}),
    ("spike", "-s entries -n 4", "-s entries -n 4 -z 8K", {"virtual_pages": 4}),
    ("spike", "-s messages -n 4 -z 4K", "-s messages -n 4 -z 8K", {"kpages": 4}),
)
# Of what each holds at least four with -k -n 4.
KEPT = {"forkbomb": "tasks", "threadbomb": "threads", "portflood": "names", "msgflood": "messages",
        "rightflood": "ports", "memhog": "resident_pages", "spike": "ports"}
# How much -z may be, and one more.
TOO_LARGE = {"forkbomb": 64 << 20, "threadbomb": 64 << 20, "portflood": 1 << 20, "msgflood": 16 << 20,
             "rightflood": 64, "memhog": 1 << 20, "spike": 8192}
WRONG = ("-q", "-n x", "-p x", "-t 257", "-r x", "-S x", "-z 0", "-s none", "word")
WRONG_OF_ONE = ("-n", "-s", "-n -1", "-n 5x", "-n ''", "-n 18446744073709551616", "-p -1", "-t x", "-r 2k", "-z x",
                "-z 1T", "-s 1")
# Shapes and sizes that do not go together.
UNFIT = ("portflood -s own -z 5", "msgflood -z 16345", "msgflood -s big -z 16345")

tap = Tap(__file__)


class Ring(Field):
    """Runs each command in a new ledger."""

    def fresh(self):
        self.number += 1
        name = f"ring{self.number}"
        self.ask(f"ledger {name}")
        return name

    def usage(self, ledger):
        """{resource: {"used": n, "peak": n}}"""
        return {resource: row for (_, resource), row in read_ledgers(self.ask(f"ledger {ledger}")).items()}

    def run(self, command):
        """(the lines, {resource: the peak})"""
        self.number += 1
        name = f"ring{self.number}"
        lines = self.ask(f"ledger {name}; echo --; in {name} {command}; echo --; ledger {name}; kill {name}")
        first = lines.index("--")
        last = lines.index("--", first + 1)
        rows = read_ledgers(lines[last + 1:])
        return lines[first + 1:last], {resource: int(row["peak"]) for (_, resource), row in rows.items()}


def value(options, letter, otherwise):
    match = re.search(rf"-{letter} (\d+)", options)
    return int(match[1]) if match else otherwise


def told(lines):
    """How many it says it took, and in how many milliseconds."""
    match = re.search(r"(?m)^\w+: (\d+) \w+ in (\d+) ms", "\n".join(lines))
    return (int(match[1]), int(match[2])) if match else (None, None)


def ended_well(flood, lines):
    return "\n".join(lines).count("\n" + flood + ": gave ") == 1 and \
        not re.search(r"status|denied|stopped|could not", "\n".join(lines))


def effects(ring):
    seen = {}
    for flood, less, more, grows in EFFECTS:
        claim = f"{flood} {more}: more than with {less}: " + \
            ", ".join(f"{n} {resource}" for resource, n in grows.items())
        if not tap.wanted(claim):
            continue
        for options in (less, more):
            if (flood, options) not in seen:
                seen[flood, options] = ring.run(f"{flood} {options}")
        (_, before), (lines, after) = seen[flood, less], seen[flood, more]
        count = value(more, "n", 0) * value(more, "t", 1)
        got = {resource: after.get(resource, 0) - before.get(resource, 0) for resource in grows}
        tap.ok(ended_well(flood, lines) and told(lines)[0] == count and got == grows, claim,
               (got, lines), (grows, count), machine=ring.machine)


def tree(ring):
    """Never one child more, not even one that is let go at once."""
    for shape in ("wide", "chain", "tree", "spin"):
        lines, peaks = ring.run(f"forkbomb -s {shape} -n 20 -t 2")
        tap.equal((told(lines)[0], peaks["tasks"]), (40, 43),
                  f"forkbomb -s {shape} -n 20 -t 2 makes 40 children and no more, besides the two and their keeper",
                  machine=ring.machine)
    lines, peaks = ring.run("forkbomb -s churn -n 7 -t 3")
    tap.equal((told(lines)[0], peaks["tasks"]), (21, 4), "forkbomb -s churn -n 7 -t 3: seven times three, no more "
              "than three at once", machine=ring.machine)


def victims(ring):
    """With -r: the victim has its time."""
    for shape, least, most in (("hold", 16, 20), ("refuse", 0, 4), ("ignore", 0, 0)):
        lines, _ = ring.run(f"rightflood -s {shape} -n 20 -z 2 -r 200")
        match = re.search(r"the victim pays (\d+) names", "\n".join(lines))
        tap.ok(match and least <= int(match[1]) - 1 <= most, f"rightflood -s {shape}: the victim has {least} to {most} "
               "of 20 rights", lines, "1 name more than rights", machine=ring.machine)


def paces(ring, flood):
    lines, _ = ring.run(f"{flood} -n 10 -r 50")
    ms = told(lines)[1]
    tap.ok(ended_well(flood, lines) and ms is not None and 180 <= ms < 2000, f"{flood} -n 10 -r 50 takes a fifth "
           "of a second", lines, "about 200 ms", machine=ring.machine)
    for seed in (5, 2 ** 64 - 1):
        lines, _ = ring.run(f"{flood} -n 12 -S {seed}")
        tap.ok(ended_well(flood, lines) and told(lines)[0] == 12, f"{flood} -n 12 -S {seed} gives each back, and "
               "once", lines, "12, all given back", machine=ring.machine)


def holds(ring, flood):
    machine, resource = ring.machine, KEPT[flood]
    shape = "-s ports " if flood == "spike" else ""
    ledger = ring.fresh()
    ring.machine.send(f"in {ledger} {flood} {shape}-k -n 4\n")
    machine.expect(rf"{flood}: 4 \w+ in \d+ ms")
    machine.send(CTRL_C)
    machine.expect(r"\^C\n")
    left = {what: row["used"] for what, row in ring.usage(ledger).items() if row["used"]}
    tap.equal(left, {}, f"Ctrl-C ends {flood} -k, and nothing is left of it", machine=machine)
    machine.send(f"in {ledger} {flood} {shape}-k -n 4 &\n")
    machine.expect(rf"{flood}: 4 \w+ in \d+ ms")
    ring.ask("sleep 300")
    used = ring.usage(ledger).get(resource, {"used": 0})["used"]
    tap.ok(used >= 4, f"{flood} -k holds its {resource}", used, "4 at least", machine=machine)
    ring.ask(f"kill {ledger}")


def refused(ring, flood):
    wrong = {f"{flood} {options}: is told what is wrong, with status 64": options
             for options in (*WRONG, *(WRONG_OF_ONE if flood == PROGRAMS[0] else ()), f"-z {TOO_LARGE[flood] + 1}")}
    wrong = {claim: options for claim, options in wrong.items() if tap.wanted(claim)}
    # Nothing to be seen in a ledger that nothing has run in.
    if not wrong:
        return
    before = ring.floor(3)
    ledger = ring.fresh()
    for claim, options in wrong.items():
        lines = ring.ask(f"in {ledger} {flood} {options}")
        text = "\n".join(lines)
        tap.ok(lines and lines[-1] == f"{flood}: status 64" and
               re.search(rf"(?m)^(usage: {flood} |{flood}: -[a-zA-Z]: )", text) and not re.search(r" in \d+ ms", text),
               claim, lines, f"usage: {flood} ...; {flood}: status 64", machine=ring.machine)
    peaks = {what: int(row["peak"]) for what, row in ring.usage(ledger).items()}
    tap.ok(peaks["tasks"] == peaks["threads"] == 1 and peaks["ports"] <= 6, f"{flood} takes nothing when its "
           "options are wrong", peaks, "a task, a thread, and the ports of any program", machine=ring.machine)
    ring.ask(f"kill {ledger}")
    tap.equal(ring.not_back(before), {}, f"{flood}: zones and ledgers are as before its wrong options",
              machine=ring.machine)


with boot(limit=200, mem="48M", zone_map="4M") as machine:
    machine.prompt()
    ring = Ring(machine)
    effects(ring)
    tree(ring)
    victims(ring)
    for flood in PROGRAMS:
        paces(ring, flood)
        holds(ring, flood)
        refused(ring, flood)
    for command in UNFIT:
        lines, _ = ring.run(command)
        tap.ok(lines[-1].endswith(": status 1") and ": -z: " in lines[0], f"{command}: is told that these do not "
               "go together", lines, "-z: ...; status 1", machine=machine)
    tap.equal(ring.audit(), ["audit: the books agree"], "the books agree", machine=machine)
    machine.send("halt\n")
    tap.equal(machine.wait().status, 0, "the machine lives on", machine=machine)
tap.done()

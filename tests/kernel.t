#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the booted test programs of tests/kernel, all in one boot where that is possible.

A program prints on the second serial port, from its start to its end:

    == NAME
    ok 1 - a claim
    not ok 2 - another claim
    # expected: 5
    # got:      4
    1..2
    == end NAME STATUS

Its source may say, in a comment within the first 30 lines,
    RUN: in root NAME ARGS      what the console shall carry out, instead of NAME
    BOOT: mem=48M zone_map=1M   options of the machine; such programs share a boot of their own
    BOOT: options=a=b,c         further words of the kernel's command line
    BOOT: icount=1              deterministic time
    LIMIT: 300                  seconds it may take, instead of 60
After a panic, a reset or a program that does not end, the rest is run in a new boot.
"""

import glob
import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from choice import CHOICE  # noqa: E402
from harness import ROOT, Tap, boot, comment, console_part  # noqa: E402

FOLDER = os.path.join(ROOT, "tests", "kernel")
DEFAULT_LIMIT = 60
# The console's last words in every boot; the ledgers explain failures, so they come after them.
ENDING = "ledgers; halt"
# Room for the commands on the kernel's command line.
RUN_MAX = 3000


class Program:
    def __init__(self, name, sources):
        self.name = name
        self.command = name
        self.boot = {}
        self.limit = DEFAULT_LIMIT
        self.sources = sources
        heads = []
        for source in sources:
            with open(source, encoding="utf-8") as file:
                heads += file.read().splitlines()[:30]
        for line in heads:
            match = re.match(r"[\s/*]*(RUN|BOOT|LIMIT): *(.*?)[\s*/]*$", line)
            if match:
                self.set(match[1], match[2])

    def set(self, key, value):
        if key == "RUN":
            self.command = value
        elif key == "LIMIT":
            self.limit = float(value)
        else:
            self.boot = dict(word.split("=", 1) for word in value.split())
            if "options" in self.boot:
                self.boot["options"] = tuple(self.boot["options"].split(","))
            if "icount" in self.boot:
                self.boot["icount"] = self.boot["icount"] == "1"

    def names(self):
        return ["kernel.t"] + [os.path.relpath(source, os.path.join(ROOT, "tests")) for source in self.sources]


def find_programs():
    programs = []
    for path in sorted(glob.glob(os.path.join(FOLDER, "*"))):
        name = os.path.basename(path)
        if os.path.isdir(path) and name != "support":
            sources = glob.glob(os.path.join(path, "*.c"))
            if sources:
                programs.append(Program(name, sources))
        elif name.endswith(".c"):
            programs.append(Program(name[:-2], [path]))
    named, others = CHOICE.pick([(program, program.names(), program.sources) for program in programs])
    return named or others


class Failure:
    def __init__(self, program, claim, console):
        self.program = program
        self.claim = claim
        self.console = console
        self.details = []


class Boot:
    """One boot with some programs: relays their TAP, knows what is still to be run."""

    def __init__(self, tap, programs):
        self.tap = tap
        self.waiting = list(programs)
        self.current = None
        self.claims = 0
        self.failures = []
        self.last = None             # the failure that comments belong to
        self.begun = 0.0
        self.machine = None

    def record(self, passed, claim, program):
        full = f"{program.name}: {claim}".replace("#", "\\#")
        self.tap.count += 1
        print(f"{'ok' if passed else 'not ok'} {self.tap.count} - {full}", flush=True)
        self.last = None
        if not passed:
            self.tap.failed += 1
            self.last = Failure(program, full, self.machine.text)
            self.failures.append(self.last)

    def line(self, text):
        """One line of the second serial port."""
        begin = re.fullmatch(r"== (\S+)", text)
        end = re.fullmatch(r"== end (\S+) (-?\d+)", text)
        claim = re.fullmatch(r"(ok|not ok)(?: \d+)?(?: - )? ?(.*)", text)
        if begin:
            self.start_program(begin[1])
        elif self.current is None:
            return
        elif end and end[1] == self.current.name:
            self.end_program(int(end[2]))
        elif re.search(r"# SKIP\b", text) and claim:
            self.claims += 1
            self.tap.count += 1
            print(f"ok {self.tap.count} - {self.current.name}: {claim[2]}", flush=True)
        elif claim:
            self.claims += 1
            self.record(claim[1] == "ok", claim[2], self.current)
        elif text.startswith("1..") and text[3:].isdigit():
            self.planned = int(text[3:])
        elif text.startswith("#") and self.last:
            self.last.details.append(text[1:].strip())

    def start_program(self, name):
        if self.current:
            self.record(False, "comes to its end", self.current)
            self.current = None
        for program in self.waiting:
            if program.name == name:
                self.waiting.remove(program)
                self.current = program
        self.claims = 0
        self.planned = None
        self.last = None
        self.begun = time.monotonic()

    def end_program(self, status):
        program, self.current = self.current, None
        if self.planned is None:
            self.record(False, "says how many claims it makes", program)
        elif self.planned != self.claims:
            self.record(False, f"makes the {self.planned} claims that it says", program)
            self.last.details.append(f"got: {self.claims} claims")
        elif self.claims == 0:
            self.record(False, "claims something", program)
        elif status != 0 and not any(f.program is program for f in self.failures):
            self.record(False, "exits with status 0", program)
            self.last.details.append(f"got: {status}")
        self.begun = time.monotonic()

    def run(self):
        """Boots; returns the programs that a new boot has to run."""
        commands = "; ".join(program.command for program in self.waiting)
        options = self.waiting[0].boot
        # The machine's own watchdog is behind those of all programs.
        total = sum(program.limit for program in self.waiting) + 30
        with boot(limit=total, run=f"{commands}; {ENDING}", tap=True, **options) as machine:
            self.machine = machine
            machine.on_tap = self.line
            self.begun = time.monotonic()
            while machine.pump(1.0):
                program = self.current or (self.waiting or [None])[0]
                limit = program.limit if program else DEFAULT_LIMIT
                if time.monotonic() - self.begun > limit:
                    self.ended(f"nothing new for {limit:g} s; {machine.likely_cause()}")
                    machine.kill()
                    self.show(machine.text)
                    return self.waiting
            result = machine.wait()
            if self.current or not (result.announced and result.status == 0):
                self.ended(f"the machine ended: {result.reason}")
            elif self.waiting:
                # The console went on to the end without it.
                program = self.waiting.pop(0)
                self.record(False, "starts", program)
            self.show(machine.text)
            return self.waiting

    def ended(self, reason):
        """The boot is over before its time; somebody has to be the cause."""
        program, self.current = self.current, None
        if program:
            self.record(False, "comes to its end", program)
        elif self.waiting:
            self.record(False, "starts", self.waiting.pop(0))
        else:
            self.record(False, "the machine halts after it", Program("the last program", []))
        self.last.details.append(reason)

    def show(self, console):
        """What is known of each failure, now that the ledgers have been printed."""
        ledgers = console.rsplit("ledgers", 1)[-1] if "ledgers" in console else ""
        for failure in self.failures:
            comment(f"claim:    {failure.claim}")
            for line in failure.details:
                comment(f"          {line}")
            comment("the last lines of the console then:")
            comment(console_part(failure.console))
            comment(f"repeat:   make test T='kernel/{failure.program.name}'")
        if self.failures:
            comment("the console at the end, with the ledgers:")
            comment(console_part(ledgers or console, 40))


def batches(programs):
    """Lists of programs that one boot can run."""
    groups = {}
    for program in programs:
        groups.setdefault(tuple(sorted(program.boot.items())), []).append(program)
    for group in groups.values():
        batch = []
        for program in group:
            if sum(len(p.command) + 2 for p in batch + [program]) > RUN_MAX:
                yield batch
                batch = []
            batch.append(program)
        yield batch


def main():
    tap = Tap(__file__)
    programs = find_programs()
    if not programs:
        tap.skip_all("no program of tests/kernel matches")
    for batch in batches(programs):
        while batch:
            batch = Boot(tap, batch).run()
    tap.done()


main()

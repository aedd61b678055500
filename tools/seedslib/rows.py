# SPDX-License-Identifier: BSD-2-Clause
"""A row of the table: what was observed, the boots that repeat it, the claims about them."""

import concurrent.futures
import dataclasses
import os
import re
import shlex

import weirvm
from console_text import DENIED, outputs, read_ledgers


@dataclasses.dataclass(frozen=True)
class Boot:
    """One `make run`; the last of its commands is `halt`."""
    run: str
    mem: str = "128M"
    zone_map: str = ""
    limit: int = 120

    def command(self):
        words = [f"MEM={self.mem}"]
        if self.zone_map:
            words.append(f"ZONE_MAP={self.zone_map}")
        return f"make run {' '.join(words)} LIMIT={self.limit} RUN={shlex.quote(self.run)}"


class Seen:
    """What one boot has printed."""

    def __init__(self, boot, result):
        self.boot, self.result = boot, result
        self.answers = outputs(result.console)

    def lines(self, command, number=0):
        """What a command printed, of those typed alike the so-manyth; [] if it was not reached."""
        found = [lines for asked, lines in self.answers if asked == command]
        return found[number] if number < len(found) else []

    def number(self, pattern, text=None):
        """The first number that the pattern's group finds; -1: none."""
        match = re.search(pattern, self.result.console if text is None else "\n".join(text))
        return int(match[1]) if match else -1

    def numbers(self, pattern):
        """What the pattern's group finds each time."""
        return [int(number) for number in re.findall(pattern, self.result.console)]

    def children(self):
        """Of each fork bomb."""
        return self.numbers(r"forkbomb: (\d+) children")

    def denials(self):
        """The (resource, ledger) of each flood that was denied."""
        return [match[:2] for match in DENIED.findall(self.result.console)]

    def root(self, number=0):
        """{resource: {"used": n, "limit": n, ...}} of the root ledger, of the so-manyth `ledgers`."""
        rows = read_ledgers(self.lines("ledgers", number))
        return {resource: row for (ledger, resource), row in rows.items() if ledger == "root"}


@dataclasses.dataclass
class Claim:
    passed: bool
    text: str
    got: object = None
    result: weirvm.Result = None


class Row:
    """
    name: a letter; title: what was observed; then: how it went elsewhere; boots: those that repeat it.
    judge(row, *seen) makes the claims and returns what to tell of Weir; it may fill row.more, lines
    for below the table. told: the commands as the table shows them, when the boots are many.
    """

    def __init__(self, name, title, then, boots, judge, told=None):
        self.name, self.title, self.then, self.boots = name, title, then, boots
        self.judge = judge
        self.told = told
        self.claims = []
        self.now = ""
        self.more = []

    def claim(self, passed, text, got=None, seen=None):
        self.claims.append(Claim(bool(passed), f"{self.name}: {text}", got, seen and seen.result))

    def commands(self):
        return self.told or [boot.command() for boot in self.boots]

    def finish(self, results):
        """Judges the row by the results of its boots."""
        seen = [Seen(boot, result) for boot, result in zip(self.boots, results)]
        for one in seen:
            result = one.result
            self.claim(result.status == 0 and result.announced, f"the machine lives on after: {one.boot.run}",
                       result.reason, one)
            audits = [lines for command, lines in one.answers if command == "audit"]
            if audits:
                self.claim(all(lines == ["audit: the books agree"] for lines in audits),
                           f"the books agree after: {one.boot.run}", audits, one)
        try:
            self.now = self.judge(self, *seen)
        except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
            self.claim(False, "the console has told all that is to be compared", repr(error), seen[0])
            self.now = "see the failed claims"

    def failed(self):
        return [claim for claim in self.claims if not claim.passed]


def run_boot(boot, build):
    # Nobody reads what it prints meanwhile, so that two at a time do not wait for each other.
    return weirvm.run(mem=boot.mem, zone_map=boot.zone_map, run=boot.run, limit=boot.limit, build=build)


def run_rows(rows, build, progress, at_once=2):
    """Carries out all boots of the rows, so many at once, and judges each row when it can be."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=at_once) as pool:
        waiting = {pool.submit(run_boot, boot, build): (row, i)
                   for row in rows for i, boot in enumerate(row.boots)}
        results = {row.name: [None] * len(row.boots) for row in rows}
        try:
            for future in concurrent.futures.as_completed(waiting):
                row, i = waiting[future]
                results[row.name][i] = future.result()
                progress(f"{row.name} {i + 1}/{len(row.boots)}: {future.result().seconds:.1f} s")
                if None not in results[row.name]:
                    row.finish(results[row.name])
        except KeyboardInterrupt:
            # Without waiting for the others: QEMU dies with the thread that has started it.
            os._exit(130)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise

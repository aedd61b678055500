# SPDX-License-Identifier: BSD-2-Clause
"""The matrix of floods: one cell is one flood, in one ledger, on one machine, in a boot of its own.

A boot of its own makes a cell the same whatever else is measured: the peaks that the kernel keeps
are of this flood, and no zone is warm from another one.

Places: `user` is the ledger of what the console starts, with a user's limits; `root` has none but
the machine's; `box` is a ledger with limits that are fixed numbers, so what is denied there does
not depend on the memory, and one size of it is enough.
"""

import csv
import dataclasses
import itertools
import re

from floodlib import BYSTANDER, DENIED, amount, field, plausible, read_ledgers

# A bomb whose children compute takes minutes to fill a machine: it gets a number.
FLOODS = ("forkbomb", "forkbomb -s chain", "forkbomb -s tree", "forkbomb -s churn",
          "forkbomb -s spin -n 40", "threadbomb", "threadbomb -s created", "portflood",
          "rightflood", "rightflood -s refuse", "rightflood -s ignore", "msgflood",
          "msgflood -s large", "msgflood -s ool", "msgflood -s once", "msgflood -s big", "memhog",
          "memhog -s entries", "spike")
# These hold nothing, or a number; they are not denied unless the box is too small for them.
BOUNDED = ("forkbomb -s churn", "forkbomb -s spin -n 40")
MEMORIES = ("48M", "128M", "256M")
PLACES = ("user", "root")
BOX_MEMORY = "48M"
BOX = ("ledger box tasks=50 threads=200 ports=1000 names=3000 entries=1000 messages=900 "
       "resident_pages=2000")
# What the console and the servers do for the first time takes memory that stays.
WARM_UP = ("forkbomb -n 5", "in root forkbomb -n 5", "portflood -n 50", "memhog -n 5")
CALM = 6                # of the bystander's intervals of 100 ms before, and after
LIMIT_SECONDS = 400


@dataclasses.dataclass
class Cell:
    """The first three name it; the others are what was seen. Empty: nothing of the kind."""
    flood: str
    memory: str
    place: str
    objects: int = 0
    resource: str = ""          # what was denied
    ledger: str = ""            # whose limit it was
    limit: str = ""             # as the denial tells it: a number, or bytes with K, M
    kernel_bytes_each: int = 0  # zone map at its peak less before, by objects
    taken_ms: int = 0
    back_ms: int = 0
    served_before: int = 0      # requests of the bystander in 100 ms, in the mean
    served_during: int = 0
    served_after: int = 0
    worst_before_us: int = 0
    worst_during_us: int = 0
    worst_after_us: int = 0

    @property
    def key(self):
        return self.flood, self.memory, self.place

    @property
    def denial(self):
        return f"{self.resource} in {self.ledger}" if self.resource else "-"


NUMBERS = [f.name for f in dataclasses.fields(Cell) if f.type in (int, "int")]
COLUMNS = [f.name for f in dataclasses.fields(Cell)]


def matrix():
    """All cells, nothing measured yet, in the order of the table."""
    return [Cell(*key) for flood in FLOODS
            for key in ((flood, BOX_MEMORY, "box"), *itertools.product((flood,), MEMORIES, PLACES))]


class Wrong(Exception):
    """A flood did something that none may."""


def _mean(served):
    return round(sum(s[0] for s in served) / len(served)) if served else 0


def _worst(served):
    return max((s[2] for s in served), default=0)


def _calm(f):
    start = len(f.machine.text)
    f.machine._mark = start
    for _ in range(CALM):
        f.machine.expect(BYSTANDER.pattern)
    return f.served(f.machine.text[start:])


def _milliseconds(pattern, lines):
    match = re.search(pattern, "\n".join(lines))
    return int(match[1]) if match else 0


def _check(cell, f, flood, ledgers, before):
    """Raises Wrong unless it ended as floods must."""
    why = [] if flood.status == "done" and flood.count() > 0 else [f"it ended with {flood.status}"]
    if cell.flood not in BOUNDED or DENIED.fullmatch(flood.last):
        why.append(plausible(flood.last, ledgers))
    why += [f"not back: {what}" for what in f.not_back(before).items()]
    why += [line for line in f.audit() if line != "audit: the books agree"]
    if any(failed for _, failed, _ in flood.served) or not any(n for n, _, _ in flood.served):
        why.append(f"the bystander was not served: {flood.served}")
    if any(why):
        raise Wrong("; ".join(filter(None, why)) + "\n" + "\n".join(flood.lines))


def measure(cell, icount=False):
    """Boots, lets the flood loose, and returns the cell with what was seen. Wrong when it misbehaved."""
    with field(limit=LIMIT_SECONDS, mem=cell.memory, icount=icount) as f:
        if cell.place == "box":
            f.ask(BOX)
        f.watch()
        for command in WARM_UP:
            f.ask(command)
        before = f.floor(4)
        used = read_ledgers(f.ask("ledgers"))["root", "zone_map"]["used"]
        calm = _calm(f)
        prefix = "" if cell.place == "user" else f"in {cell.place} "
        flood = f.flood(prefix + cell.flood, timeout=LIMIT_SECONDS, ask=False)
        after = _calm(f)
        ledgers = read_ledgers(f.ask("ledgers"))
        _check(cell, f, flood, ledgers, before)
        f.machine.send("halt\n")
        result = f.machine.wait()
        if (result.status, result.announced) != (0, True):
            raise Wrong(result.reason)
    denied = re.fullmatch(DENIED, flood.last)
    peak = ledgers["root", "zone_map"]["peak"]
    return dataclasses.replace(
        cell, objects=flood.count(), resource=denied[1] if denied else "",
        ledger=denied[2] if denied else "", limit=denied[4] if denied else "",
        kernel_bytes_each=max(0, peak - used) // flood.count(),
        taken_ms=_milliseconds(r" in (\d+) ms", flood.lines),
        back_ms=_milliseconds(r"(?:gave .*|closed .*) in (\d+) ms", flood.lines),
        served_before=_mean(calm), served_during=_mean(flood.served), served_after=_mean(after),
        worst_before_us=_worst(calm), worst_during_us=_worst(flood.served),
        worst_after_us=_worst(after))


# --- files ---


def read(path):
    """({key: Cell}, comment) of a file that write() made."""
    with open(path, encoding="utf-8", newline="") as file:
        lines = file.readlines()
    rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")
    cells = [Cell(**{name: int(row[name]) if name in NUMBERS else row[name] for name in COLUMNS})
             for row in rows]
    comment = "".join(line.removeprefix("# ") for line in lines if line.startswith("#"))
    return {cell.key: cell for cell in cells}, comment.strip()


def write(path, cells, comment):
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(f"# {comment}\n")
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(dataclasses.astuple(cell) for cell in cells)


# --- what is deterministic ---


def tolerance(committed):
    """By how much of itself the number of objects may differ; None: it is not compared.

    A limit of the box is a number of things, so the objects are the same in every run; save pages
    and entries, which the program's own code is among. A limit that is memory shrinks when the
    image grows. The children of a tree compete for the last memory, so how many get it is chance.
    """
    if not committed.resource:
        return 0
    if committed.place == "box":
        return 0.02 if committed.resource in ("resident_pages", "entries") else 0
    return None if committed.flood == "forkbomb -s tree" else 0.02


def differs(cell, committed):
    """How a cell is unlike the committed one in what is deterministic; "" if it is not.

    What was denied, and by whose limit, must be the same; the objects by tolerance(), as many by
    the limit as then.
    """
    if (cell.resource, cell.ledger) != (committed.resource, committed.ledger):
        return f"{cell.objects}, denied {cell.denial}; committed: {committed.objects}, {committed.denial}"
    part = tolerance(committed)
    if part is None:
        return ""
    expected = committed.objects
    if part:
        expected *= amount(cell.limit) / amount(committed.limit)
    if abs(cell.objects - expected) > expected * part:
        return (f"{cell.objects} objects; committed: {committed.objects}, so here {expected:.0f} "
                f"within {expected * part:.0f}")
    return ""

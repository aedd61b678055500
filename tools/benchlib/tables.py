# SPDX-License-Identifier: BSD-2-Clause
"""The tables of `make bench`: rows of texts, shown on a terminal or put into docs/performance.md."""

import csv
import os
import textwrap

import weirvm
from . import measure

PAGE = os.path.join(weirvm.ROOT, "docs", "performance.md")
FOLDER = os.path.join(weirvm.ROOT, "tests", "bench")
GROWTH_ALLOWED = 1.25


def peers(name):
    """{name: row} of a table of facts."""
    with open(os.path.join(FOLDER, name), encoding="utf-8", newline="") as file:
        rows = csv.DictReader((line for line in file if not line.startswith("#")), delimiter="\t")
        return {row["name"]: row for row in rows}


def number(value):
    return f"{value:,}"


def ratio(peer, ours):
    """How many times as much the peer takes."""
    return f"{int(peer) / ours:.1f}" if peer != "-" and ours else ""


def amount(text):
    return "" if text == "-" else number(int(text))


def verdict(reached):
    return "yes" if reached else "no"


def operations(run):
    """The main table: one build on one CPU model beside the peers and the targets."""
    facts = peers("peers.tsv")
    yield ("operation", "min", "median", "p99", "worst", "all", "GNU Mach", "x", "Linux", "x", "xv6", "x",
           "target", "met")
    for name, f in run.operations.items():
        peer = facts.get(name, {})
        row = [name, *map(number, (f.min, f.median, f.p99, f.worst, f.all))]
        for who in ("gnumach_ndebug", "linux", "xv6"):
            row += [amount(peer.get(who, "-")), ratio(peer.get(who, "-"), f.median)]
        target = peer.get("target", "-")
        yield (*row, amount(target), "" if target == "-" else verdict(f.median <= int(target)))


def builds(runs):
    """Medians of all builds and models. runs: {(kind, cpu): Run}."""
    yield ("operation", *(f"{kind}, {cpu}" for kind, cpu in runs), "GNU Mach, assertions on")
    facts = peers("peers.tsv")
    for name in next(iter(runs.values())).operations:
        yield (name, *(number(run.operations[name].median) if name in run.operations else "" for run in runs.values()),
               amount(facts.get(name, {}).get("gnumach", "-")))


def memory(run):
    yield "object", "bytes", "credit", "together", "GNU Mach", "target", "met", "with credit"
    for name, peer in peers("peers_memory.tsv").items():
        held, credit = run.memory[name]
        target = peer["target"]
        yield (peer["what"], number(held), number(credit), number(held + credit), amount(peer["gnumach"]), amount(target),
               *(("", "") if target == "-" else (verdict(held <= int(target)),
                                                 verdict(held + credit <= 2 * int(target)))))


def boots(rows):
    """rows: [(memory, instructions, seconds)]."""
    yield "memory", "instructions to the first program", "host seconds to the prompt"
    for mem, instructions, seconds in rows:
        yield mem, number(instructions), f"{seconds:.2f}"


def beside(run, kind):
    """{operation: {count: median}} of the crowds of a kind, or of the ledger's depths."""
    found = {}
    for name, figures in run.operations.items():
        crowd, _, operation = name.partition("/")
        if crowd.startswith(kind + "@"):
            found.setdefault(operation, {})[int(crowd.split("@")[1])] = figures.median
    return found


CROWDS = ("ports", "messages", "entries", "threads", "runnable", "timers", "tasks")


def grown(median, base):
    """A cell: the median, and whether it is within what it may grow to."""
    return f"{number(median)} {'pass' if median <= base * GROWTH_ALLOWED else 'fail'}"


def growth(run):
    """Beside crowds; all is compared with what it takes beside ten."""
    counts = measure.COUNTS
    yield ("operation", "beside", *map(number, counts), "ratio", "met")
    for kind in CROWDS:
        for operation, medians in beside(run, kind).items():
            base = medians[counts[1]]
            worst = max(medians.values()) / base
            yield (operation, kind, *(grown(medians[c], base) if c in medians else "no memory" for c in counts),
                   f"{worst:.2f}", verdict(worst <= GROWTH_ALLOWED))


def depths(run):
    """In ledgers of each depth; all is compared with the root's."""
    yield ("operation", *(f"depth {depth}" for depth in measure.DEPTHS), "ratio", "met")
    for operation, medians in beside(run, "depth").items():
        worst = max(medians.values()) / medians[1]
        yield (operation, *(grown(median, medians[1]) for median in medians.values()), f"{worst:.2f}",
               verdict(worst <= GROWTH_ALLOWED))


def cells(rows):
    """(cells that pass, cells that pass or fail) of a table of growth."""
    words = [cell.rpartition(" ")[2] for row in rows[1:] for cell in row]
    return words.count("pass"), words.count("pass") + words.count("fail")


def missed(rows):
    """How many rows of a table say no, and how many say either."""
    head, *rest = rows
    words = [row[head.index("met")] for row in rest]
    return words.count("no"), sum(word != "" for word in words)


# --- how they are shown ---

def text(rows):
    rows = [tuple(map(str, row)) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "".join("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                             for i, (cell, width) in enumerate(zip(row, widths))).rstrip() + "\n" for row in rows)


def markdown(rows):
    head, *rest = [tuple(map(str, row)) for row in rows]
    lines = (head, ("---", *["--:"] * (len(head) - 1)), *rest)
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def paragraph(words):
    return textwrap.fill(words, 110, break_on_hyphens=False, break_long_words=False) + "\n"


def marks(part):
    return f"<!-- what `make bench{part} WRITE=1` writes -->\n", "<!-- end of it -->\n"


def page_part(part):
    """What the page has between the marks of that part."""
    begin, end = marks(part)
    with open(PAGE, encoding="utf-8") as page:
        return page.read().split(begin)[1].split(end)[0]


def write_page(part, made):
    begin, end = marks(part)
    with open(PAGE, encoding="utf-8") as page:
        before, rest = page.read().split(begin)
    _, after = rest.split(end, 1)
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write(before + begin + made + end + after)

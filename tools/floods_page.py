# SPDX-License-Identifier: BSD-2-Clause
"""The tables of docs/floods.md, from the cells of a run and what is known of the peers."""

import csv
import os
import textwrap

import weirvm

PAGE = os.path.join(weirvm.ROOT, "docs", "floods.md")
CELLS = os.path.join(weirvm.ROOT, "docs", "floods.tsv")
PEERS = os.path.join(weirvm.ROOT, "tests", "floods", "peers.tsv")
BEGIN, END = "<!-- what `make floods WRITE=1` writes -->\n", "<!-- end of it -->\n"


def matrix_rows(cells):
    yield ("flood", "ledger", "MEM", "objects", "told", "bytes each", "before", "during", "after",
           "worst, ms", "taken, ms", "back, ms")
    above = None
    for cell in cells.values():
        yield (f"`{cell.flood}`" if cell.flood != above else "", cell.place, cell.memory, cell.objects,
               cell.denial, cell.kernel_bytes_each, cell.served_before, cell.served_during,
               cell.served_after, f"{cell.worst_during_us / 1000:.0f}", cell.taken_ms, cell.back_ms)
        above = cell.flood


def peer_rows(cells):
    yield "flood", "MEM", "Weir, in root", "GNU Mach", "Linux"
    with open(PEERS, encoding="utf-8", newline="") as file:
        rows = csv.DictReader((line for line in file if not line.startswith("#")), delimiter="\t")
        for row in rows:
            for memory in ("128", "256"):
                cell = cells.get((row["weir_flood"], memory + "M", "root"))
                yield (row["what"] if memory == "128" else "", memory + "M",
                       f"`{cell.flood}`: {cell.objects}, {cell.kernel_bytes_each} B each, then denied: "
                       f"{cell.denial}" if cell else "-", row["gnumach " + memory], row["linux " + memory])


def markdown(rows):
    head, *rest = rows
    return "".join("| " + " | ".join(map(str, row)) + " |\n"
                   for row in (head, ["---"] * len(head), *rest))


def tables(cells, comment):
    """cells: {key: Cell} in the order of the table; comment: when and how they were measured."""
    run = textwrap.fill(f"Run of {comment}.", 110, break_on_hyphens=False)
    return (f"\n{run}\n\n{markdown(matrix_rows(cells))}\nBeside the peers:\n\n"
            f"{markdown(peer_rows(cells))}\n")


def _parts():
    with open(PAGE, encoding="utf-8") as page:
        before, rest = page.read().split(BEGIN)
    made, after = rest.split(END)
    return before, made, after


def committed_tables():
    return _parts()[1]


def write(cells, comment):
    """Between the two marks of the page."""
    before, _, after = _parts()
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write(before + BEGIN + tables(cells, comment) + END + after)

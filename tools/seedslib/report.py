# SPDX-License-Identifier: BSD-2-Clause
"""The table of all rows, for a terminal and for docs/seeds.md."""

import datetime
import os
import subprocess
import textwrap

import weirvm

PAGE = os.path.join(weirvm.ROOT, "docs", "seeds.md")
BEGIN, END = "<!-- what `make seeds WRITE=1` writes -->\n", "<!-- end of it -->\n"
WIDTHS = (30, 34, 40)


def text_row(name, cells):
    columns = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, WIDTHS)]
    for i in range(max(map(len, columns))):
        parts = [(column[i] if i < len(column) else "").ljust(width)
                 for column, width in zip(columns, WIDTHS)]
        yield f"{name if i == 0 else '':<2} {' | '.join(parts)}".rstrip()


def table(rows):
    """For a terminal; below each row the command that repeats it."""
    lines = list(text_row("", ("OBSERVATION", "THEN", "WEIR NOW")))
    for row in rows:
        lines += ["", *text_row(row.name, (row.title, row.then, row.now))]
        lines += [f"   {command}" for command in row.commands()]
        lines += [f"   {line}" for line in row.more]
    return "\n".join(lines)


def failure(claim):
    lines = [f"FAILED {claim.text}"]
    if claim.got is not None:
        lines.append(f"  got: {claim.got}")
    if claim.result is not None:
        lines += [f"  the run ended: {claim.result.reason}"]
        lines += ["  | " + line for line in claim.result.console.splitlines()[-15:]]
    return "\n".join(lines)


def markdown(rows):
    lines = ["| | observation | then | Weir now | command |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        commands = "<br>".join(f"`{command}`" if command.startswith("make") else command
                               for command in row.commands())
        lines.append(f"| {row.name} | {row.title} | {row.then} | {row.now} | {commands} |")
    for row in rows:
        if row.more:
            lines += ["", f"What was counted for row {row.name}:", "", *row.more]
    return "\n".join(lines) + "\n"


def emulator():
    said = subprocess.run([weirvm.EMULATOR, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.splitlines()[0].removeprefix("QEMU emulator version ")


def write(rows):
    """Between the two marks of docs/seeds.md."""
    with open(PAGE, encoding="utf-8") as page:
        text = page.read()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    head = f"Run of {datetime.date.today()}, QEMU {emulator()} (TCG), by `make seeds WRITE=1`.\n\n"
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write(before + BEGIN + "\n" + head + markdown(rows) + "\n" + END + after)

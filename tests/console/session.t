#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The README's three minutes: typed into a machine, compared with what is printed there."""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import ROOT, Tap, boot  # noqa: E402

SECTION = "## Three minutes with Weir"
# What differs from run to run: times, counts of what was done, and the amounts of memory that depend on the
# sizes of the image and of its objects. All else is compared as it stands.
VARIES = re.compile(r"\d+(?= (?:ms|us|children|reported|pages|requests)\b)|(?<= )\d+(?=x )|(?<=wanted )\d+"
                    r"|\d+(?=%)|\d+[KM]?(?= of \d{4,}K$)|(?<= of )\d{4,}K$")
NUMBER = "N"


def session(readme):
    """(the words behind `make run`, [(command, its lines)]) of the section's indented blocks."""
    text = readme.split(SECTION + "\n", 1)[1].split("\n## ", 1)[0]
    start, *lines = [line[4:] for line in text.split("\n") if line.startswith("    ")]
    commands = []
    for line in lines:
        if line.startswith("weir> "):
            commands.append((line[6:], []))
        else:
            commands[-1][1].append(line)
    return re.fullmatch(r"make run((?: \w+=\w+)*)", start)[1].split(), commands


def shape(lines):
    """The lines with a sign for each number that varies. One that comes again and differs in such numbers
    only is left out: how many intervals or kinds of denial there are is a count as well."""
    found = [VARIES.sub(NUMBER, line) for line in lines]
    return [line for i, line in enumerate(found) if i == 0 or line != found[i - 1]
            or not line.startswith(("+", "bystander: +"))]


tap = Tap(__file__)
with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
    options, commands = session(file.read())
tap.ok(len(commands) >= 10 and commands[-1] == ("halt", []), "the README has a session that ends with halt",
       commands)
with boot(**{word.split("=")[0].lower(): word.split("=")[1] for word in options}) as m:
    m.prompt()
    for command, expected in commands[:-1]:
        got = m.command(command)
        tap.equal("\n".join(shape(got)), "\n".join(shape(expected)), f"{command}: prints what the README tells",
                  machine=m)
    m.send(commands[-1][0] + "\n")
    tap.equal(m.wait().status, 0, "and the session ends with status 0", machine=m)
tap.done()

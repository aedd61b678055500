# SPDX-License-Identifier: BSD-2-Clause
"""Reads what Weir's console prints: denials, zones, ledgers, what each command has answered."""

import re

DENIED = re.compile(r"denied: (\w+) in ledger (\S+): (\w+) of (\w+)")


def amount(text):
    """A number as the console prints it; "none" is no limit."""
    if text == "none":
        return float("inf")
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]


def outputs(console):
    """[(command, the lines it printed)] of commands carried out at boot."""
    parts = re.split(r"(?m)^weir> (.*)$", console)
    return [(command.strip(), [line for line in lines.split("\n") if line])
            for command, lines in zip(parts[1::2], parts[2::2])]


def read_zones(lines):
    """{zone: elements in use}"""
    return {zone: row["used"] for zone, row in read_zone_rows(lines).items()}


def read_zone_rows(lines):
    """{zone: {"size": bytes of an element, "used": n, "free": n, "pages": n}}"""
    zones = {}
    for line in lines:
        match = re.fullmatch(r"(\S.*?)((?: +\d+){9}) +(?:none|\d+)", line)
        if match:
            numbers = map(int, match[2].split())
            zones[match[1]] = dict(zip(("size", "used", "free", "pages"), numbers))
    if not zones:
        raise ValueError(f"no zones in {lines!r}")
    return zones


def read_sizes(lines):
    """{zone: how many of its objects a page holds}, of `sizes`."""
    return {match[1]: int(match[2]) for line in lines
            if (match := re.match(r"(\w+) +\d+ +\d+ +(\d+) +\d+ +\d+$", line))}


def read_ledgers(lines):
    """{(ledger, resource): {"used": n, "limit": n, ...}}; the sessions of programs are left out."""
    ledgers, name = {}, None
    for line in lines:
        head = re.match(r" *(\S+) \(\d+\): \d+ tasks", line)
        row = re.fullmatch(r" *(\w+) +used \w+ +limit \w+ +peak [\w-]+ *(?: \w+ \w+)*", line)
        if head:
            name = head[1]
        elif row and name and not re.search(r"\.\d+$", name):
            words = line.split()
            ledgers[name, row[1]] = {key: amount(value) for key, value
                                     in zip(words[1::2], words[2::2]) if value != "-"}
    return ledgers

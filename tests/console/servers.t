#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""docs/servers.md: its listings are the files, its defaults the code's, and its session runs as it is printed."""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "floods"))
from floodlib import field  # noqa: E402
from harness import ROOT, Tap  # noqa: E402

LISTING = re.compile(r"^`(\S+)`:\n\n```c?\n(.*?)^```$", re.M | re.S)
SESSION = re.compile(r"^((?:    weir> .*\n)(?:    .*\n)*)", re.M)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


tap = Tap(__file__)
page = read("docs/servers.md")
listings = dict(LISTING.findall(page))
for path in ("servers/counter/counter.defs", "servers/counter/counter.c"):
    tap.equal(listings.get(path), read(path), f"the listing of {path} in docs/servers.md is the file")
long = [line for line in page.splitlines() if len(line) > 110 and line[0] != "|"]
tap.ok(not long, "no line of docs/servers.md is longer than 110 columns",
       long)
code = read("lib/ports/pool.c")
for option, macro in (("idle_ms", "IDLE_MS"), ("stuck_ms", "STUCK_MS"), ("delay_ms", "DELAY_MS"), ("spares", "SPARES"),
                      ("max_workers", "WORKERS_MOST")):
    value = int(re.search(rf"#define {macro}\s+(\d+)", code)[1])
    tap.contains(page, rf"\| `{option}` \|[^|]*\b{value:,}\b", f"the default of {option} is told")
for counter in re.findall(r"uint(?:32|64)_t ([\w, ]+);", read("lib/ports/include/ports.h").split("struct ports_counters {")[1]
                          .split("};")[0]):
    for name in counter.split(", "):
        tap.contains(page, rf"`{name}`", f"the counter {name} is told")

lines = [line[4:] for line in SESSION.search(page)[1].splitlines()]
with field(mem="128M", limit=100) as f:
    printed = []
    for command in (line[6:] for line in lines if line.startswith("weir> ")):
        printed += f.ask(command)
    printed += f.ask("sleep 200")
    tap.equal(sorted(line for line in printed if line.startswith("count: ")),
              sorted(line for line in lines if not line.startswith("weir> ")), "the session prints what the page tells",
              machine=f.machine)
    tap.equal(f.ask("count await 6"), ["count: 6"], "a value that was reached is not waited for", machine=f.machine)
    f.ask("count await 7 &; sleep 100; count add 0")
    number = re.search(r"\[(\d+)\] counter", f.machine.text)[1]
    tap.contains(f.ask(f"kill %{number}; wait"), "count: the server dropped the call",
                 "when the server is killed a client that waits is told", machine=f.machine)
    tap.contains(f.ask("count add 1"), "count: no right has that name", "and its name is gone", machine=f.machine)
    tap.contains(f.ask("in services counter &; sleep 500; count add 9"), "count: 9", "started anew it begins anew",
                 machine=f.machine)
    tap.equal(f.audit(), ["audit: the books agree"], "the books agree", machine=f.machine)
    f.machine.send("halt\n")
    tap.equal(f.machine.wait().status, 0, "the machine ends when told to", machine=f.machine)
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Kernel options: every size of zone_map boots to the prompt, and so does nonsense, with a word."""

import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Timeout, Ended, Tap, boot  # noqa: E402

tap = Tap(__file__)


def boots(claim, says=None, silent=None, **options):
    """Reaches the prompt, has said so, carries a command out, and halts with status 0."""
    if not tap.wanted(claim):
        return
    with boot(limit=60, **options) as machine:
        try:
            machine.prompt()
            answer = machine.command("echo alive")
            machine.send("halt\n")
            status = machine.wait().status
        except (Timeout, Ended) as error:
            tap.ok(False, claim, str(error), "a prompt", machine=machine)
            return
        tap.ok(answer[:1] == ["alive"] and status == 0, claim, f"{answer}, status {status}",
               "['alive'], status 0", machine=machine)
        if says:
            tap.contains(machine.text, says, f"{claim}, and it is said", machine=machine)
        if silent:
            tap.ok(not re.search(silent, machine.text), f"{claim}, and nothing is said of it",
                   machine.text, f"not /{silent}/", machine=machine)


for size in ("1M", "2M", "4M", "8M", "16M", "32M", "64M"):
    boots(f"zone_map={size} boots", zone_map=size, silent="zone_map")
boots("zone_map=64M boots in 48 MiB", zone_map="64M", mem="48M", says=r"zone_map: \d+ KiB do not fit")
for word, says in (("zone_map=1K", r"zone_map: 1 KiB are too few"),
                   ("zone_map=0", r""),
                   ("zone_map=1", r""),
                   ("zone_map=4m", r""),
                   ("zone_map=4194304k", r"do not fit"),
                   ("zone_map=99999999999999999999999", r"zone_map=9+ is no size"),
                   ("zone_map=18446744073709551615G", r"is no size"),
                   ("zone_map=", r"(zone_map= is no size|unknown option)"),
                   ("zone_map=much", r"zone_map=much is no size"),
                   ("zone_map=-4M", r"zone_map=-4M is no size"),
                   ("zone_map=4MM", r"zone_map=4MM is no size"),
                   ("zone_map=4.5M", r"zone_map=4.5M is no size"),
                   ("zone_map=0x10M", r"is no size"),
                   ("zone_map", r"unknown option: zone_map"),
                   ("console=paper", r"console=paper is none of"),
                   ("reclaim=lazy", r"reclaim=lazy is not eager"),
                   ("pause=long", r"pause=long is not eager"),
                   ("policy=soft", r"policy=soft is none that this kernel has: ignored"),
                   ("policy=mach", r"policy=mach(: ledgers refuse nothing| is none that this)"),
                   ("--verbose", r"unknown option: --verbose"),
                   ("%s%n%x", r"unknown option: %s%n%x"),
                   ("\x80\xff", r"unknown option"),
                   ("=", r""),
                   ("x" * 1000, r"unknown option: x{20}"),
                   ("A=B", r"")):
    boots(f"{word[:30]!r} boots".replace("\\x", "x"), says=says, options=(word,))
boots("a thousand options boot", says="unknown option: o999", options=tuple(f"o{n}" for n in range(600, 1000)))
boots("reclaim=eager boots", options=("reclaim=eager",), silent="reclaim")
boots("pause=eager boots", options=("pause=eager",), silent="pause")
for mem in ("16M", "24M", "48M", "256M", "1G"):
    boots(f"a machine of {mem} boots", mem=mem)
tap.done()

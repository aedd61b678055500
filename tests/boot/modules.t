#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Boot modules that cannot be started: each ends in "cannot boot: ..." that names the cause."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from boot_folder import CODE_AT, DATA_AT, ONLY, PAGE, boot, bootstrap, image  # noqa: E402
from harness import Tap  # noqa: E402

tap = Tap(__file__)
ALL = (1 << 64) - 1
USER_END = 0x7ffffffff000


def cannot(claim, modules, says, **options):
    """The machine cannot boot, says why in one line, and ends with status 2."""
    if not tap.wanted(claim):
        return
    result = boot(modules, **options)
    line = next((text for text in result.lines() if text.startswith("cannot boot: ")), "")
    tap.ok(result.status == 2 and result.announced and says in line, f"{claim}: {line or 'no word'}",
           f"status {result.status}, {line!r} ({result.reason})", f"status 2, cannot boot: ...{says}",
           result=result)


def refused(what, says, **changes):
    cannot(f"a module with {what}", [("program", ONLY, image(**changes))], says)


# --- what is no program at all ---
cannot("no module", [], "no boot module")
cannot("an empty module", [("program", ONLY, b"")], "no ELF")
cannot("a module of one byte", [("program", ONLY, b"\x7f")], "no ELF")
cannot("a module of zeros", [("program", ONLY, bytes(10000))], "no ELF")
cannot("a text as a module", [("program", ONLY, b"#!/bin/sh\n" * 100)], "module program: it is no ELF")
cannot("an empty module without words", [("program", "", b"")], "no ELF")
for size in (4, 16, 63, 64, 120, 231, 4095, 4096, 8191):
    cannot(f"a module cut off after {size} bytes", [("program", ONLY, image()[:size])], "it is ")
whole = bootstrap()
for size in (len(whole) // 8, len(whole) // 2):
    cannot(f"the console cut off after {size} bytes", [("bootstrap", ONLY, whole[:size])], "it is truncated")

# --- headers that lie ---
refused("32 bits", "x86-64", **{"class": 1})
refused("big-endian data", "x86-64", data=2)
refused("another machine's code", "x86-64", machine=3)
refused("no code but a core dump", "static", type=4)
refused("object code", "static", type=1)
refused("an interpreter", "static", p2_type=3)
refused("no program headers", "program headers", phnum=0)
refused("65,535 program headers", "program headers", phnum=0xffff)
refused("program headers of no size", "program headers", phentsize=0)
refused("program headers of a wrong size", "program headers", phentsize=57)
refused("program headers behind its end", "program headers", phoff=3 * PAGE)
refused("program headers that end behind its end", "program headers", phoff=3 * PAGE - 100)
refused("program headers that wrap around", "program headers", phoff=ALL - 100)
refused("a segment behind its end", "truncated", p1_offset=3 * PAGE + 1)
refused("a segment that ends behind its end", "truncated", p1_offset=2 * PAGE + 1)
refused("a segment that wraps around in the file", "truncated", p1_offset=ALL - PAGE + 1)
refused("a segment of all sizes in the file", "truncated", p1_filesz=ALL)
refused("a segment larger in the file than in memory", "larger in the file", p1_memsz=PAGE - 1)
refused("a segment of all sizes in memory", "outside user memory", p1_memsz=ALL)
refused("a segment in the kernel", "outside user memory", p1_vaddr=0xffffffff80000000)
refused("a segment at no address", "outside user memory", p1_vaddr=1 << 63)
refused("a segment in the first page", "outside user memory", p1_vaddr=0)
refused("a segment that ends behind user memory", "outside user memory", p1_vaddr=USER_END - PAGE)
refused("a segment that wraps around", "outside user memory", p1_vaddr=ALL - PAGE)
refused("two segments in one page", "share a page", p1_vaddr=CODE_AT)
refused("an entry outside it", "entry", entry=0x10000)
refused("an entry in the kernel", "entry", entry=0xffffffff80000000)
refused("an entry in its data", "entry", entry=DATA_AT)

# --- boot scripts that make no sense ---
cannot("an unknown command in the script", [("program", "$(task-destroy)", image())], "unknown $(command)")
cannot("an unknown variable in the script", [("program", "${no-such} " + ONLY, image())],
       "unknown variable ${no-such}")
cannot("too many words", [("program", "w " * 100 + ONLY, image())], "too many arguments")
cannot("words without end", [("program", "${boot-args}" * 8 + " " + ONLY, image())], "too long",
       options=("X=" + "x" * 3000,))
cannot("33 modules", [(f"p{n}", ONLY, image()) for n in range(33)], "32 boot modules")

# --- too little memory ---
cannot("a module larger than memory", [("program", ONLY, image() + bytes(40 << 20))],
       "too little RAM", mem="32M")
cannot("a machine of 2 MiB", [("program", ONLY, image())], "too little RAM", mem="3M")
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every interface of the tree: its ids, and that all its stubs compile without a warning."""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "support")]
from harness import ROOT, Tap  # noqa: E402
import wigtest  # noqa: E402

KERNEL = {"mach", "mach_port", "mach_host", "mach_debug", "mach4", "gnumach", "mach_i386",
          "device", "ledger", "weir"}
FLAGS = ["-std=gnu11", "-O2", "-ffreestanding", "-fno-strict-aliasing", "-Wall", "-Wextra",
         "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wvla", "-Werror"]


def table():
    """{file: {name: (id, kind)}} of expected/routines.txt."""
    result, current = {}, None
    with open(os.path.join(wigtest.EXPECTED, "routines.txt"), encoding="utf-8") as file:
        for line in file:
            words = line.strip("[]\n").split()
            if line.startswith("["):
                current = result.setdefault(words[0], {})
            elif words and not line.startswith("#"):
                current[words[2]] = (int(words[0]), words[1])
    return result


def ids(header):
    """{name: (id, kind)} of a generated header."""
    with open(header, encoding="utf-8") as file:
        found = dict(re.findall(r"#define MSGID_(\w+)\t(\d+)", file.read()))
    return {name: (int(number), "routine" if name + "_REPLY" in found else "simpleroutine")
            for name, number in found.items() if not name.endswith("_REPLY")}


def compiles(source, *includes):
    done = subprocess.run([os.environ.get("HOSTCC", "gcc"), *FLAGS, *[f"-I{i}" for i in includes],
                           "-c", source, "-o", source[:-1] + "o"], capture_output=True, text=True,
                          timeout=300, check=False)
    return done.stderr if done.returncode else ""


tap = Tap(__file__)
build = wigtest.folder("interfaces")
INCLUDE, KERNEL_DIR = wigtest.INCLUDE, os.path.join(ROOT, "kernel")
for defs, routines in table().items():
    name = os.path.basename(defs)[:-5]
    path, base = os.path.join(INCLUDE, defs), os.path.join(build, name)
    status, errors = wigtest.wig(
        "-I", INCLUDE, "--user", base + "_user.c", "--user-header", base + "_user.h",
        "--server", base + "_server.c", "--server-header", base + "_server.h", path)
    if not tap.ok(status == 0, f"{defs}: stubs are generated", errors):
        continue
    tap.equal(ids(base + "_user.h"), routines, f"{defs}: each routine has its id")
    tap.equal(compiles(base + "_user.c", INCLUDE, build)
              + compiles(base + "_server.c", INCLUDE, build), "", f"{defs}: a program's stubs compile")
    if name in KERNEL:
        folder = os.path.join(build, "kernel")
        os.makedirs(folder, exist_ok=True)
        base = os.path.join(folder, name)
        status, errors = wigtest.wig("-I", INCLUDE, "--kernel", "--server", base + "_server.c",
                                     "--server-header", base + "_server.h", path)
        tap.ok(status == 0 and not compiles(base + "_server.c", INCLUDE, folder, KERNEL_DIR),
               f"{defs}: the kernel's stubs compile", errors)

same = [wigtest.wig("-I", INCLUDE, "--user", os.path.join(build, n),
                    os.path.join(INCLUDE, "mach/mach.defs")) for n in ("one.c", "two.c")]
with open(os.path.join(build, "one.c"), "rb") as one, open(os.path.join(build, "two.c"), "rb") as two:
    tap.ok(one.read() == two.read(), "the same input gives the same output")
tap.done()

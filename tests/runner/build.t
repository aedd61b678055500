#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The build: what make says and makes, and the symbol table of the kernel."""

import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import ROOT, Tap, make  # noqa: E402

tap = Tap(__file__)


def command(*words, text=None):
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300,
                          check=False, input=text or "")
    return done.returncode, done.stdout, done.stderr


text = make("help").stdout
for target in ("run", "test", "unit", "iso", "debug", "clean", "compile_commands.json"):
    tap.contains(text, rf"(?m)^make {target} ", f"make help names {target}")
again = make()
tap.equal((again.returncode, again.stdout, again.stderr), (0, "", ""), "a second make has nothing to do and nothing to say")
unknown = make("no-such-target")
tap.ok(unknown.returncode == 2 and "no-such-target" in unknown.stderr,
       "an unknown target is named", unknown.stderr, "no-such-target")

NM = """0000000000100000 T _start
0000000000100000 T start
0000000000100010 t helper
0000000000100020 d some_data
0000000000100030 T stop
"""
with tempfile.TemporaryDirectory() as folder:
    table = os.path.join(folder, "ksyms.S")
    status, text, _ = command("tools/ksyms", text=NM)
    with open(table, "w", encoding="ascii") as out:
        out.write(text)
    tap.equal([line.split('"')[1] for line in text.splitlines() if ".asciz" in line],
              ["start", "helper", "stop", ""], "the symbol table names each function once, and no data")
    tap.equal(command("tools/ksyms", "--verify", table, text=NM)[0], 0,
              "a second link with the same addresses is accepted")
    status, _, errors = command("tools/ksyms", "--verify", table,
                                text=NM.replace("100030", "100040"))
    tap.ok(status == 1 and "0x100030" in errors, "a function that moved is found", errors, "0x100030")
    tap.equal(command("tools/ksyms", text="")[0], 1, "a kernel without functions is refused")
tap.done()

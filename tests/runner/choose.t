#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""make test T=WORD: which tests it chooses, and what it says of that. Nothing is run but a stand-in for prove."""

import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from choice import Choice  # noqa: E402
from harness import BUILD, ROOT, Tap  # noqa: E402

tap = Tap(__file__)
folder = tempfile.TemporaryDirectory()
with open(os.path.join(folder.name, "prove"), "w", encoding="ascii") as prove:
    prove.write('#!/bin/sh\nfor word; do case $word in -*) ;; *) echo "run: $word" ;; esac; done\n')
os.chmod(prove.name, 0o755)


def choose(word, *options):
    """(status, the names of the tests that would be run, all that was said)"""
    done = subprocess.run(["tests/run", *options], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "WEIR_BUILD": BUILD, "WEIR_T": word,
                               "PATH": folder.name + ":" + os.environ["PATH"]})
    lines = done.stdout.splitlines()
    tests = [line[5:] for line in lines if line.startswith("run: ") and line[5:] != "/usr/bin/env"]
    return done.returncode, [os.path.basename(test) for test in tests], done.stdout + done.stderr


everything = choose("")[1]
tap.ok("kernel.t" in everything and "edit.t" in everything and "mem_zone_test" in everything,
       "without a word all tests are chosen", everything)
tap.equal(set(choose("", "--unit")[1]), {test for test in everything if test.endswith("_test")},
          "make unit chooses the unit tests")
_, tests, said = choose("console")
tap.equal(sorted(tests), sorted(name for name in os.listdir(os.path.join(ROOT, "tests/console")) if name.endswith(".t")),
          "a word in names chooses these alone, whoever else mentions it")
tap.contains(said, r"others only mention it: T='text:console'", "it is said how the others are chosen")
_, tests, said = choose("vm_test")
tap.ok("kernel.t" in tests and "kernel/vm_test.c" in said, "a booted program is chosen by its name", said)
tap.equal(choose("tests/console/edit.t")[1], ["edit.t"], "a path may be pasted")
_, tests, said = choose("the books agree")
tap.ok(tests and set(tests) < set(everything) and "in no name, but in the text" in said,
       "a word in no name chooses by the text, and says so", said)
_, tests, said = choose("text:console")
tap.ok("options.t" in tests and "debug.t" in tests and "in the text" in said, "text: chooses by the text alone", said)
nowhere = "-".join(["is", "in", "no", "text"])
status, tests, said = choose(nowhere)
tap.ok(status == 1 and not tests and f"no test holds '{nowhere}'" in said, "a word that is nowhere is an error", said)
status, tests, said = choose("", "--nope")
tap.ok(status == 1 and not tests and "--nope" in said, "an option that there is not is an error", said)

names = {"kernel/vm_test.c": __file__, "kernel/wire_test.c": __file__}
items = [(name, ["kernel.t", name], [path]) for name, path in names.items()]
tap.equal(Choice("vm_test").pick(items), (["kernel/vm_test.c"], ["kernel/wire_test.c"]),
          "of the booted programs too, those with the name are chosen before those with the text")
tap.equal(Choice("kernel.t").pick(items)[0], list(names), "kernel.t is all of them")
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""RUN is data: the guest receives exactly its bytes, and the host runs none of them."""

import json
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Tap, boot_and_wait, make  # noqa: E402

tap = Tap(__file__)
folder = tempfile.TemporaryDirectory()
canary = os.path.join(folder.name, "ran")
TEXTS = [
    "a; b;c",
    "it's",
    "'",
    'say "x" "',
    "$HOME ${HOME} $$ $(MAKE)",
    f"$(touch {canary}) `touch {canary}`",
    f"$(shell touch {canary})",
    f"'; touch {canary}; '",
    f'"; touch {canary}; "',
    f"x && touch {canary} || touch {canary} | tee {canary} > {canary} &",
    "# no comment",
    "a, b,,c ,",
    "reboot",
    "-h --help -append x",
    "back\\slash \\\\ \\n %s %n",
    "* ? [a-z] ~ {a,b} !x ^y",
    "run=again zone_map=1M = := +=",
    "two  blanks   and one behind ",
    "\u00e9\u20ac",
]


def through_make(text, **environment):
    """What make and the runner would hand to QEMU as kernel options for this RUN."""
    where = ["RUN=" + text] if "RUN" not in environment else []
    done = make("run", *where, WEIR_PRINT_ARGS="1", **environment)
    if done.returncode:
        return done.stderr
    arguments = json.loads(done.stdout)
    return arguments[arguments.index("-append") + 1]


for text in TEXTS:
    tap.equal(through_make(text), "run=" + text, f"make hands over {text!r}".replace(
        folder.name, ""))
text = f"env $(shell touch {canary}) $HOME 'x' # ; halt"
tap.equal(through_make(text, RUN=text), "run=" + text, "RUN in the environment is handed over")
for name in ("MEM", "ZONE_MAP", "CPU", "ICOUNT", "LIMIT", "CONSOLE", "MODULE", "T", "ISO", "FLOOD", "WRITE", "REPEAT", "OP"):
    said = f"{name}=$(shell touch {canary})'; touch {canary} #"
    make("run", said, "RUN=halt", WEIR_PRINT_ARGS="1")
    tap.ok(not os.path.exists(canary), f"{name} is data too")
    make("-n", "floods", "seeds", said)
    tap.ok(not os.path.exists(canary), f"{name} is data to the other targets")
done = make("run", f"RUN=halt\ntouch {canary}", WEIR_PRINT_ARGS="1")
tap.ok(done.returncode and "one line" in done.stderr, "a RUN of two lines is refused",
       done.stderr, "one line")
tap.ok(not os.path.exists(canary), "the host has run nothing of all that")

# The guest's `cmdline` prints the command line as it came; what stands behind `halt` is never carried out.
for text in TEXTS:
    run = "cmdline; halt 5; " + text
    result = boot_and_wait(run=run)
    tap.ok("run=" + run in result.lines(), f"the guest receives {text!r}".replace(folder.name, ""),
           expected="run=" + run, result=result)
    tap.equal(result.status, 5, "and carries out the command before it", result=result)
tap.ok(not os.path.exists(canary), "the host has run nothing of that either")
folder.cleanup()
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""tools/setup: finds what is here, names what is not, and installs nothing unasked."""

import os
import pty
import re
import select
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import ROOT, Tap  # noqa: E402

SETUP = os.path.join(ROOT, "tools", "setup")
tap = Tap(__file__)


def setup(*arguments, **environment):
    done = subprocess.run([SETUP, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False,
                          env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


def setup_on_terminal(answer, path):
    """(status, what a terminal shows) when its question gets this answer."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(SETUP, [SETUP], {"PATH": path})
    shown = b""
    while select.select([terminal], [], [], 30)[0]:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
        if answer and shown.endswith(b"[y/N] "):
            os.write(terminal, answer)
            answer = b""
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode("utf-8", "replace")


tap.equal(setup("--check")[0], 0, "what a build needs is here")
tap.contains(setup("--check")[1], r"(?m)^compiler +found +/", "--check lists what was found")
tap.equal(setup("--quick"), (0, "", ""), "--quick says nothing")
tap.equal(setup("--frobnicate")[0], 64, "an unknown option is refused")
status, _, errors = setup(CROSS_COMPILE="no-such-")
tap.ok(status == 1 and "no no-such-gcc on PATH" in errors, "a CROSS_COMPILE that is not there is named",
       (status, errors), (1, "no no-such-gcc on PATH"))

# A machine with next to nothing, as far as PATH goes; its apt-get must not be called.
with tempfile.TemporaryDirectory() as bare:
    for tool in ("sh", "cat", "uname", "id", "sed"):
        os.symlink(os.path.join("/bin", tool), os.path.join(bare, tool))
    called = os.path.join(bare, "called")
    with open(os.path.join(bare, "apt-get"), "w", encoding="ascii") as fake:
        fake.write(f"#!/bin/sh\n: > {called}\n")
    os.chmod(os.path.join(bare, "apt-get"), 0o755)
    status, _, errors = setup(PATH=bare)
    lines = [line for line in errors.splitlines() if "apt-get install" in line]
    tap.ok(status == 1 and len(lines) == 1, "without a terminal one line says what to install",
           (status, errors), "status 1 and one line with apt-get install")
    tap.ok(all(re.search(rf" {p}( |$)", lines[0]) for p in ("make", "qemu-system-x86", "perl",
                                                               "gnuplot-nox"))
           if lines else False, "that line names the packages", lines, "make qemu-system-x86 perl gnuplot-nox")
    status, _, errors = setup("--for-make", os.path.join(bare, "made"), PATH=bare)
    tap.ok(status == 1 and "qemu-system-x86" in errors and "gnuplot" not in errors,
           "make run does not ask for what draws pictures", (status, errors), "no gnuplot")
    tap.ok(not os.path.exists(called), "nothing is installed unasked")
    tap.equal(setup("--check", PATH=bare)[0], 1, "--check has status 1 when something is missing")
    with open(os.path.join(bare, "sudo"), "w", encoding="ascii") as fake:
        fake.write("#!/bin/sh\nexec \"$@\"\n")
    os.chmod(os.path.join(bare, "sudo"), 0o755)
    os.symlink("/usr/bin/env", os.path.join(bare, "env"))
    status, shown = setup_on_terminal(b"n\n", bare)
    tap.ok(status == 1 and shown.count("[y/N]") == 1 and not os.path.exists(called),
           "on a terminal it asks once, and takes no for an answer", (status, shown),
           "status 1, one question, nothing installed")
    status, shown = setup_on_terminal(b"y\n", bare)
    tap.ok(status == 1 and shown.count("[y/N]") == 1 and os.path.exists(called)
           and "still missing" in shown,
           "after yes it installs, and says what is missing even then", (status, shown),
           "status 1, one question, apt-get called")
    os.unlink(os.path.join(bare, "apt-get"))
    status, _, errors = setup("--yes", PATH=bare)
    tap.ok(status == 1 and "no apt-get" in errors, "a system without apt-get is told what it needs",
           (status, errors), (1, "no apt-get"))
tap.done()

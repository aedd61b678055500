#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every exit status of a run is provoked: 0, N, 1, 2, 3, 124 and 64."""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BUILD, ROOT, Tap, weirvm  # noqa: E402

RUNNER = os.path.join(ROOT, "tools", "run")
tap = Tap(__file__)


class Ran:
    """A run of tools/run, shaped as a Result for the harness."""

    def __init__(self, *arguments):
        done = subprocess.run([RUNNER, "--build", BUILD, *arguments], capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=200, check=False)
        self.status = done.returncode
        self.console = done.stdout.decode("utf-8", "backslashreplace")
        self.reason = done.stderr.decode("utf-8", "backslashreplace").strip() or "silently"


def check(claim, status, *arguments, says=""):
    if not tap.wanted(claim):
        return
    ran = Ran(*arguments)
    tap.equal(ran.status, status, claim, result=ran)
    if says:
        tap.contains(ran.reason, says, f"{claim}, and says so", result=ran)


check("halt gives 0", 0, "--run", "halt")
check("halt 7 gives 7", 7, "--run", "halt 7")
check("halt 255 gives 255", 255, "--run", "halt 255")
check("halt gives 0 whatever a command before it returned", 0, "--run", "no-such-command; halt")
check("halt 9 gives 9 whatever a command before it returned", 9, "--run", "no-such-command; halt 9")
check("reboot gives 0", 0, "--run", "reboot")
check("a panic gives 1", 1, "--run", "debug panic", says="panic")

# Room for the kernel, none for its modules.
small = weirvm.kernel_end(os.path.join(BUILD, "weir.elf32")) + (64 << 10)
check("a machine that is too small to boot gives 2", 2, "--run", "halt", "--mem",
      f"{small >> 10}K", says=r"cannot boot: \S")
check("a triple fault gives 3", 3, "--run", "debug triplefault", says="reset without a word")
check("a run without an end gives 124", 124, "--run", "help", "--limit", "3",
      says=r"(?s)watchdog after .*likely cause: .*last lines of the console:\n  \| +\S")
check("an unknown CPU gives 64", 64, "--run", "halt", "--cpu", "abacus", says="abacus")

with weirvm.Machine(build=BUILD, run="help", limit=60) as machine:
    os.kill(machine.pid, 9)
    killed = machine.wait()
tap.equal(killed.status, 3, "a QEMU that is killed gives 3", result=killed)
claim = "a machine that QEMU stops by itself is given up at once"
if tap.wanted(claim):
    with weirvm.Machine(build=BUILD, limit=60) as machine:
        machine.prompt()
        machine.monitor("stop")
        result = machine.wait(30)
    tap.equal((result.status, result.reason), (3, "QEMU has stopped the machine: paused"), claim)
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The CD: GRUB boots it to the prompt, and a flood runs there as everywhere."""

import os
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Tap, boot, make  # noqa: E402

tap = Tap(__file__)
if not shutil.which("grub-mkrescue") or not os.path.isdir("/usr/lib/grub/i386-pc"):
    tap.skip_all("no GRUB for PCs here; ./tools/setup --check names the packages")
made = make("iso")
tap.ok(made.returncode == 0, "make iso makes a CD", made.stderr, "status 0")
with boot(iso=True) as machine:
    machine.prompt(60)
    tap.ok(True, "the CD boots to the prompt")
    output = machine.command("forkbomb")
    tap.contains(output[-1:], r"^denied: .+ in ledger \S+: \S+ of \S+", "a fork bomb is denied there",
                 machine=machine)
    machine.send("halt 3\n")
    tap.equal(machine.wait().status, 3, "and the machine ends when told to", machine=machine)
tap.done()

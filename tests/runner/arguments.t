#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The runner's options: sizes, bad values, QEMU's argument vector, the meaning of an end."""

import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BUILD, ROOT, Tap, UsageError, weirvm  # noqa: E402

RUNNER = os.path.join(ROOT, "tools", "run")
tap = Tap(__file__)


def refused(text):
    try:
        return weirvm.parse_size(text, "MEM")
    except UsageError as error:
        return "refused" if "MEM=" + text in str(error) else str(error)


def run_tool(*arguments, build=BUILD):
    done = subprocess.run([RUNNER, "--build", build, *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def vector(*arguments):
    status, out, errors = run_tool("--print-args", *arguments)
    return json.loads(out) if status == 0 else errors


def value(arguments, option):
    return arguments[arguments.index(option) + 1]


for text, size in (("128M", 128 << 20), ("64", 64 << 20), ("4096K", 4 << 20), ("1g", 1 << 30),
                   ("2MiB", 2 << 20)):
    tap.equal(weirvm.parse_size(text, "MEM"), size, f"the size {text} is understood")
for text in ("", "0", "-1", "1T", "12x", "1.5M", " 1M", "M", "0x10", "99999999999M"):
    tap.equal(refused(text), "refused", f"the size {text!r} is refused by name")

for arguments, words in (
        (("--mem", "12x"), "MEM=12x"), (("--mem", "6K"), "MEM=6K"),
        (("--mem", "1K"), "MEM="), (("--zone-map", "lots"), "ZONE_MAP=lots"),
        (("--limit", "soon"), "LIMIT=soon"), (("--limit", "-3"), "LIMIT=-3"),
        (("--limit", "0"), "LIMIT=0"), (("--limit", "nan"), "LIMIT=nan"),
        (("--run", "a\nb"), "one line"), (("--run", "x" * 5000), "at most 4095"),
        (("--option", "run=x"), "one word"), (("--option", "two words"), "one word"),
        (("--cpu", "abacus"), "abacus"), (("--frobnicate",), "--frobnicate"),
        (("--run", "halt", "--tap", "/no/such/folder/tap"), "--tap"),
        (("--iso", "--run", "halt"), "ISO=1"), (("--iso", "--module", RUNNER), "ISO=1"),
        (("--module", "/no/such/program"), "no such file"), (("--module", "."), "no such file")):
    status, _, errors = run_tool(*arguments)
    tap.ok(status == 64 and words in errors and "Traceback" not in errors,
           f"{' '.join(arguments)[:40]!r} is refused with a reason", (status, errors),
           (64, words))
tap.ok(len(weirvm.Options(run="x" * 4000, build=BUILD).command_line()) == 4004,
       "a long RUN is passed on")
with tempfile.TemporaryDirectory() as empty:
    status, _, errors = run_tool("--run", "halt", build=empty)
    tap.ok(status == 64 and "weir.elf32 is missing" in errors, "a missing image is named",
           (status, errors), (64, "weir.elf32 is missing"))

plain = vector()
tap.equal(value(plain, "-m"), "131072k", "the machine has 128 MiB unless told otherwise")
tap.equal(value(plain, "-append"), "", "no option is passed to the kernel unless it is given")
tap.equal(value(plain, "-initrd"),
          "bootstrap ${host-port} ${device-port} ${kernel-command-line} $(task-create) "
          "$(task-resume),programs.tar $(ramdisk-create)", "the two modules and their boot script")
tap.ok("-icount" not in plain, "time is the host's unless told otherwise")
full = vector("--mem", "48", "--zone-map", "1024K", "--console", "com", "--option",
              "reclaim=eager", "--icount", "--run", "a, b = c ; halt")
tap.equal(value(full, "-append"),
          "zone_map=1M console=com reclaim=eager run=a, b = c ; halt",
          "run= is last on the kernel's command line and takes the rest")
tap.equal((value(full, "-m"), value(full, "-icount")), ("49152k", "shift=0,sleep=off"),
          "MEM and ICOUNT reach QEMU")

tap.equal(value(vector("--module", RUNNER + " a,b ${host-port} $(task-create)", "--module", RUNNER), "-initrd"),
          f"{RUNNER} a,,b ${{host-port}} $(task-create),"
          f"{RUNNER} ${{host-port}} ${{device-port}} $(task-create) $(task-resume)",
          "modules take the console's place, with their words or the usual ones")

for arguments, expected in (
        ((65, "halt 0", ""), (0, True)), ((65, "halt 7", ""), (7, True)),
        ((65, "halt 255", ""), (255, True)), ((67, "reboot", ""), (0, True)),
        ((69, "panic", ""), (1, True)), ((71, "cannot boot: no memory", ""), (2, True)),
        ((65, "halt 256", ""), (3, False)), ((65, "reboot", ""), (3, False)),
        ((69, "halt 0", ""), (3, False)), ((0, "halt 0", ""), (3, False)),
        ((65, "", ""), (3, False)), ((0, "", "guest-reset"), (3, False)),
        ((0, "", "guest-reset", True), (3, False)), ((0, "", "", False), (3, False)),
        ((0, "", "host-qmp-quit", True), (0, False)), ((1, "", ""), (3, False)),
        ((-9, "", ""), (3, False))):
    tap.equal(weirvm.classify(*arguments)[:2], expected,
              f"an end of QEMU status, word, reason {arguments} has its meaning")
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Programs built elsewhere (docs/programs.md): linked in every way that is promised, booted by tools/run --module."""

import os
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "tools")]
from boot_folder import ONLY, folder as boot_folder, image  # noqa: E402
from harness import BUILD, ROOT, Machine, Tap, UsageError, weirvm  # noqa: E402
from benchlib import measure  # noqa: E402

tap = Tap(__file__)
WORDS = "${host-port} ${device-port} two,words x=${x} $(task-create) $(task-resume)"
COMPILE = ("-O2", "-ffreestanding", "-fno-stack-protector", "-nostdlib", "-static", "-Wall", "-Werror")
PIE = ("-fPIE", "-DPIE", "-Wl,-pie,--no-dynamic-linker,-z,text")
WAYS = (
    ("a static program", ()),
    ("a static PIE", PIE),
    ("a program at 64 KiB", ("-fno-pie", "-no-pie", "-Wl,-Ttext-segment=0x10000")),
    ("a program at 127 TiB", ("-fPIE", "-no-pie", "-mcmodel=large", "-Wl,-Ttext-segment=0x7f0000000000")),
    ("a program in one segment (ld -N)", ("-fno-pie", "-no-pie", "-Wl,-N")),
    ("a program with an executable stack", ("-fno-pie", "-no-pie", "-Wl,-z,execstack")),
    ("a program with 40 MiB of zeros", ("-fno-pie", "-no-pie", "-DBSS_BYTES=41943040")),
)


def build(folder, flags):
    path = os.path.join(folder, "program")
    subprocess.run([measure.compiler_name(BUILD), *COMPILE, *flags, "-o", path,
                    os.path.join(HERE, "support", "foreign.c")], check=True, timeout=120)
    return path


def boots(claim, path, mem="96M", **options):
    result = weirvm.run(build=BUILD, limit=60, mem=mem, modules=(f"{path} {WORDS}",),
                        options=("x=value", "console=com0"), **options)
    said = [line for line in result.lines() if line.startswith(("wrong", "all is well", "cannot"))]
    tap.ok(said == ["all is well"] and result.announced and result.status == 0, claim,
           f"{said}, status {result.status}", "all is well, status 0", result=result)
    return result


def crashes(what, code, says):
    """A program that nobody catches ends, and the console tells why; the machine goes on without it."""
    with boot_folder([("program", ONLY, image(code=code))]) as path, Machine(build=path, limit=30) as machine:
        try:
            machine.expect(says, 20)
            said = True
        except (weirvm.Timeout, weirvm.Ended):
            said = False
        tap.ok(said, f"a program that {what} ends, and the console tells why", machine.text, says, machine=machine)


def without_sections(path):
    """Takes the section headers away, as tools that make small programs do."""
    with open(path, "r+b") as file:
        file.seek(40)
        file.write(struct.pack("<Q", 0))
        file.seek(58)
        file.write(struct.pack("<HHH", 0, 0, 0))


crashes("makes no sense", b"\x0f\x0b", r"program: EXC_BAD_INSTRUCTION, code 1, subcode 0x0, at 0x400fc0: not handled")
# movl $0x10, %eax; movl (%rax), %eax
crashes("reads at no address", b"\xb8\x10\x00\x00\x00\x8b\x00",
        r"program: EXC_BAD_ACCESS, code 1, subcode 0x10, at 0x400fc5: not handled")

with tempfile.TemporaryDirectory(prefix="weir-programs-") as folder:
    for what, flags in WAYS:
        if tap.wanted(what):
            boots(what + " boots", build(folder, flags))
    bare = build(folder, ())
    without_sections(bare)
    boots("a program without section headers boots", bare)
    result = weirvm.run(build=BUILD, limit=60, modules=(bare,))
    tap.ok("wrong: argc" in result.console and result.status == 0 and "ports are numbers" not in result.console,
           "without words it gets the two ports", result.console, "argc 3", result=result)
    result = weirvm.run(build=BUILD, limit=60, options=("x=value",), modules=(
        f"{bare} ${{host-port}} ${{device-port}} two,words x=${{x}} $(first=task-create)",
        f"{bare} ${{host-port}} ${{first}} two,words x=${{x}} $(task-create) $(task-resume)"))
    tap.ok("all is well" in result.console and result.status == 0, "one of two programs is given the other's port",
           result.console, "all is well", result=result)
    done = subprocess.run([os.path.join(ROOT, "tools", "run"), "--build", BUILD, "--module", bare, "--limit", "60"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False)
    tap.ok(done.returncode == 0 and "wrong: argc" in done.stdout, "tools/run --module boots it with its console shown",
           (done.returncode, done.stdout, done.stderr), 0)
    for module, says in (("/no/such/file", "no such file"), (folder + "/a b/c", "no such file"),
                         (bare + " a\nb", "one line")):
        try:
            weirvm.Options(build=BUILD, modules=(module,)).initrd()
            told = "nothing"
        except UsageError as error:
            told = str(error)
        tap.contains(told, says, f"the module {module.replace(folder, '')!r} is refused with a reason")
tap.done()

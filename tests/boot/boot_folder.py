# SPDX-License-Identifier: BSD-2-Clause
"""For the tests of booting: machines with boot modules of the test's own making."""

import contextlib
import os
import struct
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import harness  # noqa: E402
import qemu_arguments  # noqa: E402

ONLY = "${host-port} $(task-create) $(task-resume)"


@contextlib.contextmanager
def folder(modules):
    """A build folder whose boot modules are `modules`: (name, words, bytes or None for the file
    of the build). Yields its path; meanwhile every boot takes these modules."""
    usual = qemu_arguments.MODULES
    with tempfile.TemporaryDirectory(prefix="weir-boot-") as path:
        os.symlink(os.path.join(os.path.abspath(harness.BUILD), "weir.elf32"),
                   os.path.join(path, "weir.elf32"))
        for name, _, data in modules:
            target = os.path.join(path, name)
            if data is None:
                os.symlink(os.path.join(os.path.abspath(harness.BUILD), name), target)
            else:
                with open(target, "wb") as file:
                    file.write(data)
        qemu_arguments.MODULES = [(name, words) for name, words, _ in modules]
        try:
            yield path
        finally:
            qemu_arguments.MODULES = usual


def boot(modules, limit=30, **options):
    """Boots these modules to the machine's end; the weirvm.Result."""
    with folder(modules) as path:
        with harness.Machine(build=path, limit=limit, **options) as machine:
            return machine.wait()


def bootstrap():
    """The bytes of the program that the build boots."""
    with open(os.path.join(harness.BUILD, "bootstrap"), "rb") as file:
        return file.read()


# A program that asks for its task's port (trap -28) and terminates it (trap -69).
CODE = bytes([0xb8, 0xe4, 0xff, 0xff, 0xff, 0x0f, 0x05, 0x89, 0xc7, 0xb8, 0xbb, 0xff, 0xff, 0xff,
              0x0f, 0x05, 0xeb, 0xfe])
CODE_AT = 0x400000
DATA_AT = 0x402000
PAGE = 4096

HEADER = {"magic": (0, "4s"), "class": (4, "B"), "data": (5, "B"), "ident_version": (6, "B"),
          "type": (16, "<H"), "machine": (18, "<H"), "version": (20, "<I"), "entry": (24, "<Q"),
          "phoff": (32, "<Q"), "phentsize": (54, "<H"), "phnum": (56, "<H")}
PROGRAM = {"type": (0, "<I"), "flags": (4, "<I"), "offset": (8, "<Q"), "vaddr": (16, "<Q"),
           "filesz": (32, "<Q"), "memsz": (40, "<Q")}


def image(code=CODE, **changes):
    """A small ELF program of one page of code and one of data; `changes` overwrite fields:
    entry=..., or of the n-th program header p0_vaddr=... (ELF-64 Object File Format, 1.5)."""
    data = bytearray(3 * PAGE)
    data[:64] = struct.pack("<4s12s2HI3QI6H", b"\x7fELF", b"\x02\x01\x01", 2, 62, 1,
                            CODE_AT + PAGE - 64, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    segments = [(1, 5, 0, CODE_AT, 0, PAGE, PAGE, PAGE),
                (1, 6, PAGE, DATA_AT, 0, PAGE, 3 * PAGE, PAGE),
                (0x6474e551, 6, 0, 0, 0, 0, 0, 16)]
    for n, segment in enumerate(segments):
        struct.pack_into("<2I6Q", data, 64 + 56 * n, *segment)
    data[PAGE - 64:PAGE - 64 + len(code)] = code
    data[PAGE:2 * PAGE] = b"d" * PAGE
    for name, value in changes.items():
        if name[0] == "p" and name[1].isdigit():
            offset, form = PROGRAM[name[3:]]
            offset += 64 + 56 * int(name[1])
        else:
            offset, form = HEADER[name]
        struct.pack_into(form, data, offset, value)
    return bytes(data)

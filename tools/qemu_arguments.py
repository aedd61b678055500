# SPDX-License-Identifier: BSD-2-Clause
"""What a run of Weir may choose, and QEMU's argument vector for it (part of weirvm)."""

import dataclasses
import os
import re
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EMULATOR = "qemu-system-x86_64"

# The most bytes of command line (the image's name included) that the kernel keeps.
COMMAND_LINE_MAX = 4095

# The words behind the file names are the boot script; see the manual's section on it.
MODULES = [
    ("bootstrap", "${host-port} ${device-port} ${kernel-command-line} "
                  "$(task-create) $(task-resume)"),
    ("programs.tar", "$(ramdisk-create)"),
]


# What a program gets as arguments unless told otherwise, as GNU Mach's own test programs do.
MODULE_WORDS = "${host-port} ${device-port} $(task-create) $(task-resume)"


class UsageError(Exception):
    """An option that makes no sense, or a file that is not there."""


def parse_size(text, name):
    """A size in bytes from "64K", "128M", "1G" or a plain number of MiB."""
    match = re.fullmatch(r"([0-9]{1,9})([KMGkmg]?)(?:i?[Bb])?", text)
    if not match or int(match[1]) == 0:
        raise UsageError(f"{name}={text}: not a size; give a number with K, M or G behind it "
                         "(a plain number is MiB)")
    return int(match[1]) << {"K": 10, "M": 20, "G": 30}[(match[2] or "M").upper()]


def size_text(size):
    """The shortest exact form with a suffix."""
    for shift, suffix in ((30, "G"), (20, "M")):
        if size % (1 << shift) == 0:
            return f"{size >> shift}{suffix}"
    return f"{size >> 10}K"


@dataclasses.dataclass
class Options:
    """What a run may choose. Empty texts mean the default."""
    mem: str = ""            # the machine's memory, 128M
    zone_map: str = ""       # the kernel's option; its default is half of memory
    cpu: str = ""            # QEMU's CPU model, max
    accel: str = ""          # QEMU's accelerator, tcg
    machine: str = ""        # QEMU's machine, pc
    icount: bool = False     # time counts instructions: the same run every time
    run: str = ""            # commands that the console carries out at boot
    console: str = ""        # the kernel's option
    options: tuple = ()      # further words for the kernel's command line, unchecked
    limit: float = 0         # the watchdog in seconds; 0: 120 with `run`, else none
    build: str = os.path.join(ROOT, "build")
    iso: bool = False        # boot build/weir.iso instead of the kernel
    vga: bool = False        # open a window with the screen
    gdb: bool = False        # do not start before gdb says so, on build/gdb.sock
    interactive: bool = False  # the console is this terminal
    tap: bool = False        # the second serial port is read (else it leads nowhere)
    modules: tuple = ()      # "FILE WORDS" of the boot modules, instead of the console's

    def command_line(self):
        """The kernel's command line; `run=` is last and takes the rest as it is."""
        words = []
        if self.zone_map:
            words.append("zone_map=" + size_text(parse_size(self.zone_map, "ZONE_MAP")))
        if self.console:
            words.append("console=" + self.console)
        words += self.options
        for word in words:
            if re.search(r"\s", word) or word.startswith("run="):
                raise UsageError(f"kernel option {word!r}: must be one word")
        if self.run:
            # A control character could not be typed at the console either.
            if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", self.run):
                raise UsageError("RUN must be one line, without control characters")
            words.append("run=" + self.run)
        return " ".join(words)

    def memory(self):
        size = parse_size(self.mem or "128M", "MEM")
        if size % 4096:
            raise UsageError(f"MEM={self.mem}: not a whole number of 4K pages")
        return size

    def file(self, name):
        path = os.path.join(self.build, name)
        if not os.path.isfile(path):
            raise UsageError(f"{path} is missing; `make` builds it")
        return path

    def initrd(self):
        """The boot modules in QEMU's words; files given by the user by their whole path."""
        if not self.modules:
            for name, _ in MODULES:
                self.file(name)
            # No comma stands in MODULES, which would part two modules.
            return ",".join(f"{name} {words}" for name, words in MODULES)
        texts = []
        for module in self.modules:
            name, _, words = module.strip().partition(" ")
            path = os.path.abspath(name)
            if not os.path.isfile(path):
                raise UsageError(f"module {name!r}: there is no such file")
            # QEMU ends a module's file name at the first space, and a module at a comma.
            if " " in path:
                raise UsageError(f"module {path!r}: no space may stand in its path")
            text = f"{path} {words.strip() or MODULE_WORDS}"
            if re.search(r"[\x00-\x1f\x7f]", text):
                raise UsageError(f"module {name!r}: its words must be one line")
            texts.append(text.replace(",", ",,"))
        return ",".join(texts)

    def check_kernel_fits(self):
        """QEMU loads a kernel that does not fit without a word, and it then runs wild."""
        end = kernel_end(self.file("weir.elf32"))
        if end > self.memory():
            raise UsageError(f"MEM={self.mem}: the kernel alone ends at {size_text(end)}")

    def watchdog(self):
        if self.limit < 0 or self.limit != self.limit:
            raise UsageError(f"LIMIT={self.limit:g}: not a time")
        return self.limit or (120 if self.run and not self.gdb else None)


def kernel_end(path):
    """The first physical address behind the kernel, from the 32-bit ELF program headers."""
    with open(path, "rb") as image:
        data = image.read(4096)
    try:
        offset, = struct.unpack_from("<I", data, 28)
        size, count = struct.unpack_from("<HH", data, 42)
        if data[:5] != b"\x7fELF\x01" or not count:
            raise struct.error
        end = 0
        for i in range(count):
            kind, _, _, paddr, _, memsz = struct.unpack_from("<6I", data, offset + i * size)
            if kind == 1:
                end = max(end, paddr + memsz)
    except struct.error:
        raise UsageError(f"{path}: not a 32-bit ELF file") from None
    return (end + 4095) & ~4095


def qemu_arguments(o, fds):
    """QEMU's argument vector for Options `o`; `fds` maps channel names to descriptors.

    Files are named relative to the build folder, in which QEMU runs: whatever stands in that
    folder's path (spaces, commas) meets no parser.
    """
    args = [EMULATOR, "-machine", o.machine or "pc", "-accel", o.accel or "tcg", "-cpu", o.cpu or "max",
            "-smp", "1", "-m", f"{o.memory() >> 10}k", "-nodefaults", "-no-user-config", "-no-reboot",
            "-vga", "std"]
    if not o.vga:
        args += ["-display", "none"]
    if o.icount:
        # No host clock, no host randomness and no waiting: the guest sees its own time only.
        args += ["-icount", "shift=0,sleep=off", "-rtc", "base=2000-01-01,clock=vm",
                 "-seed", "1"]
    for name in fds:
        args += ["-chardev", f"socket,id={name},fd={fds[name]}"]
    args += ["-mon", "chardev=qmp,mode=control"]
    args += ["-serial", "mon:stdio" if o.interactive else "chardev:console"]
    args += ["-serial", "chardev:tap" if o.tap else "null"]
    args += ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
             "-device", "isa-debugcon,iobase=0xe9,chardev=word"]
    if o.gdb:
        args += ["-gdb", "unix:gdb.sock,server=on,wait=off"]
    args.append("-S")
    if o.iso:
        if o.run or o.command_line() or o.modules:
            raise UsageError("the CD's kernel options and modules are fixed when it is made: "
                             "no RUN, ZONE_MAP, CONSOLE or MODULE with ISO=1")
        o.file("weir.iso")
        return args + ["-drive", "file=weir.iso,format=raw,media=cdrom,if=ide,readonly=on",
                       "-boot", "order=d"]
    o.check_kernel_fits()
    initrd = o.initrd()
    line = o.command_line()
    # The loader puts the image's name and a space in front.
    length = len(os.fsencode(line)) + len("weir.elf32 ")
    if length > COMMAND_LINE_MAX:
        raise UsageError(f"the kernel's command line would be {length} bytes long, and at most "
                         f"{COMMAND_LINE_MAX} fit: shorten RUN")
    return args + ["-kernel", "weir.elf32", "-append", line, "-initrd", initrd]

# SPDX-License-Identifier: BSD-2-Clause
"""What an instruction does to memory and to the address space, told from its disassembly (objdump, AT&T)."""

import bisect
import os
import re
import subprocess

import weirvm

WORD = 8
MASK = (1 << 64) - 1
# seg:disp(base,index,scale), each part optional.
OPERAND = re.compile(r"(?:%([defgs]s):)?(-?0x[0-9a-f]+|-?[0-9]+)?(\(([^)]*)\))?$")
# Instructions whose operand names an address and is not read or written.
NO_ACCESS = re.compile(r"(lea|nop|prefetch|invlpg|data16)")
PREFIXES = {"rep", "repz", "repnz", "lock", "cs", "ds", "data16", "rex.W"}
# What does not name what it reads or writes: registers that point to it, and bytes before it.
IMPLICIT = {"push": (("rsp", -WORD),), "pushf": (("rsp", -WORD),), "call": (("rsp", -WORD),),
            "pop": (("rsp", 0),), "popf": (("rsp", 0),), "ret": (("rsp", 0),), "leave": (("rbp", 0),),
            "iretq": (("rsp", 0), ("rsp", 4 * WORD))}
LONG = {"fxsave64": 512, "fxrstor64": 512, "fxsave": 512, "fxrstor": 512}


def parts(operands):
    """Splits at the commas outside of parentheses."""
    return re.findall(r"(?:[^,(]|\([^)]*\))+", operands)


def register(registers, name):
    """The value of a register by any of its names, as wide as an address needs it."""
    name = name.lstrip("%")
    if name in registers:
        return registers[name]
    if name == "eiz" or name == "riz":
        return 0
    wide = "r" + name[1:] if name[0] == "e" else re.sub("d$", "", name)
    return registers[wide] & 0xffffffff


class Instruction:
    """One of a program's, by its text."""

    def __init__(self, length, text):
        self.length = length
        text = re.sub(r"\s+(<.*|#.*)$", "", text.strip())
        words = text.split(None, 1)
        while len(words) > 1 and words[0] in PREFIXES:
            words = words[1].split(None, 1)
        self.name = words[0]
        self.operands = parts(words[1]) if len(words) > 1 else []
        self.text = text

    def writes_cr3(self):
        return bool(re.match(r"mov\S*\s+%\w+,%cr3$", self.text))

    def _explicit(self, registers, next_rip):
        for operand in self.operands:
            match = OPERAND.fullmatch(operand.lstrip("*"))
            # A number alone is where a jump or a call goes; with a segment it is memory.
            if not match or not (match[3] or match[1]):
                continue
            address = int(match[2] or "0", 0)
            if match[1] in ("fs", "gs"):
                address += registers[match[1] + "_base"]
            base, index, scale = ((match[4] or "").split(",") + ["", "", ""])[:3]
            if base:
                address += next_rip if base == "%rip" else register(registers, base)
            if index:
                address += register(registers, index) * int(scale or "1")
            yield address & MASK

    def accesses(self, registers, next_rip):
        """[(address, bytes)] of what it reads and writes, with the registers as before it."""
        found = [(registers[name] + offset & MASK, WORD) for name, offset in IMPLICIT.get(self.name.rstrip("q"), ())
                 or IMPLICIT.get(self.name, ())]
        if not NO_ACCESS.match(self.name):
            size = LONG.get(self.name, 1)
            found += [(address, size) for address in self._explicit(registers, next_rip)]
        return found


class Program:
    """An ELF file's functions and instructions."""

    def __init__(self, path, wanted, prefix=""):
        """wanted(address): whether a symbol counts; prefix: of the names of the compiler's tools."""
        if not os.path.isfile(path):
            raise weirvm.UsageError(f"{path} is missing; `make` builds it")
        self.path = path
        self.instructions = {}
        self.symbols = sorted((int(words[0], 16), words[2]) for line in self._tool(prefix + "nm", "-n", path).splitlines()
                              if len(words := line.split()) == 3 and words[1] in "tTwW"
                              and wanted(int(words[0], 16)))
        self.keys = [address for address, _ in self.symbols]
        for line in self._tool(prefix + "objdump", "-d", path).splitlines():
            match = re.match(r"\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*(?:\t(.*))?$", line)
            if not match:
                continue
            address, length = int(match[1], 16), len(match[2].split())
            if match[3]:
                last = address
                self.instructions[address] = Instruction(length, match[3])
            else:
                # The rest of the bytes of a long one.
                self.instructions[last].length += length

    @staticmethod
    def _tool(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise weirvm.UsageError(f"{error}; ./tools/setup installs what is needed") from error

    def address_of(self, name):
        for address, symbol in self.symbols:
            if symbol == name:
                return address
        raise weirvm.UsageError(f"{self.path} has no function {name}")

    def function_of(self, address):
        at = bisect.bisect_right(self.keys, address)
        return self.symbols[at - 1][1] if at else "?"

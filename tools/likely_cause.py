# SPDX-License-Identifier: BSD-2-Clause
"""Why a machine does nothing, judged by a few looks at its CPU (part of weirvm)."""

import bisect
import re
import struct

SPIN_FUNCTIONS = 3      # as many may be seen in a loop that calls others


class Symbols:
    """The functions of the kernel image, to say where it stands."""

    def __init__(self, path):
        self.functions = []
        try:
            with open(path, "rb") as image:
                self._read(image.read())
        except (OSError, struct.error):
            pass
        self.functions.sort()

    def _read(self, data):
        """The symbol table of a 64-bit ELF file (System V ABI, chapter 4)."""
        table, = struct.unpack_from("<Q", data, 40)
        entry_size, count = struct.unpack_from("<HH", data, 58)
        sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * entry_size)
                    for i in range(count)]
        for section in sections:
            if section[1] != 2:
                continue
            offset, size, names = section[4], section[5], sections[section[6]][4]
            for at in range(offset, offset + size, 24):
                name, info, _, index, value, _ = struct.unpack_from("<IBBHQQ", data, at)
                if index and info & 15 in (0, 2) and value:
                    text = data[names + name:data.index(b"\0", names + name)]
                    if text:
                        self.functions.append((value, text.decode("ascii", "replace")))

    def name(self, address):
        """"function+0x12", or the bare address."""
        i = bisect.bisect_right(self.functions, (address, "\x7f")) - 1
        if i < 0 or address - self.functions[i][0] > 1 << 20:
            return f"0x{address:x}"
        return f"{self.functions[i][1]}+0x{address - self.functions[i][0]:x}"


def likely_cause(looks, kernel):
    """One line for people.

    looks: what QEMU's monitor answered to "info registers", a few times; kernel: the path of
    the 64-bit kernel image, whose symbols name the places.
    """
    looks = [registers(text) for text in looks]
    looks = [look for look in looks if look]
    if not looks:
        return "likely cause: unknown (QEMU's monitor does not answer)"
    symbols = Symbols(kernel)
    places = sorted({symbols.name(l["IP"]) for l in looks})
    functions = {place.split("+")[0] for place in places}
    places = ", ".join(places[:4]) + (", ..." if len(places) > 4 else "")
    interrupts = any(l["FL"] & 0x200 for l in looks)
    if all(l["HLT"] for l in looks):
        if interrupts:
            return ("likely cause: the machine is idle and waits for an event "
                    f"(no command left that ends it, or a wake-up was lost); at {places}")
        return f"likely cause: halted for good with interrupts off, at {places}"
    if all(l["CPL"] == 3 for l in looks):
        return f"likely cause: a program computes all the time, at {places}"
    # It has interrupts off in all it does: one that only has much to do is seen in many places.
    if all(l["CPL"] == 0 and not l["HLT"] for l in looks) and not interrupts and len(functions) <= SPIN_FUNCTIONS:
        return f"likely cause: the kernel spins with interrupts off, at {places}"
    return f"likely cause: the machine is busy, at {places}"


def registers(text):
    """What matters of "info registers"; {} when something of it is missing."""
    # Two of them are written with E or R in front, as the mode of the CPU is.
    fields = dict(re.findall(r"\b[ER]?(IP|FL|CPL|HLT)=([0-9a-fA-F]+)", text))
    return {name: int(value, 16) for name, value in fields.items()} if len(fields) == 4 else {}

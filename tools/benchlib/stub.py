# SPDX-License-Identifier: BSD-2-Clause
"""A client of QEMU's gdb stub: breakpoints, single steps, registers, memory (GDB manual, appendix E)."""

import re
import socket
import time
import xml.etree.ElementTree

import weirvm

# While it steps, QEMU holds interrupts and timers back, unless told otherwise.
STEP_ALONE = "Qqemu.sstep=7"


class Stub:
    """Of a machine that was started with gdb=True; a context manager."""

    def __init__(self, machine, path):
        self.machine = machine
        self.rest = b""
        end = time.monotonic() + 20
        while True:
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(path)
                break
            except OSError as error:
                self.socket.close()
                if time.monotonic() > end:
                    raise weirvm.Timeout(f"QEMU's gdb stub does not answer: {error}") from error
                time.sleep(0.05)
        self.layout = self._layout()
        self.ask(STEP_ALONE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # --- packets ---

    def send(self, text):
        data = text.encode()
        self.socket.sendall(b"$%s#%02x" % (data, sum(data) & 255))

    def receive(self):
        """The next packet. What the machine prints meanwhile is read too, so that it never stands still for it."""
        while True:
            match = re.match(rb"\+*\$([^#]*)#..", self.rest)
            if match:
                self.rest = self.rest[match.end():]
                self.socket.sendall(b"+")
                return match[1].decode("latin-1")
            if time.monotonic() > self.machine.deadline:
                raise weirvm.Timeout(f"the watchdog's time is over\n{self.machine.last_lines()}")
            self.socket.settimeout(0.02)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                self.machine.pump(0)
                continue
            except OSError:
                data = b""
            if not data:
                raise weirvm.Ended(f"the machine ended\n{self.machine.last_lines()}")
            self.rest += data

    def ask(self, text):
        self.send(text)
        return self.receive()

    def must(self, text):
        answer = self.ask(text)
        if answer.startswith("E") or not answer:
            raise weirvm.Ended(f"QEMU's gdb stub refuses {text!r}: {answer!r}")
        return answer

    # --- registers and memory ---

    def _annex(self, name):
        text = ""
        while True:
            answer = self.must(f"qXfer:features:read:{name}:{len(text):x},800")
            text += answer[1:]
            if answer[0] == "l":
                # What is sent as } is the next byte with one bit changed.
                return re.sub(r"}(.)", lambda m: chr(ord(m[1]) ^ 0x20), text, flags=re.S)

    def _layout(self):
        """{register: (first, last) hex digit of the packet that tells all}."""
        self.ask("qSupported:xmlRegisters=i386")
        top = re.sub(r"<!DOCTYPE[^>]*>", "", self._annex("target.xml"))
        names = re.findall(r'href="([^"]+)"', top)
        registers, number = {}, 0
        for name in names:
            tree = xml.etree.ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", self._annex(name)))
            for register in tree.iter("reg"):
                number = int(register.get("regnum", number))
                registers[number] = register.get("name"), int(register.get("bitsize")) // 4
                number += 1
        layout, at = {}, 0
        for number in sorted(registers):
            name, digits = registers[number]
            layout[name] = at, at + digits
            at += digits
        return layout

    def registers(self):
        """{name: value} of the integer registers, segments, bases and control registers."""
        text = self.must("g")
        return {name: int.from_bytes(bytes.fromhex(text[first:last]), "little")
                for name, (first, last) in self.layout.items() if last - first <= 16 and last <= len(text)}

    def memory(self, address, size):
        return bytes.fromhex(self.must(f"m{address:x},{size:x}"))

    # --- running ---

    def breakpoint(self, address, there=True):
        self.must(f"{'Z' if there else 'z'}0,{address:x},1")

    def go(self):
        """Runs to the next breakpoint."""
        if not self.ask("c").startswith("T"):
            raise weirvm.Ended(f"the machine ended\n{self.machine.last_lines()}")

    def step(self):
        if not self.ask("s").startswith("T"):
            raise weirvm.Ended(f"the machine ended\n{self.machine.last_lines()}")

# SPDX-License-Identifier: BSD-2-Clause
"""Runs Weir in QEMU: builds the argument vector, watches the machine, tells how it ended.

tools/run is the command line of this module; the tests use it directly:

    with Machine(mem="48M", zone_map="1M") as m:
        m.prompt()
        print(m.command("forkbomb"))        # the lines printed until the next prompt
        m.send("halt 7\\n")
        result = m.wait()                   # result.status == 7, result.announced

    result = run(run="echo hello; halt", icount=True)

How a run ends. The kernel writes one line to port 0xe9 ("halt 7", "reboot", "panic",
"cannot boot: REASON") and then a value to isa-debug-exit at port 0xf4, with which QEMU exits.
Only when both agree is the end *announced*; QEMU's own exit status 0 is what a triple fault
gives and never counts as success.

    status   after
    N        halt N, announced           64    a bad option, or QEMU refused to start
    0        reboot, announced          124    the watchdog
    1        panic, announced
    2        cannot boot, announced
    3        the machine reset, or QEMU ended, and nothing had been announced
"""

import codecs
import ctypes
import dataclasses
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from qemu_arguments import (  # noqa: F401
    EMULATOR, ROOT, Options, UsageError, kernel_end, parse_size, qemu_arguments)
from likely_cause import likely_cause

STATUS_PANIC = 1
STATUS_CANNOT_BOOT = 2
STATUS_UNANNOUNCED = 3
STATUS_USAGE = 64
STATUS_WATCHDOG = 124

# isa-debug-exit turns a value v into the exit status 2v+1.
EXIT_WORDS = {0x20 * 2 + 1: "halt", 0x21 * 2 + 1: "reboot", 0x22 * 2 + 1: "panic",
              0x23 * 2 + 1: "cannot boot"}

# What the console prints when it waits for a command.
PROMPT = r"(?:^|\n)weir> $"


class Timeout(Exception):
    """What was waited for did not come; the text holds the last lines of the console."""


class Ended(Exception):
    """The machine ended while something else was waited for."""


@dataclasses.dataclass
class Result:
    """How a run ended."""
    status: int
    announced: bool
    reason: str              # one line for people
    word: str = ""           # what the kernel wrote to port 0xe9
    console: str = ""        # all that the console printed
    tap: tuple = ()          # the lines of the second serial port
    seconds: float = 0.0

    def lines(self):
        return self.console.splitlines()


def classify(qemu_status, word, shut_down_by, interactive=False):
    """(status, announced, reason) of a run that ended by itself.

    qemu_status: as of subprocess; word: what came through port 0xe9; shut_down_by: the reason
    that QEMU gave for ending itself, or "".
    """
    announced = EXIT_WORDS.get(qemu_status)
    match = re.fullmatch(r"(halt) ([0-9]{1,3})|(reboot)|(panic)|(cannot boot)(?::.*)?",
                         word.rstrip("\n"))
    said = match and next(g for g in (match[1], match[3], match[4], match[5]) if g)
    if announced and said == announced:
        if announced == "halt" and int(match[2]) < 256:
            return int(match[2]), True, word
        if announced != "halt":
            status = {"reboot": 0, "panic": STATUS_PANIC,
                      "cannot boot": STATUS_CANNOT_BOOT}[announced]
            return status, True, word
    if qemu_status == 0 and interactive and not shut_down_by.startswith("guest"):
        return 0, False, "left"
    if qemu_status < 0:
        how = f"QEMU was killed by {signal.Signals(-qemu_status).name}"
    elif shut_down_by == "guest-reset":
        how = "the machine reset without a word (a triple fault does that)"
    elif announced or word:
        how = f"QEMU ended with status {qemu_status} after the word {word!r}: they disagree"
    else:
        how = f"QEMU ended with status {qemu_status} unannounced"
    return STATUS_UNANNOUNCED, False, how


# Loaded before any fork: between fork and exec nothing may be imported.
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent, sig):
    """For a child between fork and exec: it ends when its parent does, however that ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, sig, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(STATUS_UNANNOUNCED)


class Machine:
    """One run of Weir in QEMU. Use it as a context manager: QEMU never outlives it."""

    def __init__(self, on_console=None, **options):
        """options: the fields of Options; on_console(bytes) is handed all that is printed."""
        self.options = Options(**options)
        self.on_console = on_console
        self.text = ""                  # what the console printed, without carriage returns
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self.tap_lines = []
        self.on_tap = None              # called with each line of the second serial port
        self.process = None
        self._mark = 0                  # how far expect() has read
        self._word = b""
        self._tap_rest = b""
        self._qmp_rest = b""
        self._qmp_answers = {}
        self._qmp_count = 0
        self._shut_down_by = ""
        self._stopped = False           # QEMU has stopped it by itself (or for gdb)
        self._channels = {}
        self._select = None
        self._input = b""
        self._stderr = None
        self.result = None             # the Result, once it has ended

    # --- start and end ---

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        """Starts the machine. UsageError when QEMU does not accept the options."""
        o = self.options
        names = ["qmp", "word"] + (["tap"] if o.tap else [])
        if not o.interactive:
            names.append("console")
        if not shutil.which(EMULATOR):
            raise UsageError(f"{EMULATOR} is not installed; ./tools/setup installs it")
        theirs = {}
        self._select = selectors.DefaultSelector()
        for name in names:
            ours, theirs[name] = socket.socketpair()
            ours.setblocking(False)
            self._channels[name] = ours
            self._select.register(ours, selectors.EVENT_READ, name)
        try:
            args = qemu_arguments(o, {name: s.fileno() for name, s in theirs.items()})
            if o.gdb and os.path.exists(os.path.join(o.build, "gdb.sock")):
                os.unlink(os.path.join(o.build, "gdb.sock"))
            parent = os.getpid()
            self._stderr = tempfile.TemporaryFile()
            self.process = subprocess.Popen(
                [os.fsencode(a) for a in args], cwd=o.build,
                pass_fds=[s.fileno() for s in theirs.values()],
                stdin=None if o.interactive else subprocess.DEVNULL,
                stdout=None if o.interactive else subprocess.DEVNULL, stderr=self._stderr,
                # On the terminal QEMU must stay in its process group to read from it.
                start_new_session=not o.interactive,
                preexec_fn=lambda: die_with_parent(parent, signal.SIGKILL))
        except BaseException:
            self.kill()
            raise
        finally:
            for s in theirs.values():
                s.close()
        self.started = time.monotonic()
        limit = o.watchdog()
        self.deadline = None if limit is None else self.started + limit
        try:
            # Whatever QEMU does not like it says before it lets itself be started.
            if self._qmp("qmp_capabilities", timeout=20) is None \
                    or not (o.gdb or self._qmp("cont", timeout=20) is not None):
                self._reap()
                raise UsageError(f"QEMU does not start: {self.qemu_says() or 'no reason given'}")
        except BaseException:
            self.kill()
            raise

    def kill(self):
        """Ends QEMU at once, if it still runs."""
        if self.process and self.process.returncode is None:
            self.process.kill()
            self.process.wait()
        for channel in self._channels.values():
            channel.close()
        self._channels = {}
        if self._select:
            self._select.close()
            self._select = None

    def _reap(self):
        """QEMU's exit status; it has closed its channels and is about to end."""
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def qemu_says(self):
        """What QEMU wrote to its standard error."""
        self._stderr.seek(0)
        text = self._stderr.read().decode("utf-8", "replace").strip()
        return re.sub(r"(?m)^qemu-system-x86_64: ", "", text)

    # --- the channels ---

    def pump(self, timeout):
        """Moves what is there on all channels; False when QEMU has closed them."""
        if not self._channels:
            return False
        if "console" in self._channels:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._input else 0)
            self._select.modify(self._channels["console"], events, "console")
        for key, events in self._select.select(timeout):
            name, channel = key.data, key.fileobj
            if events & selectors.EVENT_WRITE and self._input:
                try:
                    self._input = self._input[channel.send(self._input):]
                except (BlockingIOError, InterruptedError):
                    pass
                except OSError:
                    self._input = b""
            if events & selectors.EVENT_READ:
                try:
                    data = channel.recv(65536)
                except (BlockingIOError, InterruptedError):
                    continue
                except ConnectionResetError:
                    data = b""
                if data:
                    getattr(self, "_got_" + name)(data)
                else:
                    self._select.unregister(channel)
                    channel.close()
                    del self._channels[name]
        return bool(self._channels)

    def _got_console(self, data):
        self.text += self._decoder.decode(data).replace("\r", "")
        if self.on_console:
            self.on_console(data)

    def _got_word(self, data):
        self._word += data

    def _got_tap(self, data):
        *lines, self._tap_rest = (self._tap_rest + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "backslashreplace").rstrip("\r")
            self.tap_lines.append(text)
            if self.on_tap:
                self.on_tap(text)

    def _got_qmp(self, data):
        *lines, self._qmp_rest = (self._qmp_rest + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message.get("event") == "SHUTDOWN":
                self._shut_down_by = message["data"].get("reason", "")
            self._stopped |= message.get("event") == "STOP"
            if "id" in message:
                self._qmp_answers[message["id"]] = message

    def _qmp(self, command, timeout=5, **arguments):
        """What QEMU answers to a command of its machine protocol; None when it does not."""
        self._qmp_count += 1
        number = self._qmp_count
        request = {"execute": command, "arguments": arguments, "id": number}
        try:
            self._channels["qmp"].sendall(json.dumps(request).encode() + b"\n")
        except (KeyError, OSError):
            return None
        end = time.monotonic() + timeout
        while number not in self._qmp_answers:
            left = end - time.monotonic()
            if left <= 0 or not self.pump(left) or "qmp" not in self._channels:
                break
        return self._qmp_answers.pop(number, {}).get("return")

    # --- what tests do ---

    @property
    def pid(self):
        return self.process.pid

    def last_lines(self, count=20):
        """The last lines of the console, as one text, indented."""
        lines = self.text[-400 * count:].splitlines()[-count:]
        return "\n".join("  | " + line for line in lines) or "  | (the console is empty)"

    def send(self, text):
        """Types on the console; a newline is the Enter key."""
        self._input += os.fsencode(text).replace(b"\n", b"\r")
        self.pump(0)

    def type_tap(self, text):
        """Sends bytes to the second serial port: a few, its FIFO takes 16."""
        self._channels["tap"].send(os.fsencode(text))

    def expect(self, pattern, timeout=30):
        """Waits until the console has printed what the regular expression matches.

        Only output behind the previous match counts. Returns the match; its string holds what
        came before as well. Timeout or Ended when it does not come, with the last lines.
        """
        end = time.monotonic() + timeout
        if self.deadline:
            end = min(end, self.deadline)
        while True:
            match = re.search(pattern, self.text[self._mark:])
            if match:
                self._mark += match.end()
                return match
            left = end - time.monotonic()
            if left <= 0:
                raise Timeout(f"the console did not print /{pattern}/\n{self.last_lines()}\n"
                              f"{self.likely_cause()}")
            if not self.pump(left) or "console" not in self._channels:
                self._drain()
                if re.search(pattern, self.text[self._mark:]):
                    continue
                raise Ended(f"the machine ended before it printed /{pattern}/: "
                            f"{self.wait().reason}\n{self.last_lines()}")

    def prompt(self, timeout=30):
        """Waits until the console waits for a command."""
        return self.expect(PROMPT, timeout)

    def command(self, line, timeout=60):
        """Carries out a console command; its output as a list of lines, without the echo."""
        self.send(line + "\n")
        output = self.prompt(timeout).string
        lines = re.sub(PROMPT, "", output).split("\n")
        return lines[1:] if lines and lines[0].strip() == line.strip() else lines

    def monitor(self, command):
        """What QEMU's monitor answers to a command such as "info registers"."""
        return self._qmp("human-monitor-command", **{"command-line": command}) or ""

    def likely_cause(self):
        """Why nothing happens, judged by a few looks at the CPU."""
        if not self.process or self.process.poll() is not None:
            return "QEMU has ended"
        looks = []
        for _ in range(8):
            looks.append(self.monitor("info registers"))
            time.sleep(0.02)
        return likely_cause(looks, os.path.join(self.options.build, "weir.elf"))

    def _drain(self):
        """After QEMU has ended: what is still in the channels."""
        end = time.monotonic() + 5
        while self.pump(0.2) and time.monotonic() < end:
            pass

    def wait(self, timeout=None):
        """Waits for the end; the Result. The watchdog ends a run that takes too long."""
        if self.result:
            return self.result
        end = self.deadline
        if timeout is not None:
            end = min(end or float("inf"), time.monotonic() + timeout)
        while True:
            if self._stopped and not self.options.gdb:
                return self._gave_up()
            if not self.pump(None if end is None else max(0, end - time.monotonic())):
                break
            if end is not None and time.monotonic() >= end:
                return self._watchdog_expired()
        qemu_status = self._reap()
        word = self._word.decode("utf-8", "backslashreplace").strip("\r\n")
        word = word.split("\n")[-1]
        status, announced, reason = classify(qemu_status, word, self._shut_down_by,
                                             self.options.interactive)
        if status == STATUS_UNANNOUNCED and qemu_status > 0 and self.qemu_says():
            reason += f" ({self.qemu_says()})"
        return self._finish(status, announced, reason, word)

    def _watchdog_expired(self):
        seconds = time.monotonic() - self.started
        reason = f"watchdog after {seconds:.0f} s; {self.likely_cause()}"
        self.kill()
        return self._finish(STATUS_WATCHDOG, False, reason, "")

    def _gave_up(self):
        """QEMU cannot go on: KVM has met an instruction that it cannot carry out, for example."""
        status = (self._qmp("query-status", timeout=5) or {}).get("status", "stopped")
        says = self.qemu_says().split("\n")[0]
        self.kill()
        reason = f"QEMU has stopped the machine: {status}" + (f" ({says})" if says else "")
        return self._finish(STATUS_UNANNOUNCED, False, reason, "")

    def _finish(self, status, announced, reason, word):
        self.result = Result(status, announced, reason, word, self.text,
                              tuple(self.tap_lines), time.monotonic() - self.started)
        self.kill()
        return self.result


def run(on_console=None, **options):
    """Runs a machine to its end; the Result."""
    with Machine(on_console, **options) as machine:
        return machine.wait()


def fail(text, status=STATUS_USAGE):
    """Ends the calling command with a message."""
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr)
    sys.exit(status)


def no_arguments(target):
    """For commands that get everything from make, through the environment."""
    if sys.argv[1:]:
        fail(f"{sys.argv[1]}: takes no arguments; `make {target}` calls it, `make help` tells with what")


def build_flags(build):
    """The lines of compiler and options that the build folder was made with; its compiler is the first."""
    try:
        with open(os.path.join(build, "flags"), encoding="utf-8") as flags:
            return flags.read().splitlines()
    except OSError:
        raise UsageError(f"{build}: nothing is built there; `make` does") from None

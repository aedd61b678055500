#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""`top` on a terminal of 24 lines by 80 columns while floods run, and what is there when it has left."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BUILD, ROOT, Tap  # noqa: E402
from weirvm import PROMPT  # noqa: E402

ROWS, COLUMNS = 24, 80
WAIT_SECONDS = 60
tap = Tap(__file__)


class Screen:
    """A terminal that knows the few sequences that the console uses; others are kept as `unknown`."""

    SEQUENCE = re.compile(r"\x1b\[(\d*)([A-Za-z])")

    def __init__(self):
        self.rows = [[" "] * COLUMNS for _ in range(ROWS)]
        self.row = self.column = 0
        self.unknown, self.cut, self.scrolled = [], 0, 0

    def put(self, text):
        while text:
            found = self.SEQUENCE.match(text)
            if found:
                self.control(*found.groups())
                text = text[found.end():]
            else:
                self.character(text[0])
                text = text[1:]

    def erase(self, row, column):
        self.rows[row][column:] = [" "] * (COLUMNS - column)

    def control(self, number, letter):
        if (number, letter) == ("", "H"):
            self.row = self.column = 0
        elif (number, letter) == ("2", "J"):
            self.rows = [[" "] * COLUMNS for _ in range(ROWS)]
        elif letter in "JK" and number == "":
            self.erase(self.row, self.column)
            for row in range(self.row + 1, ROWS) if letter == "J" else ():
                self.erase(row, 0)
        elif letter != "m":
            self.unknown.append(number + letter)

    def character(self, char):
        if char == "\r":
            self.column = 0
        elif char == "\b":
            self.column -= self.column > 0
        elif char == "\n":
            self.row += 1
            if self.row == ROWS:
                self.row -= 1
                self.scrolled += 1
                self.rows = self.rows[1:] + [[" "] * COLUMNS]
        elif char >= " ":
            if self.column == COLUMNS:
                self.cut += 1
                return
            self.rows[self.row][self.column] = char
            self.column += 1
        else:
            self.unknown.append(char)

    def lines(self):
        return ["".join(row).rstrip() for row in self.rows]

    def before_cursor(self):
        return "".join(self.rows[self.row][:self.column])


class Terminal:
    """tools/run with a terminal as its console."""

    def __init__(self, *words):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.execvpe(os.path.join(ROOT, "tools", "run"), ["run", "--build", BUILD, *words], environment)
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.screen, self.text, self.rest = Screen(), "", ""

    def read(self, seconds):
        """Takes what comes next; False when nothing does, or no more will."""
        if not select.select([self.file], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.file, 65536).decode("ascii", "backslashreplace")
        except OSError:
            return False
        self.text += data
        # A sequence may come in pieces.
        whole, rest = re.fullmatch(r"(?s)(.*?)(\x1b(?:\[\d*)?)?", self.rest + data).groups()
        self.rest = rest or ""
        self.screen.put(whole)
        return bool(data)

    def until(self, condition, what):
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            if time.monotonic() > end or not self.read(WAIT_SECONDS):
                raise TimeoutError(f"the terminal did not show {what}:\n" + self.show())

    def type(self, text):
        os.write(self.file, text.encode())

    def command(self, text, last=r"^weir> $"):
        """Types a command and waits for the line with the cursor to be like that."""
        self.type(text)
        self.until(lambda: self.screen.before_cursor().endswith(text), text)
        self.type("\r")
        self.until(lambda: re.search(last, self.screen.before_cursor()), last)

    def draws(self):
        """How many whole screens were drawn."""
        return len(re.findall(r"\x1b\[Htop: ", self.text)) - (not self.text.rstrip("\n").endswith("\x1b[J"))

    def see(self, count):
        """Waits for so many more whole screens."""
        seen = self.draws()
        self.until(lambda: self.draws() >= seen + count, f"{count} screens")

    def show(self):
        return "\n".join(f"  |{line}" for line in self.screen.lines())

    def end(self):
        """The status of the run."""
        while self.read(WAIT_SECONDS):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def part(lines, title):
    """[the words of each row] below the heading that begins so."""
    start = next(i for i, line in enumerate(lines) if line.startswith(title))
    rows = []
    for line in lines[start + 1:]:
        if re.match(r"(ZONE|LEDGER| +TASK|DENIALS|NO DENIALS)\b", line) or not line:
            break
        rows.append(line.split())
    return rows


t = Terminal("--mem", "128M", "--zone-map", "4M", "--limit", "100")
try:
    t.until(lambda: t.screen.before_cursor() == "weir> ", "the prompt")
    t.command("forkbomb -k &", last="^$")
    t.until(lambda: "denied: kmem in ledger user" in t.text, "the denial")
    t.command("in root forkbomb -s churn -t 3 -n 1000000 &")
    t.type("top\r")
    t.until(lambda: t.draws() >= 1, "the screen")
    t.screen.cut = t.screen.scrolled = 0
    t.see(2)
    lines = t.screen.lines()
    shown = t.show()

    def ok(passed, claim):
        tap.ok(passed, claim, "\n" + shown)

    ok(re.fullmatch(r"top: \d+ s up, RAM \d+K free of \d+K, zone map \d+K of 4096K; q leaves", lines[0]),
       "the first line tells time, RAM and zone map")
    ok((t.screen.cut, t.screen.scrolled, t.screen.unknown) == (0, 0, []),
       "the screen fits 24 lines of 80 columns")
    zones, ledgers, tasks, denials = (part(lines, title) for title in
                                      ("ZONE ", "LEDGER ", "  TASK ", "DENIALS, the newest first"))
    ok(len(zones) == 6 and len(ledgers) == 5 and len(tasks) == 4 and 1 <= len(denials) <= 3,
       "it shows zones, ledgers, tasks and denials")
    sizes = [int(row[2][:-1]) for row in zones]
    ok(sizes == sorted(sizes, reverse=True), "the largest zones come first")
    ok(all(row[5] == "forkbomb.2" and 100 < int(row[6]) <= int(row[1]) for row in zones),
       "each zone names the flood's ledger, and what it holds of it")
    ok(any(int(row[3]) > 10 for row in zones), "and what is made of it each second")
    by_name = {row[0]: row for row in ledgers}
    # What is left to users of a zone map of 4 MiB; it depends on the sizes of what services are promised.
    limit = by_name["user"][3]
    ok(int(by_name["user"][1]) > 100 and re.fullmatch(r"3[3-6]\d\dK", limit) and int(by_name["user"][5]) > 0
       and by_name["forkbomb.2"][1] == by_name["user"][1],
       "the flood's ledger and the one whose limit it met are among the ledgers, with tasks and denials")
    ok({row[0] for row in ledgers} == {"root", "user", "forkbomb.2", "console", "services"},
       "the ledgers with most kernel memory are shown")
    ok([row[2] for row in tasks if row[1] == "forkbomb"].count("root") >= 1,
       "the other flood's task is among the tasks, with its ledger")
    ok(any(re.fullmatch(rf"\d+x forkbomb: denied: kmem in ledger user: \w+ of {limit}", " ".join(row))
           for row in denials), "the denial is shown")

    t.type("x\r")
    t.see(1)
    t.type("q")
    t.until(lambda: t.screen.before_cursor() == "weir> ", "the prompt")
    tap.equal(t.screen.lines()[t.screen.row], "weir>", "q leaves, the prompt is on a line of its own")
    ok(re.search(PROMPT, t.text.replace("\r", "")), "also for those who wait for it")
    t.command("echo typed")
    tap.equal(t.screen.lines()[t.screen.row - 1], "typed", "typing works then")

    t.command("in root forkbomb -k &", last="^$")
    t.until(lambda: "denied: zone_map in ledger root" in t.text, "the denial in the root")
    t.command("echo; top 2; echo behind")
    tap.equal(t.screen.lines()[t.screen.row - 1], "behind", "top N leaves by itself, on a fresh line")
    shown = t.show()
    ok(re.search(r"x \w+: denied: zone_map in ledger root: 4M of 4M", shown),
       "when the zone map is full it says so all the same")
    t.type("top\r")
    t.see(1)
    t.type("\x03")
    t.until(lambda: t.screen.before_cursor() == "weir> ", "the prompt")
    tap.equal(t.screen.lines()[t.screen.row], "weir>", "Ctrl-C leaves as well")
    t.type("halt 5\r")
    tap.equal(t.end(), 5, "and halt ends the run")
finally:
    try:
        os.kill(t.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
tap.done()

# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of floods share: asking the console amid the noise, reading what it prints, and
the claims that hold of every flood.

Programs in the background print whenever they like, so a prompt says nothing: each command is
followed by an echo of its own, and what the bystander prints is taken out of the answers.
"""

import contextlib
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BUILD, Ended, Timeout, boot, comment  # noqa: E402
import weirvm  # noqa: E402
from console_text import DENIED, amount, read_ledgers, read_zones  # noqa: E402

BYSTANDER = re.compile(r"bystander: \+(\d+) ms: (\d+) requests, (\d+) failed, worst (\d+) us, "
                       r"share (\d+)%(?:, kernel (\d+)K, free (\d+)K)?")
# What the console writes at the start of a line that a program then goes on with.
CONSOLE_NOISE = re.compile(r"^(?:weir> )?[echo =<>\x22;0-9]*(?=\[|[a-z]+: )")
SETTLE_SECONDS = 30
WORST_US = 1000000         # of a bystander's request
CONSOLE_SECONDS = 5        # of a word of the console
CLAIMS = ("ends with its denial as the last line", "a bystander is served", "the console answers",
          "everything comes back", "the books agree")
PROGRAMS = ("forkbomb", "portflood", "memhog", "threadbomb", "msgflood", "rightflood", "spike")


def samples(text):
    """What `bystander -z` told of memory in that part of the console: [(ms, kernel KiB, free KiB)]"""
    return [(int(m[1]), int(m[6]), int(m[7])) for m in BYSTANDER.finditer(text) if m[6]]


def built_with(flag):
    """Was this kernel compiled with the flag?"""
    return any(flag in line.split() for line in weirvm.build_flags(BUILD))


def kernel_has_policy():
    return built_with("-DWEIR_POLICY=1")


def kernel_is_release():
    """Without red zones its objects are smaller."""
    return built_with("-DNDEBUG")


class Field:
    """A machine with a quiet program to watch in the ledger `watch`, where floods are let loose."""

    def __init__(self, machine):
        self.machine = machine
        self.number = 0

    # --- commands ---

    def ask(self, command, timeout=60):
        """The lines that a command prints, without those of the bystander."""
        self.number += 1
        first, last = f"<{self.number}>", f"={self.number}="
        start = len(self.machine.text)
        # The quotes keep what is typed, which a program's line may cut in two, unlike what is printed.
        self.machine.send(f'echo "<{self.number}">; {command}; echo "={self.number}"=\n')
        self.machine.expect(rf"(?m)^{last}$", timeout)
        lines = self.machine.text[start:].split("\n")
        return [line for line in lines[lines.index(first) + 1:lines.index(last)]
                if line and "bystander" not in line]

    def audit(self):
        return [line for line in self.ask("audit", 120) if line.startswith("audit: ")]

    # --- what is used ---

    def used(self, skip=()):
        """{what: how much} of all zones and ledgers; skip: ledgers to leave out."""
        found = {("zone", zone): n for zone, n in read_zones(self.ask("zones")).items()}
        for (ledger, resource), row in read_ledgers(self.ask("ledgers")).items():
            # The slabs that a zone keeps are nothing that somebody uses.
            if resource not in ("zone_map", "ram") and ledger not in skip:
                found[ledger, resource] = row["used"]
        return found

    def floor(self, samples=8):
        """The least of several looks: others take and give back meanwhile."""
        least = {}
        for _ in range(samples):
            for what, n in self.used(("watch",)).items():
                least[what] = min(n, least.get(what, n))
        return least

    def not_back(self, before):
        """Waits until all is back; what is not: {what: (before, now)}."""
        end = time.monotonic() + SETTLE_SECONDS
        least = {}
        while True:
            for what, n in self.used(("watch",)).items():
                least[what] = min(n, least.get(what, n))
            left = {what: (before.get(what, 0), n) for what, n in least.items()
                    if n > before.get(what, 0) + slack(what)}
            if not left or time.monotonic() >= end:
                return left

    # --- the bystander ---

    def watch(self, options="-i 100"):
        """Starts the bystander, in a ledger with guarantees of what it uses and as much again."""
        self.ask("ledger watch")
        self.ask(f"in watch bystander {options} &")
        self.machine.expect(BYSTANDER.pattern, 30)
        rows = read_ledgers(self.ask("ledgers"))
        words = [f"{resource}={int(row['peak']) * 2 + 4}" for (ledger, resource), row in rows.items()
                 if ledger == "watch" and resource not in ("kmem", "ledgers", "tasks", "threads")]
        return self.ask("guarantee watch " + " ".join(words))

    def served(self, text):
        """The bystander's lines in that part of the console: [(requests, failed, worst us)]"""
        return [(int(m[2]), int(m[3]), int(m[4])) for m in BYSTANDER.finditer(text)]

    # --- floods ---

    def flood(self, command, timeout=120, ask=True):
        """Lets it loose in the background and asks the console for answers until it has ended.

        ask=False: leaves the console alone. Ended when the machine does not survive it.
        """
        machine = self.machine
        start = len(machine.text)
        begun = time.monotonic()
        waits = []
        program = next(w for w in command.split() if w in PROGRAMS)
        ended = re.compile(rf"(?m)\[\d+\] {program}: (done|status -?\d+|ended without a status)$")
        machine.send(command + " &\n")
        while not ended.search(machine.text, start):
            if time.monotonic() - begun > timeout:
                raise Timeout(f"{command} has not ended in {timeout} s\n{machine.last_lines()}")
            if ask:
                asked = time.monotonic()
                self.ask("echo", timeout)
                waits.append(time.monotonic() - asked)
            if not machine.pump(0.2):
                raise Ended(f"the machine ended during {command}\n{machine.last_lines()}")
        seconds = time.monotonic() - begun
        # The interval of the bystander that the end fell into.
        with contextlib.suppress(Timeout):
            machine._mark = len(machine.text)
            machine.expect(BYSTANDER.pattern, 10)
        text = machine.text[start:]
        lines = [CONSOLE_NOISE.sub("", line) for line in ended.split(text)[0].split("\n")]
        lines = [line for line in lines
                 if line.startswith((program + ":", "denied:", "opened ", "took "))]
        return Flood(lines, ended.search(text)[1], self.served(text), waits, seconds)


class Flood:
    """What was seen of one."""

    def __init__(self, lines, status, served, waits, seconds):
        self.lines, self.status = lines, status
        self.served, self.waits, self.seconds = served, waits, seconds

    @property
    def last(self):
        return self.lines[-1] if self.lines else ""

    def count(self):
        """Children, ports, pages, threads, messages, rights or things."""
        match = re.search(r"(\d+) children|opened (\d+)|took (\d+)|: (\d+) \w+ in \d+ ms", "\n".join(self.lines))
        return int(next(g for g in match.groups() if g)) if match else 0


def slack(what):
    """How much more than before is no leak. The console's own memory comes to be used by and by."""
    if what[1] in ("task", "tasks", "thread", "threads", "ledgers"):
        return 0
    if what[0] in ("zone", "console", "root"):
        return 4096 if what[1] == "kmem" else 6
    return 0


def plausible(line, ledgers):
    """Is the denial one that can be: all is used, of that ledger's limit? The reason if not."""
    match = DENIED.fullmatch(line)
    if not match:
        return f"no denial: {line!r}"
    resource, ledger, used, limit = match[1], match[2], amount(match[3]), amount(match[4])
    row = ledgers.get((ledger, resource))
    if row is None:
        return f"there is no {resource} in a ledger {ledger}"
    if row["limit"] != limit:
        return f"the limit of {ledger} is {row['limit']}, not {limit}"
    # What was wanted then is at most a stack, a table or a long message.
    if not limit - 2 * 1024 * 1024 < used <= limit and resource in ("kmem", "zone_map", "ram"):
        return f"{used} of {limit} is not full"
    if resource not in ("kmem", "zone_map", "ram") and not limit - 64 < used <= limit:
        return f"{used} of {limit} is not full"
    return ""


@contextlib.contextmanager
def field(limit=300, **options):
    """A booted machine as a Field."""
    with boot(limit=limit, **options) as machine:
        machine.prompt()
        yield Field(machine)


# Several machines at once, each in its thread, report to one Tap.
tap_lock = threading.Lock()


def check(tap, f, command, name, before, denied=True):
    """Lets the flood loose in the Field; makes the claims of all floods, which begin with its name.

    before: of f.floor(). denied=False: a flood that ends by itself. The Flood; None when
    `make test T=` asks for other claims.
    """
    with tap_lock:
        if not any(tap.wanted(f"{name}: {claim}") for claim in CLAIMS):
            return None
    flood = f.flood(command)
    ledgers = read_ledgers(f.ask("ledgers"))
    left = f.not_back(before)
    audit = f.audit()
    machine = f.machine
    why = plausible(flood.last, ledgers) if denied else ""
    with tap_lock:
        comment(f"{name}: {flood.count()} in {flood.seconds:.1f} s; {flood.last}; bystander: "
                f"{len(flood.served)} intervals, least {min([s[0] for s in flood.served] or [0])}, "
                f"worst {max([s[2] for s in flood.served] or [0]) / 1000:.0f} ms; console: "
                f"worst {max(flood.waits or [0]) * 1000:.0f} ms of {len(flood.waits)}")
        tap.ok(flood.status == "done" and flood.count() > 0 and not why,
               f"{name}: ends with its denial as the last line" if denied else f"{name}: ends well",
               (flood.status, why, flood.lines), "done; denied: RESOURCE in ledger NAME: USED of LIMIT",
               machine=machine)
        tap.ok(flood.served and all(requests > 0 and failed == 0 and worst < WORST_US
                                    for requests, failed, worst in flood.served),
               f"{name}: a bystander is served in each tenth of a second, none later than "
               f"{WORST_US // 1000} ms", flood.served, "requests, 0 failed", machine=machine)
        tap.ok(flood.waits and max(flood.waits) < CONSOLE_SECONDS,
               f"{name}: the console answers within {CONSOLE_SECONDS} s", flood.waits,
               f"less than {CONSOLE_SECONDS}", machine=machine)
        tap.equal(left, {}, f"{name}: everything comes back", machine=machine)
        tap.equal(audit, ["audit: the books agree"], f"{name}: the books agree", machine=machine)
    return flood

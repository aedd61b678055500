#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Memory disks, as a FreeBSD report filled them until the kernel panicked, at 128 MiB: refused, without
space, filled and compared, eight at once beside children that come and go, and attacked."""

import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from floodlib import BYSTANDER, field, read_ledgers  # noqa: E402
from harness import FULL, Ended, Tap, Timeout, comment  # noqa: E402

# What the console prints meanwhile may come between the lines.
RECORDS = re.compile(r"(?s)(\d+)\+(\d+) records in\n.*?(\d+)\+(\d+) records out\n.*?(\d+) bytes transferred")
ENDED = r"(?m)\[\d+\] {}: (done|status \d+|killed|ended without a status)$"
MB = 1 << 20
EIGHT = 8
tap = Tap(__file__)


class Seen:
    """What programs in the background have printed until they ended."""

    def __init__(self, text, ends, served, seconds):
        self.text, self.ends, self.served, self.seconds = text, ends, served, seconds

    def records(self):
        """[(in, partly, out, partly, bytes)] of each dd."""
        return [tuple(map(int, found)) for found in RECORDS.findall(self.text)]


def together(f, *commands, timeout=120):
    """Starts them in the background, all at once; asks the console for answers until they have ended."""
    machine = f.machine
    start, begun = len(machine.text), time.monotonic()
    pattern = re.compile(ENDED.format("(?:dd|forkbomb)"))
    machine.send("; ".join(command + " &" for command in commands) + "\n")
    while len(pattern.findall(machine.text, start)) < len(commands):
        if time.monotonic() - begun > timeout:
            raise Timeout(f"{commands} have not ended in {timeout} s\n{machine.last_lines()}")
        # Without digits, behind which a count could be printed.
        machine._mark = len(machine.text)
        machine.send("echo asked\n")
        machine.expect(r"(?m)^asked$", timeout)
        if not machine.pump(0.2):
            raise Ended(f"the machine ended\n{machine.last_lines()}")
    seconds = time.monotonic() - begun
    machine._mark = len(machine.text)
    machine.expect(BYSTANDER.pattern, 10)
    text = machine.text[start:]
    return Seen(text, pattern.findall(text), f.served(text), seconds)


def disks(f):
    """{disk: (size, how, used, opens)}"""
    lines = "\n".join(f.ask("mdconfig -l"))
    return {m[1]: m.groups()[1:] for m in
            re.finditer(r"(md\d+)  (\S+)  (\w+)  used (\S+)  open (\d+) times", lines)}


def served(f, seen, claim):
    tap.ok(seen.served and all(requests > 0 and failed == 0 for requests, failed, _ in seen.served),
           f"{claim}: a bystander is served meanwhile", seen.served, "requests, 0 failed", machine=f.machine)


def all_back(f, before, claim):
    tap.equal(disks(f), {}, f"{claim}: no disk is left", machine=f.machine)
    tap.equal(f.not_back(before), {}, f"{claim}: zones and ledgers hold what they held", machine=f.machine)
    tap.equal(f.audit(), ["audit: the books agree"], f"{claim}: the books agree", machine=f.machine)


def md_limit(f):
    return int(read_ledgers(f.ask("ledgers"))["md", "resident_pages"]["limit"])


def refused(f, before):
    claim = "a disk that does not fit"
    lines = f.ask("mdconfig -a -t malloc -s 300m")
    tap.contains(lines, r"refused: 300M asked, [\d.]+M available\ndenied: resident_pages in ledger md: \d+ of \d+\n"
                 r"mdconfig: status 1", f"{claim} is refused: asked, available, whose ledger", machine=f.machine)
    tap.contains(f.ask("mdconfig -a -t malloc -s 300M"), "refused: 300M", f"{claim}: M as m", machine=f.machine)
    all_back(f, before, claim)


def crowded(f, before):
    """There are fewer pages than its ledger may have: it is found out on the way."""
    claim = "a disk beside a memory hog"
    f.ask("memhog -k &")
    f.machine.expect(r"memhog: \d+ pages", 30)
    number = re.findall(r"\[(\d+)\] memhog", f.machine.text)[-1]
    lines = f.ask("in root mdconfig -a -t malloc -s 32m")
    tap.contains(lines, r"refused: 32M asked, [1-9][\d.]*M available\ndenied: ram in ledger root: \d+K of \d+K",
                 f"{claim} is refused by the machine itself", machine=f.machine)
    f.ask(f"kill %{number}")
    f.machine.expect(r"memhog: killed", 20)
    all_back(f, before, claim)


def no_space(f, before):
    claim = "a disk that grows until there is no space"
    limit = md_limit(f)
    tap.equal(f.ask("mdconfig -a -t malloc -o noreserve -s 300m"), ["md0"], f"{claim}: it is made", machine=f.machine)
    tap.equal(disks(f), {"md0": ("300M", "noreserve", "0M", "0")}, f"{claim}: it is told that nothing is reserved",
              machine=f.machine)
    seen = together(f, "dd if=/dev/urandom of=/dev/md0 bs=4096")
    comment(f"{claim}: {seen.records()} in {seen.seconds:.1f} s")
    tap.contains(seen.text, rf"dd: /dev/md0: No space \(denied: resident_pages in ledger md: {limit} of {limit}\)",
                 f"{claim}: dd says so, and whose ledger it was", machine=f.machine)
    got, _, put, part, size = (seen.records() or [(0,) * 5])[0]
    tap.ok(put == got - 1 and part == 0 and size == put * 4096 and limit * 0.9 < put < limit,
           f"{claim}: one record more went in than out, and the ledger has room for most of them",
           seen.records(), f"somewhat less than {limit}", machine=f.machine)
    tap.equal(seen.ends, ["status 1"], f"{claim}: dd ends with a status", machine=f.machine)
    served(f, seen, claim)
    tap.contains(f.ask("forkbomb -n 10"), r"forkbomb: 10 children", f"{claim}: a fork bomb of ten runs beside it",
                 machine=f.machine)
    lines = f.ask("dd if=/dev/md0 of=/dev/null bs=64K count=16; dd if=/dev/zero of=/dev/md0 bs=4096 count=100; "
                  "dd if=/dev/zero of=/dev/md0 bs=4096 count=1 seek=70000")
    tap.equal([row[2] for row in Seen("\n".join(lines), 0, 0, 0).records()], [16, 100, 0],
              f"{claim}: what is there is read and written again, nothing more", machine=f.machine)
    f.ask("mdconfig -d -u 0")
    all_back(f, before, claim)


def filled(f, before):
    claim = "a disk of 16m"
    f.ask("mdconfig -a -t malloc -s 16m")
    tap.equal(disks(f), {"md0": ("16M", "reserved", "16M", "0")}, f"{claim}: all of it is reserved", machine=f.machine)
    seen = together(f, "dd if=/dev/urandom of=/dev/md0 bs=64K")
    tap.equal(seen.records(), [(257, 0, 256, 0, 16 * MB)], f"{claim}: is filled to the last byte", machine=f.machine)
    tap.contains(seen.text, r"dd: /dev/md0: No space \(the device ends there\)", f"{claim}: and has an end",
                 machine=f.machine)
    served(f, seen, claim)
    f.ask("mdconfig -a -t malloc -s 16M")
    f.ask("dd if=/dev/md0 of=/dev/md1 bs=100000")
    tap.equal(f.ask("cmp /dev/md0 /dev/md1"), [], f"{claim}: read back it is the same", machine=f.machine)
    lines = f.ask("dd if=/dev/urandom of=/dev/md0 bs=1 count=10000")
    tap.equal(Seen("\n".join(lines), 0, 0, 0).records(), [(10000, 0, 10000, 0, 10000)],
              f"{claim}: takes 10000 single bytes", machine=f.machine)
    tap.contains(f.ask("cmp md0 md1"), r"differ: byte [1-9]\n?", f"{claim}: which is a difference", machine=f.machine)
    f.ask("dd if=md0 of=md1 bs=1000 count=10")
    tap.equal(f.ask("cmp md0 md1"), [], f"{claim}: until they are copied too", machine=f.machine)
    f.ask("dd if=/dev/zero of=/dev/md1 bs=1 seek=16777215")
    tap.contains(f.ask("cmp md0 md1; hexdump -s 16777214 md1"), r"(byte 16777216|00fffffe  .. 00 +\|)",
                 f"{claim}: the last byte counts", machine=f.machine)
    f.ask("mdconfig -d -u md0; mdconfig -d -u 1")
    all_back(f, before, claim)


def eight(f, before):
    claim = f"{EIGHT} dd at once beside children that come and go"
    for _ in range(EIGHT):
        f.ask("mdconfig -a -t malloc -s 4m")
    rounds = 1000 if FULL else 100
    seen = together(f, *(f"dd if=/dev/urandom of=/dev/md{unit} bs=8K count=512" for unit in range(EIGHT)),
                    f"forkbomb -s churn -n {rounds}", timeout=200)
    comment(f"{claim}: {seen.seconds:.1f} s")
    tap.equal(seen.ends, ["done"] * (EIGHT + 1), f"{claim}: all of them come to their end", machine=f.machine)
    text = seen.text
    tap.equal((len(re.findall(r"512\+0 records in", text)), len(re.findall(r"512\+0 records out", text))),
              (EIGHT, EIGHT), f"{claim}: each has written its disk", machine=f.machine)
    tap.contains(text, rf"forkbomb: {5 * rounds} children", f"{claim}: no child was denied", machine=f.machine)
    served(f, seen, claim)
    for unit in range(EIGHT):
        f.ask(f"mdconfig -d -u {unit}")
    all_back(f, before, claim)


def killed(f, before):
    """A client in the middle of a transfer, then the server."""
    claim = "dd killed on its way"
    f.ask("mdconfig -a -t malloc -o noreserve -s 40m")
    f.ask("dd if=/dev/urandom of=/dev/md0 bs=512 &")
    end = time.monotonic() + 20
    while disks(f).get("md0", ("", "", "0M", ""))[2] == "0M" and time.monotonic() < end:
        pass
    tap.contains(f.ask("mdconfig -d -u 0"), r"md0 is open", "a disk that is written to is not removed",
                 machine=f.machine)
    number = re.findall(r"\[(\d+)\] dd", f.machine.text)[-1]
    f.ask(f"kill %{number}")
    f.machine.expect(ENDED.format("dd"), 20)
    end = time.monotonic() + 20
    while disks(f)["md0"][3] != "0" and time.monotonic() < end:
        pass
    tap.equal(disks(f)["md0"][3], "0", f"{claim}: the disk is not open any more", machine=f.machine)
    f.ask("mdconfig -d -u 0")
    all_back(f, before, claim)
    claim = "the server killed"
    f.ask("mdconfig -a -t malloc -s 1m")
    task = next(line.split()[0] for line in f.ask("ps") if line.split()[1:3] == ["md", "md"])
    f.ask(f"kill {task}")
    f.machine.expect(r"\[\d+\] md: killed", 20)
    tap.contains(f.ask("dd if=/dev/zero of=/dev/md0"), "dd: /dev/md0: no such device", f"{claim}: its names are gone",
                 machine=f.machine)
    tap.equal(disks(f), {}, f"{claim}: it is started anew when it is asked for", machine=f.machine)
    f.ask("mdconfig -a -t malloc -s 1m; dd if=/dev/zero of=/dev/md0 count=1; mdconfig -d -u 0")
    all_back(f, before, claim)


def wrong(f):
    for command, text in (("mdconfig", "usage: mdconfig"), ("mdconfig -a -t swap -s 1m", "usage: mdconfig"),
                          ("mdconfig -a -t malloc -s 1x", "no size"), ("mdconfig -d -u 9", "there is no md9"),
                          ("dd if=/dev/zero", "usage: dd"), ("dd if=/dev/zero of=/dev/nosuch", "no such device"),
                          ("dd if=/dev/zero of=/dev/full", "dd: /dev/full: No space\n1+0 records in\n0+0 records out"),
                          ("dd if=/dev/zero of=/dev/null bs=0", "bs: 1 to 64M"),
                          ("dd if=/dev/zero of=/dev/null count=x", "count=x: not a number"),
                          ("cmp /dev/zero", "usage: cmp"), ("cmp /dev/zero /dev/nosuch", "no such device"),
                          ("cmp -n 100 /dev/zero /dev/null", "end of /dev/null after byte 0"),
                          ("hexdump -n 17 /dev/zero", r"(?s)00000000( +00){16}.*00000010 +00 .*00000011"),
                          ("dd if=/dev/zero of=/dev/null bs=1M count=3", r"3\+0 records in\n3\+0 records out\n3145728 bytes")):
        lines = "\n".join(f.ask(command))
        tap.ok(text in lines or re.search(text, lines), f"{command}: told what is", lines, text, machine=f.machine)


def reboots(f):
    claim = "after a full disk and a fork bomb the machine restarts"
    f.machine.send("mdconfig -a -t malloc -o noreserve -s 300m; dd if=/dev/zero of=/dev/md0 bs=64K; "
                   "forkbomb -n 10; reboot\n")
    result = f.machine.wait()
    tap.equal((result.status, result.announced, "reboot" in result.reason), (0, True, True), claim, result=result)


def random_is_repeatable():
    claim = "random_seed=N gives the same random numbers each time"
    if not tap.wanted(claim):
        return
    seen = []
    for seed in ("5", "5", "6"):
        with field(mem="64M", options=(f"random_seed={seed}",)) as f:
            seen.append("\n".join(f.ask("hexdump -n 48 /dev/urandom")))
    tap.ok(seen[0] == seen[1] != seen[2] and len(seen[0]) > 200, claim, seen, "two alike, one not")


with field(mem="128M", limit=400) as f:
    f.watch()
    for command in ("mdconfig -l", "mdconfig -a -t malloc -s 1m; mdconfig -a -t malloc -s 1m -o noreserve",
                    "dd if=/dev/zero of=/dev/md1 bs=64K", "dd if=/dev/md1 of=md0 bs=4096", "cmp md0 md1",
                    "mdconfig -d -u 0; mdconfig -d -u 1; mdconfig -l", "forkbomb -s churn -n 5", "forkbomb -n 10",
                    "hexdump -n 32 /dev/zero", "ps", "denials", "audit"):
        f.ask(command)
    before = f.floor()
    refused(f, before)
    crowded(f, before)
    no_space(f, before)
    filled(f, before)
    eight(f, before)
    killed(f, before)
    wrong(f)
    reboots(f)
random_is_repeatable()
tap.done()

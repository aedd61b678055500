# SPDX-License-Identifier: BSD-2-Clause
"""Rows (l) to (o): memory disks that are larger than memory, filled, compared, many at once."""

import re

from .rows import Boot, Row

PAGE = 4096
RECORDS = r"(\d+)\+(\d+) records in\n(\d+)\+(\d+) records out\n(\d+) bytes"
NO_SPACE = r"dd: /dev/md0: No space \(denied: resident_pages in ledger md: (\d+) of (\d+)\)"
EIGHT = 8


def records(text):
    """[[in, partly, out, partly, bytes]] of each dd."""
    return [list(map(int, found)) for found in re.findall(RECORDS, text)]


def row_l(_small):
    boot = Boot("mdconfig -a -t malloc -s 300m; mdconfig -l; forkbomb -n 10; audit; halt")

    def judge(row, seen):
        said = "\n".join(seen.lines("mdconfig -a -t malloc -s 300m"))
        match = re.search(r"refused: 300M asked, (\S+) available\n(denied: resident_pages in ledger md: \d+ of \d+)", said)
        row.claim(match, "it is refused: size asked, available, whose ledger", said, seen)
        row.claim(seen.lines("mdconfig -l") == [], "there is no disk", seen.lines("mdconfig -l"), seen)
        row.claim(seen.children() == [10], "a fork bomb of ten runs", seen.children(), seen)
        return f"refused: 300M asked, {match[1]} available; {match[2]}"
    return Row("l", "`mdconfig -a -t malloc -s 300m` with 128 MB of memory",
               "FreeBSD takes it; its mdconfig(8) warns that filling a large malloc disk that is not reserved is an "
               "easy way to a panic", [boot], judge)


def row_m(small):
    block = 16 * PAGE if small else PAGE
    boot = Boot(f"mdconfig -a -t malloc -o noreserve -s 300m; mdconfig -l; dd if=/dev/urandom of=/dev/md0 bs={block}; "
                "forkbomb -n 10; audit; reboot", mem="48M" if small else "128M")

    def judge(row, seen):
        told = seen.lines("mdconfig -l")
        row.claim(told == ["md0  300M  noreserve  used 0M  open 0 times"], "it is told that nothing is reserved", told,
                  seen)
        text = seen.result.console
        full = re.search(NO_SPACE, text)
        # A page whose charge has moved here may stand above the limit: moves are never refused.
        row.claim(full and 0 <= int(full[1]) - int(full[2]) <= 2, "dd ends with No space, of the disks' ledger",
                  full and full[0], seen)
        into, _, out, part, size = records(text)[0]
        row.claim(into == out + 1 and out * block <= size <= (out + part) * block and
                  size > 0.9 * PAGE * int(full[2]),
                  "one record more in than out, nearly as many as the ledger has pages", records(text), seen)
        row.claim(seen.children() == [10], "the fork bomb runs", seen.children(), seen)
        row.claim("reboot" in seen.result.reason, "the machine restarts by itself", seen.result.reason, seen)
        return f"No space after {out} records; {into}+0 in, {out}+{part} out; ten children; a clean restart"
    return Row("m", "`mdconfig -a -t malloc -o noreserve -s 300m; dd if=/dev/urandom of=/dev/md0 bs=4096; "
               "forkbomb -n 10; reboot` with 128 MB of memory", "FreeBSD: reported as that way to a panic; no figures are handed down", [boot], judge)


def row_n(small):
    size, single = (1, 1000) if small else (16, 10000)
    boot = Boot(f"mdconfig -a -t malloc -s {size}m; mdconfig -a -t malloc -s {size}m; ledgers; "
                f"dd if=/dev/urandom of=/dev/md0 bs=4096; dd if=/dev/urandom of=/dev/md0 bs=1 count={single}; "
                "dd if=/dev/md0 of=/dev/md1 bs=64K; cmp /dev/md0 /dev/md1; mdconfig -l; mdconfig -d -u 1; "
                "mdconfig -d -u 0; mdconfig -l; audit; halt")

    def judge(row, seen):
        blocks = size * 256
        expected = [[blocks + 1, 0, blocks, 0, size << 20], [single, 0, single, 0, single],
                    [size * 16, 0, size * 16, 0, size << 20]]
        got = records(seen.result.console)
        row.claim(got == expected, "filled to the last byte, written byte by byte, read to the end", got, seen)
        same = seen.lines("cmp /dev/md0 /dev/md1")
        row.claim(same == [], "what is read is what was written", same, seen)
        told = seen.lines("mdconfig -l")
        row.claim(told == [f"md{unit}  {size}M  reserved  used {size}M  open 0 times" for unit in (0, 1)],
                  "all of it is reserved", told, seen)
        left = seen.lines("mdconfig -l", 1)
        row.claim(left == [], "both are removed", left, seen)
        return f"{blocks}+0 records of 4096 bytes out, then No space: its end; {single} of one byte; equal when compared"
    return Row("n", f"a disk of {size}m filled completely, also with bs=1 count={single}, read back and compared",
               "FreeBSD: part of that report; no figures are handed down", [boot], judge)


def row_o(small):
    rounds, count = (40, 64) if small else (400, 512)
    dds = "; ".join(f"dd if=/dev/urandom of=/dev/md{unit} bs=8K count={count} &" for unit in range(EIGHT))
    boot = Boot("; ".join(["mdconfig -a -t malloc -s 4m"] * EIGHT) +
                f"; forkbomb -s churn -n {rounds} &; {dds}; wait; " +
                "; ".join(f"mdconfig -d -u {unit}" for unit in range(EIGHT)) + "; mdconfig -l; audit; halt")

    def judge(row, seen):
        text = seen.result.console
        written = [len(re.findall(rf"{count}\+0 records {way}", text)) for way in ("in", "out")]
        row.claim(written == [EIGHT, EIGHT], "each of the eight writes its disk", written, seen)
        done = len(re.findall(r"\[\d+\] (?:dd|forkbomb): done", text))
        row.claim(done == EIGHT + 1, "all end well", done, seen)
        row.claim(seen.children() == [5 * rounds], "no child is denied", seen.children(), seen)
        row.claim(seen.lines("mdconfig -l") == [], "all disks are removed", seen.lines("mdconfig -l"), seen)
        return f"{EIGHT} times {count} records of 8K written beside {5 * rounds} children started and killed"
    return Row("o", "eight dd at once on eight disks beside `forkbomb -s churn` (the large compile job)",
               "FreeBSD: part of that report; no figures are handed down", [boot], judge)


def rows(small):
    return [make(small) for make in (row_l, row_m, row_n, row_o)]

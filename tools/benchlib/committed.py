# SPDX-License-Identifier: BSD-2-Clause
"""The committed medians, tests/bench/committed.tsv: build, CPU model, operation, instructions."""

import csv
import os

import weirvm

PATH = os.path.join(weirvm.ROOT, "tests", "bench", "committed.tsv")
TOLERANCE = 1.02


def write(medians, comment, path=PATH):
    """medians: {(build, cpu, name): instructions}."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"# Median instructions, as `make bench WRITE=1` writes them: {comment}\n")
        file.write("build\tcpu\tname\tmedian\n")
        for key, median in medians.items():
            file.write("\t".join((*key, str(median))) + "\n")


def read(path=PATH):
    """({key: instructions}, the comment)."""
    with open(path, encoding="utf-8", newline="") as file:
        comment = file.readline()
        rows = csv.DictReader(file, delimiter="\t")
        return {(row["build"], row["cpu"], row["name"]): int(row["median"]) for row in rows}, comment


def regression(key, measured, committed):
    """What to say of it; empty when it is no slower than the tolerance allows."""
    if key not in committed:
        return f"{' '.join(key)}: not in the committed file"
    before = committed[key]
    if measured <= before * TOLERANCE:
        return ""
    return (f"{' '.join(key)}: {measured} instructions, committed are {before} "
            f"(+{100 * (measured - before) / max(before, 1):.1f} %)")


def regressions(medians, committed):
    """Lines for everything that is slower, new, or no longer measured."""
    wrong = [line for key, median in medians.items() if (line := regression(key, median, committed))]
    return wrong + [f"{' '.join(key)}: is no longer measured" for key in committed if key not in medians]

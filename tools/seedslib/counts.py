# SPDX-License-Identifier: BSD-2-Clause
"""Rows (a) to (g): at how many processes a fork bomb ends, and what that depends on.

How many children there can be is worked out as anyone can at the console: `ledgers` before and
after a hundred children more tells the things that one child is made of, `sizes` how many of each
fit in a page. So a child costs so many bytes of the zone map, and with its own pages so many of RAM.
"""

import dataclasses
import textwrap

from console_text import DENIED, read_sizes
from .rows import Boot, Row

PAGE = 4096
FEW, MANY = 20, 120
# The ledger's word for what lies in each zone.
RESOURCES = {"task": "tasks", "thread": "threads", "vm_object": "objects", "vm_entry": "entries",
             "message": "messages", "name": "names", "port": "ports", "nodes": "nodes", "fpu": "fpus"}


@dataclasses.dataclass
class Child:
    """What one costs, in bytes, and what there is besides: the keeper, the first bomber."""
    things: dict
    zone: float
    ram: float
    fixed_zone: float
    fixed_ram: float

    def fit(self, root):
        """(how many, "zone_map" or "ram") beside what root uses already."""
        zone = (root["zone_map"]["limit"] - root["zone_map"]["used"] - self.fixed_zone) / self.zone
        ram = (root["ram"]["limit"] - root["ram"]["used"] - self.fixed_ram) / self.ram
        return (zone, "zone_map") if zone < ram else (ram, "ram")

    def text(self):
        parts = [f"{number:.3g} {name}" for name, number in self.things.items() if number]
        return ", ".join(parts) + f": {self.zone:.0f} bytes, {self.ram:.0f} with its own pages"


def measure(ports=0):
    """A boot that tells what a child that holds so many more ports is made of."""
    bomb = f"in root forkbomb -p {ports}" if ports else "in root forkbomb"
    return Boot(f"ledgers; {bomb} -n {FEW} -k &; sleep 2000; ledgers; {bomb} -n {MANY} -k &; sleep 3000; "
                "ledgers; sizes; halt")


def child_of(row, seen):
    """The Child, from such a boot."""
    row.claim(seen.children() == [FEW, MANY] and "forkbomb" not in "".join(seen.lines("sizes")),
              f"{FEW} and {MANY} children have started before they are counted", seen.children(), seen)
    start, few, many = (seen.root(i) for i in range(3))
    per_page = read_sizes(seen.lines("sizes"))

    def each(resource):
        """Of what MANY children and their keeper use more than FEW do and theirs."""
        more = many[resource]["used"] - few[resource]["used"]
        return (more - (few[resource]["used"] - start[resource]["used"])) / (MANY - FEW)

    things = {resource: each(resource) for resource in RESOURCES.values() if resource in many}
    things["kpages"] = each("kpages")
    zone = things["kpages"] * PAGE + sum(things.get(resource, 0) * PAGE / per_page[name]
                                         for name, resource in RESOURCES.items())
    pages = each("resident_pages")
    child = Child({**things, "pages of its own": pages}, zone, zone + pages * PAGE, 0, 0)
    child.fixed_zone = few["zone_map"]["used"] - start["zone_map"]["used"] - FEW * child.zone
    child.fixed_ram = few["ram"]["used"] - start["ram"]["used"] - FEW * child.ram
    return child


def row_a(small):
    boots, times = (2, 3) if small else (5, 5)
    boot = Boot("; ".join(["in root forkbomb"] * times) + "; audit; halt")

    def judge(row, *seen):
        counts = [one.children() for one in seen]
        flat = [count for one in counts for count in one]
        row.claim(all(len(one) == times for one in counts), "each bomb tells its children", counts)
        row.claim(max(flat) - min(flat) <= 2, f"{times} bombs in each of {boots} boots end at the same number, "
                  "within 2", counts, seen[0])
        row.claim(all(set(one.denials()) == {("ram", "root")} for one in seen),
                  "each ends with its denial", [one.denials() for one in seen], seen[0])
        return f"{times} times in {boots} boots: {min(flat)} to {max(flat)}, each with a denial"
    return Row("a", "the number of processes at which it ends is constant",
               'Mach: constant; it died of "zalloc failed: zone map exhausted". GNU Mach (April 2026): 5850 tasks by '
               "fork with 128 MB, 12800 with 256 MB, then it hangs", [boot] * boots, judge, [boot.command()])


def row_b(small):
    """MEM x ZONE_MAP."""
    memories = ("128M",) if small else ("128M", "256M", "384M")
    maps = ("4M", "8M", "64M") if small else ("4M", "8M", "16M", "32M", "64M", "1G")
    places = [(memory, size) for memory in memories for size in maps]
    boots = [Boot("ledgers; in root forkbomb; audit; halt", memory, size) for memory, size in places]

    def judge(row, first, *seen):
        child = child_of(row, first)
        counts = {}
        row.more = [*textwrap.wrap(f"One child is {child.text()}.", 108), "",
                    "| MEM | ZONE_MAP | children | by `sizes` | denied |", "| --- | --- | --- | --- | --- |"]
        for place, one in zip(places, seen):
            (expected, full), root = child.fit(one.root()), one.root()
            counts[place] = count = (one.children() or [-1])[0]
            denied = DENIED.search(one.result.console)
            name = f"MEM={place[0]} ZONE_MAP={place[1]}"
            row.claim(abs(count - expected) <= expected * 0.02,
                      f"{name}: the count is what `sizes` allows within 2 %", (count, expected), one)
            row.claim(denied and denied[1] == full, f"{name}: the denial names {full}",
                      denied and denied[0], one)
            too_large = root["zone_map"]["limit"] >= root["ram"]["limit"] * 0.9
            row.claim(("do not fit into RAM" in one.result.console) == too_large,
                      f"{name}: a zone map that does not fit is clamped with a message", None, one)
            row.more.append(f"| {place[0]} | {place[1]} | {count} | {expected:.0f} | {full} |")
        for memory in memories:
            ratio = counts[memory, "8M"] / counts[memory, "4M"]
            row.claim(1.9 <= ratio <= 2.2, f"MEM={memory}: the count halves from 8M to 4M", ratio)
        if not small:
            flat = counts["128M", "64M"], counts["128M", "1G"]
            row.claim(abs(flat[0] - flat[1]) <= 2, "MEM=128M: beyond what RAM allows the count is flat", flat)
        worst = max(abs(counts[place] / child.fit(one.root())[0] - 1) for place, one in zip(places, seen))
        return (f"{counts['128M', '4M']} at 4M, {counts['128M', '8M']} at 8M, {counts['128M', '64M']} at 64M where RAM "
                f"ends it (128 MB); at all sizes within {worst * 100:.1f} % of what `sizes` says; all boot")
    return Row("b", "memory x zone map: the count halves from 8M to 4M and flattens where RAM takes over",
               "a zone map above 16M did not boot", [measure()] + boots, judge,
               [measure().command(), boots[0].command(),
                f"... and so on for MEM={', '.join(memories)} and ZONE_MAP={', '.join(maps)}"])


def row_c(small):
    held = (0, 20) if small else (0, 10, 20, 40)
    flood = Boot("ledgers; " + "; ".join("in root forkbomb" + (f" -p {ports}" if ports else "") for ports in held)
                 + "; audit; halt", zone_map="8M" if small else "16M")

    def judge(row, seen, *measured):
        counts = seen.children()
        row.claim(len(counts) == len(held), "each bomb tells its children", counts, seen)
        expected = [child_of(row, one).fit(seen.root())[0] for one in measured]
        for ports, count, fit in zip(held, counts, expected):
            row.claim(abs(count - fit) <= fit * 0.02,
                      f"with {ports} ports more in each child the count is what `sizes` allows within 2 %",
                      (count, fit), seen)
        row.claim(counts == sorted(counts, reverse=True), "more ports, fewer children", counts, seen)
        return "; ".join(f"{ports} ports more each: {count} (by sizes {fit:.0f})"
                         for ports, count, fit in zip(held, counts, expected))
    return Row("c", "the number depends on how the bomb was started: on the ports that each child holds",
               "the number changed with it", [flood] + [measure(ports) for ports in held], judge,
               [flood.command(), measure(held[-1]).command()])


def row_d(_small):
    boot = Boot("limit user kmem=none resident_pages=none; forkbomb; in root forkbomb; audit; halt",
                zone_map="8M")

    def judge(row, seen):
        counts = seen.children()
        row.claim(len(counts) == 2 and abs(counts[0] - counts[1]) <= 2,
                  "the same count as a user without a limit and as root, within 2", counts, seen)
        row.claim(seen.denials() == [("zone_map", "root")] * 2, "the same denial", seen.denials(), seen)
        return f"{counts[0]} and {counts[1]}; by default a user has a limit below that, and is told so"
    return Row("d", "as user or as root", "the same count", [boot], judge)


def row_e(_small):
    boot = Boot("in root forkbomb; in root forkbomb -r 100; audit; halt", zone_map="8M")

    def judge(row, seen):
        counts = seen.children()
        fast, slow = seen.numbers(r"children in (\d+) ms")
        row.claim(abs(counts[0] - counts[1]) <= 2, "the same count slowly and fast, within 2", counts, seen)
        row.claim(slow >= counts[1] * 9, "a hundred in a second take their time", slow, seen)
        return f"{counts[0]} in {fast} ms, {counts[1]} in {slow} ms"
    return Row("e", "created slowly or as fast as possible", "the same count", [boot], judge)


def row_f(small):
    times = 1 if small else 3
    # A child that was denied even its report looks for the end of its flood every 3200 ms at the latest; until then it holds
    # what the next flood would have.
    boot = Boot("; ".join(["in root forkbomb -s chain; in root forkbomb -s tree; sleep 3300"] * times) + "; audit; halt",
                zone_map="8M" if small else "16M")

    def judge(row, seen):
        chain, tree = seen.children()[0::2], seen.children()[1::2]
        row.claim(seen.denials() == [("zone_map", "root")] * (2 * times), "each ends with its denial",
                  seen.denials(), seen)
        # The last one may be denied before or after it counts.
        row.claim(min(chain + tree) > 100 and max(chain) - min(chain) <= 1,
                  "chain and tree have their children, a chain the same number each time within one", (chain, tree), seen)
        return (f"chain {', '.join(map(str, chain))}; tree {', '.join(map(str, tree))}; "
                "each with a denial, everything comes back")
    return Row("f", "each child forks the next (chain), or two (tree)",
               "GNU Mach: 1940 nested tasks with 128 MB, 3970 with 256 MB, then it hangs. Linux: an innocent process is "
               "killed first, no exec works after 33 s (128 MB); no answer in 200 s (256 MB)", [boot], judge)


def row_g(small):
    rounds = 1000 if small else 100000
    boot = Boot(f"in root forkbomb -s churn -n 100; sleep 300; zones; ledgers; in root forkbomb -s churn -n {rounds}; "
                "sleep 300; zones; ledgers; audit; halt", limit=600)

    def judge(row, seen):
        before, after = seen.root(0), seen.root(1)
        pages = [seen.number(r"zones, (\d+) pages", seen.lines("zones", i)) for i in (0, 1)]
        started = seen.number(r"forkbomb: (\d+) children", seen.lines(f"in root forkbomb -s churn -n {rounds}"))
        row.claim(started == 5 * rounds, f"five children are started {rounds} times", started, seen)
        # The console itself comes to use a page or two.
        grown = {resource: (before[resource]["used"], used["used"]) for resource, used in after.items()
                 if used["used"] > before[resource]["used"] +
                 (4 * PAGE if resource in ("kmem", "zone_map", "ram") else 3)}
        row.claim(not grown, "nothing that the root ledger counts has grown", grown, seen)
        row.claim(0 < pages[1] <= pages[0] + 2, "nor have the zones", pages, seen)
        return f"{started} children, {pages[0]} zone pages before and {pages[1]} after, kernel bytes " \
               f"{before['kmem']['used']} and {after['kmem']['used']}"
    return Row("g", "five children started and killed in quick succession, over and over",
               "seen; no figures are handed down", [boot], judge)


def rows(small):
    return [make(small) for make in (row_a, row_b, row_c, row_d, row_e, row_f, row_g)]

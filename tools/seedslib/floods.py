# SPDX-License-Identifier: BSD-2-Clause
"""Rows (h) to (k): other floods, the server that is flooded, holes in maps, a spike."""

import re

from .rows import Boot, Row

ENTRY_LIMIT = 65530         # Linux's default, vm.max_map_count
UNMAPPED = r"holes: (\d+) could not be unmapped; (-?\d+) bytes leaked"


def row_h(small):
    """Each kind of thing, taken by one task and by many."""
    tasks = (10,) if small else (1, 10, 100)
    floods = ("portflood", "portflood -s own", "threadbomb", "memhog -s entries", "msgflood", "msgflood -s once")

    def flood(number):
        words = "".join(f"; in root {name} -t {number}" for name in floods)
        return Boot("in root forkbomb" + words + "; in root forkbomb; audit; halt", zone_map="8M" if small else "16M")

    def judge(row, *seen):
        parts = []
        for number, one in zip(tasks, seen):
            taken = one.numbers(r"(?m)^[a-z]+: (\d+) [a-z]+ in \d+ ms")
            row.claim(len(taken) == len(floods) + 2 and min(taken) > 100,
                      f"{number} tasks: each flood has its way until it is denied", taken, one)
            row.claim(len(one.denials()) == len(floods) + 2 and
                      all(denial in (("zone_map", "root"), ("ports", "services"), ("ram", "root"))
                          for denial in one.denials()),
                      f"{number} tasks: each ends with its denial, as fork() does", one.denials(), one)
            row.claim("could not be given back" not in one.result.console,
                      f"{number} tasks: all that was taken is given back", None, one)
            row.claim(abs(taken[0] - taken[-1]) <= 2, f"{number} tasks: a fork bomb ends after them at the "
                      "same number as before, within 2", taken, one)
            parts.append(f"{number}: {taken[1]} open, {taken[2]} ports, {taken[3]} threads, {taken[4]} entries, "
                         f"{taken[5]} messages")
        return f"from so many tasks: {'; '.join(parts)}; fork {taken[0]}. All end with the same kind of denial"
    return Row("h", "open() against fork(): ports, threads, map entries and messages, from 1, 10 and 100 tasks",
               "GNU Mach, 128 MB: 200000 ports in one task are clean (with 48 MB it hangs at 150000), 71500 threads "
               "hang, 24500 messages hang, 32438 map entries end with KERN_NO_SPACE, fork() hangs",
               [flood(number) for number in tasks], judge)


def row_i(small):
    """More ports to one server than 15 and 16 bits count."""
    first, second, pause = (33000, 2000, 4000) if small else (33000, 70000, 45000)
    # The second flood is task 4: console and server are 1 and 2.
    boot = Boot(f"servers; in root portflood -n {first}; servers; in root portflood -n {second} -k &; "
                f"sleep {pause}; servers; kill 4; in root portflood -n 100; sleep {pause}; servers; ps; audit; halt",
                mem="256M" if small else "512M", limit=300)

    def judge(row, seen):
        instances = [seen.lines("servers", i) for i in range(4)]
        opened = seen.numbers(r"(?m)^portflood: (\d+) ports in")
        row.claim(opened == [first, second, 100], "all ports are opened", opened, seen)
        row.claim(instances[0] and all(one[-1:] == instances[0] for one in instances) and
                  instances[0][0].endswith("started 1 times"),
                  "the same instance of the server answers before, meanwhile and after", instances, seen)
        names = seen.number(r"(?m)^ *2 null +\S+ +(\d+)", seen.lines("ps"))
        row.claim(0 < names <= 10, "all at once are closed with the task, and the server keeps none", names, seen)
        # What of the line tells that it is the same one.
        instance = re.sub(r", \d+ threads, .*,", ",", instances[-1][0])
        return (f"{first} and {second} opened, the latter closed at once by killing the task; then "
                f"{instance}, it holds {names} names")
    return Row("i", "more than 32,768 and more than 65,536 ports to the null server, closed all at once",
               "seen at these numbers; no figures are handed down", [boot], judge)


def row_j(small):
    """Single pages mapped, every second one unmapped; the holes of a range."""
    pages = " -n 13102" if small else ""
    every = [f"in root holes{shape}{pages}" for shape in ("", " -s malloc", " -s later", " -s range")]
    limited = [word.replace("in root", "in few") for word in every]
    limit = ENTRY_LIMIT // 10 if small else ENTRY_LIMIT
    if small:
        every, limited = every[:2] + every[3:], limited[:2] + limited[3:]
    room = Boot("; ".join(every) + "; audit; halt", mem="192M" if small else "768M")
    few = Boot(f"ledger few entries={limit}; " + "; ".join(limited) + "; audit; halt",
               mem=room.mem)
    full = Boot("; ".join(every) + "; audit; halt", zone_map="1M" if small else "8M")

    def judge(row, *seen):
        mapped = []
        for boot, one, count in zip(("with room", f"at {limit} map entries", "with a full zone map"), seen,
                                    (0, len(every), len(every))):
            unmapped = re.findall(UNMAPPED, one.result.console)
            row.claim(len(unmapped) == len(every), f"{boot}: all of them end", unmapped, one)
            row.claim(all(end == ("0", "0") for end in unmapped), f"{boot}: nothing could not be unmapped, and not "
                      "a byte is leaked", unmapped, one)
            row.claim(len(one.denials()) == count, f"{boot}: " + ("mapping is denied" if count else
                      "nothing is denied"), one.denials(), one)
            mapped.append(one.numbers(r"holes: (?:mapped|made) (\d+)"))
        row.claim(not small and mapped[0] == [131030, 131030, 131030, 65536] or
                  small and mapped[0] == [13102] * 3, "with room all is mapped, and all holes are made", mapped[0],
                  seen[0])
        return (f"with room {mapped[0][0]}, at {limit} entries {mapped[1][0]}, in a zone map of {full.zone_map} "
                f"{mapped[2][0]} pages mapped; no unmapping was ever denied, not a byte leaked by free; holes in one "
                f"range {mapped[0][-1]}, {mapped[1][-1]}, {mapped[2][-1]}, the whole given back each time")
    return Row("j", "131,030 single pages mapped, every second one unmapped; by malloc and free; 40,012 others before; "
               "one range of 512 MiB punched 65,536 times",
               "Linux: 65,530 mappings, then munmap can fail", [room, few, full], judge)


def row_k(small):
    """A spike of all kinds of objects, then memory for pages."""
    each = 6000 if small else 200000
    boot = Boot(f"in root spike -n {5 * each}; in root memhog; audit; halt", mem="96M" if small else "2G",
                zone_map="64M" if small else "1600M", limit=300)

    def judge(row, seen):
        zones = seen.numbers(r"spike: [a-z ]+: \d+ objects in (\d+) zone pages")
        free = seen.numbers(r"zone pages, (\d+) pages free")
        served = seen.number(r"memhog: (\d+) pages")
        row.claim(seen.number(r"spike: (\d+) things") == 5 * each, "all of the spike is taken", None, seen)
        spike = free[0] - free[1]
        row.claim(free[2] >= free[0] - spike * 0.01, "free pages are as before", free, seen)
        row.claim(zones[2] - zones[0] <= (zones[1] - zones[0]) * 0.01 + 32, "and zone pages", zones, seen)
        share = (served - free[1]) / spike
        row.claim(share >= 0.95, "at least 95 % of the spike's pages serve a memory hog", share, seen)
        return (f"zone pages {zones[0]}, {zones[1]}, {zones[2]} before, at the peak and after; free pages {free[0]}, "
                f"{free[1]}, {free[2]}; then a memory hog got {served}: {share * 100:.1f} % of the spike's pages served it")
    return Row("k", f"a spike of {each:,} ports, threads, tasks, map entries and messages, then given back",
               "FreeBSD panicked in kmem_malloc, then slept unkillably at a zone limit; pages of a type-stable zone "
               "(NOFREE) never serve anything else again", [boot], judge)


def rows(small):
    return [make(small) for make in (row_h, row_i, row_j, row_k)]

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each console command: what it does, and that what is wrong is told and changes nothing."""

import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "floods"))
from floodlib import DENIED, read_ledgers, read_zones, slack  # noqa: E402
from harness import Tap, boot, comment  # noqa: E402

CTRL_C = "\x03"
COMMANDS = ("in kill wait sleep echo help ledgers ledger limit guarantee weight denials zones zone sizes "
            "ports ps top servers server devices mem audit cmdline halt reboot debug").split()
RESOURCES = ("tasks threads ports names entries objects messages virtual_pages resident_pages nodes kpages "
             "fpus ledgers kmem ram memory")

# What is wrong, and what is said to it: literally, or as a pattern where numbers vary. The ledger `small`
# has tasks=9, the console guarantees.
WRONG = (
    ("nosuch", "nosuch: no such command or program; try `help`"),
    ("nosuch &", "nosuch: no such command or program; try `help`"),
    ("&", "&: nothing to start"),
    ("echo 'open", "a quote is not closed"),
    ("help nosuch", "nosuch: no such command or program; try `help`"),
    ("ps x", "usage: ps"),
    ("sleep", "usage: sleep MS"),
    ("sleep soon", "soon: not a number"),
    ("sleep 86400001", "86400001: longer than a day"),
    ("wait 3", "usage: wait"),
    ("top x", "x: not a number"),
    ("in small", "usage: in LEDGER NAME [WORD...]"),
    ("in nosuch forkbomb", "nosuch: no such ledger; `ledgers` lists them"),
    ("in small nosuch", "nosuch: no such command or program; try `help`"),
    ("in small ps", "ps: a command of the console, no program"),
    ("in nosuch server null", "nosuch: no such ledger; `ledgers` lists them"),
    ("in small server", "usage: in LEDGER server NAME [WORD...]"),
    ("in small server nosuch", "nosuch: no such server; there is null"),
    ("server", "usage: server NAME [WORD...]"),
    ("server nosuch --throttle=none", "nosuch: no such server; there is null"),
    ("server null 1 2 3 4 5 6 7 8", "server: more than 8 words or 255 characters"),
    *((f"{place}server null {words}", r"usage: null \[--throttle=none\|cap\|pool\] .*\n"
       r"\[\d+\] null: status 64\nserver: null does not start so; all is as before")
      for place, words in (("", "--throttle=all"), ("", "--throttle=cap --threads=0"), ("in small ", "--threads=3"),
                           ("in small ", "--throttle=none --threads=3"), ("", "--Throttle=none"), ("", "cap"))),
    ("ledger", "usage: ledger [PARENT/]NAME [RES=N...]"),
    ("ledger new foo=3", f"foo: no such resource; they are: {RESOURCES}"),
    ("ledger new tasks", "tasks: not RESOURCE=NUMBER"),
    ("ledger new tasks=3 ports=many", "many: not a number"),
    ("ledger tasks=3", "tasks=3: a name has 1 to 31 characters, a letter first and no ="),
    ("ledger 7", "7: a name has 1 to 31 characters, a letter first and no ="),
    ("ledger nosuch/new", "nosuch: no such ledger; `ledgers` lists them"),
    ("ledger user/small", "small: is there already, below root"),
    ("limit small", "usage: limit LEDGER RES=N|none..."),
    ("limit nosuch tasks=3", "nosuch: no such ledger; `ledgers` lists them"),
    ("limit small tasks=3 kmem=", "nothing: not a number"),
    ("limit small tasks=3 kmem=3T", "3T: not a number"),
    ("limit small tasks=-3", "-3: not a number"),
    ("limit console kmem=1G ports=1", r"limit: ports: its guarantee is \d+, a limit cannot be less"),
    ("guarantee small tasks", "tasks: not RESOURCE=NUMBER"),
    ("guarantee small ports=none", "none: not a number"),
    ("guarantee small ports=9 tasks=10", "guarantee: tasks: its limit is 9, a guarantee cannot be more"),
    ("limit root ram=8M", "limit: ram: the machine's is the root's, and cannot be changed"),
    ("guarantee small ram=8M", "guarantee: ram: things are guaranteed, not bytes"),
    ("guarantee small ports=9 kmem=3", "guarantee: kmem: things are guaranteed, not bytes"),
    ("guarantee small ports=9 names=1G", "guarantee: names: a ledger or the machine is full\n"
                                         r"denied: zone_map in ledger root: \w+ of 4M"),
    ("guarantee root ports=9", "guarantee: ports: nobody has so many guaranteed, and the root none"),
    ("weight small 0", "weight: 1 to 10000, of a ledger directly below the root"),
    ("weight small x", "x: not a number"),
    *((f"{program} {words}", rf"{program}: {what}\n{program}: status 64") for program, words, what in (
        ("forkbomb", "--all", r"unknown option: --all\nusage: (.|\n)*"), ("forkbomb", "-nope", "-n: not a number: ope"),
        ("forkbomb", "-s", r"option needs a value: -s\nusage: (.|\n)*"),
        ("forkbomb", "-s odd", r"-s: no such shape: odd\nusage: (.|\n)*"),
        ("forkbomb", "9", r"not an option: 9\nusage: (.|\n)*"),
        ("bench", "task_self nosuch", "nosuch: no such operation; there are .* task_self .*"),
        ("bench", "-n 9", r"-n: not a number from 10 to 10000: 9\nusage: (.|\n)*"),
        ("ask", "-t x sleep 0", r"not a number up to \d+: x"), ("cmp", "-n x /dev/null /dev/null", "-n: not a size: x"),
        ("hexdump", "-s x /dev/null", "-s: not a size: x"))),
    ("zones -x", "zones: -x: the only option is -s (by size)"),
    ("zone nosuch", "nosuch: no such zone; `zones` lists them"),
    ("zone nosuch max=3", "nosuch: no such zone; `zones` lists them"),
    ("zone port 3", "3: not max=N or max=none"),
    ("zone port max=x", "x: not a number"),
    ("ports x", "x: not a number"),
    ("ports 99999", "ports: no task 99999; `ps` lists them"),
    ("kill 99999", "kill: no task 99999; `ps` lists them"),
    ("kill nosuch", "nosuch: no such ledger; `ledgers` lists them"),
    ("kill %99", "kill: %99: no program of that number runs"),
    ("kill 1", "kill: that is the console itself"),
    ("kill root", "kill: root: the machine could not go on without it"),
    ("kill console", "kill: console: the machine could not go on without it"),
    ("kill services", "kill: services: the machine could not go on without it"),
    ("debug what", "what: not panic, triplefault, hang, fault or stretch"),
    ("halt 256", "256: a status is 0 to 255"),
    ("halt now", "now: not a number"),
)

tap = Tap(__file__)


class Console:
    def __init__(self, machine):
        self.machine = machine
        self.do = machine.command

    def background(self, command, pattern):
        """Starts it and waits until it has printed that; its number."""
        self.machine.send(f"{command} & ; sleep 60000\n")
        number = self.machine.expect(r"\n\[(\d+)\] ")[1]
        self.machine.expect(pattern)
        self.interrupt()
        return number

    def interrupt(self):
        self.machine.send(CTRL_C)
        self.machine.expect(r"\^C\n")
        return self.machine.prompt(60)

    def tasks(self):
        """{id: [name, ledger, ports, threads, entries]}"""
        return {int(words[0]): words[1:3] + [int(word) for word in words[3:6]]
                for words in (line.split() for line in self.do("ps")[1:])}

    def tasks_of(self, name):
        return [number for number, task in self.tasks().items() if task[0] == name]

    def ledgers(self):
        return read_ledgers(self.do("ledgers"))

    def heads(self):
        return re.findall(r"(?m)^ *(\S+) \(\d+\): \d+ tasks, weight (\d+)", "\n".join(self.do("ledgers")))

    def state(self):
        """All that a command may change: tasks, ledgers with their limits and guarantees, zones' maxima."""
        rows = {key: (row["limit"], row.get("guarantee", 0)) for key, row in self.ledgers().items()
                if row["limit"] != float("inf") or row.get("guarantee")}
        return (sorted(self.tasks()), self.heads(), rows,
                [line.split()[-1] for line in self.do("zones")[1:-1]])

    def used(self):
        found = {("zone", zone): n for zone, n in read_zones(self.do("zones")).items()}
        for key, row in self.ledgers().items():
            if key[1] not in ("zone_map", "ram"):
                found[key] = row["used"]
        return found

    def not_back(self, before):
        """What is not as before after a while: {what: (before, now)}."""
        end = time.monotonic() + 20
        while True:
            left = {what: (before.get(what, 0), n) for what, n in self.used().items()
                    if n > before.get(what, 0) + slack(what)}
            if not left or time.monotonic() > end:
                return left

    def eventually(self, value, expected):
        """The last of its values, which should come to be that one."""
        end = time.monotonic() + 20
        while value() != expected and time.monotonic() < end:
            pass
        return value()


def show_what_is_there(c, m):
    lines = c.do("help")
    tap.equal([line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "
               and line.split()[0] in COMMANDS], COMMANDS, "help lists every command", machine=m)
    for program in ("forkbomb", "null", "vm_test"):
        tap.contains(lines, rf"\b{program}\b", f"help lists the program {program}", machine=m)
    for name in COMMANDS:
        text = c.do(f"help {name}")
        lines += text
        tap.ok(re.match(rf"usage: {name}( |$)", text[0]) and len(text) >= 2
               and any(text[1].strip() in line for line in lines), f"help {name} tells its use", text,
               machine=m)
    tap.contains(c.do("help forkbomb"), "^forkbomb: a program; .* -h", "help of a program says how to ask it",
                 machine=m)
    lines += [line for command in ("ps", "zones", "sizes", "ports 1", "ledgers", "mem", "denials")
              for line in c.do(command)]
    tap.equal([line for line in lines if len(line) > 80], [], "lines have 80 columns at most", machine=m)
    tap.equal([line for line in lines if line != line.rstrip()], [], "no line ends with blanks", machine=m)
    tap.contains(c.do("cmdline"), "^.*x{700}$", "cmdline prints a long line whole", machine=m)


def say_what_is_wrong(c, m):
    before = c.state()
    for command, text in WRONG:
        got = "\n".join(c.do(command))
        tap.ok(got == text or re.fullmatch(text, got), f"{command}: is told what is wrong", got, text, machine=m)
    tap.equal(c.state(), before, "what was wrong has changed nothing", machine=m)


def run_programs(c, m):
    tap.equal(c.do("echo a 'b ; c'  \"d  e\"; echo f"), ["a b ; c d  e", "f"],
              "; parts commands, quotes keep words together", machine=m)
    tap.contains(c.do("forkbomb -n 3"), "^forkbomb: 3 children", "NAME ARGS runs a program", machine=m)
    lines = c.do("forkbomb -n 3 & ; echo meanwhile; wait; echo then")
    tap.ok(re.fullmatch(r"\[\d+\] forkbomb", lines[0]) and lines[1] == "meanwhile" and lines[-1] == "then"
           and re.fullmatch(r"\[\d+\] forkbomb: done", lines[-2]),
           "& runs a program in the background, wait waits for it", lines, machine=m)
    tap.contains(c.do("devices"), r"^/dev/null: null\n/dev/zero: null\n/dev/full: null\n/dev/random: null\n"
                 r"/dev/urandom: null$", "devices tells names and servers", machine=m)
    began = time.monotonic()
    c.do("sleep 400")
    tap.ok(0.35 < time.monotonic() - began < 20, "sleep waits so many milliseconds",
           time.monotonic() - began, "0.4 s", machine=m)


def keep_ledgers(c, m):
    c.do("ledger room/none")
    text = c.do("ledger room tasks=6 memory=1M ports=1K virtual_pages=2M kmem=1G")
    rows = read_ledgers(text)
    tap.equal({key[1]: row["limit"] for key, row in rows.items()},
              {"tasks": 6, "resident_pages": 256, "ports": 1024, "virtual_pages": 2 << 20, "kmem": 1 << 30},
              "ledger makes one with limits; K, M, G; memory in bytes", machine=m)
    tap.equal(c.do("ledger room"), text, "ledger NAME shows it", machine=m)
    c.do("ledger room/inner kmem=120K")
    tree = "\n".join(c.do("ledgers"))
    tap.contains(tree, r"(?m)^root \(1\).*(\n  .*)*\n  room \(\d+\).*(\n    .*)*\n    inner \(",
                 "ledgers shows the tree", machine=m)
    tap.contains(c.do("in inner forkbomb"), r"denied: kmem in ledger inner: \w+ of 120K$",
                 "in LEDGER: the program meets its limit", machine=m)
    tap.contains(c.do("in room forkbomb"), r"denied: tasks in ledger room: 6 of 6$",
                 "and that of the ledger above", machine=m)
    row = c.ledgers()["room", "tasks"]
    # The bomber is denied; the keeper too, when it asks for tasks itself because a child was slow to report.
    tap.equal((row["used"], row["peak"], row["denials"] in (1, 2)), (0, 6, True),
              "ledgers tells peak and denials", machine=m)
    tap.contains(c.do("denials"), r"\+\d+ ms [12]x forkbomb: wanted 1, denied: tasks in ledger room: 6 of 6$",
                 "denials tells the newest last", machine=m)
    c.do("limit room tasks=4 ports=20")
    tap.contains(c.do("in room forkbomb"), r"denied: (tasks in ledger room: 4 of 4|ports in ledger room: 20 of 20)$",
                 "limit lowers", machine=m)
    c.do("limit room tasks=none ports=none memory=none")
    tap.contains(c.do("in room forkbomb -n 40"), r"forkbomb: 40 children", "limit RES=none lifts it", machine=m)
    c.do("guarantee room ports=30 names=40")
    rows = c.ledgers()
    tap.equal([rows["room", what].get("guarantee") for what in ("ports", "names")], [30, 40],
              "guarantee sets what is kept for a ledger", machine=m)
    c.do("guarantee room ports=0 names=0")
    tap.ok("guarantee" not in c.ledgers()["room", "ports"], "and takes it away again", machine=m)
    c.do("weight room 300")
    tap.ok(("room", "300") in c.heads(), "weight sets a ledger's share", c.heads(), machine=m)


def look_into_tasks(c, m):
    number = c.background("in room forkbomb -n 5 -p 7 -k", "5 children")
    tasks = c.tasks()
    bombs = {i: task for i, task in tasks.items() if task[0] == "forkbomb"}
    tap.ok(len(bombs) >= 6 and {task[1] for task in bombs.values()} == {f"forkbomb.{number}"},
           "ps shows tasks and their ledgers", bombs, machine=m)
    lines = c.do(f"ports {max(bombs)}")
    tap.equal(lines[-1].split()[:2], [str(bombs[max(bombs)][2]), "names:"],
              "ports shows as many names as ps counts", machine=m)
    tap.ok(len([line for line in lines if re.match(r" +\d+ receive +1 +0 +5 +0 +0 +0$", line)]) >= 7,
           "among them the ports that each child holds", lines, "7 or more empty receive rights", machine=m)
    # The server listens at two ports in a set; clients have send rights to one.
    text = "\n".join(c.do(f"ports {c.tasks_of('null')[0]}"))
    tap.contains(text, r"(?m)^ +(\d+) set +1(.|\n)* receive +1 +\d+ +5 +\d+ +\d+ +\d+ +\1$",
                 "ports shows queue, limit, rights and set of a receive right", machine=m)
    tap.contains(text, r"(?m)^ +\d+ send +\d+ task$", "and what a send right is to", machine=m)
    text = c.do("ports 1 2")
    tap.ok(len(text) == 5 and re.fullmatch(r" +\.\.\. \d+ more", text[3]), "ports TASKID N shows N of them",
           text, machine=m)
    tap.equal(len(c.tasks_of("forkbomb")), len(bombs), "a look changes nothing", machine=m)
    c.do(f"kill {max(bombs)}")
    tap.equal(c.eventually(lambda: len(c.tasks_of("forkbomb")), len(bombs) - 1), len(bombs) - 1,
              "kill TASKID ends that task", machine=m)
    m.send(f"kill %{number}\n")
    m.expect(rf"\[{number}\] forkbomb: killed\nweir> $")
    tap.equal(c.eventually(lambda: c.tasks_of("forkbomb"), []), [], "kill %N ends a program and its children",
              machine=m)


def look_into_zones(c, m):
    sizes = [line.rsplit(None, 5) for line in c.do("sizes")[1:]]
    tap.ok(len(sizes) >= 9 and all(int(row[4]) == (4 << 20) // int(row[1]) for row in sizes),
           "sizes tells the bytes of each object and how many of them the zone map is", sizes, machine=m)
    tap.ok(all(int(row[5]) == int(row[3]) * 1024 <= int(row[4]) for row in sizes),
           "and how many pages of them hold", sizes, machine=m)
    tap.equal(sorted(read_zones(c.do("zones -s"))), sorted(row[0] for row in sizes), "of every zone", machine=m)
    pages = [int(line.split()[4]) for line in c.do("zones -s")[1:-1]]
    tap.equal(pages, sorted(pages, reverse=True), "zones -s puts the largest first", machine=m)
    free = c.do("in root forkbomb")[0]
    used = read_zones(c.do("zones"))["task"]
    text = c.do(f"zone task max={used + 8}")
    tap.equal((len(text), text[1].split()[0], text[1].split()[-1]), (2, "task", str(used + 8)),
              "zone NAME max=N shows the zone with its maximum", machine=m)
    text = c.do("in root forkbomb")
    tap.equal(text[-1], f"denied: tasks in ledger root: {used + 8} of {used + 8}",
              "what a zone's maximum denies tells the maximum", machine=m)
    tap.ok(int(c.do("zone task")[1].split()[9]) > 0, "and the zone counts it", machine=m)
    c.do("zone task max=none")
    again = c.do("in root forkbomb")[0]
    counts = [int(re.search(r"(\d+) children", line)[1]) for line in (free, again)]
    tap.ok(counts[0] > 50 and abs(counts[0] - counts[1]) <= 2, "max=none lifts it", counts, machine=m)


def show_other_servers(c, m):
    c.do("in services counter &; in services slow -n other -w 2 &; mdconfig -a -t malloc -s 64k")
    expected = [("counter", "services", "counter"), ("md", "md", "md md0"), ("slow", "services", "other")]
    row = re.compile(r"(\w+): task \d+, \d+ threads, in (\w+), found as (.*)")
    tap.equal(c.eventually(lambda: sorted(match.groups() for line in c.do("servers") if (match := row.fullmatch(line))),
                           expected), expected, "servers tells of others than null, with their names", machine=m)
    # How they end may be told before or behind a prompt: so one line, which waits.
    c.do("; ".join(f"kill {c.tasks_of(name)[0]}" for name, _, _ in expected) + "; wait; sleep 500")
    gone = c.eventually(lambda: len(c.do("servers")), 1)
    tap.equal(gone, 1, "and no longer when they have ended", machine=m)


def server_of(c):
    """[task, threads, ledger, words, starts] as `servers` tells."""
    # How the one before has ended may be told in between, and the line be lost to us: ask again then.
    for _ in range(20):
        text = "\n".join(c.do("servers"))
        match = re.search(r"null: (?:task (\d+), (\d+) threads|not running), in (\S+): (.*), started (\d+) times",
                          text)
        if match is not None:
            break
        time.sleep(0.1)
    else:
        raise ValueError(f"servers tells {text!r}")
    return [int(word) if word and word.isdigit() else word for word in match.groups()]


def start_servers_anew(c, m):
    before = c.used()
    first = server_of(c)
    tap.equal(first, [2, 1, "services", "null", 1], "servers tells task, threads, ledger, words and starts", machine=m)
    lines = c.do("server null --throttle=cap --threads=3; echo then")
    tap.ok(len(lines) == 2 and re.fullmatch(r"\[\d+\] null: killed", lines[0]) and lines[1] == "then",
           "server NAME waits until the old one has ended", lines, machine=m)
    second = server_of(c)
    tap.equal((second[1:], second[0] > 2), ([1, "services", "null --throttle=cap --threads=3", 2], True),
              "another task serves with those words", machine=m)
    c.do("in small server null --throttle=pool")
    # A thread that manages, and one that serves.
    c.eventually(lambda: server_of(c)[1], 2)
    third = server_of(c)
    tap.equal(third[1:], [2, "small", "null --throttle=pool", 3], "in LEDGER server NAME runs it in that ledger",
              machine=m)
    tap.equal([task[:2] for task in c.tasks().values() if task[0] == "null"], [["null", "small"]],
              "and nowhere else", machine=m)
    c.do("server null --throttle=much")
    tap.equal(server_of(c), third, "with wrong words the same one goes on", machine=m)
    tap.contains(c.do("portflood -n 3"), "took 3 ports", "and answers", machine=m)
    # That it has ended may be told before or behind the prompt, which is shown again then.
    m.send(f"kill {third[0]}\n")
    m.expect(r"\[\d+\] null: killed\nweir> ")
    again = c.eventually(lambda: server_of(c)[1:], [2, "small", "null --throttle=pool", 4])
    tap.equal(again, [2, "small", "null --throttle=pool", 4], "when it dies it starts with the same words there",
              machine=m)
    m.send("ledger brief; in brief server null --throttle=none; kill brief\n")
    m.expect("server: null: its ledger is gone; from now on in services\nweir> ")
    tap.equal(c.eventually(lambda: server_of(c)[1:], [1, "services", "null --throttle=none", 6]),
              [1, "services", "null --throttle=none", 6], "and in services when its ledger has died", machine=m)
    c.do("server null")
    tap.equal(server_of(c)[1:], [1, "services", "null", 7], "server NAME alone starts it as at boot", machine=m)
    tap.equal(c.not_back(before), {}, "and everything is as before", machine=m)


def end_ledgers(c, m):
    before = c.used()
    c.do("ledger doomed")
    c.background("in doomed forkbomb -n 40 -k", "40 children")
    c.background("in doomed threadbomb -n 20 -k", "20 threads")
    tasks = c.tasks()
    m.send("kill doomed\n")
    m.expect(r"(?s)\[\d+\] .*: ended without a status\n.*\[\d+\] .*: ended without a status\nweir> $")
    tap.ok(len(tasks) > 42, "a ledger's two programs with their children run", len(tasks), "43 or more",
           machine=m)
    tap.equal(c.eventually(lambda: (c.tasks_of("forkbomb"), c.tasks_of("threadbomb")), ([], [])), ([], []),
              "kill LEDGER ends all its tasks", machine=m)
    tap.equal(c.eventually(lambda: "doomed" in dict(c.heads()), False), False, "it is gone itself", machine=m)
    tap.equal(c.not_back(before), {}, "and everything is back", machine=m)


def interrupt(c, m):
    for ledger in ("user", "root"):
        before = c.used()
        for shape in ("tree", "chain", "wide"):
            m.send(f"in {ledger} forkbomb -s {shape} -k\n")
            m.expect(DENIED.pattern)
            many = int(re.findall(r"(\d+) children", m.text)[-1])
            c.interrupt()
            m.send("\n")
            m.prompt()
            tap.ok(many > 50 and c.eventually(lambda: c.tasks_of("forkbomb"), []) == [],
                   f"Ctrl-C of a forkbomb in {ledger} ({shape}) leaves none of its children", many, machine=m)
        tap.equal(c.not_back(before), {}, f"and everything that it took in {ledger} is back", machine=m)
        for seconds in (0, 0.1, 0.3):
            m.send(f"in {ledger} forkbomb -s churn -t 20 -n 1000000\n")
            m.expect("churn.*\n")
            time.sleep(seconds)
            c.interrupt()
            m.send("\n")
            m.prompt()
            tap.equal(c.eventually(lambda: c.tasks_of("forkbomb"), []), [],
                      f"nor after {seconds} s of one in {ledger} that starts new ones all the time", machine=m)
    m.send("sleep 60000; echo not this\n")
    m.expect("not this\n")
    c.interrupt()
    tap.equal(c.do("echo this"), ["this"], "Ctrl-C drops the rest of the line", machine=m)


with boot(mem="128M", zone_map="4M", options=("x" * 700,)) as machine:
    machine.prompt()
    console = Console(machine)
    console.do("ledger small tasks=9")
    for part in (show_what_is_there, say_what_is_wrong, run_programs, keep_ledgers, look_into_tasks,
                 look_into_zones, start_servers_anew, end_ledgers, show_other_servers, interrupt):
        began = time.monotonic()
        part(console, machine)
        comment(f"{part.__name__}: {time.monotonic() - began:.1f} s")
    tap.equal(console.do("audit"), ["audit: the books agree"], "audit: the books agree at the end",
              machine=machine)
    machine.send("halt 7\n")
    tap.equal(machine.wait().status, 7, "halt STATUS ends the run with it", machine=machine)
tap.done()

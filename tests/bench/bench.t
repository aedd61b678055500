#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""No operation takes 2 % more instructions than committed; and `make bench` says what it is told wrong.

Instruction counts are those of one compiler: with another, or with another QEMU, nothing is compared.
"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "floods"))
from floodlib import kernel_is_release  # noqa: E402
from harness import BUILD, ROOT, Tap  # noqa: E402
from benchlib import committed, measure, tables  # noqa: E402  (of tools/)

tap = Tap(__file__)
medians, comment = committed.read()
names = list(tables.peers("peers.tsv"))

# --- what is committed ---

tap.equal([key for kind in measure.KINDS for cpu in measure.CPUS for name in names
           if (key := (kind, cpu, name)) not in medians], [],
          "tests/bench/committed.tsv has each operation of the peers, of each build on each CPU model")
page = tables.page_part("")
tap.equal([name for (kind, cpu, name), median in medians.items() if (kind, cpu) == ("release", "max")
           and not re.search(rf"\| {name} \| [0-9,]+ \| {median:,} \|", page)], [],
          "the first table of docs/performance.md has the committed medians")

# --- what compares must be able to tell ---

key = ("release", "max", "trap")
tap.equal(committed.regressions(medians, medians), [], "what is as committed is no regression")
tap.ok(committed.regression(key, 1021, {key: 1000}), "2.1 % more are a regression")
tap.equal(committed.regression(key, 1020, {key: 1000}), "", "2 % more are none")
tap.ok(committed.regressions({}, {key: 1000}), "what is no longer measured is told")
tap.ok(committed.regressions({key: 1}, {}), "what is not committed is told")

# --- options ---


def tool(*words, **environment):
    done = subprocess.run([os.path.join(ROOT, "tools", "bench"), *words], capture_output=True, text=True,
                          timeout=60, check=False, stdin=subprocess.DEVNULL,
                          env={**os.environ, **{"WEIR_" + name: value for name, value in environment.items()}})
    return done.returncode, done.stderr


tap.equal(tool(WRITE="2"), (64, "bench: WRITE=2: must be 0 or 1\n"), "WRITE=2 makes no sense")
tap.equal(tool("--what")[0], 64, "an unknown option makes no sense")
tap.equal(tool(ACCEL="hax"), (64, "bench: ACCEL=hax: must be kvm or tcg\n"), "an unknown accelerator makes no sense")
tap.equal(tool(CPU="486")[0], 64, "the CPU models are fixed")
tap.equal(tool("--check", WRITE="1")[0], 64, "bench-check writes nothing")

# --- the build under test ---

kind = "release" if kernel_is_release() else "debug"
run = measure.boot(kind, measure.RUN.replace("audit", "in root bench -m; sizes; audit"), path=BUILD)
tap.equal(sorted(set(names) - set(run.operations)), [], "each operation of the peers is measured")
tap.equal(sorted(set(tables.peers("peers_memory.tsv")) - set(run.memory)), [], "so are the bytes of each object")
tap.ok(all(0 < held < 3 * 4096 > credit for held, credit in run.memory.values()),
       "no object takes nothing, or three pages", run.memory)
tap.ok(run.boot > 100_000, "the kernel tells how many instructions its start took", run.boot)
boots = [measure.boot(kind, "in root bench -m; audit; halt", mem=mem, path=BUILD).boot for mem in measure.BOOT_MEMORIES]
tap.ok(boots[1] < 1.1 * boots[0], "RAM of 4 GiB makes the kernel's start at most a tenth longer than 128 MiB", boots)
told = [row for line in run.console.rpartition("weir> sizes")[2].splitlines()
        if len(row := line.split()) == 6 and row[1].isdigit()]
elements, listed = ({row[0]: int(row[column]) for row in told} for column in (1, 2))
if kind == "release":
    tap.equal(listed.get("thread"), run.memory["thread"][1], "the console's sizes tells what is prepaid with a thread")
else:
    # In a debug build the ledger pays for red zones as well.
    tap.ok(0 <= listed.get("thread", -1) <= run.memory["thread"][1],
           "the console's sizes tells what is prepaid with a thread", listed)
for what, least, most in (
        # Beside the elements there are nodes of trees, shared by many; a thread and a task may have a port each.
        ("map_entry", elements["vm_entry"], elements["vm_entry"]),
        ("port_with_name", elements["port"], elements["port"] + 24),
        ("message_64", elements["message"], elements["message"] + 24),
        ("thread", elements["thread"], elements["thread"] + elements["port"] + 24),
        ("task", elements["task"] + 4096, elements["task"] + 4096 + elements["port"] + 24)):
    tap.ok(least <= run.memory[what][0] <= most, f"the benchmark and the console's sizes agree about a {what}",
           run.memory[what][0], f"from {least} to {most}")

# --- beside others, and in ledgers of each depth ---

grown = measure.boot(kind, "bench -n 20 -g 1,10; in root bench -n 20 -r -g 1,10; "
                     "in root bench -n 20 -d 1,2,8 port_allocate_destroy zalloc_zfree; audit; halt", path=BUILD)
rows = list(tables.growth(grown))
tap.equal(sorted({row[1] for row in rows[1:]}), sorted(tables.CROWDS), "operations are measured beside each kind of crowd")
tap.ok({("switch_there_and_back", "runnable"), ("wake_up", "runnable"), ("wake_up", "threads"),
        ("timed_rpc_threads", "timers")} <= {row[:2] for row in rows}, "switches, wake-ups and timers among them", rows)
tap.equal([cell for row in rows[1:] for cell in row[2:4] if cell.rpartition(" ")[2] not in ("pass", "fail")], [],
          "each cell passes or fails")
tap.equal([tables.grown(125, 100), tables.grown(126, 100)], ["125 pass", "126 fail"], "a quarter more is the most that passes")
tap.equal(tables.cells([("a", "1 pass"), ("b", "2 fail", "3 pass", "no memory", "1.26", "no")]), (1, 2),
          "the cells that pass are counted")
one = measure.boot(kind, "bench -n 20 -g 1,10 timed_rpc_threads; halt", path=BUILD)
tap.equal(sorted(one.operations), ["timers@1/timed_rpc_threads", "timers@10/timed_rpc_threads"],
          "an operation can be measured alone beside its crowd")
deep = tables.beside(grown, "depth")
tap.equal({name: sorted(medians) for name, medians in deep.items()},
          {"port_allocate_destroy": [1, 2, 8], "zalloc_zfree": [1, 2, 8]}, "so are ledgers of each depth, two included")
tap.ok(all(max(medians.values()) <= 1.25 * medians[1] for medians in deep.values()),
       "and eight deep what is taken and given back costs at most a quarter more than in the root", deep)

# --- KVM ---

claim = "without KVM nothing is measured, and it says so"
if os.access("/dev/kvm", os.R_OK | os.W_OK):
    tap.skip(claim, "there is KVM here")
else:
    tap.equal(tool(ACCEL="kvm"), (64, "bench: ACCEL=kvm: this host has no KVM that may be used (/dev/kvm): nothing was "
                                      "measured\n"), claim)

# --- against what is committed ---

foreign = [what for what in (measure.compiler_of(BUILD), "QEMU " + measure.qemu_version().split(" ")[0])
           if what not in comment]
for name, figures in run.operations.items():
    key = (kind, "max", name)
    claim = f"{name}: not more than 2 % above the committed median, {kind} build"
    if not tap.wanted(claim):
        continue
    if foreign:
        tap.skip(claim, f"the committed ones are not of {foreign[0]}")
    else:
        tap.equal(committed.regression(key, figures.median, medians), "", claim)
tap.done()

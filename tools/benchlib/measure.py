# SPDX-License-Identifier: BSD-2-Clause
"""Builds, boots and reads what the program `bench` prints (tests/bench)."""

import dataclasses
import datetime
import os
import re
import statistics
import subprocess
import sys
import time

import weirvm

BUILD = os.environ.get("WEIR_BUILD") or os.path.join(weirvm.ROOT, "build")
KINDS = ("release", "debug")
# The default, and the one that the figures of GNU Mach are of.
CPUS = ("max", "core2duo-v1")
# With KVM: QEMU writes IA32_ARCH_CAPABILITIES (MSR 0x10a) of a host that has it, and ends where KVM refuses that. Weir
# does not look at it.
KVM_CPU = "host,arch-capabilities=off"
MEMORY = "256M"
RUN = "bench; in root bench -r; audit; halt"
# Others of a kind; the ratio is to the second.
CROWD_MEMORY = "4G"
COUNTS = (1, 10, 1000, 10_000, 100_000, 1_000_000)
DEPTHS = (1, 2, 3, 4, 5, 6, 7, 8)
# All that charge something.
DEPTH_OPERATIONS = ("port_allocate_destroy self_message null_rpc_tasks null_rpc_threads right_transfer ool_64k ool_64k_read "
                    "vm_allocate_touch_deallocate thread_create_terminate thread_create_run_exit task_create_terminate "
                    "zalloc_zfree")
BOOT_MEMORIES = ("128M", "4G")
PROMPTS = 5


class Failed(Exception):
    """The machine or the program did not do what it should."""


@dataclasses.dataclass
class Figures:
    """Of one operation; `all` is the mean of whole rounds, with what puts things back between samples."""
    min: int
    median: int
    p99: int
    worst: int
    all: int


@dataclasses.dataclass
class Run:
    """What one boot has printed."""
    operations: dict            # name: Figures
    memory: dict                # object: (bytes, credit)
    boot: int                   # instructions from the kernel's entry to the first program; 0: not asked
    console: str = ""
    mhz: int = 0                # ticks of the counter in a microsecond


def folder(kind):
    return os.path.join(BUILD, "bench-" + kind)


def build(kind):
    """Builds the image of that kind in a folder of its own."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    # The last one holds: RELEASE as said to make is not this build's.
    options = [word for word in os.environ.get("WEIR_MAKE_OPTIONS", "").split()
               if not word.startswith(("RELEASE=", "POLICY="))]
    done = subprocess.run(
        ["make", "-s", f"-j{os.cpu_count()}", "BUILD=" + os.path.relpath(folder(kind), weirvm.ROOT),
         f"RELEASE={int(kind == 'release')}", *options, "all"],
        cwd=weirvm.ROOT, env=environment, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise Failed(f"the {kind} build fails")


def parse(text):
    run = Run({}, {}, 0, text)
    for line in re.findall(r"(?m)^bench: (.*)$", text):
        words = line.split()
        if words[0] == "failed:":
            raise Failed(f"the program says: {line}")
        if words[0] == "memory":
            run.memory[words[1]] = int(words[2]), int(words[3])
        elif words[0] == "boot":
            run.boot = int(words[1])
        elif words[0] == "rate":
            run.mhz = int(words[1])
        elif len(words) == 6 and words[1].isdigit():
            run.operations[words[0]] = Figures(*map(int, words[1:]))
    return run


def boot(kind, commands, mem=MEMORY, cpu="", limit=120, path="", accel=""):
    """A Run. path: of another build than that of the kind."""
    commands_of_bench = commands.count("bench -") + commands.count("bench;")
    result = weirvm.run(build=path or folder(kind), mem=mem, cpu=cpu, icount=not accel, accel=accel,
                        limit=limit, run=commands)
    last = "\n".join(result.console.splitlines()[-8:])
    if not (result.announced and result.status == 0):
        raise Failed(f"the machine ended: {result.reason}\n{last}")
    if "audit: the books agree" not in result.console and "audit" in commands:
        raise Failed(f"the books do not agree\n{last}")
    if result.console.count("bench: done") != commands_of_bench:
        raise Failed(f"the program did not come to its end\n{last}")
    return parse(result.console)


def growth(kind="release"):
    """The Run beside crowds, and in ledgers of each depth."""
    counts = ",".join(map(str, COUNTS))
    crowds = boot(kind, f"bench -n 200 -g {counts}; in root bench -n 200 -r -g {counts}; audit; halt",
                  mem=CROWD_MEMORY, limit=900)
    depths = boot(kind, f"in root bench -n 200 -d {','.join(map(str, DEPTHS))} {DEPTH_OPERATIONS}; audit; halt")
    crowds.operations.update(depths.operations)
    return crowds


def prompt_seconds(kind, mem):
    """The median of the host's time from QEMU's start to the prompt, without -icount."""
    times = []
    for _ in range(PROMPTS):
        begun = time.monotonic()
        with weirvm.Machine(build=folder(kind), mem=mem, limit=60) as machine:
            machine.prompt()
            times.append(time.monotonic() - begun)
    return statistics.median(times)


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True,
                              cwd=weirvm.ROOT)
    except (OSError, subprocess.SubprocessError) as error:
        raise weirvm.UsageError(f"{error}; ./tools/setup installs what is needed") from error
    return done.stdout.split("\n")[0].strip()


def compiler_name(path):
    """The command of the compiler that a build was made with."""
    with open(os.path.join(path, "flags"), encoding="utf-8") as flags:
        return flags.readline().strip()


def compiler_of(path):
    """Its version."""
    return first_line(compiler_name(path), "--version")


def flags_of(path):
    """Of the kernel, without what says where things are and what is warned of."""
    with open(os.path.join(path, "flags"), encoding="utf-8") as flags:
        words = flags.read().split("\n")[1].split()
    return " ".join(word for word in words if re.match(r"-(O|D|std|m|f(?!file-prefix))", word))


def qemu_version():
    return first_line(weirvm.EMULATOR, "--version").removeprefix("QEMU emulator version ")


def commit():
    """The commit that was measured; with a plus when the tree has changes beside it."""
    try:
        name = first_line("git", "rev-parse", "--short=10", "HEAD")
        changed = first_line("git", "status", "--porcelain", "--untracked-files=no")
    except weirvm.UsageError:
        return "unknown"
    return name + ("+" if changed else "")


def host_processor():
    """The host's processor, as it calls itself."""
    with open("/proc/cpuinfo", encoding="utf-8") as text:
        match = re.search(r"(?m)^model name\s*: (.*)$", text.read())
    return match[1] if match else "an unknown processor"


def conditions(mem=MEMORY, path="", how="TCG, -icount shift=0,sleep=off"):
    return (f"{datetime.date.today()}, commit {commit()}, QEMU {qemu_version()} ({how}, -smp 1 -m {mem}), "
            f"{compiler_of(path or folder('release'))}")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)

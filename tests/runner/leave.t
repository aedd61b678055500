#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The open console, and that no QEMU outlives its runner."""

import os
import pty
import select
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BUILD, ROOT, Tap, boot  # noqa: E402

RUNNER = [os.path.join(ROOT, "tools", "run"), "--build", BUILD]
tap = Tap(__file__)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def is_gone(pid, seconds=10):
    """True when the process has ended (a zombie has)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                if file.read().rsplit(")", 1)[1].split()[0] in "ZX":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def read_until(fd, word, seconds=30):
    """What a terminal shows until the word comes, or all of it."""
    text = b""
    end = time.monotonic() + seconds
    while word not in text and time.monotonic() < end:
        if select.select([fd], [], [], 0.5)[0]:
            try:
                text += os.read(fd, 65536)
            except OSError:
                break
    return text


def on_terminal(*arguments):
    """Starts the runner on a terminal of its own: (pid, terminal)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(RUNNER[0], RUNNER + list(arguments))
    return pid, terminal


def end_of(pid, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "did not end"


pid, terminal = on_terminal()
shown = read_until(terminal, b"weir> ")
tap.ok(b"weir> " in shown, "without RUN the console is open and shows its prompt",
       shown[-500:], b"weir> ")
qemu = children(pid)
os.write(terminal, b"echo ab\r")
shown = read_until(terminal, b"\nab")
tap.ok(b"\nab" in shown, "what is typed there is carried out", shown, b"ab")
os.write(terminal, b"\x01x")
tap.equal(end_of(pid), 0, "Ctrl-A X leaves, with status 0")
tap.ok(len(qemu) == 1 and is_gone(qemu[0]), "and QEMU is gone", qemu, "one process, ended")
os.close(terminal)

pid, terminal = on_terminal()
read_until(terminal, b"weir> ")
os.write(terminal, b"halt 7\r")
tap.equal(end_of(pid), 7, "halt 7 typed at the console ends the runner with status 7")
os.close(terminal)

for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129),
                       (signal.SIGKILL, -9)):
    runner = subprocess.Popen(RUNNER + ["--run", "help"], stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    runner.stdout.read(1)
    qemu = children(runner.pid)
    runner.send_signal(number)
    try:
        got = runner.wait(20)
    except subprocess.TimeoutExpired:
        got = "did not end"
        runner.kill()
    tap.equal(got, status, f"{number.name} ends the runner")
    tap.ok(len(qemu) == 1 and is_gone(qemu[0]), f"no QEMU is left behind after {number.name}",
           qemu, "one process, ended")

with boot() as machine:
    machine.prompt()
    qemu = machine.pid
tap.ok(is_gone(qemu), "no QEMU is left behind by a test")
tap.done()

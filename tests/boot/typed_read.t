#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Input comes to reads that were requested without waiting, and is forgotten when that is asked for (device_request_test)."""

import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BUILD, Tap, boot  # noqa: E402

tap = Tap(__file__)


def tap_line(machine, text, seconds=60, times=1):
    """Waits until so many lines of the second serial port hold the text; True when they came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if sum(text in line for line in machine.tap_lines) >= times:
            return True
        machine.pump(0.05)
    return False


with boot(mem="64M", tap=True) as machine:
    machine.prompt()
    machine.send("in root device_request_test typed\n")
    tap.ok(tap_line(machine, "# type now"), "a program goes on after it has requested reads",
           machine=machine)
    machine.type_tap("typed")
    tap_line(machine, "== end device_request_test")
    lines = "\n".join(machine.tap_lines)
    for claim in ("what is typed comes to requested reads, in order", "in line and out of line",
                  "== end device_request_test 0"):
        tap.ok(claim in lines and "not ok" not in lines, claim, lines, claim, machine=machine)
    machine.send("halt\n")
    tap.equal(machine.wait().status, 0, "and the machine ends when told to", machine=machine)

# More than a step of the flush takes, less than the console keeps.
AHEAD = 900
with boot(mem="64M", tap=True, modules=(
        os.path.join(BUILD, "programs", "device_request_test")
        + " --alone ${host-port} ${device-port} flush $(task-create) $(task-resume)",)) as machine:
    turn, claim = 1, "TTY_FLUSH forgets all that was typed ahead"
    while not any(claim in line for line in machine.tap_lines) and turn <= 5:
        tap_line(machine, "# type ahead", times=turn)
        machine.send("x" * AHEAD)
        tap_line(machine, "# type the end", times=turn)
        machine.send("!")
        turn += 1
        end = time.monotonic() + 60
        while time.monotonic() < end and not any(
                claim in line for line in machine.tap_lines) and sum(
                    "# type ahead" in line for line in machine.tap_lines) < turn:
            machine.pump(0.05)
    lines = "\n".join(machine.tap_lines)
    tap.ok(claim in lines and "not ok" not in lines, f"{claim}: {AHEAD} bytes", lines, claim, machine=machine)
tap.done()

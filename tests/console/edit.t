#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Typing at the console: the banner, the keys that edit a line, history, Ctrl-C."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Tap, boot  # noqa: E402

LEFT, RIGHT, UP, DOWN = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B"
HOME, END, DELETE, BACKSPACE = "\x1b[H", "\x1b[F", "\x1b[3~", "\x7f"
A, B, C, D, E, F, K, N, P, U, W = (chr(ord(letter) - 64) for letter in "ABCDEFKNPUW")
tap = Tap(__file__)


def typed(machine, keys):
    """The output's last line, of a command that the keys type."""
    machine.send(keys + "\n")
    return machine.prompt().string.split("\n")[-2]


CASES = (
    ("echo one", "one", "a line is carried out"),
    ("eho two" + HOME + RIGHT + "c", "two", "Home and right move, and text is put in between"),
    ("echo tree" + LEFT * 3 + "h", "three", "left moves"),
    ("cho four" + HOME + "e" + END + "!", "four!", "End moves behind the line"),
    ("cho five" + A + "e" + E + "!", "five!", "Ctrl-A and Ctrl-E do what Home and End do"),
    ("echo sixx" + BACKSPACE, "six", "Backspace takes the character before"),
    ("echo sexven" + "\x1b[1~" + "\x1bOC" * 7 + DELETE, "seven", "Delete takes the one under it"),
    ("echo eixght" + A + F * 7 + B + F + D, "eight", "Ctrl-F, Ctrl-B and Ctrl-D as well"),
    ("no such" + U + "echo nine", "nine", "Ctrl-U empties the line"),
    ("no echo ten" + LEFT * 8 + U, "ten", "Ctrl-U takes what is before the cursor only"),
    ("echo eleven twelve" + LEFT * 7 + K, "eleven", "Ctrl-K takes the rest"),
    ("echo no no  " + W + W + "yes", "yes", "Ctrl-W takes words with the blanks behind them"),
    ("echo" + BACKSPACE * 20 + LEFT * 9 + RIGHT * 9 + DELETE + "echo end", "end",
     "beyond both ends of the line nothing happens"),
    ("echo \u00fcb\u1234er", "ber", "bytes that are not of ASCII are dropped"),
    ("echo a" + "\x1b[1;5Q" + "\x1b[99~" + "\x1bx" + "\t\x00" + "b", "ab",
     "unknown keys do nothing"),
)

with boot() as m:
    banner = m.prompt().string
    tap.contains(banner, r"help.*Ctrl-A X.*Try: \w+", "the banner says help, how to leave, what to try",
                 machine=m)
    for keys, expected, claim in CASES:
        tap.equal(typed(m, keys), expected, claim, machine=m)

    # In pieces that the serial line's buffer has room for, each waited for.
    m.send("echo ")
    for piece in range(11):
        m.send("x" * 100)
        m.expect("x{100}" if piece < 10 else "x{18}")
    tap.equal(typed(m, ""), "x" * 1018, "a line is cut at 1023 characters", machine=m)

    typed(m, "echo first")
    typed(m, "echo second")
    typed(m, "echo second")
    tap.equal(typed(m, UP + UP), "first", "up goes back; a line twice is kept once", machine=m)
    tap.equal(typed(m, UP * 3 + DOWN + "!"), "second!",
              "down comes forward, and what is found may be edited", machine=m)
    tap.equal(typed(m, "echo new" + P + P + N + N), "new", "the new line is there again", machine=m)
    for i in range(40):
        typed(m, f"echo line{i}")
    tap.equal(typed(m, UP * 100), "line8", "32 lines are kept", machine=m)
    tap.equal(typed(m, "echo kept" + DOWN * 3), "kept", "below the new line is nothing", machine=m)

    m.send("echo never" + C)
    tap.ok(m.prompt(), "Ctrl-C drops the line")
    tap.equal(typed(m, "echo after"), "after", "and the next is not spoilt", machine=m)
    m.send("sleep 100000\n")
    m.expect("sleep 100000\n")
    m.send(C)
    m.prompt()
    m.send("forkbomb -s spin -n 4 -k\n")
    m.expect("forkbomb: 4 children")
    m.send(C)
    m.prompt(60)
    tap.ok(not [line for line in m.command("ps") if " forkbomb " in line],
           "Ctrl-C ends the program in front and its children", machine=m)
    m.send("halt\n")
    tap.equal(m.wait().status, 0, "and halt ends the run", machine=m)
tap.done()

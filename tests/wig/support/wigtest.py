# SPDX-License-Identifier: BSD-2-Clause
"""Builds what the tests of the generator need, in a folder of its own under the build folder."""

import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", ".."))
from harness import BUILD, ROOT  # noqa: E402

WIG = os.path.join(ROOT, "tools", "wig")
INCLUDE = os.path.join(ROOT, "kernel", "include")
EXPECTED = os.path.join(HERE, "..", "expected")
SAMPLE = os.path.join(HERE, "..", "defs", "sample.defs")
FLAGS = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes",
         "-Wmissing-prototypes", "-Wvla", "-Werror", "-fno-strict-aliasing", "-DMIG_RPC_ELSEWHERE",
         "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]


def folder(name):
    """An empty folder for one test."""
    path = os.path.join(BUILD, "wig", name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def wig(*arguments):
    """Runs the generator; (status, standard error)."""
    done = subprocess.run([WIG, *arguments], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stderr


def generate(out, *arguments):
    status, errors = wig("-I", INCLUDE, *arguments)
    if status:
        raise RuntimeError(f"wig failed: {errors}")
    return out


def compile_program(out, sources, includes):
    """A program for the host, with sanitizers."""
    command = [os.environ.get("HOSTCC", "gcc"), *FLAGS, *[f"-I{i}" for i in includes], *sources,
               "-o", out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return out


def run(program, *arguments, text=""):
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True,
                          timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def expected(name):
    """The bytes of expected/NAME.hex, as `xx xx ...`: 8 a line, `* N` repeats, `;` comments."""
    result = []
    with open(os.path.join(EXPECTED, name + ".hex"), encoding="utf-8") as file:
        for line in file:
            line, _, times = line.split(";")[0].partition("*")
            words = line.split()
            if words and (len(words) != 8 or not all(re.fullmatch("[0-9a-f]{2}", w) for w in words)):
                raise RuntimeError(f"{name}.hex: {line!r} is not 8 bytes")
            result += words * int(times or 1)
    return " ".join(result)


def words(text):
    """Bytes 8 a line, for comparing by eye."""
    parts = text.split()
    return "\n".join(" ".join(parts[i:i + 8]) for i in range(0, len(parts), 8))

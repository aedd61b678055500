#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the generator says of wrong input, and that it leaves its outputs alone then."""

import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "support")]
from harness import Tap  # noqa: E402
import wigtest  # noqa: E402

HEAD = "subsystem x 100;\n#include <mach/std_types.defs>\n"
# claim, text, line, reason
CASES = (
    ("a missing semicolon", HEAD + "type a = int\ntype b = int;\n", 4, "unexpected 'type'"),
    ("a word that starts no statement", HEAD + "rutine f(p : mach_port_t);\n", 3,
     "unexpected 'rutine'"),
    ("a character of no word", HEAD + "type a = int@;\n", 3, "unexpected character '@'"),
    ("an end in the middle", HEAD + "routine f(\n\tp : mach_port_t;\n", 4, "the file ends"),
    ("an unknown type of an argument", HEAD + "routine f(\n\tp : mach_port_t;\n\ta : nothing_t);\n",
     5, "unknown type nothing_t"),
    ("an unknown type in a type", HEAD + "type a = array[*:4] of nothing_t;\n", 3,
     "unknown type nothing_t"),
    ("a type declared twice", HEAD + "type a = int;\ntype a = int;\n", 4,
     "type a is declared already, at {file}:3"),
    ("a routine declared twice",
     HEAD + "routine f(p : mach_port_t);\n\nroutine f(p : mach_port_t);\n", 5,
     "routine f is declared already, at {file}:3"),
    ("two arguments of one name", HEAD + "routine f(p : mach_port_t;\n a : int;\n a : int);\n", 5,
     "two arguments a"),
    ("two subsystems", HEAD + "subsystem y 200;\n", 3, "a second subsystem"),
    ("no subsystem", "type a = int;\n", 1, "no subsystem is declared"),
    ("a routine before the subsystem",
     "type p_t = MACH_MSG_TYPE_COPY_SEND;\nroutine f(p : p_t);\n", 2,
     "a routine before the subsystem"),
    ("an id that is another's reply", HEAD + "skip;\n" * 100 + "routine f(p : mach_port_t);\n", 103,
     "id 200 is the reply of another"),
    ("a first argument that is no port", HEAD + "routine f(a : int);\n", 3,
     "the first argument must be a port"),
    ("no arguments", HEAD + "routine f();\n", 3, "the first argument must be a port"),
    ("an out argument of a simpleroutine",
     HEAD + "simpleroutine f(\n\tp : mach_port_t;\n\tout a : int);\n", 5,
     "a simpleroutine has no out arguments"),
    ("a reply port that is no port", HEAD + "routine f(p : mach_port_t;\n sreplyport r : int);\n", 4,
     "r: not a port"),
    ("an unknown flag", HEAD + "routine f(p : mach_port_t;\n a : int, Frobnicate);\n", 4,
     "unknown flag Frobnicate"),
    ("CountInOut of one integer", HEAD + "routine f(p : mach_port_t;\n out a : int, CountInOut);\n",
     4, "CountInOut is for counted out arrays"),
    ("Dealloc of inline data",
     HEAD + "routine f(p : mach_port_t;\n a : int, Dealloc);\n", 4,
     "Dealloc is for out-of-line arrays"),
    ("a struct with a port right", HEAD + "type s = struct {\n\tint a;\n\tmach_port_t b;\n};\n", 5,
     "a struct cannot hold port rights"),
    ("an empty struct", HEAD + "type s = struct { };\n", 3, "an empty struct"),
    ("an array of arrays that vary", HEAD + "type s = array[4] of pointer_t;\n", 3,
     "arrays of counted arrays cannot be sent"),
    ("a fixed array of rights", HEAD + "type s = array[4] of mach_port_t;\n", 3,
     "a fixed array of port rights cannot be sent"),
    ("one integer out of line", HEAD + "type s = ^ int;\n", 3,
     "only counted arrays can be out of line"),
    ("an array of no elements", HEAD + "type s = array[0] of int;\n", 3, "an array of 0"),
    ("an array larger than a message", HEAD + "type s = array[9999999] of uint64_t;\n", 3,
     "the array is larger than a message can be"),
    ("a string of no length", HEAD + "type s = c_string[*:0];\n", 3, "a string of 0"),
    ("a size that no type word can tell", HEAD + "type s = (MACH_MSG_TYPE_STRING_C, 65536);\n", 3,
     "65536 bits"),
    ("two sides of different size", HEAD + "type s = MACH_MSG_TYPE_CHAR | MACH_MSG_TYPE_BOOLEAN;\n",
     3, "the two sides' types differ in size"),
    ("division by zero in a size", HEAD + "type s = array[4 / 0] of int;\n", 3,
     "division by zero"),
    ("a file that is not there", "subsystem x 100;\n\n#include <mach/nothing.defs>\n", 3,
     "cannot find mach/nothing.defs"),
    ("a comment without end", "subsystem x 100;\n/* begins\nand\n", 2, "this comment does not end"),
    ("#if without #endif", "subsystem x 100;\n#if 1\ntype a = int;\n", 2,
     "this condition has no #endif"),
    ("#endif without #if", "subsystem x 100;\n#endif\n", 2, "#endif without #if"),
    ("#elif after #else", "#if 0\n#else\n#elif 1\n#endif\n", 3, "#elif after #else"),
    ("an unknown directive", "#frobnicate\n", 1, "unknown directive #frobnicate"),
    ("a condition that is none", "#if 1 +\n#endif\n", 1, "#if: cannot read the condition"),
    ("#error in force", "#if 0\n#error not this\n#else\n#error of the file\n#endif\n", 4,
     "#error of the file"),
    ("a macro with parameters", "#define F(x) x\n", 1, "no parameters"),
)

tap = Tap(__file__)
build = wigtest.folder("errors")
source, output = os.path.join(build, "bad.defs"), os.path.join(build, "out.c")


def attempt(text, *options):
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    with open(output, "w", encoding="utf-8") as file:
        file.write("as it was\n")
    return wigtest.wig("-I", wigtest.INCLUDE, "--user", output, *options, source)


def untouched():
    with open(output, encoding="utf-8") as file:
        return file.read() == "as it was\n" and sorted(os.listdir(build)) == ["bad.defs", "out.c"]


for claim, text, line, reason in CASES:
    status, errors = attempt(text)
    place, reason = f"{source}:{line}: ", reason.replace("{file}", source)
    tap.ok(status == 1 and errors.startswith(place) and reason in errors[len(place):]
           and errors.count("\n") == 1 and untouched(),
           f"{claim} is refused with file, line and reason", (status, errors), place + reason)

with open(os.path.join(build, "inner.defs"), "w", encoding="utf-8") as file:
    file.write("\n\ntype a = nothing_t;\n")
status, errors = attempt('subsystem x 100;\n#include "inner.defs"\n')
tap.ok(status == 1 and f"{os.path.join(build, 'inner.defs')}:3: unknown type nothing_t" in errors,
       "an error in an included file names that file", errors)
with open(os.path.join(build, "inner.defs"), "w", encoding="utf-8") as file:
    file.write('#include "inner.defs"\n')
status, errors = attempt('subsystem x 100;\n#include "inner.defs"\n')
tap.ok(status == 1 and "includes nest deeper" in errors, "files that include each other are refused",
       errors)
os.unlink(os.path.join(build, "inner.defs"))

status, errors = wigtest.wig("--user", output, os.path.join(build, "nothing.defs"))
tap.ok(status == 1 and "nothing.defs:0: cannot read" in errors, "a missing file is named", errors)
status, errors = attempt(HEAD + "skip;\n", "--user-header", os.path.join(build, "no", "out.h"))
tap.ok(status == 1 and "cannot write" in errors and "Traceback" not in errors and untouched(),
       "an output that cannot be written leaves the others alone", errors)
with open(source, "wb") as file:
    file.write(b"subsystem \xff\xfe 100;\n")
status, errors = wigtest.wig("--user", output, source)
tap.ok(status == 1 and "is not UTF-8" in errors and untouched(), "bytes that are no text", errors)

status, errors = attempt(HEAD + "#if defined(YES) && !defined(NO) && (TWO + 1 == 3)\n"
                         "skip;\n#else\n#error wrong\n#endif\n", "-D", "YES", "-D", "TWO=2")
tap.ok(status == 0, "conditions and -D work", errors)
status, errors = attempt(HEAD + "#if KERNEL_SERVER\n#error kernel\n#endif\nskip;\n")
other, more = attempt(HEAD + "#if KERNEL_SERVER\n#error kernel\n#endif\nskip;\n", "--kernel")
tap.ok(status == 0 and other == 1 and "#error kernel" in more,
       "--kernel, and only it, defines KERNEL_SERVER", (errors, more))
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""tools/breakdown takes an operation apart: its sums are the benchmark's own figures, and it says what is wrong."""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BUILD, ROOT, Tap  # noqa: E402
from benchlib import operands, tables  # noqa: E402  (of tools/)

tap = Tap(__file__)


def tool(*words, **environment):
    done = subprocess.run([os.path.join(ROOT, "tools", "breakdown"), *words], capture_output=True, text=True,
                          timeout=300, check=False, stdin=subprocess.DEVNULL,
                          env={**os.environ, "WEIR_OP": "", "WEIR_WRITE": "",
                               **{"WEIR_" + name: value for name, value in environment.items()}})
    return done.returncode, done.stdout, done.stderr


def row(text, name):
    """The numbers of a table's row."""
    match = re.search(rf"(?m)^{re.escape(name)} +((?:(?:program|kernel) +)?[0-9 ,]+)$", text)
    return [int(word.replace(",", "")) for word in match[1].split() if word[0].isdigit()] if match else []


def functions(text):
    """[(function, where, instructions)] in the table's order."""
    return [(name, where, int(count.replace(",", "")))
            for name, where, count in re.findall(r"(?m)^(\S+) +(program|kernel) +([0-9,]+)", text)]


# --- what it is told wrong ---

status, _, error = tool(OP="null_rpc")
tap.equal(status, 64, "an operation that is none makes no sense")
tap.contains(error, r"OP=null_rpc: .* null_rpc_tasks", "and it says which there are")
tap.equal(tool("--what")[0], 64, "an unknown option makes no sense")
tap.equal(tool(WRITE="yes")[0], 64, "WRITE=yes makes no sense")
tap.equal(tool("--image", BUILD, WRITE="1")[0], 64, "only the release build gets into the page")
status, _, error = tool("--image", os.path.join(BUILD, "gen"))
tap.ok(status == 64 and "missing" in error, "a folder without an image is told", error)
status, text, _ = tool("--help")
tap.ok(status == 0 and "gdb stub" in text, "--help says what it does")
tables.page_part("-breakdown")

# --- what it sees in an instruction ---

REGISTERS = {"rax": 0x1000, "rbx": 0x20, "rsp": 0x8000, "rdi": 0x3000, "rsi": 0x4000, "r9": 0x5_0000_0001,
             "gs_base": 0xf000, "rcx": 2, "rbp": 0x9000}


def accesses(text):
    return operands.Instruction(4, text).accesses(REGISTERS, 0x700)


for text, expected in (
        ("mov    0x8(%rax,%rbx,4),%rcx", [(0x1088, 1)]), ("lea    0x8(%rax),%rcx", []),
        ("nopw   %cs:0x0(%rax,%rax,1)", []), ("mov    %rax,-0x10(%rsp)", [(0x7ff0, 1)]),
        ("push   %rbx", [(0x7ff8, 8)]), ("ret", [(0x8000, 8)]), ("leave", [(0x9000, 8)]),
        ("call   401000 <f+0x8>", [(0x7ff8, 8)]), ("call   *0x18(%rdi)", [(0x7ff8, 8), (0x3018, 1)]),
        ("mov    %gs:0x20,%rax", [(0xf020, 1)]), ("mov    0x100(%rip),%eax        # 800 <x>", [(0x800, 1)]),
        ("rep stos %rax,%es:(%rdi)", [(0x3000, 1)]), ("rep movsq %ds:(%rsi),%es:(%rdi)", [(0x4000, 1), (0x3000, 1)]),
        ("mov    (%r9d),%eax", [(1, 1)]), ("fxsave64 (%rdi)", [(0x3000, 512)]), ("mov    $0x10,%eax", []),
        ("jmp    401000 <f>", []), ("xchg   %ax,%ax", []), ("invlpg (%rax)", [])):
    tap.equal(accesses(text), expected, f"what `{' '.join(text.split())}` touches")
tap.ok(operands.Instruction(3, "mov    %rax,%cr3").writes_cr3(), "a load of CR3 is known")
tap.ok(not operands.Instruction(3, "mov    %cr3,%rax").writes_cr3(), "reading it is none")

# --- the build under test ---

status, text, error = tool("--image", BUILD)
tap.ok(status == 0, "an RPC between two tasks is taken apart", error)
rows, sums = functions(text), row(text, "instructions")
tap.equal([sum(count for _, where, count in rows if where == whose) for whose in ("program", "kernel")], sums[:2],
          "the functions' instructions add up to the sums")
said = [int(word.replace(",", "")) for word in re.findall(
    r"One round of null_rpc_tasks: ([0-9,]+) instructions.*least ([0-9,]+), .*worst ([0-9,]+)", text)[0]] if rows else [0, 1, 0]
tap.equal(row(text, "less reading the counter")[2:], said[:1], "and so does their sum")
tap.ok(said[1] <= said[0] <= said[2], "which lies among the benchmark's own samples", said)
order = [name for name, _, _ in rows]
path = ["sample", "null_rpc", "syscall_entry", "reply_server"]
tap.equal([name for name in order if name in path], path, "functions come in the order of first use")
tap.equal([row(text, name) for name in ("system calls", "exceptions", "loads of CR3")], [[2], [0], [2]],
          "a round trip is two system calls and two switches of the address space")
code, data = row(text, "cache lines of code"), row(text, "cache lines of data")
tap.ok(all(0 < lines < 1000 for lines in code + data) and code[0] + code[1] == code[2] and data[0] + data[1] == data[2],
       "the cache lines are counted", (code, data))
tap.equal([sum(int(line.split()[at].replace(",", "")) for line in text.splitlines()
               if re.match(r"\S+ +(program|kernel) ", line)) for at in (3, 4)], [code[2], data[2]],
          "each line is one function's")
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A kernel that reads where nothing is panics and says where; one that hangs is found out."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BUILD, Tap, boot_and_wait  # noqa: E402
from likely_cause import Symbols, likely_cause  # noqa: E402

tap = Tap(__file__)

for address in ("0xffffc00000000000", "0x1000", "0"):
    result = boot_and_wait(limit=60, run=f"debug fault {address}; halt")
    tap.equal(result.status, 1, f"a kernel that reads {address} panics", result=result)
    tap.contains(result.console, rf"panic: trap 14 in the kernel, .*address {int(address, 16):x}\b",
                 f"and the panic names the address {address}", result=result)
    tap.contains(result.console, r"backtrace:\r?\n +\w+ weir_debug\+", "and the function", result=result)

result = boot_and_wait(limit=4, run="debug hang; halt")
tap.equal(result.status, 124, "a kernel that hangs with interrupts off is ended by the watchdog",
          result=result)
tap.contains(result.reason, r"spins with interrupts off, at weir_debug\+",
             "which says so, and where", result=result)

KERNEL = os.path.join(BUILD, "weir.elf")
ADDRESSES = [address for address, name in Symbols(KERNEL).functions if name in
             ("ledger_take", "port_destroy", "sched_switch", "thread_create", "vm_fault")]


def looks(*addresses):
    return [f"RIP={address:016x} RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0" for address in addresses]


tap.contains(likely_cause(looks(*[ADDRESSES[0] + n for n in range(8)]), KERNEL), "spins with interrupts off",
             "a kernel that is seen in one function all the time spins")
tap.contains(likely_cause(looks(*ADDRESSES), KERNEL), "busy", "one that is seen in many only has much to do")
tap.done()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""make debug: QEMU waits for gdb on a socket in build/, with symbols, and RUN works with it."""

import os
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BUILD, ROOT, Tap  # noqa: E402

RUNNER = [os.path.join(ROOT, "tools", "run"), "--build", BUILD, "--debug", "--run", "halt 6"]
SESSION = "break machine_halt\ncontinue\nbacktrace 1\n" \
    "delete\ncontinue\n"
tap = Tap(__file__)
if not (shutil.which("gdb") or shutil.which("gdb-multiarch")):
    tap.skip_all("no gdb here; ./tools/setup --check names the package")

done = subprocess.run(RUNNER, input=SESSION, capture_output=True, text=True, timeout=120,
                      check=False, errors="backslashreplace")
# gdb writes its line in pieces, and the console's last one may come between them.
tap.contains(done.stdout, r"\nBreakpoint 1, ",
             "gdb stops the kernel at a function, with RUN under way")
tap.contains(done.stdout, r"#0 +machine_halt \(status=6\) at kernel/", "gdb has the sources' lines")

# Without a debugger of its own: the line to attach one is printed, and works, as soon as QEMU listens.
SOCKET = os.path.join(BUILD, "gdb.sock")
if os.path.exists(SOCKET):
    os.unlink(SOCKET)
runner = subprocess.Popen(RUNNER, env={**os.environ, "WEIR_GDB": "0"}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE)
runner.stderr.readline()
line = runner.stderr.readline().strip()
tap.contains(line, r"gdb -q weir\.elf -ex 'target remote gdb\.sock'$", "GDB=0 prints the line")
end = time.monotonic() + 30
while not os.path.exists(SOCKET) and time.monotonic() < end:
    time.sleep(0.05)
attached = subprocess.run(line, shell=True, input="continue\n", capture_output=True, text=True,
                          timeout=120, check=False)
try:
    status = runner.wait(30)
except subprocess.TimeoutExpired:
    runner.kill()
    status = "did not end"
tap.equal(status, 6, "that line attaches gdb, and the run ends as it should")
tap.done()

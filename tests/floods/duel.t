#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The duel: a flood kills the kernel without its protection (policy=mach), and Weir denies it."""

import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from floodlib import kernel_has_policy  # noqa: E402
from harness import BUILD, FULL, ROOT, Tap, comment, make, run  # noqa: E402

tap = Tap(__file__)


def duel(flood, status=0, **environment):
    done = subprocess.run(
        [os.path.join(ROOT, "tools", "duel")], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=900, check=False,
        env={**os.environ, "WEIR_BUILD": BUILD, "WEIR_FLOOD": flood, "WEIR_ZONE_MAP": "4M",
             **environment})
    if done.returncode != status:
        comment("\n".join(done.stdout.splitlines()[-20:]) + "\n" + done.stderr)
    return done


def pictures_of(name):
    """The first bytes of both."""
    found = {}
    for kind in ("svg", "png"):
        path = os.path.join(BUILD, f"{name}.{kind}")
        if os.path.exists(path):
            with open(path, "rb") as picture:
                found[kind] = picture.read()
            os.unlink(path)
    return found


def is_picture(found):
    return b"<svg" in found.get("svg", b"") and b"<path" in found["svg"] and \
        found.get("png", b"").startswith(b"\x89PNG") and len(found["png"]) > 4096


# A release leaves it out.
commands = make("-n", "RELEASE=1", "POLICY=", "V=1", "all").stdout
tap.ok("-DWEIR_POLICY=1" in make("-n", "RELEASE=1", "POLICY=1", "V=1", "all").stdout
       and "kernel/mem/zone.c" in commands and "kernel/mem/policy.c" not in commands
       and "-DWEIR_POLICY=1" not in commands, "a release is built without policy=mach unless asked for it")
if FULL:
    with tempfile.TemporaryDirectory() as folder:
        built = make("RELEASE=1", "POLICY=", f"BUILD={folder}", "all")
        result = run(build=folder, limit=60, options=("policy=mach",), run="forkbomb; halt 3") \
            if built.returncode == 0 else None
        tap.ok(result and result.status == 3 and "policy=mach is none that this kernel has" in result.console
               and "denied: " in result.console,
               "a release says that it has no policy=mach, and goes on to deny", result=result)

if not kernel_has_policy():
    tap.skip("the duel", "this kernel was built without policy=mach")
    tap.done()

for flood, words in (("forkbomb", r"denied: kmem in ledger user"),
                     ("portflood", r"denied: ports in ledger services"),
                     ("memhog", r"denied: ram in ledger user")):
    pictures_of("duel")
    done = duel(flood, WEIR_MEM="48M")
    panic = "vm_page_wait: memory exhausted" if flood == "memhog" else \
        r"zalloc failed: zone map exhausted \(zone \w+\)"
    tap.equal(done.returncode, 0, f"a duel of {flood} ends as it must")
    tap.contains(done.stdout, rf"(?m)^mach \| panic: {panic}",
                 f"{flood} panics the kernel without its protection, in Mach's words")
    tap.contains(done.stdout, rf"(?m)^weir \| {words}", f"{flood} is denied by Weir")
    tap.ok(re.search(r"(?m)^weir \| audit: the books agree$", done.stdout)
           and not re.search(r"(?m)^mach \| (audit|denied|weir> halt)", done.stdout),
           f"after {flood} one machine's books agree and the other has none", done.stdout[-1500:],
           "audit: the books agree, of weir only")
    tap.ok(is_picture(pictures_of("duel")), f"the duel of {flood} is drawn, as SVG and as PNG")

done = duel("forkbomb -n 5", status=1)
tap.ok(done.returncode == 1 and "has not killed the unprotected kernel" in done.stderr,
       "a flood that does not kill the unprotected kernel is told, with status 1",
       (done.returncode, done.stderr), (1, "has not killed the unprotected kernel"))
done = duel("echo hello", status=64)
tap.ok(done.returncode == 64 and "no flood among it" in done.stderr, "what is no flood is refused",
       (done.returncode, done.stderr), (64, "no flood among it"))
for flood, environment, why in (
        ("forkbomb -s none", {"WEIR_MEM": "48M"}, "this flood takes no such words"),
        ("forkbomb", {"WEIR_LIMIT": "soon"}, "LIMIT=soon: not a number of seconds"),
        ("forkbomb", {"WEIR_MEM": "much"}, "MEM=much: not a size"),
        ("forkbomb", {"PATH": "/nonexistent"}, "no gnuplot")):
    done = duel(flood, status=64, **environment)
    tap.ok(done.returncode == 64 and re.search(rf"(?m)^duel: .*{why}", done.stderr) and "Traceback" not in done.stderr,
           f"FLOOD='{flood}' {environment}: is told: {why}", (done.returncode, done.stderr), (64, why))
if FULL:
    done = duel("all", WEIR_ZONE_MAP="8M")
    tap.equal(done.returncode, 0, "every flood kills the unprotected kernel and none Weir")
tap.done()

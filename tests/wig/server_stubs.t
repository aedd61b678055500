#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Generated server stubs, a program's and the kernel's, called by generated user stubs."""

import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "support")]
from harness import ROOT, Tap  # noqa: E402
import wigtest  # noqa: E402

SUPPORT = os.path.join(HERE, "support")
tap = Tap(__file__)

for side, options, includes in (("server", [], []),
                                ("kernel", ["--kernel"], [os.path.join(ROOT, "kernel")])):
    build = wigtest.folder("roundtrip_" + side)
    user, server = os.path.join(build, "sample_user"), os.path.join(build, "sample_server")
    wigtest.generate(build, "--user", user + ".c", "--user-header", user + ".h", wigtest.SAMPLE)
    wigtest.generate(build, *options, "--server", server + ".c", "--server-header", server + ".h",
                     wigtest.SAMPLE)
    program = wigtest.compile_program(
        os.path.join(build, "roundtrip"),
        [os.path.join(SUPPORT, "roundtrip.c"), os.path.join(SUPPORT, side + "_side.c"),
         user + ".c", server + ".c"], [SUPPORT, build, wigtest.INCLUDE, *includes])
    status, out, errors = wigtest.run(program)
    for line in out.splitlines():
        passed, _, claim = line.partition(" - ")
        tap.ok(passed == "ok", f"{side}: {claim}", line)
    for case in ("sample_arrays", "sample_out_of_line", "sample_fixed", "sample_out_ports"):
        _, bytes_, _ = wigtest.run(program, case)
        tap.equal(wigtest.words(bytes_.strip()[6:]),
                  wigtest.words(wigtest.expected(case + ".received")),
                  f"{side}: the reply of {case} has the expected bytes")
    tap.ok(status == 0 and not errors, f"{side}: the program ends well", (status, errors[-3000:]))
tap.done()

# SPDX-License-Identifier: BSD-2-Clause
"""For tests in Python: prints TAP, and on a failure all that one needs to understand it.

A test is an executable tests/AREA/NAME.t:

    #!/usr/bin/python3
    # SPDX-License-Identifier: BSD-2-Clause
    \"\"\"What is tested, in a line.\"\"\"

    import os
    import sys

    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    from harness import Machine, Tap, boot

    tap = Tap(__file__)
    with boot(mem="48M") as m:
        m.prompt()
        tap.contains(m.command("forkbomb"), r"denied: .* in ledger user:",
                     "a fork bomb is denied, and says by whom", machine=m)
        m.send("halt\\n")
        tap.equal(m.wait().status, 0, "the machine ends when told to", machine=m)
    tap.done()

Claims come last in the argument list and say what is true when the test passes. `boot` is
weirvm.Machine with the build folder and a watchdog of its own; see there for what it can do.
`make test T=word` runs the files whose name holds the word; when there is none, those whose text does, and
skips their claims that do not (choice.py).
"""

import os
import re
import subprocess
import sys
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import weirvm  # noqa: E402
from choice import CHOICE  # noqa: E402
from weirvm import Ended, Machine, Result, Timeout, UsageError, run  # noqa: E402,F401

BUILD = os.environ.get("WEIR_BUILD") or os.path.join(ROOT, "build")
FULL = os.environ.get("WEIR_FULL") == "1"


def boot(limit=120, **options):
    """A Machine of the image under test; see weirvm.Options for what may be chosen."""
    return Machine(build=BUILD, limit=limit, **options)


def boot_and_wait(limit=120, **options):
    """Runs the image under test to its end; the weirvm.Result."""
    with boot(limit, **options) as machine:
        return machine.wait()


def make(*words, **environment):
    """Runs make as the build under test was made; a CompletedProcess with texts."""
    options = os.environ.get("WEIR_MAKE_OPTIONS", "").split()
    return subprocess.run(
        ["make", "-s", "BUILD=" + os.path.relpath(BUILD, ROOT), *options, *words], cwd=ROOT,
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=600, check=False, encoding="utf-8", errors="backslashreplace")


def comment(text):
    """To standard error, which prove shows always, as TAP comments."""
    sys.stdout.flush()
    for line in str(text).splitlines() or [""]:
        print(f"# {line}", file=sys.stderr, flush=True)


def console_part(text, count=20):
    lines = text.splitlines()[-count:]
    return "\n".join("  | " + line for line in lines) or "  | (empty)"


class Tap:
    """One test file: numbers its claims and, at the end, says how many there were."""

    def __init__(self, path):
        self.name = os.path.relpath(os.path.abspath(path), os.path.join(ROOT, "tests"))
        self.count = 0
        self.failed = 0
        self.finished = False
        self.only = "" if CHOICE.names(self.name) else CHOICE.word
        sys.excepthook = self._died

    def wanted(self, claim):
        """False when `make test T=` asks for other claims."""
        return self.only in claim

    def ok(self, passed, claim, got=None, expected=None, machine=None, result=None):
        """One claim. got/expected are shown when it fails, and what the console printed: of a
        machine that still runs with its ledgers, of a finished one from its Result."""
        self.count += 1
        claim = claim.replace("#", "\\#")
        print(f"{'ok' if passed else 'not ok'} {self.count} - {claim}", flush=True)
        if not passed:
            self.failed += 1
            comment(f"claim:    {claim}")
            if expected is not None:
                comment(f"expected: {expected!r}" if not isinstance(expected, str)
                        else f"expected: {expected}")
                comment(f"got:      {got!r}" if not isinstance(got, str) else f"got:      {got}")
            self._show(machine, result)
            comment(f"repeat:   make test T='{self.name}'")
        return bool(passed)

    def equal(self, got, expected, claim, **where):
        return self.ok(got == expected, claim, repr(got), repr(expected), **where)

    def contains(self, text, pattern, claim, **where):
        """The text (or list of lines) matches the regular expression somewhere."""
        if not isinstance(text, str):
            text = "\n".join(text)
        return self.ok(re.search(pattern, text), claim, repr(text[-2000:]), f"/{pattern}/",
                       **where)

    def skip(self, claim, why):
        self.count += 1
        print(f"ok {self.count} - {claim} # SKIP {why}", flush=True)

    def skip_all(self, why):
        """Ends the file: nothing in it can be tested here."""
        self.finished = True
        print(f"1..0 # SKIP {why}", flush=True)
        sys.exit(0)

    def done(self):
        """Ends the file, with status 1 if a claim failed."""
        self.finished = True
        if not self.count:
            self.skip_all(f"no claim holds {self.only!r}")
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)

    def _show(self, machine, result):
        if machine is not None:
            result = result or machine.result
        if result is not None:
            comment(f"the run ended: {result.reason} (status {result.status})")
            comment("the last lines of the console:")
            comment(console_part(result.console))
        elif machine is not None:
            comment("the last lines of the console:")
            comment(machine.last_lines())
            comment("the ledgers:")
            try:
                comment("\n".join("  | " + line for line in machine.command("ledgers", 5)))
            except (Timeout, Ended) as error:
                comment(f"  (not to be had: {str(error).splitlines()[0]})")
                comment("  " + machine.likely_cause())

    def _died(self, kind, error, trace):
        """A test that stops with an exception has failed, and says where."""
        if self.finished or kind is SystemExit:
            return
        self.count += 1
        print(f"not ok {self.count} - the test itself came to its end", flush=True)
        comment("".join(traceback.format_exception(kind, error, trace)).rstrip())
        comment(f"repeat:   make test T='{self.name}'")
        print(f"1..{self.count}", flush=True)

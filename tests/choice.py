# SPDX-License-Identifier: BSD-2-Clause
"""What `make test T=WORD` chooses: the tests whose name holds the word; only when there are none, those
whose text does, and of these the claims that do. T=text:WORD looks at texts alone.

A name is the file's below tests/: "console/edit.t", "unit/mem_zone_test.c", "kernel/vm_test.c"."""

import os

TEXT = "text:"


class Choice:
    def __init__(self, said):
        self.in_text = said.startswith(TEXT)
        self.word = said.removeprefix(TEXT) if self.in_text else said.removeprefix("tests/")

    def names(self, name):
        return not self.in_text and self.word in name

    def tells(self, files):
        """Whether a file's text holds the word."""
        for path in files:
            with open(path, encoding="utf-8", errors="replace") as file:
                if self.word in file.read():
                    return True
        return False

    def pick(self, items):
        """items: (item, its names, its files). The items chosen by name, and those that only mention the word."""
        named = [item for item, names, _ in items if any(map(self.names, names))]
        return named, [item for item, _, files in items if item not in named and self.tells(files)]


CHOICE = Choice(os.environ.get("WEIR_T", ""))

# SPDX-License-Identifier: BSD-2-Clause
"""The one error that wig reports: a place in a .defs file and the reason."""


class DefsError(Exception):
    """Raised anywhere; wig prints it as `file:line: reason` and changes no output."""

    def __init__(self, place, reason):
        super().__init__(f"{place[0]}:{place[1]}: {reason}")

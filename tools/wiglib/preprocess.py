# SPDX-License-Identifier: BSD-2-Clause
"""What .defs files use of the C preprocessor: #include, conditions, object-like macros.

The result is one text and, for each of its lines, the place that it came from.
"""

import os
import re

from .errors import DefsError

IDENT = re.compile(r"[A-Za-z_]\w*")
EXPR_TOKEN = re.compile(r"\s*(defined|[A-Za-z_]\w*|0[xX][0-9a-fA-F]+|\d+|&&|\|\||[!=<>]=|[!<>()+\-*/])")
INCLUDE_DEPTH_MAX = 32


class Preprocessor:
    def __init__(self, include_dirs, macros):
        self.include_dirs = include_dirs
        self.macros = dict(macros)
        self.lines = []
        self.places = []

    def run(self, path):
        """Reads the file and all it includes; returns (text, places of its lines)."""
        self._file(path, (path, 0), 0)
        return "\n".join(self.lines) + "\n", self.places

    def _file(self, path, place, depth):
        if depth > INCLUDE_DEPTH_MAX:
            raise DefsError(place, f"includes nest deeper than {INCLUDE_DEPTH_MAX}")
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is not UTF-8 text"
            raise DefsError(place, f"cannot read {path}: {reason}") from None
        conditions = []  # [taken now, some branch was taken, place, else seen]
        for number, line in self._logical_lines(path, strip_comments(path, text)):
            place = (path, number)
            directive = re.match(r"\s*#\s*(\w*)\s*(.*?)\s*$", line)
            if directive:
                self._directive(*directive.groups(), place, conditions, depth)
            elif all(c[0] for c in conditions):
                self.lines.append(self._expand(line))
                self.places.append(place)
        if conditions:
            raise DefsError(conditions[-1][2], "this condition has no #endif")

    @staticmethod
    def _logical_lines(path, text):
        """Lines with continuations joined, under the number of the first."""
        held, start = "", None
        for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
            start = start or number
            if line.endswith("\\"):
                held += line[:-1] + " "
                continue
            yield start, held + line
            held, start = "", None
        if held:
            raise DefsError((path, start), "the file ends in a continued line")

    def _directive(self, word, rest, place, conditions, depth):
        active = all(c[0] for c in conditions)
        if word in ("if", "ifdef", "ifndef"):
            taken = active and self._condition(word, rest, place)
            conditions.append([taken, taken or not active, place, False])
        elif word in ("elif", "else", "endif"):
            if not conditions:
                raise DefsError(place, f"#{word} without #if")
            top = conditions[-1]
            if word == "endif":
                conditions.pop()
                return
            if top[3]:
                raise DefsError(place, f"#{word} after #else")
            top[3] = word == "else"
            top[0] = not top[1] and (word == "else" or self._condition("if", rest, place))
            top[1] = top[1] or top[0]
        elif not active:
            return
        elif word == "include":
            self._file(self._find(rest, place), place, depth + 1)
        elif word == "define":
            match = re.match(r"([A-Za-z_]\w*)(\(?)\s*(.*)$", rest)
            if not match or match.group(2):
                raise DefsError(place, "#define takes a name and a text, no parameters")
            self.macros[match.group(1)] = match.group(3)
        elif word == "undef":
            self.macros.pop(rest, None)
        elif word == "error":
            raise DefsError(place, f"#error {rest}")
        elif word:
            raise DefsError(place, f"unknown directive #{word}")

    def _find(self, rest, place):
        match = re.match(r'[<"]([^<>"]+)[>"]$', rest)
        if not match:
            raise DefsError(place, "#include takes <file> or \"file\"")
        dirs = list(self.include_dirs)
        if rest[0] == '"':
            dirs.insert(0, os.path.dirname(place[0]))
        for folder in dirs:
            path = os.path.join(folder, match.group(1))
            if os.path.isfile(path):
                return path
        raise DefsError(place, f"cannot find {match.group(1)}")

    def _expand(self, line, busy=frozenset()):
        def one(match):
            name = match.group(0)
            if name in busy or name not in self.macros:
                return name
            return self._expand(self.macros[name], busy | {name})
        return IDENT.sub(one, line)

    def _condition(self, word, rest, place):
        if word != "if":
            if not IDENT.fullmatch(rest):
                raise DefsError(place, f"#{word} takes one name")
            return (rest in self.macros) == (word == "ifdef")
        return Condition(self, rest, place).value() != 0


class Condition:
    """Evaluates an #if line: integers, names (0 when undefined), defined, operators of C."""

    LEVELS = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="), ("+", "-"), ("*", "/"))
    APPLY = {
        "||": lambda a, b: int(bool(a) or bool(b)), "&&": lambda a, b: int(bool(a) and bool(b)),
        "==": lambda a, b: int(a == b), "!=": lambda a, b: int(a != b),
        "<": lambda a, b: int(a < b), "<=": lambda a, b: int(a <= b),
        ">": lambda a, b: int(a > b), ">=": lambda a, b: int(a >= b),
        "+": lambda a, b: a + b, "-": lambda a, b: a - b,
        "*": lambda a, b: a * b, "/": lambda a, b: a // b,
    }

    def __init__(self, preprocessor, text, place):
        self.pre, self.place, self.tokens = preprocessor, place, []
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = EXPR_TOKEN.match(text, at)
            if not match:
                self._bad()
            self.tokens.append(match.group(1))
            at = match.end()

    def _bad(self):
        raise DefsError(self.place, "#if: cannot read the condition")

    def value(self):
        result = self._level(0)
        if self.tokens:
            self._bad()
        return result

    def _next(self):
        if not self.tokens:
            self._bad()
        return self.tokens.pop(0)

    def _level(self, level):
        if level == len(self.LEVELS):
            return self._unary()
        left = self._level(level + 1)
        while self.tokens and self.tokens[0] in self.LEVELS[level]:
            operator = self.tokens.pop(0)
            right = self._level(level + 1)
            if operator == "/" and right == 0:
                raise DefsError(self.place, "#if: division by zero")
            left = self.APPLY[operator](left, right)
        return left

    def _unary(self):
        token = self._next()
        if token == "!":
            return int(not self._unary())
        if token == "-":
            return -self._unary()
        if token == "(":
            result = self._level(0)
            if self._next() != ")":
                self._bad()
            return result
        if token == "defined":
            name = self._next()
            if name == "(":
                name = self._next()
                if self._next() != ")":
                    self._bad()
            return int(name in self.pre.macros)
        if token[0].isdigit():
            return int(token, 0)
        if not IDENT.fullmatch(token):
            self._bad()
        text = self.pre._expand(token)
        if text == token:
            return 0
        return Condition(self.pre, text, self.place).value() if text.strip() else 0


def strip_comments(path, text):
    """Comments become one space; line ends inside them stay, so that numbers hold."""
    out, at = [], 0
    token = re.compile(r'/\*|//[^\n]*|"[^"\n]*"')
    while True:
        match = token.search(text, at)
        if not match:
            return "".join(out) + text[at:]
        out.append(text[at:match.start()])
        at = match.end()
        if match.group(0) == "/*":
            end = text.find("*/", at)
            if end < 0:
                line = text.count("\n", 0, match.start()) + 1
                raise DefsError((path, line), "this comment does not end")
            out.append(" " + "\n" * text.count("\n", at, end))
            at = end + 2
        elif match.group(0)[0] == '"':
            out.append(match.group(0))
        else:
            out.append(" ")

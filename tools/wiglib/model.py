# SPDX-License-Identifier: BSD-2-Clause
"""Types, routines and arguments, built from the parse tree and checked.

A type knows both its C side and its wire side. Kinds:
  int        one integer, passed by value
  port       one right in a slot of 8 bytes
  struct     passed by value, returned through a pointer
  array      of fixed length, passed by pointer
  string     C string in a field of fixed length
  var        counted inline array of bounded length
  varstring  C string, sent with its own length
  ool        counted, out of line
  indef      counted, inline when small, else out of line
"""

import os

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from .errors import DefsError
from .preprocess import Preprocessor

POLY = -1
INDEF_INLINE_BYTES = 2048
REPLY_OFFSET = 100
MESSAGE_BYTES_MAX = 1 << 24
OUT_OF_LINE_PORT_BITS = 32

# name: (number, bits of one element, C type of one)
IPC_TYPES = {
    "MACH_MSG_TYPE_UNSTRUCTURED": (0, 8, "char"),
    "MACH_MSG_TYPE_BIT": (0, 1, None),
    "MACH_MSG_TYPE_BOOLEAN": (0, 32, "boolean_t"),
    "MACH_MSG_TYPE_INTEGER_16": (1, 16, "int16_t"),
    "MACH_MSG_TYPE_INTEGER_32": (2, 32, "int32_t"),
    "MACH_MSG_TYPE_CHAR": (8, 8, "char"),
    "MACH_MSG_TYPE_BYTE": (9, 8, "char"),
    "MACH_MSG_TYPE_INTEGER_8": (9, 8, "char"),
    "MACH_MSG_TYPE_REAL": (10, 32, "float"),
    "MACH_MSG_TYPE_INTEGER_64": (11, 64, "int64_t"),
    "MACH_MSG_TYPE_STRING": (12, 8, "char"),
    "MACH_MSG_TYPE_STRING_C": (12, 8, "char"),
    "MACH_MSG_TYPE_PORT_NAME": (15, 32, "mach_port_name_t"),
    "MACH_MSG_TYPE_MOVE_RECEIVE": (16, 64, "mach_port_t"),
    "MACH_MSG_TYPE_PORT_RECEIVE": (16, 64, "mach_port_t"),
    "MACH_MSG_TYPE_MOVE_SEND": (17, 64, "mach_port_t"),
    "MACH_MSG_TYPE_PORT_SEND": (17, 64, "mach_port_t"),
    "MACH_MSG_TYPE_MOVE_SEND_ONCE": (18, 64, "mach_port_t"),
    "MACH_MSG_TYPE_PORT_SEND_ONCE": (18, 64, "mach_port_t"),
    "MACH_MSG_TYPE_COPY_SEND": (19, 64, "mach_port_t"),
    "MACH_MSG_TYPE_MAKE_SEND": (20, 64, "mach_port_t"),
    "MACH_MSG_TYPE_MAKE_SEND_ONCE": (21, 64, "mach_port_t"),
    "MACH_MSG_TYPE_POLYMORPHIC": (POLY, 64, "mach_port_t"),
    "polymorphic": (POLY, 64, "mach_port_t"),
}
BY_RECEIVER = {"MACH_MSG_TYPE_PORT_RECEIVE", "MACH_MSG_TYPE_PORT_SEND",
               "MACH_MSG_TYPE_PORT_SEND_ONCE"}
RECEIVED = {16: 16, 17: 17, 18: 18, 19: 17, 20: 17, 21: 18, POLY: POLY}
INTEGER_OF_ALIGNMENT = {1: 8, 2: 1, 4: 2, 8: 11}
BUILTIN = {
    "char": "MACH_MSG_TYPE_CHAR", "short": "MACH_MSG_TYPE_INTEGER_16",
    "int": "MACH_MSG_TYPE_INTEGER_32", "unsigned": "MACH_MSG_TYPE_INTEGER_32",
}
FLAGS = {"dealloc", "notdealloc", "countinout", "servercopy", "islong", "isnotlong"}


class Type:
    """One type; copied and changed to make others."""

    def __init__(self, kind, user_name, server_name, bits, number, c_type, c_size, align):
        self.kind = kind
        self.user_name, self.server_name = user_name, server_name  # IPC type numbers or POLY
        self.bits = bits            # msgt_size
        self.number = number        # msgt_number; of one element when counted
        self.maximum = None         # elements, when counted and bounded
        self.c_type = c_type        # None: arrays without a name
        self.element = c_type       # C type of one element
        self.c_size, self.align = c_size, align   # bytes in C, of one element when counted
        self.server_c_type = None
        self.intran = self.outtran = None  # (C type, function)
        self.destructor = None
        self.by_receiver = False    # a right declared as MACH_MSG_TYPE_PORT_...

    def copy(self, **changes):
        new = Type.__new__(Type)
        new.__dict__.update(self.__dict__)
        new.__dict__.update(changes)
        return new

    @property
    def is_port(self):
        """Does it carry rights (one, or an array of them)?"""
        return self.user_name >= 16 or self.user_name == POLY

    @property
    def counted(self):
        return self.kind in ("var", "ool", "indef")

    @property
    def is_complex(self):
        return self.is_port or self.kind == "ool"

    @property
    def wire_bytes(self):
        """Bytes on the wire: of all, or of one element when counted."""
        return self.number * self.bits // 8


def ipc_type(name, place):
    if name.isdigit():
        for number, bits, c_type in IPC_TYPES.values():
            if number == int(name):
                return number, bits, c_type
    if name.lower() == "polymorphic":
        name = "polymorphic"
    if name not in IPC_TYPES:
        raise DefsError(place, f"unknown type {name}")
    return IPC_TYPES[name]


def primitive(user, server, bits, c_type):
    size = bits // 8
    if user == POLY or user >= 16:
        return Type("port", user, server, 64, 1, "mach_port_t", 4, 4)
    if user == 12:
        return Type("string", user, server, bits, 1, None, size, 1)
    if bits in (8, 16, 32, 64):
        return Type("int", user, server, bits, 1, c_type, size, size)
    return Type("array", user, server, bits, 1, None, size, 1)


class Argument:
    def __init__(self, name, direction, type_, flags, place):
        # Named by what the receiver gets: how the sender gives it is the caller's to say.
        if direction in ("", "in") and type_.by_receiver:
            type_ = type_.copy(user_name=POLY)
        self.name, self.direction, self.type, self.place = name, direction, type_, place
        self.flags = flags                    # lower case, of FLAGS
        self.dealloc_asked = False            # Dealloc[]

    @property
    def is_in(self):
        return self.direction in ("in", "inout")

    @property
    def is_out(self):
        return self.direction in ("out", "inout")

    @property
    def count_inout(self):
        return "countinout" in self.flags

    @property
    def dealloc(self):
        return "dealloc" in self.flags


class Routine:
    def __init__(self, name, simple, number, arguments, place):
        self.name, self.simple, self.id, self.place = name, simple, number, place
        self.arguments = arguments
        self.waittime = None

    @property
    def reply_id(self):
        return self.id + REPLY_OFFSET

    @property
    def request_port(self):
        return next(a for a in self.arguments if a.direction == "requestport")

    def special(self, direction):
        return next((a for a in self.arguments if a.direction == direction), None)


class Subsystem:
    def __init__(self):
        self.name = self.base = None
        self.user_prefix = self.server_prefix = ""
        self.demux = None
        self.imports = []            # (kind, file)
        self.routines = []
        self.count = 0               # ids, skipped ones too


class Builder:
    """Walks the statements in order; types must be declared before use."""

    def __init__(self, places):
        self.places = places
        self.types, self.type_places = {}, {}
        for name, symbol in BUILTIN.items():
            number, bits, _ = IPC_TYPES[symbol]
            self.types[name] = primitive(number, number, bits, name)
        self.out = Subsystem()
        self.waittime = None
        self.names = {}

    def place(self, node):
        token = node if isinstance(node, Token) else next(node.scan_values(lambda _: True), None)
        return self.places[min(token.line, len(self.places)) - 1]

    def build(self, tree):
        for node in tree.children:
            getattr(self, "do_" + str(node.data))(node)
        return self.out

    # --- statements

    def do_subsystem(self, node):
        name, base = node.children[-2:]
        if self.out.name:
            raise DefsError(self.place(name), "a second subsystem")
        self.out.name, self.out.base = str(name), int(base, 0)

    def do_statement(self, _):
        """A lone semicolon."""

    def do_skip(self, node):
        self._next_id(self.place(node))

    def do_name_option(self, node):
        option, name = node.children
        attribute = {"userprefix": "user_prefix", "serverprefix": "server_prefix",
                     "serverdemux": "demux"}[option.lower()]
        setattr(self.out, attribute, str(name))

    def do_import(self, node):
        kind, file = node.children
        entry = (kind.lower(), str(file))
        if entry not in self.out.imports:
            self.out.imports.append(entry)

    def do_set_waittime(self, node):
        self.waittime = self.number(node.children[1])

    def do_no_waittime(self, _):
        self.waittime = None

    def do_type_decl(self, node):
        _, name, spec, *options = node.children
        place = self.place(name)
        if name in self.type_places:
            where = "%s:%d" % self.type_places[name]
            raise DefsError(place, f"type {name} is declared already, at {where}")
        self.type_places[str(name)] = place
        made = self.spec(spec)
        named = made.copy(c_type=str(name))
        if named.kind in ("int", "struct", "port"):
            named.element = str(name)
        self.types[str(name)] = self.options(named, options)

    def do_routine(self, node):
        kind, name, *arguments = [c for c in node.children if c is not None]
        place = self.place(kind)
        if not self.out.name:
            raise DefsError(place, "a routine before the subsystem")
        if name in self.names:
            raise DefsError(place, f"routine {name} is declared already, at %s:%d"
                            % self.names[name])
        self.names[str(name)] = place
        made = [self.argument(a) for a in arguments]
        routine = Routine(str(name), kind.lower() == "simpleroutine", self._next_id(place),
                          made, place)
        routine.waittime = self.waittime
        self.check(routine)
        self.out.routines.append(routine)

    def _next_id(self, place):
        if not self.out.name:
            raise DefsError(place, "skip before the subsystem")
        if self.out.count >= REPLY_OFFSET:
            raise DefsError(place, f"id {self.out.base + self.out.count} is the reply of another: "
                            f"a subsystem has at most {REPLY_OFFSET} routines")
        self.out.count += 1
        return self.out.base + self.out.count - 1

    # --- types

    def number(self, node):
        if node.data == "number":
            return int(node.children[0], 0)
        left, right = [self.number(c) for c in node.children if isinstance(c, Tree)]
        if node.data == "div" and right == 0:
            raise DefsError(self.place(node), "division by zero")
        return {"add": left + right, "sub": left - right, "mul": left * right,
                "div": left // (right or 1)}[node.data]

    def length(self, node, what):
        number = self.number(node)
        if not 0 < number <= MESSAGE_BYTES_MAX:
            raise DefsError(self.place(node), f"{what} of {number}")
        return number

    def spec(self, node):
        return getattr(self, "spec_" + str(node.data))(node)

    def spec_one_ipc(self, node):
        token = node.children[0].children[0]
        if token in self.types:
            return self.types[token].copy()
        number, bits, c_type = ipc_type(str(token), self.place(token))
        new = primitive(number, number, bits, c_type)
        new.by_receiver = token in BY_RECEIVER
        return new

    def spec_two_ipc(self, node):
        tokens = [c.children[0] for c in node.children]
        (user, bits, c_type), (server, other, _) = [ipc_type(str(t), self.place(t)) for t in tokens]
        if bits != other:
            raise DefsError(self.place(tokens[0]), "the two sides' types differ in size")
        return primitive(user, server, bits, c_type)

    def spec_sized_ipc(self, node):
        token = node.children[0].children[0]
        number, _, c_type = ipc_type(str(token), self.place(token))
        bits = self.length(node.children[1], "a size")
        if bits % 8 or bits > 65535:
            raise DefsError(self.place(token), f"{bits} bits: not a size that a message can tell")
        if number == POLY or number >= 16:
            raise DefsError(self.place(token), "the size of a port right is fixed")
        return primitive(number, number, bits, c_type)

    def spec_out_of_line(self, node):
        inner = self.spec(node.children[0])
        if inner.kind not in ("var", "indef"):
            raise DefsError(self.place(node), "only counted arrays can be out of line")
        bits = OUT_OF_LINE_PORT_BITS if inner.is_port else inner.bits
        return inner.copy(kind="ool", bits=bits)

    def _array(self, node, kind, maximum):
        inner = self.spec(node.children[-1])
        if inner.kind not in ("int", "port", "struct", "array", "string"):
            raise DefsError(self.place(node), "arrays of counted arrays cannot be sent")
        if kind != "var" and kind != "indef" and inner.is_port:
            raise DefsError(self.place(node), "a fixed array of port rights cannot be sent")
        new = inner.copy(kind=kind, maximum=maximum, c_type=None, intran=None, outtran=None,
                         destructor=None, server_c_type=None)
        if new.bits * new.number % 8:
            raise DefsError(self.place(node), "an element is not of whole bytes")
        if maximum and maximum * new.wire_bytes > MESSAGE_BYTES_MAX:
            raise DefsError(self.place(node), "the array is larger than a message can be")
        return new

    def spec_var_array(self, node):
        return self._array(node, "indef", None)

    def spec_bounded_array(self, node):
        return self._array(node, "var", self.length(node.children[-3], "an array"))

    def _fixed(self, node, kind):
        count = self.length(node.children[1], "an array")
        new = self._array(node, kind, None)
        if count * new.wire_bytes > MESSAGE_BYTES_MAX:
            raise DefsError(self.place(node), "the array is larger than a message can be")
        return new.copy(number=new.number * count, c_size=new.c_size * count)

    def spec_fixed_array(self, node):
        return self._fixed(node, "array")

    def spec_struct_array(self, node):
        return self._fixed(node, "struct")

    def spec_struct(self, node):
        """Natural C layout; travels as an array of integers as wide as its alignment."""
        size, align = 0, 1
        for member in node.children[1:]:
            type_ = self.spec(member.children[0])
            if type_.is_port:
                raise DefsError(self.place(member), "a struct cannot hold port rights")
            if type_.kind not in ("int", "struct", "array", "string"):
                raise DefsError(self.place(member), "a struct's member must have a fixed size")
            size = -(-size // type_.align) * type_.align + type_.c_size
            align = max(align, type_.align)
        if not size:
            raise DefsError(self.place(node), "an empty struct")
        size = -(-size // align) * align
        name = INTEGER_OF_ALIGNMENT[align]
        return Type("struct", name, name, align * 8, size // align, None, size, align)

    def spec_c_string(self, node):
        size = self.length(node.children[1], "a string")
        return Type("string", 12, 12, 8, size, None, size, 1)

    def spec_var_c_string(self, node):
        new = Type("varstring", 12, 12, 8, 1, None, 1, 1)
        new.maximum = self.length(node.children[-1], "a string")
        return new

    @staticmethod
    def c_type(node):
        words = [str(c) for c in node.children]
        stars = words.count("*")
        text = " ".join(w for w in words if w != "*")
        return text + (" " + "*" * stars if stars else "")

    def options(self, type_, nodes):
        for node in nodes:
            children = node.children
            if node.data == "destructor_option":
                type_.destructor = str(children[1])
            elif node.data == "translate_option":
                entry = (self.c_type(children[1]), str(children[2]))
                if children[0].lower() == "intran":
                    type_.intran = entry
                else:
                    entry = (self.c_type(children[3]), str(children[2]))
                    type_.outtran = entry
            elif children[0].lower() == "cservertype":
                type_.server_c_type = self.c_type(children[1])
            else:
                type_.c_type = self.c_type(children[1])
                if children[0].lower() == "ctype":
                    type_.server_c_type = None
                if type_.kind in ("int", "struct", "port"):
                    type_.element = type_.c_type
        return type_

    # --- arguments

    def argument(self, node):
        children = list(node.children)
        direction = ""
        if isinstance(children[0], Token) and children[0].type == "DIRECTION":
            direction = children.pop(0).lower()
        name, type_name = children[:2]
        spec = children[2]
        options = [c for c in children[3:] if c.data != "flag"]
        flags = [c for c in children[3:] if c.data == "flag"]
        place = self.place(name)
        if spec is not None:
            type_ = self.spec(spec)
            type_ = type_.copy(c_type=str(type_name), intran=None, outtran=None, destructor=None)
            if type_name in self.types:
                type_.c_type = self.types[type_name].c_type
            if type_.kind == "port":
                type_.element = type_.c_type
        elif type_name in self.types:
            type_ = self.types[type_name].copy()
        else:
            raise DefsError(place, f"unknown type {type_name}")
        type_ = self.options(type_, options)
        argument = Argument(str(name), direction, type_, set(), place)
        for flag in flags:
            word = flag.children[0].lower()
            if word not in FLAGS:
                raise DefsError(self.place(flag), f"unknown flag {flag.children[0]}")
            if flag.children[1] is not None:
                if word != "dealloc":
                    raise DefsError(self.place(flag), f"{flag.children[0]} takes no brackets")
                argument.dealloc_asked = True
            argument.flags.add(word)
        self.check_flags(argument)
        return argument

    @staticmethod
    def check_flags(argument):
        type_, place = argument.type, argument.place
        if argument.count_inout and not (argument.is_out and type_.counted):
            raise DefsError(place, f"{argument.name}: CountInOut is for counted out arrays")
        if argument.dealloc and type_.kind not in ("ool", "indef"):
            raise DefsError(place, f"{argument.name}: Dealloc is for out-of-line arrays")
        if argument.dealloc_asked and argument.is_out:
            raise DefsError(place, f"{argument.name}: Dealloc[] is for in arrays")
        if "servercopy" in argument.flags and not (type_.kind == "indef"
                                                   and argument.direction in ("", "in")):
            raise DefsError(place, f"{argument.name}: ServerCopy is for in arrays of any size")

    @staticmethod
    def check(routine):
        seen = set()
        for argument in routine.arguments:
            if argument.name in seen:
                raise DefsError(argument.place, f"two arguments {argument.name}")
            seen.add(argument.name)
        if not routine.special("requestport"):
            first = next((a for a in routine.arguments if a.direction in ("", "in")), None)
            if first is None or first.type.kind != "port" or first is not routine.arguments[0]:
                raise DefsError(routine.place, f"{routine.name}: the first argument must be a port")
            first.direction = "requestport"
        for argument in routine.arguments:
            argument.direction = argument.direction or "in"
            type_, place = argument.type, argument.place
            if routine.simple and argument.is_out:
                raise DefsError(place, f"{argument.name}: a simpleroutine has no out arguments")
            if argument.direction == "inout" and type_.kind in ("ool", "indef"):
                raise DefsError(place, f"{argument.name}: out-of-line arrays are in or out, not both")
            if argument.direction.endswith("port") and type_.kind != "port":
                raise DefsError(place, f"{argument.name}: not a port")
            if argument.direction in ("waittime", "msgoption", "msgseqno") and type_.kind != "int":
                raise DefsError(place, f"{argument.name}: not an integer")


def parse(path, include_dirs, macros):
    """Reads a .defs file; returns its Subsystem. Raises DefsError."""
    text, places = Preprocessor(include_dirs, macros).run(path)
    places = places or [(path, 1)]
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "grammar.lark"), encoding="utf-8") as file:
        parser = Lark(file.read(), parser="lalr", lexer="contextual", propagate_positions=True,
                      maybe_placeholders=True)
    try:
        tree = parser.parse(text)
    except UnexpectedCharacters as error:
        raise DefsError(places[min(error.line, len(places)) - 1],
                        f"unexpected character {error.char!r}") from None
    except (UnexpectedToken, UnexpectedEOF) as error:
        token = getattr(error, "token", None)
        if token is None or token.type == "$END":
            raise DefsError(places[-1], "the file ends in the middle of a statement") from None
        raise DefsError(places[min(token.line, len(places)) - 1],
                        f"unexpected {str(token)!r}") from None
    subsystem = Builder(places).build(tree)
    if not subsystem.name:
        raise DefsError((path, 1), "no subsystem is declared")
    return subsystem

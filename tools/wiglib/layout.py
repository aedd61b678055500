# SPDX-License-Identifier: BSD-2-Clause
"""Where each item of a message lies: offsets, sizes, type words.

Every item is a type word of 8 bytes and data padded to 8. Offsets are fixed up to the data
of the first item of variable length; what follows is reached by walking.
"""

from .model import INDEF_INLINE_BYTES, POLY, RECEIVED, primitive

HEADER = 32
REPLY_HEAD = 48
TYPE = 8

NAMES = {
    0: "BOOLEAN", 1: "INTEGER_16", 2: "INTEGER_32", 8: "CHAR", 9: "BYTE", 10: "REAL",
    11: "INTEGER_64", 12: "STRING_C", 15: "PORT_NAME", 16: "MOVE_RECEIVE", 17: "MOVE_SEND",
    18: "MOVE_SEND_ONCE", 19: "COPY_SEND", 20: "MAKE_SEND", 21: "MAKE_SEND_ONCE",
    POLY: "polymorphic",
}


def pad8(size):
    return -(-size // 8) * 8


class Item:
    """One typed item of a message."""

    def __init__(self, name, argument, type_, sender, receiver):
        self.name, self.argument, self.type = name, argument, type_
        self.sent = sender              # type number that the sender writes, or POLY
        self.expected = receiver        # type number that the receiver demands, or POLY
        self.offset = None              # of the type word; None behind a variable item
        self.is_count = argument is None

    @property
    def variable(self):
        return self.type.kind in ("var", "varstring", "indef")

    @property
    def data_max(self):
        """Bytes of data at most, padded."""
        kind = self.type.kind
        if kind in ("var", "varstring"):
            return pad8(self.type.maximum * self.type.wire_bytes)
        if kind == "indef":
            return pad8(INDEF_INLINE_BYTES)
        if kind in ("ool", "port"):
            return 8
        return pad8(self.type.wire_bytes)

    @property
    def data_min(self):
        return 0 if self.variable else self.data_max


class Message:
    """The items of a request or a reply after the fixed part of `head` bytes."""

    def __init__(self, items, head):
        self.items, self.head = items, head
        for item in items:   # names of its locals in C
            item.tag = item.name + ("In" if head == HEADER else "Out")
        offset, self.first_variable = head, None
        for item in items:
            if self.first_variable is None:
                item.offset = offset
                if item.variable:
                    self.first_variable = item
                offset += TYPE + item.data_max
        self.min = head + sum(TYPE + i.data_min for i in items)
        self.max = head + sum(TYPE + i.data_max for i in items)

    @property
    def fixed(self):
        return self.first_variable is None

    @property
    def near(self):
        """Items at fixed offsets, the first variable one included."""
        return [i for i in self.items if i.offset is not None]

    @property
    def far(self):
        return [i for i in self.items if i.offset is None]

    def min_after(self, item):
        at = self.items.index(item)
        return sum(TYPE + i.data_min for i in self.items[at + 1:])

    @property
    def is_complex(self):
        return any(i.type.is_complex for i in self.items)

    @property
    def may_be_complex(self):
        return self.is_complex or any(i.type.kind == "indef" for i in self.items)


def received(sender, receiver):
    """What the receiver demands, given the two sides' declared types."""
    if receiver == POLY:
        return POLY
    if sender == POLY:
        return RECEIVED[receiver] if receiver >= 16 else receiver
    return RECEIVED[sender] if sender >= 16 else sender


def request(routine):
    items = []
    count = primitive(2, 2, 32, "mach_msg_type_number_t")
    for a in routine.arguments:
        t = a.type
        if a.is_in:
            items.append(Item(a.name, a, t, t.user_name, received(t.user_name, t.server_name)))
        elif a.direction == "out" and a.count_inout:
            items.append(Item(a.name + "Cnt", None, count, 2, 2))
            items[-1].counted_by = a
    return Message(items, HEADER)


def reply(routine):
    items = []
    for a in routine.arguments:
        t = a.type
        if a.is_out:
            items.append(Item(a.name, a, t, t.server_name, received(t.server_name, t.user_name)))
    return Message(items, REPLY_HEAD)


def long_form(item):
    return int(item.type.kind == "ool")


def _line(offset, size, text):
    return f"  {offset:>6} {size:>6}  {text}"


def _describe(message, out):
    offset = message.head
    for item in message.items:
        t = item.type
        shown = "+" if item.offset is None else ""
        number = t.number if not (t.counted or t.kind == "varstring") else f"{t.number}n"
        flags = "out-of-line" if t.kind == "ool" else "inline"
        if t.kind == "indef":
            flags = "inline or out-of-line"
        flags += " long" if long_form(item) else ""
        if item.argument is not None and item.argument.dealloc:
            flags += " deallocate"
        name = NAMES.get(item.sent, str(item.sent))
        bits = t.bits if t.kind != "port" else 64
        out.append(_line(f"{shown}{offset}", TYPE,
                         f"{item.name} type: {name} {bits} bits, number {number}, {flags}"))
        offset += TYPE
        size = item.data_max if not item.variable else f"<={item.data_max}"
        out.append(_line(f"{shown}{offset}", size, item.name))
        offset += item.data_max
    if message.fixed:
        out.append(f"  size {message.min}")
    else:
        out.append(f"  size {message.min}..{message.max}")


def describe(subsystem):
    """The layouts as text; offsets with + are the largest possible."""
    out = [f"subsystem {subsystem.name} {subsystem.base}"]
    for routine in subsystem.routines:
        for kind, id_, message in (("request", routine.id, request(routine)),
                                   ("reply", routine.reply_id, reply(routine))):
            if kind == "reply" and routine.simple:
                continue
            bits = " complex" if message.is_complex else ""
            out += ["", f"{routine.name} {kind} {id_}{bits}", _line(0, HEADER, "header")]
            if kind == "reply":
                out.append(_line(32, TYPE, "RetCode type: INTEGER_32 32 bits, number 1, inline"))
                out.append(_line(40, 8, "RetCode"))
            _describe(message, out)
    return "\n".join(out) + "\n"

# SPDX-License-Identifier: BSD-2-Clause
"""Server stubs, for programs and for the kernel (docs/wig.md has the conventions of both)."""

import re

from . import emit, layout
from .emit import Access, Side
from .layout import TYPE
from .model import POLY, RECEIVED

HIDDEN = ("ureplyport", "waittime", "msgoption")


def parameters(routine, side):
    result = []
    for a in routine.arguments:
        if a.direction not in HIDDEN:
            result += side.parameters(a)
    return result


def function(subsystem, routine, kernel):
    return routine.name if kernel else subsystem.server_prefix + routine.name


def kernel_structs(subsystem):
    """The kernel's own types that the prototypes mention."""
    names = {"port", "vm_copy", "port_array"}
    for routine in subsystem.routines:
        for a in routine.arguments:
            for entry in (a.type.intran, a.type.outtran):
                if entry:
                    names.update(re.findall(r"struct (\w+) \*", entry[0]))
    return [f"struct {name};" for name in sorted(names)]


def converters(subsystem):
    """Prototypes of the translations."""
    entries = {a.type.intran for r in subsystem.routines for a in r.arguments if a.type.intran}
    return [emit.declare(c_type, f"{name}(struct port *port);") for c_type, name in sorted(entries)]


def header(subsystem, path, kernel):
    guard = f"WIG_{subsystem.name.upper()}_SERVER_H"
    who = "the kernel" if kernel else "a server"
    lines = emit.banner(path, f"What {who} provides for the subsystem {subsystem.name}")
    lines += [f"#ifndef {guard}", f"#define {guard}", "",
              "#include <mach/mach_types.h>", "#include <mach/message.h>"]
    if not kernel:
        lines.append("#include <mach/mig_errors.h>")
    lines += emit.imports(subsystem, ("import", "simport")) + [""]
    if kernel:
        lines += kernel_structs(subsystem) + [""]
    lines += emit.ids(subsystem) + [""]
    side = Side(kernel, True)
    for routine in subsystem.routines:
        lines.append(emit.prototype("kern_return_t", function(subsystem, routine, kernel),
                                    parameters(routine, side)) + ";")
    lines.append("")
    if kernel:
        lines += ["struct krpc_subsystem;",
                  f"extern const struct krpc_subsystem {subsystem.name}_subsystem;"]
    else:
        demux = subsystem.demux or subsystem.name + "_server"
        lines += ["/* Serves one request; FALSE: not of this subsystem (the reply says MIG_BAD_ID). */",
                  f"boolean_t {demux}(mach_msg_header_t *in, mach_msg_header_t *out);",
                  "/* The stub for a request, or NULL. It takes the reply's header as made. */",
                  f"mig_routine_t {demux}_routine(const mach_msg_header_t *in);",
                  "/* Bytes of the largest request and reply. */",
                  f"#define {subsystem.name.upper()}_REQUEST_MAX\t"
                  f"{max([layout.request(r).max for r in subsystem.routines] + [32])}",
                  f"#define {subsystem.name.upper()}_REPLY_MAX\t"
                  f"{max([layout.reply(r).max for r in subsystem.routines] + [48])}"]
    return "\n".join(lines + ["", "#endif"]) + "\n"


def source(subsystem, path, header_name, kernel):
    what = "Kernel stubs" if kernel else "Server stubs"
    lines = emit.banner(path, f"{what} of the subsystem {subsystem.name}")
    lines += [f'#include "{header_name}"']
    lines += ['#include "ipc/krpc.h"'] if kernel else []
    lines += ["#include <mach/mig_errors.h>", "", emit.HELPERS]
    if kernel:
        lines += converters(subsystem) + [""]
    for routine in subsystem.routines:
        lines += Stub(subsystem, routine, kernel).text()
    lines += kernel_table(subsystem) if kernel else demux(subsystem)
    return "\n".join(lines) + "\n"


class Stub:
    """One routine's server stub."""

    def __init__(self, subsystem, routine, kernel):
        self.routine, self.kernel, self.subsystem = routine, kernel, subsystem
        self.side = Side(kernel, True)
        self.request, self.reply = layout.request(routine), layout.reply(routine)
        self.ins = Access(self.request, self.side, "InP")
        self.outs = Access(self.reply, self.side, "OutP")
        self.name = function(subsystem, routine, kernel)
        self.in_items = {i.name: i for i in self.request.items}
        self.fail = "return MIG_BAD_ARGUMENTS" if kernel else "goto Bad"
        # Arrays and structs that the routine writes where they will be sent from.
        self.direct = [i for i in self.reply.items
                       if i.type.kind in ("array", "string", "var", "varstring", "struct")
                       and not (i.type.is_port and not kernel)]
        # A struct behind a variable item, or one that is also an argument, has a local instead.
        self.direct = [i for i in self.direct if not (
            i.type.kind == "struct" and (i.offset is None or i.argument.direction == "inout"))]

    def text(self):
        routine = self.routine
        if self.kernel:
            lines = [f"#pragma weak {self.name}",
                     f"static kern_return_t _X{routine.name}(void)", "{"]
        else:
            lines = [f"static void _X{routine.name}(mach_msg_header_t *InHeadP, "
                     "mach_msg_header_t *OutHeadP)", "{"]
        lines += emit.struct("Request", self.request, self.side)
        if not routine.simple and (self.reply.items or not self.kernel):
            lines += emit.struct("Reply", self.reply, self.side, reply_head=True)
        lines += self.locals()
        lines += self.checks()
        lines += self.prepare_outs()
        lines += self.call()
        lines += self.finish()
        return lines + ["}", ""]

    def locals(self):
        routine, kernel, lines = self.routine, self.kernel, []
        lines += [emit.type_constant(i, i.expected) for i in self.request.items
                  if i.expected != POLY]
        if not routine.simple:
            if not kernel:
                lines.append("\tstatic const mach_msg_type_t RetCodeWant = { .msgt_name = 2, "
                             ".msgt_size = 32, .msgt_inline = 1, .msgt_number = 1 };")
            lines += [emit.type_constant(i, self.sent(i)) for i in self.reply.items]
        if kernel:
            lines += ["\tRequest *const InP = (Request *) (uintptr_t) krpc_now.in;"] if self.request.items else []
            lines += ["\tReply *const OutP = (Reply *) krpc_reply_bytes;"] if self.reply.items else []
        else:
            lines.append("\tRequest *const InP = (Request *) InHeadP;")
            lines.append(f"\t{'mig_reply_header_t' if routine.simple else 'Reply'} *const OutP = "
                         f"({'mig_reply_header_t' if routine.simple else 'Reply'} *) OutHeadP;")
        lines += emit.locals_for(None if routine.simple else self.reply, self.request)
        lines += self.ins.far_pointers()
        lines += [] if routine.simple else self.outs.far_pointers()
        if any(i.type.kind == "indef" for i in self.reply.items):
            lines.append(f"\tint Complex = {int(self.reply.is_complex)};")
        lines += self.argument_locals()
        lines += ["\tkern_return_t Code;", ""]
        return lines

    def sent(self, item):
        """In the kernel a right in a reply has been made: its type is what arrives."""
        return RECEIVED[item.sent] if self.kernel and item.sent >= 16 else item.sent

    def argument_locals(self):
        lines = [f"\tmach_port_t {i.tag}Names[{i.type.maximum}];"
                 for i in self.request.items if self.port_names(i)]
        for a in self.routine.arguments:
            t = a.type
            if a.direction in HIDDEN:
                continue
            if self.translated(a):
                lines.append(f"\t{emit.declare(t.intran[0], a.name + 'Obj')};")
            if not a.is_out:
                continue
            item = next(i for i in self.reply.items if i.argument is a)
            if item in self.direct:
                if item.offset is None:
                    lines.append(f"\tuint8_t *{item.tag}Room;")
            elif t.kind in ("int", "port", "struct"):
                c_type = self.side.returned(t)
                zero = "{ 0 }" if t.kind == "struct" else "0"
                lines.append(f"\t{emit.declare(c_type, a.name + 'Val')} = {zero};")
            elif t.kind == "var":
                lines.append(f"\tmach_port_t {a.name}Val[{t.maximum}];")
            else:
                c_type = "struct vm_copy *" if self.kernel and t.kind == "indef" else \
                    self.side.c_type(t)
                lines.append(f"\t{emit.declare(c_type, a.name + 'Val')} = 0;")
            if t.counted:
                lines.append(f"\tmach_msg_type_number_t {a.name}Num = 0;")
            if t.server_name == POLY:
                lines.append(f"\tmach_msg_type_name_t {a.name}Kind = MACH_MSG_TYPE_PORT_SEND;")
        return lines

    def port_names(self, item):
        """Does the argument need an array of names made from slots of 8 bytes?"""
        return not self.kernel and item.type.kind == "var" and item.type.is_port

    def translated(self, a):
        return a.type.intran is not None and (a.is_in or a.direction == "requestport")

    # --- before the call

    def checks(self):
        request = self.request
        size = "krpc_now.in_size" if self.kernel else "InP->Head.msgh_size"
        lines = []
        compare = "!=" if request.fixed else "<"
        test = f"{size} {compare} {request.min}"
        if request.is_complex:
            test += " || !(InP->Head.msgh_bits & MACH_MSGH_BITS_COMPLEX)"
        elif not request.may_be_complex:
            test += " || (InP->Head.msgh_bits & MACH_MSGH_BITS_COMPLEX)"
        if not self.kernel:	# there, krpc_fits has looked
            lines += [f"\tif ({test})", f"\t\t{self.fail};"]
        lines += self.ins.check(size, self.fail)
        for item in request.items:
            if item.type.kind == "string":
                lines.append(f"\t{self.ins.bytes(item)}[{item.type.wire_bytes - 1}] = 0;")
            elif item.type.kind == "varstring":
                lines += [f"\tif ({item.tag}Bytes == 0)", f"\t\t{self.fail};",
                          f"\t{self.ins.bytes(item)}[{item.tag}Bytes - 1] = 0;"]
        for item in request.items:
            if self.port_names(item):
                lines += [f"\tfor (uint32_t N = 0; N < {self.ins.count(item)}; N++)",
                          f"\t\t{item.tag}Names[N] ="
                          f" (mach_port_t) ((uint64_t *) {self.ins.bytes(item)})[N];"]
        for a in self.routine.arguments:
            if self.translated(a):
                lines.append(f"\t{a.name}Obj = {a.type.intran[1]}({self.port(a)});")
        return lines

    def port(self, a):
        """A right that came in, before translation."""
        if a.direction == "requestport":
            return "krpc_target()" if self.kernel else "InP->Head.msgh_local_port"
        return self.ins.data(self.in_items[a.name])

    def prepare_outs(self):
        """Room for what the routine writes in place, and how much there is."""
        lines, reply = [], self.reply
        variable = [i for i in reply.items if i.type.kind == "var" and i in self.direct]
        need, shrinks = reply.max, None
        if self.kernel and not self.routine.simple:
            if len(variable) == 1 and variable[0] is [i for i in reply.items if i in self.direct][-1]:
                shrinks = variable[0]
                need -= shrinks.data_max
            lines.append(f"\t_Static_assert({need} <= KRPC_REPLY_MAX, \"the reply is too large\");")
        offset = reply.head
        for item in reply.items:
            t, a = item.type, item.argument
            if item.offset is None and item in self.direct:
                lines.append(f"\t{item.tag}Room = (uint8_t *) OutP + {offset + TYPE};")
            offset += TYPE + item.data_max
            if item in self.direct and t.kind != "var":
                size = t.maximum if t.kind == "varstring" else t.wire_bytes
                lines.append(f"\t__builtin_memset({self.room(item)}, 0, {layout.pad8(size)});")
            if t.kind == "var":
                capacity = str(t.maximum)
                if item is shrinks:
                    room = f"(KRPC_REPLY_MAX - {need}) / {t.wire_bytes}U"
                    lines += [f"\t{a.name}Num = {room};", f"\tif ({a.name}Num > {t.maximum})",
                              f"\t\t{a.name}Num = {t.maximum};"]
                else:
                    lines.append(f"\t{a.name}Num = {capacity};")
            lines += self.inout(item)
        return lines

    def room(self, item):
        if item.offset is None:
            return item.tag + "Room"
        return f"((uint8_t *) OutP + {item.offset + TYPE})"

    def inout(self, item):
        """The first value of an inout argument; the caller's count of a CountInOut one."""
        a, t = item.argument, item.type
        lines = []
        if a.direction == "inout":
            came = self.in_items[a.name]
            if t.intran and t.outtran:
                lines.append(f"\t{a.name}Val = {a.name}Obj;")
            elif item not in self.direct:
                lines.append(f"\t{a.name}Val = {self.ins.data(came)};")
            else:
                size = f"{came.tag}Bytes" if came.variable else str(t.wire_bytes)
                lines.append(f"\t__builtin_memcpy({self.room(item)}, {self.ins.bytes(came)}, {size});")
            if t.server_name == POLY:
                lines.append(f"\t{a.name}Kind = {self.ins.type(came)}.msgt_name;")
            if t.counted:
                lines.append(f"\t{a.name}Num = {self.ins.count(came)};")
        elif a.count_inout:
            asked = self.ins.data(self.in_items[a.name + "Cnt"])
            if t.kind == "var":
                lines += [f"\tif ({a.name}Num > {asked})", f"\t\t{a.name}Num = {asked};"]
            else:
                lines.append(f"\t{a.name}Num = {asked};")
        return lines

    # --- the call

    def call(self):
        arguments = []
        for a in self.routine.arguments:
            if a.direction not in HIDDEN:
                arguments += self.values(a)
        lines, line = [], f"\tCode = {self.name}("
        for at, text in enumerate(arguments):
            text += ", " if at + 1 < len(arguments) else ");"
            if len(line.expandtabs(8)) + len(text) > 92:
                lines.append(line.rstrip())
                line = "\t\t"
            line += text
        lines.append(line)
        for a in self.routine.arguments:
            if self.translated(a) and a.type.destructor:
                lines.append(f"\t{a.type.destructor}({a.name}Obj);")
        return lines

    def values(self, a):
        t = a.type
        if a.direction == "msgseqno":
            return ["krpc_now.in->msgh_seqno" if self.kernel else "InP->Head.msgh_seqno"]
        if a.direction in ("sreplyport", "replyport"):
            if self.kernel:
                return ["krpc_now.reply_port"]
            poly = ["MACH_MSGH_BITS_REMOTE(InP->Head.msgh_bits)"] if t.server_name == POLY else []
            return ["InP->Head.msgh_remote_port"] + poly
        if a.direction == "requestport":
            poly = []
            if t.server_name == POLY:
                poly = ["MACH_MSGH_BITS_LOCAL(InP->Head.msgh_bits)"]
            return [f"{a.name}Obj" if self.translated(a) else self.port(a)] + poly
        return self.out_values(a) if a.is_out else self.in_values(a)

    def in_values(self, a):
        t, item = a.type, self.in_items[a.name]
        data, word = None, self.ins.type(item)
        if t.kind in ("port", "int", "struct", "ool"):
            data = self.ins.data(item)
        if t.kind == "port" or self.translated(a):
            result = [f"{a.name}Obj" if self.translated(a) else data]
            if t.server_name == POLY:
                result.append(f"{word}.msgt_name")
            return result
        if t.kind in ("int", "struct"):
            return [data]
        if t.kind in ("string", "varstring"):
            return [f"(const char *) {self.ins.bytes(item)}"]
        if t.kind == "array":
            return [f"(const {self.side.element(t)} *) {self.ins.bytes(item)}"]
        if t.kind == "var":
            if self.port_names(item):
                return [f"{item.tag}Names", self.ins.count(item)]
            element = self.side.element(t)
            const = "struct port *const *" if t.is_port and self.kernel else f"const {element} *"
            return [f"({const}) {self.ins.bytes(item)}", self.ins.count(item)]
        c_type = self.side.c_type(t)
        if t.kind == "ool":
            return [f"({c_type}) (uintptr_t) {data}", self.ins.count(item)]
        slot = f"(uintptr_t) *(uint64_t *) {self.ins.bytes(item)}"
        if self.kernel:
            result = [f"{word}.msgt_inline ? (const {t.element} *) {self.ins.bytes(item)} : 0",
                      f"{word}.msgt_inline ? 0 : (struct vm_copy *) {slot}"]
        else:
            result = [f"({c_type}) ({word}.msgt_inline ? "
                      f"(uintptr_t) {self.ins.bytes(item)} : {slot})"]
        result.append(self.ins.count(item))
        if "servercopy" in a.flags:
            result.append(f"(boolean_t) {word}.msgt_inline")
        return result

    def out_values(self, a):
        t = a.type
        item = next(i for i in self.reply.items if i.argument is a)
        if item in self.direct:
            element = "char" if t.kind in ("string", "varstring") else self.side.element(t)
            if t.kind == "struct":
                element = self.side.c_type(t)
            star = "*" if element.endswith("*") else " *"
            result = [f"({element}{star}) {self.room(item)}"]
        elif t.kind == "var":
            result = [f"{a.name}Val"]
        else:
            result = [f"&{a.name}Val"]
        if t.server_name == POLY:
            result.append(f"&{a.name}Kind")
        if t.counted:
            result.append(f"&{a.name}Num")
        return result

    # --- after it

    def consumed(self):
        """Zero the slots whose contents now belong to the routine."""
        lines = []
        for item in self.request.items:
            t = item.type
            if t.kind == "ool":
                lines.append(f"\t{self.ins.data(item)} = 0;")
            elif t.kind == "port" and not (item.argument and self.translated(item.argument)):
                lines.append(f"\t{self.ins.data(item)} = 0;")
            elif t.kind == "var" and t.is_port:
                lines.append(f"\t__builtin_memset({self.ins.bytes(item)}, 0, {item.tag}Bytes);")
            elif t.kind == "indef":
                lines += [f"\tif (!{self.ins.type(item)}.msgt_inline)",
                          f"\t\t*(uint64_t *) {self.ins.bytes(item)} = 0;"]
        return lines

    def finish(self):
        return self.finish_kernel() if self.kernel else self.finish_user()

    def pack_reply(self):
        def value(item):
            name = item.name + "Val"
            outtran = item.type.outtran
            return f"{outtran[1]}({name})" if outtran and not self.kernel else name

        return self.outs.pack(value, lambda i: i.name + "Num", lambda i: i.name + "Kind",
                              lambda i: "", "Code = MIG_ARRAY_TOO_LARGE", self.direct)

    def finish_kernel(self):
        consumed, lines = self.consumed(), []
        if consumed:
            lines += ["\tif (Code == KERN_SUCCESS || Code == KRPC_BLOCKED || Code == MIG_NO_REPLY) {"]
            lines += ["\t" + line for line in consumed] + ["\t}"]
        if self.reply.items:
            lines += ["\tif (__builtin_expect(Code != KERN_SUCCESS, 0))", "\t\treturn Code;"]
            lines += self.pack_reply()
            size = str(self.reply.min) if self.reply.fixed else \
                "(uint32_t) (At - (uint8_t *) OutP)"
            lines.append(f"\tkrpc_now.out_size = {size};")
            if any(i.type.kind == "indef" for i in self.reply.items):
                lines.append("\tkrpc_now.out_complex = Complex;")
            elif self.reply.is_complex:
                lines.append("\tkrpc_now.out_complex = true;")
            return lines + ["\treturn KERN_SUCCESS;"]
        return lines + ["\treturn Code;"]

    def finish_user(self):
        if self.routine.simple:
            return ["\tOutP->RetCode = Code == KERN_SUCCESS ? MIG_NO_REPLY : Code;", "\treturn;",
                    "Bad:", "\tOutP->RetCode = MIG_BAD_ARGUMENTS;"]
        lines = ["\tOutP->RetCodeType = RetCodeWant;", "\tOutP->RetCode = Code;",
                 "\tOutP->RetCodePad = 0;"]
        if self.reply.items:
            lines += ["\tif (Code != KERN_SUCCESS)", "\t\treturn;"]
            lines += self.pack_reply()
            size = str(self.reply.min) if self.reply.fixed else \
                "(mach_msg_size_t) (At - (uint8_t *) OutP)"
            lines.append(f"\tOutP->Head.msgh_size = {size};")
            if any(i.type.kind == "indef" for i in self.reply.items):
                lines += ["\tif (Complex)",
                          "\t\tOutP->Head.msgh_bits |= MACH_MSGH_BITS_COMPLEX;"]
            elif self.reply.is_complex:
                lines.append("\tOutP->Head.msgh_bits |= MACH_MSGH_BITS_COMPLEX;")
        return lines + ["\treturn;", "Bad:", "\tOutP->RetCodeType = RetCodeWant;",
                        "\tOutP->RetCode = MIG_BAD_ARGUMENTS;"]


def by_id(subsystem):
    """Routine or None for every id of the subsystem."""
    table = {r.id: r for r in subsystem.routines}
    return [table.get(subsystem.base + n) for n in range(subsystem.count)]


def complexity(request):
    if request.is_complex:
        return "KRPC_COMPLEX"
    return "KRPC_EITHER" if request.may_be_complex else "KRPC_PLAIN"


# Bytes that a short message has at most: KMSG_SMALL in the kernel, which asserts it.
SHORT = 256


def plain_size(routine, request, reply):
    if routine.simple or not request.fixed or request.is_complex or request.min > SHORT:
        return "KRPC_NOT_PLAIN"
    return f"{reply.max} <= KRPC_REPLY_SHORT ? {request.min} : KRPC_NOT_PLAIN"


def kernel_table(subsystem):
    lines = [f"static const struct krpc_routine routines[] = {{"]
    for number, routine in enumerate(by_id(subsystem)):
        if routine is None:
            continue
        request, reply = layout.request(routine), layout.reply(routine)
        reply_max = "0" if routine.simple else \
            f"{reply.max} < KRPC_REPLY_MAX ? {reply.max} : KRPC_REPLY_MAX"
        lines += [f"\t[{number}] = {{ .stub = _X{routine.name}, .routine = "
                  f"(void (*)(void)) {function(subsystem, routine, True)},",
                  f"\t\t.name = \"{routine.name}\", .request_min = {request.min}, .reply_max = {reply_max},",
                  f"\t\t.simple = {'true' if routine.simple else 'false'},"
                  f" .request_varies = {'false' if request.fixed else 'true'},",
                  f"\t\t.request_complex = {complexity(request)}, .plain_size = {plain_size(routine, request, reply)} }},"]
    lines += ["};", "",
              f"const struct krpc_subsystem {subsystem.name}_subsystem = {{",
              f"\t.name = \"{subsystem.name}\", .base = {subsystem.base}, "
              f".count = {subsystem.count}, .routines = routines,", "};"]
    return lines


def demux(subsystem):
    name = subsystem.demux or subsystem.name + "_server"
    lines = [f"static const mig_routine_t routines[{max(subsystem.count, 1)}] = {{"]
    lines += [f"\t[{n}] = _X{r.name}," for n, r in enumerate(by_id(subsystem)) if r]
    lines += ["};", "",
              f"mig_routine_t {name}_routine(const mach_msg_header_t *in)", "{",
              f"\tuint32_t number = (uint32_t) in->msgh_id - {subsystem.base}U;", "",
              f"\treturn number < {subsystem.count} ? routines[number] : 0;", "}", "",
              f"boolean_t {name}(mach_msg_header_t *in, mach_msg_header_t *out)", "{",
              "\tstatic const mach_msg_type_t RetCodeWant = { .msgt_name = 2, "
              ".msgt_size = 32, .msgt_inline = 1, .msgt_number = 1 };",
              "\tmig_reply_header_t *const reply = (mig_reply_header_t *) out;",
              f"\tmig_routine_t routine = {name}_routine(in);", "",
              "\tout->msgh_bits = MACH_MSGH_BITS(MACH_MSGH_BITS_REMOTE(in->msgh_bits), 0);",
              "\tout->msgh_size = sizeof(*reply);",
              "\tout->msgh_remote_slot = in->msgh_remote_port;",
              "\tout->msgh_local_slot = MACH_PORT_NULL;", "\tout->msgh_seqno = 0;",
              "\tout->msgh_id = in->msgh_id + 100;",
              "\treply->RetCodeType = RetCodeWant;", "\treply->RetCode = MIG_BAD_ID;",
              "\treply->RetCodePadding = 0;", "\tif (!routine)", "\t\treturn FALSE;",
              "\troutine(in, out);", "\treturn TRUE;", "}"]
    return lines

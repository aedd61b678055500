# SPDX-License-Identifier: BSD-2-Clause
"""User stubs: one function a routine, that sends the request and takes the reply apart."""

from . import emit, layout
from .emit import COUNT, Access, Side
from .model import POLY

SIDE = Side(kernel=False, server=False)
HIDDEN = ("sreplyport", "msgseqno")


def parameters(routine):
    result = []
    for a in routine.arguments:
        if a.direction not in HIDDEN:
            result += SIDE.parameters(a)
    return result


def name(subsystem, routine):
    return subsystem.user_prefix + routine.name


def header(subsystem, path):
    guard = f"WIG_{subsystem.name.upper()}_USER_H"
    lines = emit.banner(path, "Calls of the subsystem " + subsystem.name)
    lines += [f"#ifndef {guard}", f"#define {guard}", "",
              "#include <mach/mach_types.h>", "#include <mach/message.h>"]
    lines += emit.imports(subsystem, ("import", "uimport"))
    lines += [""] + emit.ids(subsystem) + [""]
    for routine in subsystem.routines:
        lines.append(emit.prototype("kern_return_t", name(subsystem, routine),
                                    parameters(routine)) + ";")
    return "\n".join(lines + ["", "#endif"]) + "\n"


def source(subsystem, path, header_name):
    lines = emit.banner(path, "User stubs of the subsystem " + subsystem.name)
    lines += [f'#include "{header_name}"', "#include <mach/mig_errors.h>",
              "#include <mach/mig_support.h>", "#include <mach/notify.h>", "",
              "/* A message is built on the stack, as large as it can get. */",
              '#pragma GCC diagnostic ignored "-Wframe-larger-than="', "", emit.HELPERS]
    for routine in subsystem.routines:
        lines += stub(subsystem, routine)
    return "\n".join(lines) + "\n"


def stub(subsystem, routine):
    request, reply = layout.request(routine), layout.reply(routine)
    lines = [emit.prototype("kern_return_t", name(subsystem, routine), parameters(routine)), "{"]
    lines += emit.struct("Request", request, SIDE)
    if not routine.simple:
        lines += emit.struct("Reply", reply, SIDE, reply_head=True)
    lines += [emit.type_constant(i, i.sent) for i in request.items]
    if not routine.simple:
        lines.append("\tstatic const mach_msg_type_t RetCodeWant = { .msgt_name = 2, "
                     ".msgt_size = 32, .msgt_inline = 1, .msgt_number = 1 };")
        lines += [emit.type_constant(i, i.expected) for i in reply.items
                  if i.expected != POLY]
    lines += ["\tunion {", "\t\tRequest In;"]
    lines += [] if routine.simple else ["\t\tReply Out;"]
    lines += ["\t} Mess;", "\tRequest *const InP = &Mess.In;"]
    lines += [] if routine.simple else ["\tReply *const OutP = &Mess.Out;"]
    lines += emit.locals_for(request, None if routine.simple else reply)
    lines += Access(request, SIDE, "InP").far_pointers()
    if not routine.simple:
        lines += Access(reply, SIDE, "OutP").far_pointers()
        if any(i.type.kind == "var" for i in reply.items):
            lines.append("\tkern_return_t Code = KERN_SUCCESS;")
    if request.may_be_complex and not request.is_complex:
        lines.append("\tint Complex = 0;")
    elif any(i.type.kind == "indef" for i in request.items):
        lines.append("\tint Complex = 1;")
    lines += ["\tmach_msg_return_t Result;", ""]
    lines += send(routine, request)
    lines += [] if routine.simple else receive(routine, reply)
    return lines + ["}", ""]


def disposition(argument):
    t = argument.type
    return f"{argument.name}Poly" if t.user_name == POLY else str(t.user_name)


def send(routine, request):
    """Fills in the request and sends it; for routines, waits for the reply."""
    access = Access(request, SIDE, "InP")
    def value(item):
        if item.is_count:
            return f"*{item.name}"
        star = "*" if item.argument.is_out and item.type.kind in ("int", "port", "struct") else ""
        return star + item.name

    def count(item):
        return ("*" if item.argument.is_out else "") + item.name + "Cnt"

    def poly(item):
        return ("*" if item.argument.is_out else "") + item.name + "Poly"

    def dealloc_flag(item):
        return f"{item.name}Dealloc" if item.argument.dealloc_asked else ""

    lines = access.pack(value, count, poly, dealloc_flag, "return MIG_ARRAY_TOO_LARGE")
    target = routine.request_port
    reply_port = routine.special("ureplyport") or routine.special("replyport")
    local, local_kind = "MACH_PORT_NULL", "0"
    if reply_port:
        local, local_kind = reply_port.name, disposition(reply_port)
    elif not routine.simple:
        local, local_kind = None, "MACH_MSG_TYPE_MAKE_SEND_ONCE"
    bits = f"MACH_MSGH_BITS({disposition(target)}, {local_kind})"
    if any(i.type.kind == "indef" for i in request.items):
        bits += " | (Complex ? MACH_MSGH_BITS_COMPLEX : 0)"
    elif request.is_complex:
        bits += " | MACH_MSGH_BITS_COMPLEX"
    size = str(request.min) if request.fixed else "(mach_msg_size_t) (At - (uint8_t *) InP)"
    lines += [f"\tInP->Head.msgh_bits = {bits};", f"\tInP->Head.msgh_size = {size};",
              f"\tInP->Head.msgh_remote_slot = {target.name};"]
    if local:
        lines.append(f"\tInP->Head.msgh_local_slot = {local};")
    lines += ["\tInP->Head.msgh_seqno = 0;", f"\tInP->Head.msgh_id = {routine.id};", ""]
    return lines + call(routine, size)


def call(routine, size):
    option = "MACH_SEND_MSG" if routine.simple else "MACH_SEND_MSG | MACH_RCV_MSG"
    timeout = "MACH_MSG_TIMEOUT_NONE"
    argument = routine.special("waittime")
    if argument or routine.waittime is not None:
        option += " | MACH_SEND_TIMEOUT" if routine.simple else " | MACH_RCV_TIMEOUT"
        timeout = argument.name if argument else str(routine.waittime)
    if routine.special("msgoption"):
        option += f" | {routine.special('msgoption').name}"
    if routine.simple:
        return [f"\tResult = mach_msg(&InP->Head, {option}, {size}, 0,",
                f"\t\t\t  MACH_PORT_NULL, {timeout}, MACH_PORT_NULL);",
                "\treturn mig_send_failed(Result, &InP->Head);" if "|" in option
                else "\treturn Result;"]
    arguments = f"&InP->Head, {option}, {size}, sizeof(Mess), {timeout}"
    return [f"\tResult = mig_rpc({arguments});",
            "\tif (Result != MACH_MSG_SUCCESS) {",
            f"\t\tResult = mig_rpc_failed(Result, {arguments});",
            "\t\tif (Result != MACH_MSG_SUCCESS)", "\t\t\treturn Result;", "\t}", ""]


# What of a reply's head tells of rights and memory: there is no right in the head of one.
CARRIES = "(OutP->Head.msgh_bits & (MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS_REMOTE_MASK))"


KNOWN = ("int", "port", "struct", "array")


def expected(routine, reply):
    """The words of nearly all successful replies are known when all of it is of one length and kind: a look at each."""
    if not reply.fixed or any(i.expected == POLY or i.type.counted or i.type.kind not in KNOWN for i in reply.items):
        return []
    if reply.may_be_complex and not reply.is_complex:
        return []
    bits = "MACH_MSGH_BITS(0, MACH_MSG_TYPE_PORT_SEND_ONCE)"
    if reply.is_complex:
        bits += " | MACH_MSGH_BITS_COMPLEX"
    known = [f"OutP->Head.msgh_id == {routine.reply_id}",
             f"wig_type_word(&OutP->Head) == ((uint64_t) {reply.min} << 32 | {bits})",
             "wig_type_word(&OutP->RetCodeType) == wig_type_word(&RetCodeWant)",
             "OutP->RetCode == KERN_SUCCESS"]
    access = Access(reply, SIDE, "OutP")
    known += [f"wig_type_word(&{access.type(i)}) == wig_type_word(&{i.tag}Want)" for i in reply.items]
    return ["\tif (__builtin_expect(" + "\n\t    && ".join(known) + ", 1))", "\t\tgoto Good;"]


def receive(routine, reply):
    """Checks the whole reply, then hands out the values."""
    access = Access(reply, SIDE, "OutP")
    head = layout.REPLY_HEAD
    fail = "goto Wrong"
    known = expected(routine, reply)
    lines = known + [f"\tif (OutP->Head.msgh_id != {routine.reply_id}) {{",
             "\t\tmach_msg_destroy(&OutP->Head);",
             "\t\treturn OutP->Head.msgh_id == MACH_NOTIFY_SEND_ONCE ? MIG_SERVER_DIED : "
             "MIG_REPLY_MISMATCH;", "\t}"]
    compare = "!=" if reply.fixed else "<"
    other = f"OutP->Head.msgh_size {compare} {reply.min}"
    if not reply.may_be_complex:
        other += f" || {CARRIES}"
    elif reply.is_complex:
        other += f" || {CARRIES} != MACH_MSGH_BITS_COMPLEX"
    else:
        other += " || (OutP->Head.msgh_bits & MACH_MSGH_BITS_REMOTE_MASK)"
    type_wrong = "!wig_type_is(&OutP->RetCodeType, &RetCodeWant, WIG_FIXED)"
    if reply.items:
        # An error is a head only; a success is longer.
        lines += [f"\tif ({other}) {{",
                  f"\t\tif (OutP->Head.msgh_size != {head} || {CARRIES} || {type_wrong}",
                  "\t\t    || OutP->RetCode == KERN_SUCCESS)", "\t\t\tgoto Wrong;",
                  "\t\treturn OutP->RetCode;", "\t}",
                  f"\tif ({type_wrong} || OutP->RetCode != KERN_SUCCESS)", "\t\tgoto Wrong;"]
    else:
        lines += [f"\tif ({other} || {type_wrong})", "\t\tgoto Wrong;"]
    lines += access.check("OutP->Head.msgh_size", fail)
    for item in reply.items:
        lines += check_room(access, item)
    if known:
        lines.append("Good:")
    for item in reply.items:
        lines += hand_out(access, item)
    if any(i.type.kind == "var" for i in reply.items):
        lines.append("\treturn Code;")
    else:
        lines.append("\treturn OutP->RetCode;")
    return lines + ["Wrong:", "\tmach_msg_destroy(&OutP->Head);", "\treturn MIG_TYPE_ERROR;"]


def check_room(access, item):
    """Of what cannot be cut to the caller's room: what is inline, of no told length, or rights."""
    t, to = item.type, item.name
    if t.kind == "indef":
        where = f"{access.type(item)}.msgt_inline && "
    elif t.kind == "var" and t.is_port and item.argument.count_inout:
        where = ""
    else:
        return []
    return [f"\tif ({where}{access.count(item)} > *{to}Cnt) {{",
            f"\t\t*{to}Cnt = {access.count(item)};", "\t\tmach_msg_destroy(&OutP->Head);",
            "\t\treturn MIG_ARRAY_TOO_LARGE;", "\t}"]


def hand_out(access, item):
    t, to = item.type, item.name
    lines = []
    if item.expected == POLY and t.user_name == POLY:
        lines.append(f"\t*{to}Poly = {access.type(item)}.msgt_name;")
    if t.kind in ("int", "port", "struct"):
        lines.append(f"\t*{to} = {access.data(item)};")
    elif t.kind in ("array", "string"):
        lines.append(f"\t__builtin_memcpy({to}, {access.bytes(item)}, {t.wire_bytes});")
        if t.kind == "string":
            lines.append(f"\t{to}[{t.wire_bytes - 1}] = 0;")
    elif t.kind == "varstring":
        lines += [f"\twig_string((uint8_t *) {to}, {item.tag}Bytes ? (const char *) "
                  f"{access.bytes(item)} : \"\",",
                  f"\t\t   {item.tag}Bytes ? {item.tag}Bytes + "
                  f"({item.tag}Bytes < {t.maximum}) : 1);"]
    elif t.kind == "ool":
        lines += [f"\t*{to} = ({t.c_type}) (uintptr_t) {access.data(item)};",
                  f"\t*{to}Cnt = {access.count(item)};"]
    elif t.kind == "var":
        lines += hand_out_var(access, item)
    else:
        lines += [f"\tif (!{access.type(item)}.msgt_inline)",
                  f"\t\t*{to} = ({t.c_type}) (uintptr_t) *(uint64_t *) {access.bytes(item)};",
                  "\telse",
                  f"\t\t__builtin_memcpy((void *) (uintptr_t) *{to}, {access.bytes(item)},"
                  f" {item.tag}Bytes);",
                  f"\t*{to}Cnt = {access.count(item)};"]
    return lines


def hand_out_var(access, item):
    """Only as much as the caller has room for, when the call says how much that is."""
    t, to = item.type, item.name
    lines = []
    limit = f"{access.count(item)}"
    if item.argument.count_inout:
        lines += [f"\tif ({access.count(item)} > *{to}Cnt)", "\t\tCode = MIG_ARRAY_TOO_LARGE;",
                  f"\telse", f"\t\t*{to}Cnt = {access.count(item)};"]
        limit = f"*{to}Cnt"
    if t.is_port:
        lines += [f"\tfor ({COUNT} N = 0; N < {limit}; N++)",
                  f"\t\t{to}[N] = (mach_port_t) ((uint64_t *) {access.bytes(item)})[N];"]
    else:
        lines.append(f"\t__builtin_memcpy({to}, {access.bytes(item)},"
                     f" {limit} * {t.wire_bytes}UL);")
    lines.append(f"\t*{to}Cnt = {access.count(item)};")
    return lines

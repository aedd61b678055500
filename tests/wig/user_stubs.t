#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The bytes that generated user stubs send, and what they make of replies."""

import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "support")]
from harness import Tap  # noqa: E402
import wigtest  # noqa: E402

DEFS = ("mach/mach", "mach/mach_port", "mach/mach_host", "mach/mach4", "mach/gnumach", "mach/exc",
        "mach/notify", "mach_debug/mach_debug", "device/device", "device/device_request",
        "device/device_reply")
# case, reply (None: nothing is received), what the stub gave back
CALLS = (
    ("vm_allocate", "vm_allocate", "address 0x7ffffffff000"),
    ("mach_port_insert_right", "plain_3315", ""),
    ("mach_port_request_notification", "mach_port_request_notification", "previous 0x555"),
    ("memory_object_lock_request", None, ""),
    ("memory_object_create_proxy", "memory_object_create_proxy", "proxy 0x999"),
    ("vm_write", "plain_2127", ""),
    ("mach_ports_register", "plain_2133", ""),
    ("task_threads", "task_threads", "threads 0xc0ffee0000, 3"),
    ("task_info", "task_info", "info 10 11 12 -1 -1 -1, 3"),
    ("task_set_name", None, ""),
    ("device_open", "device_open", "device 0x999"),
    ("device_write_inband", "device_write_inband", "written 3"),
    ("device_read_request", None, ""),
    ("device_open_reply", None, ""),
    ("exception_raise", "plain_2500", ""),
    ("memory_object_data_supply", None, ""),
    ("mach_notify_no_senders", None, ""),
    ("mach_notify_port_destroyed", None, ""),
    ("mach_notify_dead_name", None, ""),
    ("host_set_time", "plain_2732", ""),
    ("host_slab_info", "host_slab_info", "info moved, 2\nat 0xc0ffee0000"),
)
# case, reply, code, claim, another line of output
REPLIES = (
    ("vm_allocate", "vm_allocate_denied", 6, "an error reply gives its code", "address 0x12340000"),
    ("vm_allocate", "died", -308, "a send-once notification is MIG_SERVER_DIED", "address 0x12340000"),
    ("vm_allocate", "vm_allocate_wrong_id", -301, "another id is MIG_REPLY_MISMATCH",
     "destroyed message 2122"),
    ("vm_allocate", "vm_allocate_wrong_type", -300, "an item of another type is MIG_TYPE_ERROR",
     "destroyed message 2121"),
    ("task_info", "task_info_short", -300, "a reply shorter than its count is MIG_TYPE_ERROR",
     "destroyed message 2112"),
    ("task_info", "task_info_too_large", -307,
     "more than fits is MIG_ARRAY_TOO_LARGE, cut, and tells the true count",
     "info 10 11 12 13 14 -1, 6"),
    ("host_slab_info", "host_slab_info_three", -307, "an array[] in line that does not fit is MIG_ARRAY_TOO_LARGE",
     "destroyed message 3122\ninfo in place, 3"),
)
# The same with a right in the head, and with rights or memory in the body: case, reply, code.
CARRIERS = (("vm_allocate", "vm_allocate", -300), ("vm_allocate", "vm_allocate_denied", -300),
            ("vm_allocate", "vm_allocate_wrong_id", -301), ("vm_allocate", "died", -308),
            ("mach_port_insert_right", "plain_3315", -300))
# code of mach_msg, what becomes of the reply port
SENDS = (
    (0x1000000d, "kept"), (0x10000003, "kept"), (0x1000000f, "kept"), (0x1000600c, "kept"),
    (0x10000004, "lost"), (0x10000007, "lost"), (0x10000009, "lost"),
    (0x10004003, "lost"), (0x10004005, "lost"), (0x10004009, "lost"), (0x1000400b, "lost"),
)

tap = Tap(__file__)
build = wigtest.folder("user")
for defs in DEFS:
    base = os.path.join(build, os.path.basename(defs))
    wigtest.generate(build, "--user", base + "_user.c", "--user-header", base + "_user.h",
                     os.path.join(wigtest.INCLUDE, defs + ".defs"))
sources = [os.path.join(build, os.path.basename(d) + "_user.c") for d in DEFS]
capture = wigtest.compile_program(
    os.path.join(build, "capture"), [os.path.join(HERE, "support", "capture.c"), *sources],
    [wigtest.INCLUDE, build])


def sent(output):
    return next((line[5:] for line in output.splitlines() if line.startswith("sent")), "")


for case, reply, result in CALLS:
    text = wigtest.expected(reply + ".reply") if reply else ""
    status, out, errors = wigtest.run(capture, case, text=text)
    tap.equal(wigtest.words(sent(out)), wigtest.words(wigtest.expected(case + ".request")),
              f"{case}: the request has the expected bytes")
    option = "option 0x3 " if reply else "option 0x1 "
    tap.ok(status == 0 and result in out and "code 0\n" in out and option in out
           and "bad" not in out and "lost" not in out and "destroyed" not in out,
           f"{case}: the reply is understood" if reply else f"{case}: no reply is waited for",
           (status, out, errors), (0, result))

for case, reply, code, claim, more in REPLIES:
    status, out, errors = wigtest.run(capture, case, text=wigtest.expected(reply + ".reply"))
    wanted = f"code {code & 0xffffffff:#x}\n"
    tap.ok(status == 0 and wanted in out and more in out, f"{case}: {claim}",
           (status, out, errors), (0, wanted, more))

for case, reply, code in CARRIERS:
    whole = wigtest.expected(reply + ".reply").split()
    message = int.from_bytes(bytes.fromhex("".join(whole[28:32])), "little")
    for where, at, byte in (("head", 0, "11"), ("body", 3, "80")):
        out = wigtest.run(capture, case, text=" ".join(whole[:at] + [byte] + whole[at + 1:]))[1]
        tap.ok(f"code {code & 0xffffffff:#x}\n" in out and f"destroyed message {message}" in out,
               f"{case}: of {reply} with rights in its {where} nothing is left", out, (code, f"destroyed message {message}"))

for code, fate in SENDS:
    status, out, errors = wigtest.run(capture, "vm_allocate", hex(code))
    tap.ok(status == 0 and f"code {code:#x}\n" in out and f"reply port 0x507 {fate}" in out,
           f"after {code:#x} of mach_msg the reply port is {fate}", (out, errors), fate)
status, out, errors = wigtest.run(capture, "vm_allocate", "noport")
tap.ok("sent" not in out and "code 0x6\n" in out,
       "without a reply port nothing is sent: KERN_RESOURCE_SHORTAGE", out)
status, out, errors = wigtest.run(capture, "too_many_objects")
tap.ok("sent" not in out and f"code {-307 & 0xffffffff:#x}\n" in out,
       "an array longer than declared is MIG_ARRAY_TOO_LARGE and is not sent", out)

# Every prefix of a reply, so of every length: nothing is read that is not there.
for case, reply in (("task_info", "task_info"), ("memory_object_create_proxy",) * 2,
                    ("host_slab_info",) * 2, ("task_threads",) * 2):
    full = wigtest.expected(reply + ".reply").split()
    bad = []
    for length in range(32, len(full), 8):
        part = full[:length]
        part[4:8] = [f"{length:02x}", "00", "00", "00"]
        status, out, errors = wigtest.run(capture, case, text=" ".join(part))
        if status or f"code {-300 & 0xffffffff:#x}\n" not in out:
            bad.append((length, status, out, errors))
    tap.equal(bad, [], f"{case}: a reply cut anywhere is MIG_TYPE_ERROR")
tap.done()

/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls to kernel objects: the generated server stubs' view, and how their replies are delivered. */
#ifndef IPC_KRPC_H
#define IPC_KRPC_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/kern_return.h>
#include <mach/message.h>
#include "ipc/port.h"
#include "kern/wait.h"

struct port;
struct thread;
struct vm_copy;
struct port_array;

#define KRPC_BLOCKED KERN_BLOCKED	/* the routine made the thread wait; krpc_reply will follow */
#define KRPC_REPLY_MAX 4096		/* bytes of the largest inline reply */

/* The call that is being carried out. There is one at a time: its stub runs to the end before anything else can. */
struct krpc {
	struct port *target;		/* krpc_target() */
	const mach_msg_header_t *in;	/* request: krpc_plain_request but in a call that is not plain; port slots hold struct port *,
					   out-of-line slots struct vm_copy * or struct port_array *. Stubs zero the slots whose contents a successful routine consumed. */
	union {
		struct {
			uint32_t out_size;	/* of the reply; 48 and false before the stub; other values only with KERN_SUCCESS */
			uint32_t out_complex;	/* bool */
		};
		uint64_t out_plain;		/* the size, if it is not complex; else more than any size */
	};
	uint32_t in_size;		/* of a request that varies */
	struct port *reply_port;	/* for sreplyport routines */
};
extern struct krpc krpc_now;
/* KRPC_REPLY_MAX bytes: the stub writes what is behind the 48-byte head (RetCode at 40). No bound, as a Reply of the longest array has more. */
extern uint8_t krpc_reply_bytes[];
/* A message goes to a port that is there, and lives with its object: so the compiler knows what the converters ask. */
static inline struct port *krpc_target(void)
{
	struct port *target = krpc_now.target;

	if (!port_valid(target) || target->kobject == NULL)
		__builtin_unreachable();
	return target;
}

struct krpc_routine {
	/* Given only requests of the size and bits told below, it looks at the items. */
	kern_return_t (*stub)(void);		/* returns RetCode; MIG_NO_REPLY, KRPC_BLOCKED: no reply now */
	void (*routine)(void);			/* what it calls; NULL: the kernel has none, MIG_BAD_ID */
	const char *name;
	uint32_t request_min, reply_max;
	bool simple;				/* simpleroutine: never a reply */
	bool request_varies;			/* it may be longer than request_min */
	uint8_t request_complex;		/* KRPC_PLAIN and so on */
	uint64_t plain_size;			/* that of all its requests, if these may be plain and short, and have answers that are short; */
#define KRPC_NOT_PLAIN UINT64_MAX		/* else this, which is no size */
};
#define KRPC_REPLY_SHORT 272			/* bytes: USERCOPY_ROW_MAX behind the head */
/* Must the request have MACH_MSGH_BITS_COMPLEX? */
enum { KRPC_PLAIN, KRPC_COMPLEX, KRPC_EITHER };
/* Can the routine's request be of this size, and complex or not? */
static inline bool krpc_fits(const struct krpc_routine *routine, uint32_t size, bool complex)
{
	if (size != routine->request_min && (!routine->request_varies || size < routine->request_min))
		return false;
	return routine->request_complex == (complex ? KRPC_COMPLEX : KRPC_PLAIN) || routine->request_complex == KRPC_EITHER;
}
struct krpc_subsystem {
	const char *name;
	uint32_t base, count;
	const struct krpc_routine *routines;
};

void krpc_system_init(void);
/* Finishes a kernel call that returned KRPC_BLOCKED, from its continuation, in the thread's context: sends the plain reply
   (RetCode only), then goes on with the thread's mach_msg (its receive may make it wait again). Also usable from another
   context when only the reply code is due. */
void krpc_reply(struct thread *thread, kern_return_t code);
/* The same with a whole reply body (48-byte head included; header and RetCode filled in here). */
void krpc_reply_data(struct thread *thread, kern_return_t code, const void *body, uint32_t size, bool complex);

/* For routines that make an object: should its only right, in the reply, not reach the caller, undo(its kobject) is called,
   so that a denied call has made nothing. Once in a call. */
void krpc_created(struct port *port, void (*undo)(void *object));

/* Converters for the stubs (kern/convert.c): NULL for a port of the wrong kind. */
struct task *convert_port_to_task(struct port *port);
struct thread *convert_port_to_thread(struct port *port);
struct space *convert_port_to_space(struct port *port);
struct vm_map *convert_port_to_map(struct port *port);
struct host *convert_port_to_host(struct port *port);
struct host *convert_port_to_host_priv(struct port *port);
struct processor *convert_port_to_processor(struct port *port);
struct processor_set *convert_port_to_pset(struct port *port);
struct processor_set *convert_port_to_pset_name(struct port *port);
struct device *convert_port_to_device(struct port *port);
struct ledger *convert_port_to_ledger(struct port *port);
struct ledger *convert_port_to_ledger_name(struct port *port);	/* a control port will do */

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking for a notification to a port whose receive right we hold. */
#include <mach.h>

kern_return_t mach_request_notification(mach_port_name_t name, mach_msg_id_t id,
					mach_port_mscount_t sync, mach_port_t notify)
{
	mach_port_t previous = MACH_PORT_NULL;
	kern_return_t code = mach_port_request_notification(mach_task_self(), name, id, sync, notify,
							    MACH_MSG_TYPE_MAKE_SEND_ONCE, &previous);

	/* The right that was registered before, if any. */
	if (code == KERN_SUCCESS && MACH_PORT_VALID(previous))
		give_back_right(previous);
	return code;
}

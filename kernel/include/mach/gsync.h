/* SPDX-License-Identifier: BSD-2-Clause */
/* Flags of gsync_wait, gsync_wake and gsync_requeue. */
#ifndef MACH_GSYNC_H
#define MACH_GSYNC_H

#define GSYNC_SHARED	0x01	/* key is the object and offset, not the address */
#define GSYNC_QUAD	0x02	/* compare 64 bits: val1 low, val2 high */
#define GSYNC_TIMED	0x04	/* msec is meant */
#define GSYNC_BROADCAST	0x08	/* all waiters */
#define GSYNC_MUTATE	0x10	/* store val at the address before waking */

#endif

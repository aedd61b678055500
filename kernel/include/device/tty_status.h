/* SPDX-License-Identifier: BSD-2-Clause */
/* Flavors of device_get_status and device_set_status of terminals. */
#ifndef DEVICE_TTY_STATUS_H
#define DEVICE_TTY_STATUS_H

#include <device/device_types.h>

struct tty_status {
	int	tt_ispeed;
	int	tt_ospeed;
	int	tt_breakc;
	int	tt_flags;	/* TF_... */
};
#define TTY_STATUS_COUNT	(sizeof(struct tty_status) / sizeof(int))

#define TTY_STATUS		((dev_flavor_t) (('t' << 16) + 1))
#define TTY_MODEM		((dev_flavor_t) (('t' << 16) + 2))
#define TTY_FLUSH		((dev_flavor_t) (('t' << 16) + 3))
#define TTY_STOP		((dev_flavor_t) (('t' << 16) + 4))
#define TTY_START		((dev_flavor_t) (('t' << 16) + 5))
#define TTY_SET_BREAK		((dev_flavor_t) (('t' << 16) + 6))
#define TTY_CLEAR_BREAK		((dev_flavor_t) (('t' << 16) + 7))

#define TF_TANDEM	0x00000001
#define TF_ODDP		0x00000002
#define TF_EVENP	0x00000004
#define TF_ANYP		(TF_ODDP | TF_EVENP)
#define TF_LITOUT	0x00000008
#define TF_MDMBUF	0x00000010
#define TF_NOHANG	0x00000020
#define TF_HUPCLS	0x00000040
#define TF_ECHO		0x00000080
#define TF_CRMOD	0x00000100
#define TF_XTABS	0x00000200

#endif

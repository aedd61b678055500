/* SPDX-License-Identifier: BSD-2-Clause */
/* The notification of a device interrupt. */
#ifndef DEVICE_NOTIFY_H
#define DEVICE_NOTIFY_H

#include <mach/layout_check.h>
#include <mach/message.h>

#define DEVICE_INTR_NOTIFY 100

typedef struct {
	mach_msg_header_t	intr_header;
	mach_msg_type_t		intr_type;
	int			id;
	uint32_t		intr_padding;
} device_intr_notification_t;

LAYOUT_SIZE(device_intr_notification_t, 48);

#endif

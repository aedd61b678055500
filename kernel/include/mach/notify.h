/* SPDX-License-Identifier: BSD-2-Clause */
/* Notifications: ids and layouts. */
#ifndef MACH_NOTIFY_H
#define MACH_NOTIFY_H

#include <mach/layout_check.h>
#include <mach/message.h>
#include <mach/port.h>

#define MACH_NOTIFY_FIRST		64
#define MACH_NOTIFY_PORT_DELETED	(MACH_NOTIFY_FIRST + 1)
#define MACH_NOTIFY_MSG_ACCEPTED	(MACH_NOTIFY_FIRST + 2)
#define MACH_NOTIFY_PORT_DESTROYED	(MACH_NOTIFY_FIRST + 5)
#define MACH_NOTIFY_NO_SENDERS		(MACH_NOTIFY_FIRST + 6)
#define MACH_NOTIFY_SEND_ONCE		(MACH_NOTIFY_FIRST + 7)
#define MACH_NOTIFY_DEAD_NAME		(MACH_NOTIFY_FIRST + 8)
#define MACH_NOTIFY_LAST		(MACH_NOTIFY_FIRST + 13)

typedef struct {
	mach_msg_header_t	not_header;
	mach_msg_type_t		not_type;	/* PORT_NAME, 32 bits */
	mach_port_name_t	not_port;
	uint32_t		not_padding;
} mach_port_deleted_notification_t;

typedef struct {
	mach_msg_header_t	not_header;
	mach_msg_type_t		not_type;	/* PORT_NAME, 32 bits */
	mach_port_name_t	not_port;
	uint32_t		not_padding;
} mach_msg_accepted_notification_t;

typedef struct {
	mach_msg_header_t	not_header;
	mach_msg_type_t		not_type;	/* PORT_RECEIVE, 64 bits */
	mach_port_t		not_port;
	uint32_t		not_padding;
} mach_port_destroyed_notification_t;

typedef struct {
	mach_msg_header_t	not_header;
	mach_msg_type_t		not_type;	/* INTEGER_32 */
	unsigned int		not_count;
	uint32_t		not_padding;
} mach_no_senders_notification_t;

typedef struct {
	mach_msg_header_t	not_header;
} mach_send_once_notification_t;

typedef struct {
	mach_msg_header_t	not_header;
	mach_msg_type_t		not_type;	/* PORT_NAME, 32 bits */
	mach_port_name_t	not_port;
	uint32_t		not_padding;
} mach_dead_name_notification_t;

LAYOUT_AT(mach_dead_name_notification_t, not_type, 32);
LAYOUT_AT(mach_dead_name_notification_t, not_port, 40);
LAYOUT_SIZE(mach_dead_name_notification_t, 48);
LAYOUT_AT(mach_no_senders_notification_t, not_type, 32);
LAYOUT_AT(mach_no_senders_notification_t, not_count, 40);
LAYOUT_SIZE(mach_no_senders_notification_t, 48);
LAYOUT_AT(mach_port_destroyed_notification_t, not_type, 32);
LAYOUT_AT(mach_port_destroyed_notification_t, not_port, 40);
LAYOUT_SIZE(mach_port_destroyed_notification_t, 48);
LAYOUT_SIZE(mach_send_once_notification_t, 32);
LAYOUT_AT(mach_port_deleted_notification_t, not_type, 32);
LAYOUT_AT(mach_port_deleted_notification_t, not_port, 40);
LAYOUT_SIZE(mach_port_deleted_notification_t, 48);
LAYOUT_SIZE(mach_msg_accepted_notification_t, 48);

#endif

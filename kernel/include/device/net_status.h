/* SPDX-License-Identifier: BSD-2-Clause */
/* Types of the packet filter's interface. */
#ifndef DEVICE_NET_STATUS_H
#define DEVICE_NET_STATUS_H

#include <device/device_types.h>

typedef unsigned short	filter_t;
typedef filter_t	*filter_array_t;

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of devices. */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include <device_user.h>

#endif

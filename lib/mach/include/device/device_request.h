/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of devices that do not wait for their answers. */
#ifndef DEVICE_DEVICE_REQUEST_H
#define DEVICE_DEVICE_REQUEST_H

#include <device_request_user.h>

#endif

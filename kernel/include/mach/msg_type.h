/* SPDX-License-Identifier: BSD-2-Clause */
/* Kept for sources that include it: see mach/message.h. */
#ifndef MACH_MSG_TYPE_H
#define MACH_MSG_TYPE_H

#include <mach/message.h>

#endif

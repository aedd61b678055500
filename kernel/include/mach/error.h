/* SPDX-License-Identifier: BSD-2-Clause */
/* How an error code is put together: system, subsystem, code. */
#ifndef MACH_ERROR_H
#define MACH_ERROR_H

#include <mach/kern_return.h>

typedef kern_return_t	mach_error_t;

#define err_none		((mach_error_t) 0)
#define ERR_SUCCESS		((mach_error_t) 0)

/* 6 bits of system, 12 of subsystem, 14 of code. */
#define err_system(x)		((mach_error_t) (((x) & 0x3fU) << 26))
#define err_sub(x)		((mach_error_t) (((x) & 0xfffU) << 14))
#define err_get_system(err)	(((unsigned) (err) >> 26) & 0x3f)
#define err_get_sub(err)	(((unsigned) (err) >> 14) & 0xfff)
#define err_get_code(err)	((unsigned) (err) & 0x3fff)

#define err_kern		err_system(0x0)		/* kernel */
#define err_us			err_system(0x1)		/* user library */
#define err_server		err_system(0x2)
#define err_mach_ipc		err_system(0x4)
#define err_local		err_system(0x3e)
#define err_max_system		0x3f

#endif

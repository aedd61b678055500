/* SPDX-License-Identifier: BSD-2-Clause */
/* The type of return codes: 32 bits, signed. */
#ifndef MACH_MACHINE_KERN_RETURN_H
#define MACH_MACHINE_KERN_RETURN_H

#ifndef __ASSEMBLER__
typedef int kern_return_t;
#endif

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The x87 registers as i386_FLOAT_STATE has them: FSAVE's environment, then ST(0) to ST(7) in 10 bytes each. */
#ifndef X86_64_FPU_X87_H
#define X86_64_FPU_X87_H
#include <stdint.h>
#include <mach/machine/fp_reg.h>

void fpu_x87_get(const void *image, struct i386_fp_save *save, struct i386_fp_regs *regs);
/* The image's SSE part stays. Any values may be loaded. */
void fpu_x87_set(void *image, const struct i386_fp_save *save, const struct i386_fp_regs *regs);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Images of the floating-point unit (Intel SDM volume 1, chapters 8 to 13). */
#ifndef MACH_MACHINE_FP_REG_H
#define MACH_MACHINE_FP_REG_H

#include <mach/layout_check.h>

/* FSAVE: environment and the eight stack registers. */
struct i386_fp_save {
	unsigned short	fp_control;
	unsigned short	fp_unused_1;
	unsigned short	fp_status;
	unsigned short	fp_unused_2;
	unsigned short	fp_tag;
	unsigned short	fp_unused_3;
	unsigned int	fp_eip;
	unsigned short	fp_cs;
	unsigned short	fp_opcode;
	unsigned int	fp_dp;
	unsigned short	fp_ds;
	unsigned short	fp_unused_4;
};
struct i386_fp_regs {
	unsigned short	fp_reg_word[8][5];
};

LAYOUT_SIZE(struct i386_fp_save, 28);
LAYOUT_SIZE(struct i386_fp_regs, 80);

/* Values of fpkind. */
#define FP_NO		0
#define FP_SOFT		1
#define FP_287		2
#define FP_387		3
#define FP_387FX	4
#define FP_387X		5

#endif

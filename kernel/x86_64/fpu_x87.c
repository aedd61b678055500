/* SPDX-License-Identifier: BSD-2-Clause */
/* The x87 part of an FXSAVE image in the layout of FSAVE, and back (Intel SDM volume 1, 8.1.10, 10.5.1). */
#include "kern/string.h"
#include "x86_64/fpu_x87.h"

#define FX_FCW 0
#define FX_FSW 2
#define FX_TAGS 4		/* a bit for each physical register: 1 in use */
#define FX_OPCODE 6
#define FX_IP 8
#define FX_DP 16
#define FX_ST 32		/* 16 bytes each, the first 10 used */
#define FX_ST_BYTES 16
#define REG_BYTES 10
#define EXPONENT_MAX 0x7fff

enum tag { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

static enum tag tag_of(const uint8_t *reg)
{
	uint64_t significand;
	uint16_t exponent;

	memcpy(&significand, reg, sizeof(significand));
	memcpy(&exponent, reg + sizeof(significand), sizeof(exponent));
	exponent &= EXPONENT_MAX;
	if (exponent == 0 && significand == 0)
		return TAG_ZERO;
	return exponent == 0 || exponent == EXPONENT_MAX || significand >> 63 == 0 ? TAG_SPECIAL : TAG_VALID;
}

void fpu_x87_get(const void *image, struct i386_fp_save *save, struct i386_fp_regs *regs)
{
	const uint8_t *fx = image;
	uint16_t status;
	unsigned i, top;

	memset(save, 0, sizeof(*save));
	memcpy(&save->fp_control, fx + FX_FCW, 2);
	memcpy(&status, fx + FX_FSW, 2);
	save->fp_status = status;
	memcpy(&save->fp_opcode, fx + FX_OPCODE, 2);
	memcpy(&save->fp_eip, fx + FX_IP, 4);
	memcpy(&save->fp_dp, fx + FX_DP, 4);
	top = status >> 11 & 7;
	for (i = 0; i < 8; i++) {
		const uint8_t *reg = fx + FX_ST + ((i - top) & 7) * FX_ST_BYTES;	/* physical register i is ST(i - top) */
		enum tag tag = (fx[FX_TAGS] >> i & 1) != 0 ? tag_of(reg) : TAG_EMPTY;

		save->fp_tag |= (unsigned short)(tag << 2 * i);
		memcpy(regs->fp_reg_word[i], fx + FX_ST + i * FX_ST_BYTES, REG_BYTES);
	}
}

void fpu_x87_set(void *image, const struct i386_fp_save *save, const struct i386_fp_regs *regs)
{
	uint8_t *fx = image;
	unsigned i;

	memset(fx, 0, FX_DP + 8);
	memcpy(fx + FX_FCW, &save->fp_control, 2);
	memcpy(fx + FX_FSW, &save->fp_status, 2);
	memcpy(fx + FX_OPCODE, &save->fp_opcode, 2);
	memcpy(fx + FX_IP, &save->fp_eip, 4);
	memcpy(fx + FX_DP, &save->fp_dp, 4);
	for (i = 0; i < 8; i++) {
		if ((save->fp_tag >> 2 * i & 3) != TAG_EMPTY)
			fx[FX_TAGS] |= (uint8_t)(1u << i);
		memcpy(fx + FX_ST + i * FX_ST_BYTES, regs->fp_reg_word[i], REG_BYTES);
	}
}

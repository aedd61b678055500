/* SPDX-License-Identifier: BSD-2-Clause */
/* The register states of a thread on x86-64. */
#ifndef MACH_MACHINE_THREAD_STATUS_H
#define MACH_MACHINE_THREAD_STATUS_H

#include <mach/layout_check.h>
#include <mach/machine/fp_reg.h>
#include <stdint.h>

#define i386_THREAD_STATE	1
#define i386_FLOAT_STATE	2
#define i386_ISA_PORT_MAP_STATE	3
#define i386_V86_ASSIST_STATE	4
#define i386_REGS_SEGS_STATE	5	/* as i386_THREAD_STATE */
#define i386_DEBUG_STATE	6
#define i386_FSGS_BASE_STATE	7
#define i386_XFLOAT_STATE	8

struct i386_thread_state {
	uint64_t	r8;
	uint64_t	r9;
	uint64_t	r10;
	uint64_t	r11;
	uint64_t	r12;
	uint64_t	r13;
	uint64_t	r14;
	uint64_t	r15;
	uint64_t	rdi;
	uint64_t	rsi;
	uint64_t	rbp;
	uint64_t	rsp;		/* not used: see ursp */
	uint64_t	rbx;
	uint64_t	rdx;
	uint64_t	rcx;
	uint64_t	rax;
	uint64_t	rip;
	unsigned int	cs;
	uint64_t	rfl;
	uint64_t	ursp;
	unsigned int	ss;
};
#define i386_THREAD_STATE_COUNT \
	(sizeof(struct i386_thread_state) / sizeof(unsigned int))

#define FP_STATE_BYTES \
	(sizeof(struct i386_fp_save) + sizeof(struct i386_fp_regs))

struct i386_float_state {
	int		fpkind;
	int		initialized;
	unsigned char	hw_state[FP_STATE_BYTES];
	int		exc_status;
};
#define i386_FLOAT_STATE_COUNT \
	(sizeof(struct i386_float_state) / sizeof(unsigned int))

/* The image's length follows from i386_get_xstate_size. */
struct i386_xfloat_state {
	int		fpkind;
	int		initialized;
	int		exc_status;
	int		fp_save_kind;
	unsigned char	hw_state[];
};

#define PORT_MAP_BITS 0x400
struct i386_isa_port_map_state {
	unsigned char	pm[PORT_MAP_BITS >> 3];
};
#define i386_ISA_PORT_MAP_STATE_COUNT \
	(sizeof(struct i386_isa_port_map_state) / sizeof(unsigned int))

struct i386_v86_assist_state {
	unsigned int	int_table;
	int		int_count;
};
#define i386_V86_ASSIST_STATE_COUNT \
	(sizeof(struct i386_v86_assist_state) / sizeof(unsigned int))

struct i386_debug_state {
	unsigned int	dr[8];
};
#define i386_DEBUG_STATE_COUNT \
	(sizeof(struct i386_debug_state) / sizeof(unsigned int))

struct i386_fsgs_base_state {
	uint64_t	fs_base;
	uint64_t	gs_base;
};
#define i386_FSGS_BASE_STATE_COUNT \
	(sizeof(struct i386_fsgs_base_state) / sizeof(unsigned int))

LAYOUT_AT(struct i386_thread_state, r8, 0);
LAYOUT_AT(struct i386_thread_state, r9, 8);
LAYOUT_AT(struct i386_thread_state, r10, 16);
LAYOUT_AT(struct i386_thread_state, r11, 24);
LAYOUT_AT(struct i386_thread_state, r12, 32);
LAYOUT_AT(struct i386_thread_state, r13, 40);
LAYOUT_AT(struct i386_thread_state, r14, 48);
LAYOUT_AT(struct i386_thread_state, r15, 56);
LAYOUT_AT(struct i386_thread_state, rdi, 64);
LAYOUT_AT(struct i386_thread_state, rsi, 72);
LAYOUT_AT(struct i386_thread_state, rbp, 80);
LAYOUT_AT(struct i386_thread_state, rsp, 88);
LAYOUT_AT(struct i386_thread_state, rbx, 96);
LAYOUT_AT(struct i386_thread_state, rdx, 104);
LAYOUT_AT(struct i386_thread_state, rcx, 112);
LAYOUT_AT(struct i386_thread_state, rax, 120);
LAYOUT_AT(struct i386_thread_state, rip, 128);
LAYOUT_AT(struct i386_thread_state, cs, 136);
LAYOUT_AT(struct i386_thread_state, rfl, 144);
LAYOUT_AT(struct i386_thread_state, ursp, 152);
LAYOUT_AT(struct i386_thread_state, ss, 160);
LAYOUT_SIZE(struct i386_thread_state, 168);
LAYOUT_AT(struct i386_float_state, fpkind, 0);
LAYOUT_AT(struct i386_float_state, initialized, 4);
LAYOUT_AT(struct i386_float_state, hw_state, 8);
LAYOUT_AT(struct i386_float_state, exc_status, 116);
LAYOUT_SIZE(struct i386_float_state, 120);
LAYOUT_AT(struct i386_xfloat_state, exc_status, 8);
LAYOUT_AT(struct i386_xfloat_state, fp_save_kind, 12);
LAYOUT_AT(struct i386_xfloat_state, hw_state, 16);
LAYOUT_SIZE(struct i386_debug_state, 32);
LAYOUT_AT(struct i386_fsgs_base_state, fs_base, 0);
LAYOUT_AT(struct i386_fsgs_base_state, gs_base, 8);
LAYOUT_SIZE(struct i386_fsgs_base_state, 16);

#endif

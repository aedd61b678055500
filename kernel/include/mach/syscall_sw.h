/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of the traps, for C and for assembly. */
#ifndef MACH_SYSCALL_SW_H
#define MACH_SYSCALL_SW_H

#include <mach/machine/syscall_sw.h>

#define TRAP_evc_wait				(-17)
#define TRAP_evc_wait_clear			(-18)
#define TRAP_mach_msg_trap			(-25)
#define TRAP_mach_reply_port			(-26)
#define TRAP_mach_thread_self			(-27)
#define TRAP_mach_task_self			(-28)
#define TRAP_mach_host_self			(-29)
#define TRAP_mach_print				(-30)
#define TRAP_syscall_device_writev_request	(-39)
#define TRAP_syscall_device_write_request	(-40)
#define TRAP_swtch_pri				(-59)
#define TRAP_swtch				(-60)
#define TRAP_thread_switch			(-61)
#define TRAP_syscall_vm_map			(-64)
#define TRAP_syscall_vm_allocate		(-65)
#define TRAP_syscall_vm_deallocate		(-66)
#define TRAP_syscall_task_create		(-68)
#define TRAP_syscall_task_terminate		(-69)
#define TRAP_syscall_task_suspend		(-70)
#define TRAP_syscall_task_set_special_port	(-71)
#define TRAP_syscall_mach_port_allocate		(-72)
#define TRAP_syscall_mach_port_deallocate	(-73)
#define TRAP_syscall_mach_port_insert_right	(-74)
#define TRAP_syscall_mach_port_allocate_name	(-75)
#define TRAP_syscall_thread_depress_abort	(-76)
#define TRAP_thread_set_self_state		(-77)

/* The table has this many slots, numbered 0 to -129. */
#define MACH_TRAP_TABLE_SIZE	130

/* Every trap: apply T(name, number, arguments). */
#define MACH_TRAP_LIST(T)						\
	T(evc_wait,				-17,	1)		\
	T(evc_wait_clear,			-18,	1)		\
	T(mach_msg_trap,			-25,	7)		\
	T(mach_reply_port,			-26,	0)		\
	T(mach_thread_self,			-27,	0)		\
	T(mach_task_self,			-28,	0)		\
	T(mach_host_self,			-29,	0)		\
	T(mach_print,				-30,	1)		\
	T(syscall_device_writev_request,	-39,	6)		\
	T(syscall_device_write_request,		-40,	6)		\
	T(swtch_pri,				-59,	1)		\
	T(swtch,				-60,	0)		\
	T(thread_switch,			-61,	3)		\
	T(syscall_vm_map,			-64,	11)		\
	T(syscall_vm_allocate,			-65,	4)		\
	T(syscall_vm_deallocate,		-66,	3)		\
	T(syscall_task_create,			-68,	3)		\
	T(syscall_task_terminate,		-69,	1)		\
	T(syscall_task_suspend,			-70,	1)		\
	T(syscall_task_set_special_port,	-71,	3)		\
	T(syscall_mach_port_allocate,		-72,	3)		\
	T(syscall_mach_port_deallocate,		-73,	2)		\
	T(syscall_mach_port_insert_right,	-74,	4)		\
	T(syscall_mach_port_allocate_name,	-75,	3)		\
	T(syscall_thread_depress_abort,		-76,	1)		\
	T(thread_set_self_state,		-77,	3)

#endif

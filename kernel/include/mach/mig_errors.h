/* SPDX-License-Identifier: BSD-2-Clause */
/* Error codes of generated stubs, and the fixed head of a reply. */
#ifndef MACH_MIG_ERRORS_H
#define MACH_MIG_ERRORS_H

#include <mach/kern_return.h>
#include <mach/layout_check.h>
#include <mach/message.h>

#define MIG_TYPE_ERROR		-300	/* client: reply is of the wrong type */
#define MIG_REPLY_MISMATCH	-301	/* client: reply has the wrong id */
#define MIG_REMOTE_ERROR	-302	/* server failed */
#define MIG_BAD_ID		-303	/* server: no such routine */
#define MIG_BAD_ARGUMENTS	-304	/* server: request is of the wrong type */
#define MIG_NO_REPLY		-305	/* server: a reply comes later, or none */
#define MIG_EXCEPTION		-306	/* server raised an exception */
#define MIG_ARRAY_TOO_LARGE	-307	/* client: array does not fit */
#define MIG_SERVER_DIED		-308	/* client: the reply right was destroyed */
#define MIG_DESTROY_REQUEST	-309	/* server: destroy it, no reply */

typedef struct {
	mach_msg_header_t	Head;
	mach_msg_type_t		RetCodeType;
	kern_return_t		RetCode;
	uint32_t		RetCodePadding;
} mig_reply_header_t;

LAYOUT_AT(mig_reply_header_t, Head, 0);
LAYOUT_AT(mig_reply_header_t, RetCodeType, 32);
LAYOUT_AT(mig_reply_header_t, RetCode, 40);
LAYOUT_SIZE(mig_reply_header_t, 48);

typedef struct mig_symtab {
	char	*ms_routine_name;
	int	ms_routine_number;
	void	(*ms_routine)(void);
} mig_symtab_t;

typedef void (*mig_routine_t)(mach_msg_header_t *in, mach_msg_header_t *out);

#endif

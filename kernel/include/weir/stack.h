/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks whose elements can be taken out of the middle as well.
 *
 * The first element's `prev` has no meaning, so the first is put there and taken away without a look at the rest: two and
 * four instructions, where a LIST of <bsd/sys/queue.h> has its neighbours point back.
 */
#ifndef WEIR_STACK_H
#define WEIR_STACK_H

#define STACK_HEAD(name, type)	struct name { struct type *first; }
#define STACK_ENTRY(type)	struct { struct type *next, *prev; }
#define STACK_INIT(head)	((head)->first = NULL)
#define STACK_FIRST(head)	((head)->first)
#define STACK_EMPTY(head)	((head)->first == NULL)
#define STACK_FOREACH(element, head, field) \
	for ((element) = (head)->first; (element) != NULL; (element) = (element)->field.next)

#define STACK_PUSH(head, element, field) do {						\
	(element)->field.next = (head)->first;						\
	if ((head)->first != NULL)							\
		(head)->first->field.prev = (element);					\
	(head)->first = (element);							\
} while (0)

/* Takes the element away, which is the first. */
#define STACK_POP(head, element, field)	((head)->first = (element)->field.next)

#define STACK_REMOVE(head, element, field) do {						\
	if ((head)->first == (element)) {						\
		STACK_POP(head, element, field);						\
	} else {									\
		(element)->field.prev->field.next = (element)->field.next;		\
		if ((element)->field.next != NULL)					\
			(element)->field.next->field.prev = (element)->field.prev;	\
	}										\
} while (0)

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists with both ends at hand whose head is one word: a pointer to the first element, NULL when there is none.
 *
 * The first element's `prev` is the last one; the last one's `next` is NULL. So elements are put at either end, before
 * another one, or taken out of the middle in a few instructions. `head` is the pointer itself, which is written.
 */
#ifndef WEIR_RING_H
#define WEIR_RING_H

#define RING_ENTRY(type)	struct { struct type *next, *prev; }
#define RING_NEXT(element, field)	((element)->field.next)
#define RING_LAST(head, field)	((head) != NULL ? (head)->field.prev : NULL)
#define RING_FOREACH(element, head, field) for ((element) = (head); (element) != NULL; (element) = RING_NEXT(element, field))

#define RING_INSERT_TAIL(head, element, field) do {					\
	(element)->field.next = NULL;							\
	if (__builtin_expect((head) == NULL, 1)) {					\
		(element)->field.prev = (element);					\
		(head) = (element);							\
	} else {									\
		(element)->field.prev = (head)->field.prev;				\
		(head)->field.prev->field.next = (element);				\
		(head)->field.prev = (element);						\
	}										\
} while (0)

#define RING_INSERT_HEAD(head, element, field) do {					\
	(element)->field.next = (head);							\
	if ((head) == NULL) {								\
		(element)->field.prev = (element);					\
	} else {									\
		(element)->field.prev = (head)->field.prev;				\
		(head)->field.prev = (element);						\
	}										\
	(head) = (element);								\
} while (0)

/* at: an element of the list. */
#define RING_INSERT_BEFORE(head, at, element, field) do {				\
	(element)->field.next = (at);							\
	(element)->field.prev = (at)->field.prev;					\
	if ((head) == (at))								\
		(head) = (element);							\
	else										\
		(at)->field.prev->field.next = (element);				\
	(at)->field.prev = (element);							\
} while (0)

/* element: the first of the list. */
#define RING_REMOVE_HEAD(head, element, field) do {					\
	if ((element)->field.next != NULL)						\
		(element)->field.next->field.prev = (element)->field.prev;		\
	(head) = (element)->field.next;							\
} while (0)

#define RING_REMOVE(head, element, field) do {						\
	if ((element)->field.next != NULL)						\
		(element)->field.next->field.prev = (element)->field.prev;		\
	else										\
		(head)->field.prev = (element)->field.prev;				\
	if ((head) == (element))							\
		(head) = (element)->field.next;						\
	else										\
		(element)->field.prev->field.next = (element)->field.next;		\
} while (0)

#endif

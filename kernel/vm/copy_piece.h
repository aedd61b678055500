/* SPDX-License-Identifier: BSD-2-Clause */
/* Long copies in pieces. Theory in copy_piece.c. */
#ifndef VM_COPY_PIECE_H
#define VM_COPY_PIECE_H
#include "vm/copy.h"

/* A copy of [next, end) of map being taken, paid by map's payer. */
struct vm_copying {
	struct vm_map *map;
	uint64_t next, end;
	struct vm_copy *copy; /* of what lies before next; NULL: nothing yet */
	bool filling;         /* the pages of its last entry are copied, those from next on are still to be */
	bool marked;          /* the caller's */
};
/* One step: some `most` entries, or pages to be copied. It is done when next is end and nothing is filled; then copy is as
   vm_copy_in makes it. Errors as of vm_copy_in; then the rest may be asked for again, or vm_copy_undo_some undoes what there is. */
kern_return_t vm_copying_step(struct vm_copying *copying, unsigned most);
/* Would it take more than one such step? False where something is not there, so that a step soon tells. */
bool vm_copying_is_long(struct vm_map *map, uint64_t address, uint64_t size, unsigned most);
static inline bool vm_copying_done(const struct vm_copying *copying)
{
	return copying->next == copying->end && !copying->filling;
}
/* All but map, while a call pauses that has not done it: in its wait.word, so that next is a page's address. */
enum { COPYING_NEXT, COPYING_END, COPYING_COPY };
static inline void vm_copying_save(const struct vm_copying *copying, uint64_t *word)
{
	word[COPYING_NEXT] = copying->next | (uint64_t)copying->marked << 1 | copying->filling;
	word[COPYING_END] = copying->end;
	word[COPYING_COPY] = (uint64_t)copying->copy;
}
static inline struct vm_copying vm_copying_load(struct vm_map *map, const uint64_t *word)
{
	return (struct vm_copying){
		.map = map, .next = trunc_page(word[COPYING_NEXT]), .end = word[COPYING_END],
		.copy = (struct vm_copy *)word[COPYING_COPY],
		.filling = (word[COPYING_NEXT] & 1) != 0, .marked = (word[COPYING_NEXT] & 2) != 0,
	};
}
/* vm_copy_undo of some `most` entries: returns the rest, NULL: that was all. */
struct vm_copy *vm_copy_undo_some(struct vm_map *map, struct vm_copy *copy, unsigned most);

/* The copy being written to map from address `at` on. */
struct vm_overwriting {
	struct vm_map *map;
	uint64_t at, ready;   /* up to ready all was present and writable; at first the page of at */
	struct vm_copy *copy; /* the rest of it; NULL: all is written */
};
/* One step, of at most so many pages. Errors as of vm_copy_overwrite; the copy stays the caller's, what was written was. In the
   same hold of the lock, once `ready` has reached the end, no error comes any more. */
kern_return_t vm_overwriting_step(struct vm_overwriting *writing, unsigned most);

#endif

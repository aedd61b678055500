/* SPDX-License-Identifier: BSD-2-Clause */
/* Address maps: entries in a balanced tree; each allocated, mapped or received region is its own.
 * Theory in map.c. */
#ifndef VM_MAP_H
#define VM_MAP_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/kern_return.h>
#include <mach/vm_inherit.h>
#include <mach/vm_prot.h>
#include <weir/queue.h>
#include "mem/reap.h"
#include "x86_64/pmap.h"

struct ledger;
struct vm_object;

/* A range of addresses in a map; or, in transit between two, part of a struct vm_copy. */
struct vm_entry {
	/* Whose ledger pays (LEDGER_ENTRIES 1, and LEDGER_VIRTUAL_PAGES of its pages): vm_entry_payer. */
	union {
		struct vm_map *map;   /* when in_map */
		struct ledger *payer; /* else */
	};
	uint64_t start, end;              /* bytes, page aligned, [start, end) */
	struct vm_object *object;         /* NULL: nothing touched yet (zero fill) */
	uint64_t offset;                  /* of start in object, bytes */
	LIST_ENTRY(vm_entry) object_link; /* in object->entries: the reverse mapping */
	union {
		struct { /* in_map: tree.c */
			struct vm_entry *child[2], *parent;
			uint64_t gap;     /* free bytes before start */
			uint64_t gap_max; /* of the subtree: none is larger */
		};
		struct { /* in transit: copy.c */
			struct vm_entry *next;
			/* Of the whole chain, in its first: */
			struct vm_entry *last;
			uint64_t size : 52, page_offset : 12; /* of the data, bytes */
			union {
				struct reap reap;
				struct { uint64_t whereto; struct vm_copy *next_copy; }; /* while a call that pauses makes it */
			};
		};
	};
	union {
		uint32_t range;   /* in_map: identity of the region given by one call */
		uint32_t entries; /* in transit, in the first: of the chain */
	};
	uint8_t protection, max_protection, inheritance;
	bool in_map : 1;
	bool red : 1;        /* tree.c */
	bool needs_copy : 1; /* object is shared for copy on write: shadow it before writing */
	bool shared : 1;     /* others may write the same object's pages */
	bool mapped : 1;     /* page tables may map some of it; false: none */
	bool wired : 1;      /* no fault must be needed */
	uint8_t unused : 2;  /* 0: so that all of these can be written at once */
};

struct vm_map {
	struct pmap pmap;             /* its payer, the task's ledger, pays for all */
	struct vm_entry *root, *last; /* of the tree of entries (tree.c), the one with the highest address */
	struct vm_entry *loose;       /* one that is not in the tree yet; NULL: none */
	struct vm_entry *loose_next;  /* the first one above it, NULL: none */
	struct vm_entry *found;       /* no gap in front of an earlier one has found_pages; NULL: nor of any */
	struct vm_entry *hint;        /* in the tree, and used last; NULL: none, or it has gone */
	uint64_t size_bytes;          /* mapped address space */
	union {
		uint64_t size_limit;  /* vm_set_size_limit; max protection NONE does not count */
		uint64_t unmapped_to; /* dismantling: how far the first entry left is unmapped */
	};
	uint64_t size_limit_max;
	uint32_t entry_count;
	uint32_t next_range;
	uint32_t wired_pages : 30;    /* by vm_wire, for the bound without privilege */
	uint32_t wire_future : 1, dismantling : 1;
	uint32_t found_pages;
	uint64_t faults, zero_fills, cow_faults; /* counters */
};

/* Since boot, over all maps. */
struct vm_counters {
	uint64_t faults, zero_fills, cow_faults;
};
extern struct vm_counters vm_counters;

void vm_init(void); /* zones */
/* Empty map with its root page table. False: denied. */
bool vm_map_create(struct vm_map *map, struct ledger *payer);
/* One bounded piece of taking the map apart; true when empty and the page tables are freed. */
bool vm_map_dismantle(struct vm_map *map);

kern_return_t vm_map_allocate(struct vm_map *map, uint64_t *address, uint64_t size, bool anywhere);
/* Never fails for whole given ranges or ends of them; a hole inside one range may be
 * KERN_RESOURCE_SHORTAGE. */
kern_return_t vm_map_deallocate(struct vm_map *map, uint64_t address, uint64_t size);
/* object NULL: zero fill. Takes over one object reference on success only. */
kern_return_t vm_map_enter(struct vm_map *map, uint64_t *address, uint64_t size, uint64_t mask,
			   bool anywhere, struct vm_object *object, uint64_t offset, bool copy,
			   vm_prot_t protection, vm_prot_t max_protection,
			   vm_inherit_t inheritance);
/* Copies the parent's map into an empty one as inheritance says (task_create). Error: the child is
   empty and without page tables, the parent as before. */
kern_return_t vm_map_fork(struct vm_map *parent, struct vm_map *child);
/* The same in steps: some entries from *at on, at first 0; UINT64_MAX: that was all. After an error *at is where it was, for */
kern_return_t vm_map_fork_some(struct vm_map *parent, struct vm_map *child, uint64_t *at, unsigned most);
/* which undoes the child and what was marked up to `last`, in steps from *at, at first 0, on; true: that was all. */
bool vm_map_fork_undo(struct vm_map *parent, struct vm_map *child, uint64_t *at, uint64_t last, unsigned most);
/* Makes the page present with the access asked for. KERN_SUCCESS, KERN_INVALID_ADDRESS,
   KERN_PROTECTION_FAILURE, KERN_RESOURCE_SHORTAGE (denied), KERN_MEMORY_ERROR. Never blocks yet. */
kern_return_t vm_fault(struct vm_map *map, uint64_t address, vm_prot_t access);
/* Who pays for an entry. */
static inline struct ledger *vm_entry_payer(const struct vm_entry *entry)
{
	return entry->in_map ? entry->map->pmap.payer : entry->payer;
}
static inline bool vm_entry_holds(const struct vm_entry *entry, uint64_t address)
{
	return entry != NULL && address >= entry->start && address < entry->end;
}
/* The entry that holds address, or the next one above; NULL: none. */
struct vm_entry *vm_map_lookup_next(struct vm_map *map, uint64_t address);
/* The entry that holds address; NULL: none. */
static inline struct vm_entry *vm_map_lookup(struct vm_map *map, uint64_t address)
{
	struct vm_entry *entry = map->loose;

	if (vm_entry_holds(entry, address))
		return entry;
	entry = map->hint;
	if (vm_entry_holds(entry, address))
		return entry;
	entry = vm_map_lookup_next(map, address);
	return vm_entry_holds(entry, address) ? entry : NULL;
}
/* The same where it is one of the two looked for last; NULL: another, or none. */
static inline struct vm_entry *vm_map_lookup_recent(const struct vm_map *map, uint64_t address)
{
	struct vm_entry *entry = map->loose;

	if (vm_entry_holds(entry, address))
		return entry;
	entry = map->hint;
	return vm_entry_holds(entry, address) ? entry : NULL;
}
/* The entry behind; NULL: the last. */
struct vm_entry *vm_map_next(struct vm_entry *entry);
/* Rights, inheritance and wiring of a range (manual, Memory Attributes). Each may need up to two
   new entries and is denied before anything is changed: KERN_RESOURCE_SHORTAGE.
   KERN_INVALID_ADDRESS: a part is not allocated. */
kern_return_t vm_map_protect(struct vm_map *map, uint64_t address, uint64_t size, bool set_maximum,
			     vm_prot_t protection);
kern_return_t vm_map_inherit(struct vm_map *map, uint64_t address, uint64_t size,
			     vm_inherit_t inheritance);
/* access VM_PROT_NONE unwires. limit_pages: how much the map may have wired in all. KERN_NO_SPACE:
   a part is not allocated or does not allow the access; KERN_RESOURCE_SHORTAGE: denied, or over the
   limit. */
kern_return_t vm_map_wire(struct vm_map *map, uint64_t address, uint64_t size, vm_prot_t access,
			  uint64_t limit_pages);
/* Invariants; panics when broken. */
void vm_map_check(struct vm_map *map);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays of rights: out-of-line port rights while they are in the kernel. */
#include <stddef.h>
#include "ipc/kmsg.h"
#include "kern/assert.h"
#include "kern/string.h"

#define DIRECT (sizeof(((struct port_array *)0)->direct) / sizeof(struct port *))
#define PORTS_PER_PAGE (PAGE_SIZE / sizeof(struct port *))
#define ARRAY_PIECE 32		/* rights released in one go */

struct port_array *port_array_make(uint32_t count, uint32_t disposition, struct ledger *payer)
{
	struct page *page = count <= PORT_ARRAY_MAX ? kpage_alloc(payer) : NULL;
	uint32_t pages = count <= DIRECT ? 0 : (count + PORTS_PER_PAGE - 1) / PORTS_PER_PAGE;
	struct port_array *array;

	if (page == NULL)
		return NULL;
	array = page_address(page);
	memset(array, 0, PAGE_SIZE);
	array->count = count;
	array->disposition = disposition;
	while (array->pages < pages) {
		page = kpage_alloc(payer);
		if (page == NULL) {
			port_array_free(array);
			return NULL;
		}
		memset(page_address(page), 0, PAGE_SIZE);
		array->frames[array->pages++] = (uint32_t)page_frame(page);
	}
	return array;
}

struct port **port_array_slot(struct port_array *array, uint32_t index)
{
	struct port **ports = array->direct;

	assert(index < array->count);
	if (array->pages != 0) {
		ports = page_address(page_of_frame(array->frames[index / PORTS_PER_PAGE]));
		index %= PORTS_PER_PAGE;
	}
	return &ports[index];
}

void port_array_free(struct port_array *array)
{
	while (array->pages != 0)
		kpage_free(page_of_frame(array->frames[--array->pages]));
	kpage_free(page_of_address(array));
}

static bool port_array_reap(struct reap *reap)
{
	struct port_array *array = (struct port_array *)((char *)reap - offsetof(struct port_array, reap));
	unsigned left = ARRAY_PIECE;
	struct port **slot;

	for (; array->next < array->count; array->next++) {
		if (left-- == 0)
			return false;
		slot = port_array_slot(array, array->next);
		if (port_valid(*slot))
			right_release(*slot, array->disposition);
		*slot = NULL;
	}
	port_array_free(array);
	return true;
}

void port_array_discard(struct port_array *array)
{
	if (array != NULL)
		reap_defer(&array->reap, port_array_reap);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of names; static, so that it needs no memory when there is none. */
#include "names.h"
#include <mach.h>
#include <string.h>

static struct entry {
	char name[JOB_NAME_MAX];
	uint32_t job;		/* 0: not used */
	mach_port_t server;
} entries[NAMES_MAX];

static struct entry *find(uint32_t job, const char *name)
{
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		if (entries[i].job == job && strcmp(entries[i].name, name) == 0)
			return &entries[i];
	}
	return NULL;
}

static struct entry *find_unused(uint32_t job)
{
	struct entry *unused = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < NAMES_MAX; i++) {
		count += entries[i].job == job;
		if (entries[i].job == 0 && unused == NULL)
			unused = &entries[i];
	}
	return count < NAMES_OF_ONE ? unused : NULL;
}

bool names_is_foreign(const struct job *job, const char *name)
{
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		const struct job *other = entries[i].job != 0 ? job_of_id(entries[i].job) : NULL;

		if (other != NULL && strcmp(entries[i].name, name) == 0 &&
		    strcmp(other->name, job->name) != 0)
			return true;
	}
	/* The name of a server's program is taken as well. */
	return strcmp(job->name, name) != 0 && job_server(name) != NULL;
}

static void clear(struct entry *entry)
{
	give_back_right(entry->server);
	memset(entry, 0, sizeof *entry);
}

kern_return_t names_add(const struct job *job, const char *name, mach_port_t server)
{
	struct entry *entry = find(job->id, name);

	if (name[0] == '\0' || strlen(name) >= sizeof entry->name)
		return KERN_INVALID_ARGUMENT;
	if (names_is_foreign(job, name))
		return KERN_NAME_EXISTS;
	if (entry != NULL)
		give_back_right(entry->server);
	else
		entry = find_unused(job->id);
	if (entry == NULL)
		return KERN_RESOURCE_SHORTAGE;
	strlcpy(entry->name, name, sizeof entry->name);
	entry->job = job->id;
	entry->server = server;
	return KERN_SUCCESS;
}

kern_return_t names_withdraw(const struct job *job, const char *name)
{
	struct entry *entry = find(job->id, name);

	if (entry == NULL)
		return KERN_INVALID_NAME;
	clear(entry);
	return KERN_SUCCESS;
}

/* Jobs count up, so the newest has the largest number. One that is being killed serves no more. */
mach_port_t names_find(const char *name)
{
	const struct entry *newest = NULL;

	for (unsigned i = 0; i < NAMES_MAX; i++) {
		const struct entry *entry = &entries[i];
		const struct job *job = entry->job != 0 ? job_of_id(entry->job) : NULL;

		if (job != NULL && !job->killed && strcmp(entry->name, name) == 0 &&
		    (newest == NULL || entry->job > newest->job))
			newest = entry;
	}
	return newest != NULL ? newest->server : MACH_PORT_NULL;
}

bool names_has(uint32_t job)
{
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		if (entries[i].job == job)
			return true;
	}
	return false;
}

void names_drop(uint32_t job)
{
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		if (entries[i].job == job)
			clear(&entries[i]);
	}
}

const char *names_at(unsigned place, uint32_t *job)
{
	if (place >= NAMES_MAX || entries[place].job == 0)
		return NULL;
	*job = entries[place].job;
	return entries[place].name;
}

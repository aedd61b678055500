/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One screen of 24 lines by 80 columns. The largest zones, and of each the ledger that holds most of
 * it by itself, without its children; the ledgers, tasks and denials with the most and newest first, so that a
 * flood can be followed from the zone that grows to the task that makes it. What is too long a list
 * to be had is left out for this second.
 */
#include "top.h"
#include <inttypes.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/threads.h>
#include <stdio.h>
#include <string.h>
#include <weir_user.h>
#include "bootstrap.h"
#include "ledgers.h"

#define ZONES_SHOWN	6
#define ZONES_MAX	24
#define LEDGERS_SHOWN	5
#define TASKS_SHOWN	4
#define DENIALS_SHOWN	3
#define LINE_END	"\033[K\n"	/* what was longer before is erased */

struct row_ledger {
	char name[LEDGER_NAME_MAX];
	uint64_t tasks, kmem, resident, limit, denials;
};

struct holder {
	char name[LEDGER_NAME_MAX];
	uint64_t used;
};

static struct row_ledger ledgers[LEDGERS_SHOWN];
static unsigned ledger_count;
static struct holder holders[LEDGER_RESOURCES];

/* The ledgers from the root to the one just visited, with what they hold without their children. */
static struct {
	char name[LEDGER_NAME_MAX];
	uint64_t own[LEDGER_RESOURCES];
} path[LEDGER_DEPTH_MAX + 1];
static unsigned path_length;

/* Of the second before, to tell the rates; zones are listed in the same order always. */
static uint64_t allocs_before[ZONES_MAX];
static uint64_t before_us;

static uint64_t kilobytes(uint64_t pages)
{
	return pages * (PAGE_SIZE / 1024);
}

/* Keeps the list sorted by kernel memory. */
static void take_row(const struct row_ledger *row)
{
	unsigned at = ledger_count < LEDGERS_SHOWN ? ledger_count++ : LEDGERS_SHOWN - 1;

	if (at == LEDGERS_SHOWN - 1 && ledgers[at].name[0] != '\0' && ledgers[at].kmem >= row->kmem)
		return;
	for (; at > 0 && ledgers[at - 1].kmem < row->kmem; at--)
		ledgers[at] = ledgers[at - 1];
	ledgers[at] = *row;
}

/* All children of those deeper than this were visited. */
static void leave(unsigned depth)
{
	while (path_length > depth) {
		path_length--;
		for (unsigned i = 0; i < LEDGER_RESOURCES; i++) {
			if (path[path_length].own[i] <= holders[i].used)
				continue;
			strlcpy(holders[i].name, path[path_length].name, sizeof holders[i].name);
			holders[i].used = path[path_length].own[i];
		}
	}
}

/* A child counts with its parent as what it uses, or has guaranteed if that is more. */
static void enter(unsigned depth, const char *name, const struct ledger_usage *usage)
{
	leave(depth);
	if (depth > LEDGER_DEPTH_MAX)
		return;
	path_length = depth + 1;
	strlcpy(path[depth].name, name, sizeof path[depth].name);
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++) {
		uint64_t counts = usage[i].used > usage[i].guarantee ? usage[i].used : usage[i].guarantee;

		path[depth].own[i] = usage[i].used;
		if (depth > 0)
			path[depth - 1].own[i] -= counts < path[depth - 1].own[i] ? counts
										  : path[depth - 1].own[i];
	}
}

static bool take_ledger(mach_port_t ledger, const struct ledger_facts *facts, unsigned depth,
			void *unused)
{
	union {
		uint64_t words[LEDGER_ALL_RESOURCES * 5];
		struct ledger_usage usage[LEDGER_ALL_RESOURCES];
	} all;
	struct row_ledger row = { .tasks = facts->tasks };

	(void)unused;
	if (ledger_get_all_usage(ledger, all.words) != KERN_SUCCESS)
		return true;
	strlcpy(row.name, facts->name, sizeof row.name);
	row.kmem = all.usage[LEDGER_KMEM].used;
	row.limit = all.usage[LEDGER_KMEM].limit;
	row.resident = all.usage[LEDGER_RESIDENT_PAGES].used;
	/* Of the root the last two, too: what the machine itself had no room for. */
	for (unsigned i = 0; i < LEDGER_ALL_RESOURCES; i++)
		row.denials += all.usage[i].denials;
	take_row(&row);
	enter(depth, facts->name, all.usage);
	return true;
}

static void draw_head(uint64_t now_us)
{
	weir_memory_info_t memory;

	if (weir_memory_info(host_priv, &memory) != KERN_SUCCESS)
		memset(&memory, 0, sizeof memory);
	printf("\033[Htop: %" PRIu64 " s up, RAM %" PRIu64 "K free of %" PRIu64 "K, zone map %" PRIu64
	       "K of %" PRIu64 "K; q leaves" LINE_END, now_us / 1000000, kilobytes(memory.free_pages),
	       kilobytes(memory.ram_pages), kilobytes(memory.zone_map_pages),
	       kilobytes(memory.zone_map_limit_pages));
}

static void draw_zone(const struct weir_zone_info *zone, uint64_t rate)
{
	struct holder holder = { .name = "-" };

	if (zone->resource < LEDGER_RESOURCES && holders[zone->resource].used > 0)
		holder = holders[zone->resource];
	printf("%-11.11s %9" PRIu64 " %8" PRIu64 "K %9" PRIu64 " %8" PRIu64 "  %-19.19s %8" PRIu64
	       LINE_END, zone->name, zone->count, kilobytes(zone->slabs), rate, zone->failures,
	       holder.name, holder.used);
}

/* The index of the largest zone that was not drawn yet. */
static unsigned largest(const struct weir_zone_info *zones, unsigned count, const bool *drawn)
{
	unsigned best = count;

	for (unsigned i = 0; i < count; i++) {
		if (!drawn[i] && (best == count || zones[i].slabs > zones[best].slabs))
			best = i;
	}
	return best;
}

static void draw_zones(uint64_t passed_us)
{
	weir_zone_info_array_t zones;
	mach_msg_type_number_t count;
	bool drawn[ZONES_MAX] = { false };
	unsigned some;

	printf("\033[7m%-11s %9s %9s %9s %8s  %-19s %8s\033[m" LINE_END, "ZONE", "USED", "SIZE", "NEW/s",
	       "FAILURES", "MOST IN LEDGER", "THERE");
	if (weir_zone_info(host_priv, &zones, &count) != KERN_SUCCESS || count == 0)
		return;
	some = count < ZONES_MAX ? count : ZONES_MAX;
	for (unsigned n = 0; n < ZONES_SHOWN && n < some; n++) {
		unsigned i = largest(zones, some, drawn);
		uint64_t made = zones[i].allocs - allocs_before[i];

		drawn[i] = true;
		draw_zone(&zones[i], passed_us > 0 ? made * 1000000 / passed_us : 0);
	}
	for (unsigned i = 0; i < some; i++)
		allocs_before[i] = zones[i].allocs;
	give_back_memory((vm_address_t)zones, count * sizeof *zones);
}

static void draw_ledgers(void)
{
	char limit[LEDGER_AMOUNT_MAX];

	printf("\033[7m%-24s %8s %9s %9s %9s %14s\033[m" LINE_END, "LEDGER", "TASKS", "KERNEL", "LIMIT",
	       "MEMORY", "DENIALS");
	for (unsigned i = 0; i < ledger_count; i++)
		printf("%-24.24s %8" PRIu64 " %8" PRIu64 "K %9s %8" PRIu64 "K %14" PRIu64 LINE_END,
		       ledgers[i].name, ledgers[i].tasks, ledgers[i].kmem / 1024,
		       ledger_amount_string(LEDGER_KMEM, ledgers[i].limit, limit),
		       kilobytes(ledgers[i].resident), ledgers[i].denials);
}

static void draw_task(const struct weir_task_info *task)
{
	char ledger[LEDGER_NAME_MAX];

	ledgers_name(task->ledger_id, ledger);
	printf("%6" PRIu64 " %-15.15s %-19.19s %7" PRIu64 " %7" PRIu64 " %7" PRIu64 "K %6" PRIu64 "K"
	       LINE_END, task->id, task->name, ledger, task->names, task->threads,
	       kilobytes(task->resident_pages), task->kmem_bytes / 1024);
}

static void draw_tasks(void)
{
	weir_task_info_array_t tasks;
	mach_msg_type_number_t count = 0;
	unsigned best[TASKS_SHOWN], n = 0;

	if (weir_task_list(host_priv, &tasks, &count) != KERN_SUCCESS)
		count = 0;
	printf("\033[7m%6s %-15s %-19s %7s %7s %8s %7s\033[m" LINE_END, "TASK", "NAME", "LEDGER",
	       "PORTS", "THREADS", "MEMORY", "KERNEL");
	for (unsigned i = 0; i < count; i++) {
		unsigned at = n < TASKS_SHOWN ? n++ : TASKS_SHOWN;

		for (; at > 0 && tasks[best[at - 1]].kmem_bytes < tasks[i].kmem_bytes; at--) {
			if (at < TASKS_SHOWN)
				best[at] = best[at - 1];
		}
		if (at < TASKS_SHOWN)
			best[at] = i;
	}
	for (unsigned i = 0; i < n; i++)
		draw_task(&tasks[best[i]]);
	if (count > 0)
		give_back_memory((vm_address_t)tasks, count * sizeof *tasks);
}

static void draw_denials(void)
{
	ledger_denial_array_t denials;
	mach_msg_type_number_t count = 0;
	char text[LEDGER_DENIAL_MAX];

	if (ledger_denials(host_priv, &denials, &count) != KERN_SUCCESS)
		count = 0;
	printf("\033[7m%-79s\033[m" LINE_END, count > 0 ? "DENIALS, the newest first" : "NO DENIALS");
	for (unsigned i = 0; i < count && i < DENIALS_SHOWN; i++) {
		const struct ledger_denial *denial = &denials[count - 1 - i];
		char row[80];

		snprintf(row, sizeof row, "%" PRIu64 "x %.12s: %s", denial->count, denial->task,
			 ledger_denial_string(denial, text));
		printf("%s" LINE_END, row);
	}
	if (count > 0)
		give_back_memory((vm_address_t)denials, count * sizeof *denials);
}

void top_begin(void)
{
	before_us = 0;
	printf("\033[2J");
}

void top_draw(void)
{
	uint64_t now_us = clock_uptime_us();

	memset(ledgers, 0, sizeof ledgers);
	memset(holders, 0, sizeof holders);
	ledger_count = 0;
	ledgers_walk(take_ledger, NULL);
	leave(0);
	draw_head(now_us);
	draw_zones(before_us > 0 ? now_us - before_us : 0);
	draw_ledgers();
	draw_tasks();
	draw_denials();
	printf("\033[J");
	fflush(stdout);
	before_us = now_us;
}

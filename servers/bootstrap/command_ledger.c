/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about ledgers. */
#include <ctype.h>
#include <inttypes.h>
#include <ledger_user.h>
#include <mach.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bootstrap.h"
#include "command.h"
#include "ledgers.h"

#define SETTINGS_MAX	LEDGER_ALL_RESOURCES
#define MEMORY		"memory"

static void print_resource(uint32_t resource, const struct ledger_usage *usage, int indent)
{
	char used[LEDGER_AMOUNT_MAX], limit[LEDGER_AMOUNT_MAX], peak[LEDGER_AMOUNT_MAX];
	char guarantee[LEDGER_AMOUNT_MAX];
	const struct ledger_usage none = { .limit = LEDGER_UNLIMITED };
	bool more = usage->guarantee != 0 || usage->denials != 0;
	/* The kernel keeps no peak of RAM but the machine's. */
	bool peak_known = usage->peak >= usage->used;

	if (memcmp(usage, &none, sizeof none) == 0)
		return;
	printf("%*s%-15s used %-8s limit %-8s peak %*s", indent, "", ledger_resource_name(resource),
	       ledger_amount_string(resource, usage->used, used),
	       ledger_amount_string(resource, usage->limit, limit), more ? -8 : 0,
	       peak_known ? ledger_amount_string(resource, usage->peak, peak) : "-");
	if (usage->guarantee != 0)
		printf(" guarantee %s", ledger_amount_string(resource, usage->guarantee, guarantee));
	if (usage->denials != 0)
		printf(" denials %" PRIu64, usage->denials);
	printf("\n");
}

static bool print_ledger(mach_port_t ledger, const struct ledger_facts *facts, unsigned depth,
			 void *argument)
{
	union {
		uint64_t words[LEDGER_ALL_RESOURCES * 5];
		struct ledger_usage usage[LEDGER_ALL_RESOURCES];
	} all;
	int indent = (int)depth * 2;

	(void)argument;
	printf("%*s%s (%u): %u tasks, weight %u\n", indent, "", facts->name, facts->id, facts->tasks,
	       facts->weight);
	if (ledger_get_all_usage(ledger, all.words) != KERN_SUCCESS)
		return true;
	for (uint32_t i = 0; i < LEDGER_ALL_RESOURCES; i++) {
		/* RAM is of interest where it is limited; its parts are there already. */
		if (i < LEDGER_RESOURCES || all.usage[i].limit != LEDGER_UNLIMITED)
			print_resource(i, &all.usage[i], indent + 2);
	}
	return true;
}

static void run_ledgers(int argc, char **argv)
{
	kern_return_t code = ledgers_walk(print_ledger, NULL);

	(void)argc;
	if (code != KERN_SUCCESS)
		command_failed(argv[0], code);
}

struct setting {
	uint32_t resource;
	uint64_t amount, before;
};

/* What is set: limits or guarantees. */
static const struct kind {
	const char *command;
	bool may_be_none;
	kern_return_t (*set)(ledger_t ledger, int resource, uint64_t amount);
	size_t before;			/* where in struct ledger_usage */
} kind_limit = { "limit", true, ledger_set_limit, offsetof(struct ledger_usage, limit) },
  kind_guarantee = { "guarantee", false, ledger_set_guarantee,
		     offsetof(struct ledger_usage, guarantee) };

/* The resource of that name. Memory in bytes is one of resident pages in pages. */
static bool parse_resource(const char *name, struct setting *setting)
{
	setting->resource = strcmp(name, MEMORY) == 0 ? LEDGER_RESIDENT_PAGES : ledgers_resource(name);
	if (setting->resource != LEDGER_ALL_RESOURCES)
		return true;
	printf("%s: no such resource; they are:", name);
	for (uint32_t i = 0; i < LEDGER_ALL_RESOURCES; i++) {
		if (i != LEDGER_ZONE_MAP)
			printf(" %s", ledger_resource_name(i));
	}
	printf(" %s\n", MEMORY);
	return false;
}

/* RESOURCE=N; or =none where that makes sense. Says what is wrong. */
static bool parse_setting(char *word, const struct kind *kind, struct setting *setting)
{
	char *value = strchr(word, '=');

	if (value == NULL) {
		printf("%s: not RESOURCE=NUMBER\n", word);
		return false;
	}
	*value++ = '\0';
	if (!parse_resource(word, setting))
		return false;
	if (kind->may_be_none && strcmp(value, "none") == 0) {
		setting->amount = LEDGER_UNLIMITED;
		return true;
	}
	if (!command_number(value, &setting->amount))
		return false;
	if (strcmp(word, MEMORY) == 0)
		setting->amount = setting->amount / PAGE_SIZE + (setting->amount % PAGE_SIZE != 0);
	return true;
}

static bool parse_settings(const struct kind *kind, int count, char **words, struct setting *settings)
{
	if (count > SETTINGS_MAX) {
		printf("%s: more than %d settings\n", kind->command, SETTINGS_MAX);
		return false;
	}
	for (int i = 0; i < count; i++) {
		if (!parse_setting(words[i], kind, &settings[i]))
			return false;
	}
	return true;
}

/* Why the kernel finds that the setting makes no sense. */
static void say_why(const struct kind *kind, const struct setting *setting,
		    const struct ledger_usage *usage)
{
	char amount[LEDGER_AMOUNT_MAX];

	if (kind == &kind_limit && setting->resource == LEDGER_RAM)
		printf("the machine's is the root's, and cannot be changed\n");
	else if (kind == &kind_limit)
		printf("its guarantee is %s, a limit cannot be less\n",
		       ledger_amount_string(setting->resource, usage->guarantee, amount));
	else if (setting->resource == LEDGER_KMEM || setting->resource == LEDGER_RAM)
		printf("things are guaranteed, not bytes\n");
	else if (setting->amount > usage->limit)
		printf("its limit is %s, a guarantee cannot be more\n",
		       ledger_amount_string(setting->resource, usage->limit, amount));
	else
		printf("nobody has so many guaranteed, and the root none\n");
}

/* Sets one; what was before goes to setting->before. */
static bool set(const struct kind *kind, mach_port_t ledger, struct setting *setting)
{
	char what[64];
	struct ledger_usage usage;
	kern_return_t code = ledger_get_usage(ledger, (int)setting->resource, &usage);

	if (code == KERN_SUCCESS) {
		memcpy(&setting->before, (char *)&usage + kind->before, sizeof setting->before);
		code = kind->set(ledger, (int)setting->resource, setting->amount);
	}
	if (code == KERN_SUCCESS)
		return true;
	snprintf(what, sizeof what, "%s: %s", kind->command, ledger_resource_name(setting->resource));
	if (code == KERN_INVALID_ARGUMENT) {
		printf("%s: ", what);
		say_why(kind, setting, &usage);
	} else {
		command_failed(what, code);
	}
	return false;
}

/* All of them, or none when one is refused. */
static bool set_all(const struct kind *kind, mach_port_t ledger, int count, struct setting *settings)
{
	for (int i = 0; i < count; i++) {
		if (set(kind, ledger, &settings[i]))
			continue;
		while (i-- > 0)
			kind->set(ledger, (int)settings[i].resource, settings[i].before);
		return false;
	}
	return true;
}

static void change(const struct kind *kind, const char *name, int count, char **words)
{
	struct setting settings[SETTINGS_MAX];
	mach_port_t ledger;

	if (!parse_settings(kind, count, words, settings) || !ledgers_find(name, &ledger))
		return;
	set_all(kind, ledger, count, settings);
	give_back_right(ledger);
}

static void run_limit(int argc, char **argv)
{
	change(&kind_limit, argv[1], argc - 2, argv + 2);
}

static void run_guarantee(int argc, char **argv)
{
	change(&kind_guarantee, argv[1], argc - 2, argv + 2);
}

static kern_return_t get_facts(mach_port_t ledger, struct ledger_facts *facts)
{
	return ledger_info(ledger, &facts->id, &facts->parent_id, facts->name, &facts->children,
			   &facts->tasks, &facts->weight);
}

/* A new ledger below that one; false: it was said why not. */
static bool make(const char *parent_name, const char *name, mach_port_t *ledger)
{
	mach_port_t parent;
	kern_return_t code;

	if (!isalpha(*name) || strchr(name, '=') != NULL || strlen(name) >= LEDGER_NAME_MAX) {
		printf("%s: a name has 1 to %d characters, a letter first and no =\n", name,
		       LEDGER_NAME_MAX - 1);
		return false;
	}
	if (!ledgers_find(parent_name, &parent))
		return false;
	code = ledger_create(parent, name, ledger);
	give_back_right(parent);
	if (code != KERN_SUCCESS)
		command_failed("ledger", code);
	return code == KERN_SUCCESS;
}

/* Of one that is there already; false: said that its parent is another. */
static bool is_below(mach_port_t ledger, const char *parent_name)
{
	struct ledger_facts facts;
	char name[LEDGER_NAME_MAX];

	if (get_facts(ledger, &facts) != KERN_SUCCESS)
		return false;
	ledgers_name(facts.parent_id, name);
	if (strcmp(name, parent_name) == 0)
		return true;
	printf("%s: is there already, below %s\n", facts.name, name);
	return false;
}

/* PARENT/NAME, or NAME below the root. What is there already is only changed and shown. */
static void run_ledger(int argc, char **argv)
{
	char *slash = strrchr(argv[1], '/');
	const char *name = slash != NULL ? slash + 1 : argv[1];
	struct setting settings[SETTINGS_MAX];
	struct ledger_facts facts;
	mach_port_t ledger;
	bool is_new;

	if (slash != NULL)
		*slash = '\0';
	if (!parse_settings(&kind_limit, argc - 2, argv + 2, settings))
		return;
	is_new = !ledgers_exist(name, &ledger);
	if (is_new && !make(slash != NULL ? argv[1] : "root", name, &ledger))
		return;
	if (!is_new && slash != NULL && !is_below(ledger, argv[1])) {
		give_back_right(ledger);
		return;
	}
	if (set_all(&kind_limit, ledger, argc - 2, settings) &&
	    get_facts(ledger, &facts) == KERN_SUCCESS)
		print_ledger(ledger, &facts, 0, NULL);
	else if (is_new)
		ledger_terminate(ledger);
	give_back_right(ledger);
}

static void run_weight(int argc, char **argv)
{
	mach_port_t ledger;
	uint64_t weight;
	kern_return_t code;

	(void)argc;
	if (!command_number(argv[2], &weight) || !ledgers_find(argv[1], &ledger))
		return;
	code = weight <= INT32_MAX ? ledger_set_weight(ledger, (int)weight) : KERN_INVALID_ARGUMENT;
	if (code == KERN_INVALID_ARGUMENT)
		printf("weight: 1 to 10000, of a ledger directly below the root\n");
	else if (code != KERN_SUCCESS)
		command_failed(argv[0], code);
	give_back_right(ledger);
}

static void run_denials(int argc, char **argv)
{
	ledger_denial_array_t denials;
	mach_msg_type_number_t count;
	kern_return_t code = ledger_denials(host_priv, &denials, &count);
	char text[LEDGER_DENIAL_MAX];

	(void)argc;
	if (code != KERN_SUCCESS) {
		command_failed(argv[0], code);
		return;
	}
	for (unsigned i = 0; i < count; i++)
		printf("+%" PRIu64 " ms %" PRIu64 "x %.32s: wanted %" PRIu64 ", %s\n",
		       denials[i].when_ns / 1000000, denials[i].count, denials[i].task,
		       denials[i].wanted, ledger_denial_string(&denials[i], text));
	if (count == 0)
		printf("no denials\n");
	else
		give_back_memory((vm_address_t)denials, count * sizeof *denials);
}

#define RESOURCES							\
	"  RES: tasks threads ports names entries objects messages virtual_pages\n"	\
	"  resident_pages nodes kpages fpus ledgers; in bytes kmem (what the kernel holds\n" \
	"  for it), memory (resident_pages) and ram (both together)\n"

const struct command ledger_commands[] = {
	{ "ledgers", "", "the tree: used, limit, peak, denials of each", 0, 0, run_ledgers, NULL },
	{ "ledger", "[PARENT/]NAME [RES=N...]", "makes one, below root, or shows it; limits it", 1, -1,
	  run_ledger, RESOURCES },
	{ "limit", "LEDGER RES=N|none...", "sets limits", 2, -1, run_limit,
	  "  below what is used: nothing more is given\n" RESOURCES },
	{ "guarantee", "LEDGER RES=N...", "sets guarantees, of things: taken at once", 2, -1,
	  run_guarantee, RESOURCES },
	{ "weight", "LEDGER N", "sets its share of the CPU beside its sisters", 2, 2, run_weight,
	  "  of ledgers directly below the root; 100 at first\n" },
	{ "denials", "", "what was denied last, and whose limit it was", 0, 0, run_denials,
	  "  when, how often in a row, to whose task, how much was wanted\n" },
	{ 0 },
};

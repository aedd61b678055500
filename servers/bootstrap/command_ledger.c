/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about ledgers. */
#include <inttypes.h>
#include <ledger_user.h>
#include <mach.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bootstrap.h"
#include "command.h"
#include "ledgers.h"

static void print_resource(uint32_t resource, const struct ledger_usage *usage, int indent)
{
	char used[LEDGER_AMOUNT_MAX], limit[LEDGER_AMOUNT_MAX], peak[LEDGER_AMOUNT_MAX];
	char guarantee[LEDGER_AMOUNT_MAX];
	const struct ledger_usage none = { .limit = LEDGER_UNLIMITED };

	if (memcmp(usage, &none, sizeof none) == 0)
		return;
	printf("%*s%-15s used %-8s limit %-8s peak %-8s", indent, "", ledger_resource_name(resource),
	       ledger_amount_string(resource, usage->used, used),
	       ledger_amount_string(resource, usage->limit, limit),
	       ledger_amount_string(resource, usage->peak, peak));
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
	for (uint32_t i = 0; i < (facts->parent_id == 0 ? LEDGER_ALL_RESOURCES : LEDGER_RESOURCES); i++)
		print_resource(i, &all.usage[i], indent + 2);
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
	uint64_t amount;
};

/* RESOURCE=N; or =none where that makes sense. Says what is wrong. */
static bool parse_setting(char *word, bool may_be_none, struct setting *setting)
{
	char *value = strchr(word, '=');

	if (value == NULL) {
		printf("%s: not RESOURCE=NUMBER\n", word);
		return false;
	}
	*value++ = '\0';
	setting->resource = ledgers_resource(word);
	if (setting->resource == LEDGER_ALL_RESOURCES) {
		printf("%s: no such resource; they are:", word);
		for (uint32_t i = 0; i < LEDGER_RESOURCES; i++)
			printf(" %s", ledger_resource_name(i));
		printf("\n");
		return false;
	}
	if (may_be_none && strcmp(value, "none") == 0) {
		setting->amount = LEDGER_UNLIMITED;
		return true;
	}
	return command_number(value, &setting->amount);
}

typedef kern_return_t (*setter_t)(ledger_t ledger, int resource, uint64_t amount);

/* Checks all settings before it makes the first; then none is left out for a typing error. */
static void apply(const char *command, mach_port_t ledger, int count, char **words, bool may_be_none,
		  setter_t set)
{
	struct setting settings[LEDGER_RESOURCES];

	if (count > LEDGER_RESOURCES) {
		printf("%s: more settings than resources\n", command);
		return;
	}
	for (int i = 0; i < count; i++) {
		if (!parse_setting(words[i], may_be_none, &settings[i]))
			return;
	}
	for (int i = 0; i < count; i++) {
		kern_return_t code = set(ledger, (int)settings[i].resource, settings[i].amount);

		if (code != KERN_SUCCESS) {
			printf("%s: %s: %s\n", command, ledger_resource_name(settings[i].resource),
			       mach_error_string(code));
			return;
		}
	}
}

static void run_limit(int argc, char **argv)
{
	mach_port_t ledger;

	if (!ledgers_find(argv[1], &ledger))
		return;
	apply(argv[0], ledger, argc - 2, argv + 2, true, ledger_set_limit);
	give_back_right(ledger);
}

static void run_guarantee(int argc, char **argv)
{
	mach_port_t ledger;

	if (!ledgers_find(argv[1], &ledger))
		return;
	apply(argv[0], ledger, argc - 2, argv + 2, false, ledger_set_guarantee);
	give_back_right(ledger);
}

static bool exists(mach_port_t ledger, const struct ledger_facts *facts, unsigned depth,
		   void *argument)
{
	(void)ledger, (void)depth;
	if (strcmp(facts->name, ((const char **)argument)[0]) != 0)
		return true;
	((const char **)argument)[1] = "found";
	return false;
}

/* PARENT/NAME, or NAME below the root. What is there already is only changed and shown. */
static void run_ledger(int argc, char **argv)
{
	char *slash = strrchr(argv[1], '/');
	const char *name = slash != NULL ? slash + 1 : argv[1], *search[2] = { name, NULL };
	mach_port_t parent = MACH_PORT_NULL, ledger;
	struct ledger_facts facts;
	kern_return_t code = KERN_SUCCESS;

	if (slash != NULL)
		*slash = '\0';
	if (*name == '\0' || strlen(name) >= LEDGER_NAME_MAX) {
		printf("%s: a name has 1 to %d characters\n", name, LEDGER_NAME_MAX - 1);
		return;
	}
	ledgers_walk(exists, search);
	if (search[1] != NULL) {
		if (!ledgers_find(name, &ledger))
			return;
	} else {
		if (!ledgers_find(slash != NULL ? argv[1] : "root", &parent))
			return;
		code = ledger_create(parent, name, &ledger);
		give_back_right(parent);
	}
	if (code != KERN_SUCCESS) {
		command_failed(argv[0], code);
		return;
	}
	apply(argv[0], ledger, argc - 2, argv + 2, true, ledger_set_limit);
	if (ledger_info(ledger, &facts.id, &facts.parent_id, facts.name, &facts.children, &facts.tasks,
			&facts.weight) == KERN_SUCCESS)
		print_ledger(ledger, &facts, 0, NULL);
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
	if (code != KERN_SUCCESS)
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

const struct command ledger_commands[] = {
	{ "ledgers", "", "the tree of ledgers, what is used of what", 0, 0, run_ledgers },
	{ "ledger", "[PARENT/]NAME [RESOURCE=N...]", "makes a ledger (below root), limits and shows it",
	  1, -1, run_ledger },
	{ "limit", "LEDGER RESOURCE=N|none...", "sets limits; N may end with K, M, G", 2, -1,
	  run_limit },
	{ "guarantee", "LEDGER RESOURCE=N...", "sets guarantees, in things", 2, -1, run_guarantee },
	{ "weight", "LEDGER N", "sets its share of the CPU beside its sisters", 2, 2, run_weight },
	{ "denials", "", "what was denied last, and whose limit it was", 0, 0, run_denials },
	{ 0 },
};

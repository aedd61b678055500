/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot modules' command lines (GNU Mach's boot scripts).
 *
 * A module's line is words. The first is argv[0]; in the others
 *   ${host-port} ${device-port} ${kernel-task}  become decimal names of send rights made for the task,
 *   ${NAME} with NAME=task-create elsewhere     likewise, to that task's port,
 *   ${kernel-command-line} ${boot-args} ${root-device} and variables of the command line: text,
 *   $(task-create) $(NAME=task-create)          make this module a task (NAME names its port),
 *   $(task-resume)                              and let it run at the end of the boot,
 *   $(prompt-task-resume)                       the same after a key,
 *   $(ramdisk-create)                           make this module a device rd0, rd1, ... instead.
 * A single module without words becomes the task "bootstrap" with the arguments that serverboot had:
 * flags, host port, device port, root device.
 *
 * Two passes: tasks are made first, since lines may name tasks of later lines.
 */
#include "kern/bootscript.h"
#include <mach/kern_return.h>
#include "ipc/port.h"
#include "ipc/space.h"
#include "kern/device.h"
#include "kern/elf.h"
#include "kern/host.h"
#include "kern/ledger_port.h"
#include "kern/ledger_port.h"
#include "kern/options.h"
#include "kern/printf.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mach_server.h"
#include "mem/page.h"
#include "vm/copy.h"
#include "x86_64/machine.h"

#define MODULES_MAX 32
#define ARGUMENTS_MAX 64
#define ARGUMENTS_BYTES 8192
#define NAME_MAX 64
#define STACK_BYTES (128 * 1024)

enum resume { RESUME_NO, RESUME_YES, RESUME_PROMPT };

struct script_module {
	const struct boot_module *module;
	struct task *task;
	struct thread *thread;
	enum resume resume;
	bool ramdisk;
	char name[NAME_MAX];		/* of the task's port in the scripts, "" none */
	char file[NAME_MAX];		/* first word, for messages */
};
static struct script_module script[MODULES_MAX];
static unsigned script_count;

/* The arguments of the module being loaded. */
static char argument_text[ARGUMENTS_BYTES];
static uint32_t argument_at[ARGUMENTS_MAX];
static unsigned argument_count, argument_bytes;

_Noreturn static void boot_fail(const struct script_module *module, const char *reason)
{
	char text[256];

	snprintf(text, sizeof(text), "module %s: %s", module->file, reason);
	machine_cannot_boot(text);
}

/* --- words --- */

static const char *word_next(const char *line, char *word, size_t size)
{
	size_t n = 0;

	while (*line == ' ' || *line == '\t')
		line++;
	if (*line == '\0')
		return NULL;
	for (; *line != '\0' && *line != ' ' && *line != '\t'; line++)
		if (n + 1 < size)
			word[n++] = *line;
	word[n] = '\0';
	return line;
}

/* $(...): what is done with the module. False: the word is none or unknown. */
static bool word_command(struct script_module *module, const char *word)
{
	size_t length = strlen(word);
	char name[NAME_MAX] = "", command[NAME_MAX];
	const char *equals;

	if (strncmp(word, "$(", 2) != 0 || word[length - 1] != ')' || length >= NAME_MAX)
		return false;
	memcpy(command, word + 2, length - 3);
	command[length - 3] = '\0';
	equals = strchr(command, '=');
	if (equals != NULL) {
		memcpy(name, command, (size_t)(equals - command));
		name[equals - command] = '\0';
		memmove(command, equals + 1, strlen(equals + 1) + 1);
	}
	if (strcmp(command, "task-create") == 0)
		strlcpy(module->name, name, sizeof(module->name));
	else if (strcmp(command, "task-resume") == 0)
		module->resume = RESUME_YES;
	else if (strcmp(command, "prompt-task-resume") == 0)
		module->resume = RESUME_PROMPT;
	else if (strcmp(command, "ramdisk-create") == 0)
		module->ramdisk = true;
	else
		boot_fail(module, "its boot script has an unknown $(command)");
	return true;
}

/* --- arguments --- */

static void argument_bytes_add(struct script_module *module, const char *text, size_t length)
{
	if (argument_bytes + length + 1 > ARGUMENTS_BYTES)
		boot_fail(module, "its arguments are too long");
	memcpy(argument_text + argument_bytes, text, length);
	argument_bytes += (unsigned)length;
}

static void argument_begin(struct script_module *module)
{
	if (argument_count == ARGUMENTS_MAX)
		boot_fail(module, "it has too many arguments");
	argument_at[argument_count++] = argument_bytes;
}

static void argument_end(void)
{
	argument_text[argument_bytes++] = '\0';
}

/* The decimal name of a send right to the port, made for the module's task. */
static void argument_port(struct script_module *module, struct port *port)
{
	mach_port_name_t name;
	char text[16];

	right_make_send(port);
	if (space_insert(&module->task->space, port, MACH_MSG_TYPE_PORT_SEND, &name) != KERN_SUCCESS)
		boot_fail(module, "there is no memory for its ports");
	snprintf(text, sizeof(text), "%u", name);
	argument_bytes_add(module, text, strlen(text));
}

/* Sets the arguments that are only text: root-device, and others from the command line. */
static bool variable_text(const char *name, const char **text)
{
	static char value[256];

	*text = value;
	if (strcmp(name, "kernel-command-line") == 0 || strcmp(name, "boot-args") == 0)
		*text = boot_info.command_line;
	else if (strcmp(name, "root-device") == 0) {
		if (!option_variable("root", value, sizeof(value)))
			strlcpy(value, "", sizeof(value));
	} else
		return option_variable(name, value, sizeof(value));
	return true;
}

static void argument_variable(struct script_module *module, const char *name)
{
	const char *text;
	char reason[128];
	unsigned i;

	if (strcmp(name, "host-port") == 0) {
		argument_port(module, host_priv_port);
		return;
	}
	if (strcmp(name, "device-port") == 0) {
		argument_port(module, device_master_port());
		return;
	}
	for (i = 0; i < script_count; i++) {
		if (script[i].task != NULL && script[i].name[0] != '\0' && strcmp(script[i].name, name) == 0) {
			argument_port(module, script[i].task->self);
			return;
		}
	}
	if (!variable_text(name, &text)) {
		snprintf(reason, sizeof(reason), "its boot script has an unknown variable ${%s}", name);
		boot_fail(module, reason);
	}
	argument_bytes_add(module, text, strlen(text));
}

/* One word with its ${variables} replaced. */
static void argument_word(struct script_module *module, const char *word)
{
	char name[NAME_MAX];
	const char *end;

	argument_begin(module);
	while (*word != '\0') {
		end = strncmp(word, "${", 2) == 0 ? strchr(word, '}') : NULL;
		if (end != NULL && (size_t)(end - word) < NAME_MAX) {
			memcpy(name, word + 2, (size_t)(end - word - 2));
			name[end - word - 2] = '\0';
			if (strchr(name, '=') != NULL)		/* ${NAME=task-port}: as ${NAME} */
				*strchr(name, '=') = '\0';
			argument_variable(module, name);
			word = end + 1;
		} else {
			argument_bytes_add(module, word++, 1);
		}
	}
	argument_end();
}

static void arguments_build(struct script_module *module, bool scripted)
{
	static char word[ARGUMENTS_BYTES];
	static const char *const classic[] = {"bootstrap", "-x", "${host-port}", "${device-port}", "${root-device}"};
	const char *line = module->module->words;
	unsigned i;

	argument_count = argument_bytes = 0;
	if (!scripted) {
		for (i = 0; i < sizeof(classic) / sizeof(classic[0]); i++)
			argument_word(module, classic[i]);
		return;
	}
	while ((line = word_next(line, word, sizeof(word))) != NULL)
		if (strncmp(word, "$(", 2) != 0)
			argument_word(module, word);
}

/* --- the task's first stack: strings, then argc, argv, NULL, envp, NULL (System V ABI, 3.4.1) --- */

static uint64_t stack_build(struct script_module *module, bool executable)
{
	struct vm_map *map = &module->task->map;
	uint64_t base = USER_ADDRESS_MAX - STACK_BYTES, strings, vector, value;
	unsigned words = argument_count + 4, i;
	kern_return_t error;

	error = vm_map_allocate(map, &base, STACK_BYTES, false);
	if (error == KERN_SUCCESS && executable)
		error = vm_map_protect(map, base, STACK_BYTES, false, VM_PROT_ALL);
	strings = (base + STACK_BYTES - argument_bytes) & ~15ull;
	vector = (strings - words * 8) & ~15ull;
	if (error == KERN_SUCCESS)
		error = copyout_prepare(map, vector, base + STACK_BYTES - vector);
	if (error != KERN_SUCCESS)
		boot_fail(module, "there is no memory for its stack");
	copyout(map, strings, argument_text, argument_bytes);
	value = argument_count;
	copyout(map, vector, &value, 8);
	for (i = 0; i < argument_count; i++) {
		value = strings + argument_at[i];
		copyout(map, vector + 8 + i * 8, &value, 8);
	}
	return vector;		/* the NULLs are there: fresh pages are zero */
}

/* --- modules --- */

static void module_task(struct script_module *module, struct ledger *ledger)
{
	int error;

	module->task = task_make(NULL, ledger, false, &error);
	if (module->task == NULL)
		boot_fail(module, "there is no memory for its task");
	module->thread = thread_make(module->task);
	if (module->thread == NULL)
		boot_fail(module, "there is no memory for its thread");
	strlcpy(module->task->name, module->file, sizeof(module->task->name));
	module->task->suspend_count = 1;
	module->task->booted = true;
}

static void module_load(struct script_module *module, bool scripted)
{
	const struct boot_module *image = module->module;
	uint64_t first = (image->start + PAGE_SIZE - 1) / PAGE_SIZE, entry;
	const char *error;
	bool executable;

	error = elf_load(module->task, phys_to_virt(image->start), image->end - image->start, &entry, &executable);
	if (error != NULL)
		boot_fail(module, error);
	arguments_build(module, scripted);
	thread_begin_at(module->thread, entry, stack_build(module, executable));
	thread_resume_one(module->thread);
	/* The image has been copied: whole frames of it are free memory now. */
	if (image->end / PAGE_SIZE > first)
		page_add_free(first, image->end / PAGE_SIZE - first);
}

static void prompt(const struct script_module *module)
{
	printf("press a key to start %s\n", module->file);
	while (console_getc() < 0)
		machine_idle();
}

static void script_parse(void)
{
	static char word[ARGUMENTS_BYTES];
	unsigned i;

	script_count = boot_info.module_count < MODULES_MAX ? boot_info.module_count : MODULES_MAX;
	for (i = 0; i < script_count; i++) {
		struct script_module *module = &script[i];
		const char *line = boot_info.modules[i].words, *base;

		module->module = &boot_info.modules[i];
		strlcpy(module->file, "(unnamed)", sizeof(module->file));
		line = word_next(line, word, sizeof(word));
		if (line == NULL)
			continue;
		base = word;
		while (strchr(base, '/') != NULL)
			base = strchr(base, '/') + 1;
		strlcpy(module->file, base, sizeof(module->file));
		while ((line = word_next(line, word, sizeof(word))) != NULL)
			word_command(module, word);
	}
}

void bootscript_run(void)
{
	struct ledger *ledger;
	bool scripted;
	unsigned i;
	int error;

	script_parse();
	if (script_count == 0)
		machine_cannot_boot("no boot module: there is no program to start");
	ledger = ledger_new(&root_ledger, "console", &error);
	if (ledger == NULL || !ledger_attach_ports(ledger) || !sched_share_create(ledger))
		machine_cannot_boot("there is no memory for the first ledger");
	scripted = script_count > 1 || strchr(script[0].module->words, '$') != NULL;
	for (i = 0; i < script_count; i++) {
		if (script[i].ramdisk)
			device_add_ramdisk(script[i].module->start, script[i].module->end - script[i].module->start);
		else
			module_task(&script[i], ledger);
	}
	for (i = 0; i < script_count; i++) {
		if (script[i].task != NULL)
			module_load(&script[i], scripted);
	}
	for (i = 0; i < script_count; i++) {
		if (script[i].task == NULL || (scripted && script[i].resume == RESUME_NO))
			continue;
		if (script[i].resume == RESUME_PROMPT)
			prompt(&script[i]);
		task_resume(script[i].task);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The counter server: `in services counter &`. The example of docs/servers.md. */
#include <console_user.h>
#include <counter_server.h>
#include <mach.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <ports.h>
#include <stdio.h>
#include <stdlib.h>

/* A port of ours: what the library needs, then what we do. Made as zeros. */
struct counter {
	struct port_info port;
	struct mutex lock;			/* of what follows */
	natural_t value;
	struct ports_parked_queue waiting;
};

static struct port_bucket bucket;
static struct port_class class = { .name = "counter", .size = sizeof(struct counter) };

/* Those that wait are served once more, by serve_await; who is still too early parks again. */
static void wake(struct counter *counter)
{
	struct ports_parked_queue woken;
	struct ports_parked *parked;

	mutex_lock(&counter->lock);
	woken = counter->waiting;
	counter->waiting = (struct ports_parked_queue){ .count = 0 };
	mutex_unlock(&counter->lock);
	while ((parked = ports_unpark(&woken)) != NULL)
		ports_resume(parked);
}

kern_return_t serve_add(mach_port_t handle, natural_t amount, natural_t *value)
{
	struct counter *counter = (struct counter *)ports_lookup(&bucket, handle, &class);

	if (counter == NULL)
		return KERN_INVALID_ARGUMENT;
	mutex_lock(&counter->lock);
	*value = counter->value += amount;
	mutex_unlock(&counter->lock);
	wake(counter);
	ports_port_deref(&counter->port);
	return KERN_SUCCESS;
}

kern_return_t serve_await(mach_port_t handle, natural_t least, natural_t *value)
{
	struct counter *counter = (struct counter *)ports_lookup(&bucket, handle, &class);
	kern_return_t code = KERN_SUCCESS;

	if (counter == NULL)
		return KERN_INVALID_ARGUMENT;
	mutex_lock(&counter->lock);
	*value = counter->value;
	if (*value < least)
		code = ports_park(&counter->waiting);	/* the request waits, no thread does */
	mutex_unlock(&counter->lock);
	ports_port_deref(&counter->port);
	return code;
}

int main(void)
{
	const struct ports_manage_options options = { .max_size = 256 };	/* all else by default */
	struct port_info *port;
	mach_port_t right;
	kern_return_t code = ports_begin(&bucket, &class, &port, &right);

	if (code == KERN_SUCCESS)
		code = console_register_name(program_console(), "counter", right);
	if (code == KERN_SUCCESS)
		code = ports_manage_port_operations_multithread(&bucket, counter_server, &options);
	fprintf(stderr, "counter: %s\n", mach_error_string(code));
	return EXIT_FAILURE;
}

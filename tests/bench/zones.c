/* SPDX-License-Identifier: BSD-2-Clause */
/* An element of a zone, charged and refunded, by a loop inside the kernel. */
#include "bench.h"
#include <mach.h>
#include <mach/program.h>
#include <weir/weir.h>
#include <weir_user.h>

#define ROUNDS	100

static mach_port_t host_priv;

mach_port_t bench_host_priv;

static void setup(void)
{
	if (bench_host_priv != MACH_PORT_NULL)
		need(mach_port_mod_refs(mach_task_self(), host_priv = bench_host_priv, MACH_PORT_RIGHT_SEND, 1), "a reference");
	else
		need(program_host_priv(&host_priv), "the host port; `in root`");
}

static void teardown(void)
{
	give_back_right(host_priv);
}

static void zone_rounds(void)
{
	need(weir_debug(host_priv, WEIR_DEBUG_ZONE, ROUNDS), "weir_debug");
}

static void no_rounds(void)
{
	need(weir_debug(host_priv, WEIR_DEBUG_ZONE, 0), "weir_debug");
}

const struct operation zone_operations[] = {
	{ .name = "zalloc_zfree", .setup = setup, .teardown = teardown, .run = zone_rounds, .base = no_rounds, .per_sample = ROUNDS,
	  .kind = CROWD_PORTS, .root = true },
	{ 0 },
};

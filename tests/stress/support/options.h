/* SPDX-License-Identifier: BSD-2-Clause */
/* The options that floods have in common. */
#ifndef FLOOD_OPTIONS_H
#define FLOOD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define FLOOD_TASKS_MAX	256

struct flood_options {
	unsigned shape;		/* -s: which of the words */
	uint64_t count;		/* -n; else UINT64_MAX */
	uint64_t ports;		/* -p: more ports that each task holds */
	uint64_t tasks;		/* -t: tasks that flood at once; 0: none but this one */
	uint64_t rate;		/* -r: in a second; 0: as fast as it can */
	uint64_t size;		/* -z: of what size_is says; 0: as the shape has it */
	uint64_t seed;		/* -S: what is given back first; 0: the newest */
	bool keep;		/* -k: not given back */
};

struct flood_syntax {
	const char *accepts;		/* the letters that it takes, of "snptrzSk" */
	const char *const *shapes;	/* ended by NULL; the first is meant when none is told */
	const char *about;		/* a line for the usage */
	const char *size_is;		/* what -z means: "bytes of a message" */
	uint64_t size_max;		/* and how much it may be */
};

/* Fills in the options; prints the usage and ends with status 64 when they make no sense. */
void flood_parse(int argc, char **argv, const struct flood_syntax *syntax,
		 struct flood_options *options);

/* Sleeps until it is time for the next one at the rate; started in microseconds since boot. */
void flood_pace(const struct flood_options *options, uint64_t done, uint64_t started_us);
/* Takes so many ports, which this task holds until its end; a code of the first that is denied. */
int flood_hold_ports(uint64_t count);

#endif

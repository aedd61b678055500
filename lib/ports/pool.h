/* SPDX-License-Identifier: BSD-2-Clause */
/* The threads that serve a bucket: what manage.c, pool.c and park.c share. */
#ifndef PORTS_POOL_H
#define PORTS_POOL_H

#include <ports.h>

struct pool {
	struct port_bucket *bucket;
	mach_msg_demux_t demuxer;
	struct ports_manage_options options;
	uint32_t users;			/* threads that use this record; the last to leave frees it. 0: nobody does */
	/* PORTS_THROTTLE_POOL: */
	struct mutex lock;		/* of the two below */
	bool armed;			/* the kernel will tell of the next stall */
	bool ended;
	mach_port_t control;		/* where it does, to the manager */
};

/* What a thread serves; thread->serving points at it meanwhile. */
struct serving {
	struct pool *pool;
	mach_msg_header_t *request;
};

/* Dispatches the request and sends the reply, if there is one now. */
void pool_serve(struct pool *pool, mach_msg_header_t *request, mach_msg_header_t *reply);
/* Answers the request with an error; what it brought is destroyed. Needs no memory. */
void pool_refuse(mach_msg_header_t *request, kern_return_t code);
/* One more thread, if there are fewer than limit and it is not denied. */
bool pool_add_worker(struct pool *pool, uint32_t limit);
/* Asks to be told of the next stall, if that is not done already. */
void pool_arm(struct pool *pool);
/* Makes the first workers, and more when the kernel tells of a stall. Returns like manage. */
kern_return_t pool_manage(struct pool *pool);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this library share. */
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

/* What a thread serves: a worker's for its life, or that of a parked request. thread->serving points at it in a handler. */
struct serving {
	struct serving *next, **link;	/* on the bucket's list */
	struct pool *pool;
	struct thread *thread;
	mach_msg_header_t *request;
	mach_port_t handle;		/* of the request's port; 0: there is no request; SERVING_HELD */
};

#define SERVING_HELD	UINT32_MAX	/* no port's: a request was received while the bucket is inhibited */

/* The port with the handle, NULL: none has it. With the bucket's lock held. */
struct port_info *ports_find(struct port_bucket *bucket, mach_port_t handle);

/* A worker begins and ends. The calling thread's. */
void serving_begin(struct serving *serving, struct pool *pool);
void serving_end(struct serving *serving);
/* Waits while the bucket is inhibited. */
void serving_wait(const struct serving *serving);
/* A parked request is about to be served; false: it is inhibited, and held until it is resumed. */
bool serving_begin_parked(struct serving *serving, struct ports_parked *parked);
/* What was held is served on this thread, or held again. */
void held_resume(struct port_bucket *bucket);

/* Queues of parked requests, and what is in one. */
void parked_append(struct ports_parked_queue *queue, struct ports_parked *parked);
struct pool *parked_pool(const struct ports_parked *parked);
mach_msg_header_t *parked_request(struct ports_parked *parked);

/* The notification came in that the name has died. */
void watch_dead(struct port_info *port, mach_port_t name);
/* The port is told of no dead names any more. */
void watches_cancel(struct port_info *port);

/* One user fewer; the pool may be gone afterwards. */
void pool_leave(struct pool *pool);
/* Dispatches the request and sends the reply, if there is one now. Its handle is 0 then. */
void pool_serve(struct serving *serving, mach_msg_header_t *reply);
/* Answers the request with an error; what it brought is destroyed. Needs no memory. */
void pool_refuse(mach_msg_header_t *request, kern_return_t code);
/* One more thread, if there are fewer than limit and it is not denied. */
bool pool_add_worker(struct pool *pool, uint32_t limit);
/* Asks to be told of the next stall, if that is not done already. */
void pool_arm(struct pool *pool);
/* Makes the first workers, and more when the kernel tells of a stall. Returns like manage. */
kern_return_t pool_manage(struct pool *pool);

#endif

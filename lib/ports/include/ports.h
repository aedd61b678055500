/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports of servers, after the Hurd's libports: a bucket is a port set with the
 * threads that serve it; a class says what its ports have in common; a port is
 * a receive right with a record that the server extends, and with references.
 *
 * One reference belongs to the holders of send rights as long as there are any:
 * the no-senders notification drops it. When the last goes, the class's clean
 * routine runs, the receive right dies and the record is freed.
 *
 * A port's protected payload is its handle, so the kernel finds the record for
 * us: the generated stubs pass the handle where the interface has the request
 * port, and ports_lookup turns it into the record in one step.
 */
#ifndef PORTS_H
#define PORTS_H

#include <mach/mach_init.h>
#include <mach/mach_types.h>
#include <mach/message.h>
#include <mach/threads.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct port_info;

struct port_class {
	const char *name;
	size_t size;				/* bytes of a record, struct port_info included */
	void (*clean)(struct port_info *port);	/* may be NULL; runs without any lock held */
	size_t count;				/* living ports */
};

/* At the start of each record. */
struct port_info {
	struct port_class *class;
	struct port_bucket *bucket;
	mach_port_t receive;			/* name of the receive right */
	uint32_t handle;
	uint32_t refs;
	bool has_senders;			/* their reference is counted in refs */
	struct port_info *next_left;		/* on the bucket's list, with a reference */
	bool has_left;				/* it is on that list */
};

/* So many pieces of so many handles: with its head a piece fills two pages; a bucket has a million ports at most. */
#define PORTS_PIECES	1024
#define PORTS_PIECE	1020

/* Of the threads that serve a bucket, since its beginning. */
struct ports_counters {
	uint32_t threads, most_threads;		/* now; at any time */
	uint64_t requests;			/* taken, notifications among them */
	uint64_t refused;			/* threads that a ledger denied */
};

struct port_bucket {
	mach_port_t set;
	struct mutex lock;			/* of everything below, and of the ports' references */
	struct ports_piece *pieces[PORTS_PIECES];	/* ports by handle; NULL: all its handles are unused */
	uint32_t open;				/* no piece before this one has an unused handle */
	size_t count;				/* ports */
	struct port_info *left, **left_end;	/* no-senders notifications still to be looked into */
	/* Threads that serve it or are being made; those of them that are not at work. */
	uint32_t workers, idle;
	struct ports_counters counters;
};

/* KERN_RESOURCE_SHORTAGE and the like: nothing is held. The memory is the caller's. */
kern_return_t ports_bucket_init(struct port_bucket *bucket);
/* Gives back what a bucket without ports and threads still has; its set, which ends the threads, may be gone before. */
void ports_bucket_end(struct port_bucket *bucket);

/*
 * A new port in the bucket with one reference (the caller's) and no send
 * rights; its record is zero beyond the struct port_info. Charged to this task.
 */
kern_return_t ports_create_port(struct port_class *class, struct port_bucket *bucket,
				struct port_info **port);

/* A send right for somebody, under the receive right's name; the caller's to move or deallocate. */
kern_return_t ports_get_send_right(struct port_info *port, mach_port_t *right);

/* The record for what a stub was given, with a reference for the caller; NULL: another class, or gone. */
struct port_info *ports_lookup(struct port_bucket *bucket, mach_port_t handle,
			       const struct port_class *class);
void ports_port_ref(struct port_info *port);
void ports_port_deref(struct port_info *port);

/*
 * A no-senders notification came in. It is only noted: when a hundred thousand
 * ports are dropped at once, requests in between shall not wait for all of that.
 */
void ports_no_senders(struct port_info *port);
/*
 * Looks into the oldest of those notes: verified with the kernel, so that a
 * forged notification does nothing. False: there was none.
 */
bool ports_clean_one(struct port_bucket *bucket);
/* Are there any? */
bool ports_unclean(struct port_bucket *bucket);

/* Notifications for the ports of the bucket; false: the message is none. */
bool ports_notify_server(struct port_bucket *bucket, const mach_msg_header_t *request,
			 mach_msg_header_t *reply);

/* When is a thread added? */
enum ports_throttle {
	/*
	 * When a request is taken and nobody is left for the next one. A thread on its way counts: as long as
	 * requests wait for nothing there are two. At most max_workers.
	 */
	PORTS_THROTTLE_POOL,
	/*
	 * Also for each request that found nobody waiting: a flood costs a thread for each of its requests.
	 * No maximum but the ledger's.
	 */
	PORTS_THROTTLE_NONE,
	/* As NONE, at most max_workers. */
	PORTS_THROTTLE_CAP,
};

struct ports_manage_options {
	mach_msg_size_t max_size;	/* of a request and of a reply, bytes */
	enum ports_throttle throttle;
	uint32_t max_workers;		/* never more threads than this; not with PORTS_THROTTLE_NONE */
	uint32_t idle_ms;		/* a surplus worker leaves after this time */
};

/*
 * Serves the bucket on this thread, for ever: notifications itself, the rest by
 * the demuxer. Returns only on a failure, with its code. Buffers are made once.
 */
kern_return_t ports_manage_port_operations_one_thread(struct port_bucket *bucket,
						      mach_msg_demux_t demuxer,
						      mach_msg_size_t max_size);
/*
 * The same with more threads, made as the throttle says; this one counts, and
 * stays. A thread that is denied is no error: the others go on.
 */
kern_return_t ports_manage_port_operations_multithread(struct port_bucket *bucket,
						       mach_msg_demux_t demuxer,
						       const struct ports_manage_options *options);
/* Of this bucket; each number is right, but they may be of different moments. */
void ports_get_counters(struct port_bucket *bucket, struct ports_counters *counters);

#endif

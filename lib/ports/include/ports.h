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

#include <mach/error.h>
#include <mach/mach_init.h>
#include <mach/mach_types.h>
#include <mach/message.h>
#include <mach/threads.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct port_info;
struct ports_parked;
struct ports_watch;
struct serving;

struct port_class {
	const char *name;
	size_t size;				/* bytes of a record, struct port_info included */
	/* May be NULL; they run without any lock held. */
	void (*clean)(struct port_info *port);	/* its last reference has gone; then it is freed */
	void (*dropweak)(struct port_info *port);	/* its last hard reference has gone, weak ones have not */
	/* A right has died: ports_request_dead_name_notification. */
	void (*dead_name)(struct port_info *port, mach_port_t name);
	size_t count;				/* living ports */
};

/* At the start of each record. */
struct port_info {
	struct port_class *class;
	struct port_bucket *bucket;
	struct ports_watch *watches;		/* names whose death it is told of */
	mach_port_t receive;			/* name of the receive right; MACH_PORT_NULL: destroyed */
	uint32_t handle;
	uint32_t refs, weak_refs;
	uint32_t next_left;			/* handle of the next on the bucket's list, with a reference */
	bool has_left;				/* it is on that list */
	bool has_senders;			/* their reference is counted in refs */
	bool inhibited;
};

/* So many pieces of so many handles: with its head a piece fills two pages; a bucket has a million ports at most. */
#define PORTS_PIECES	1024
#define PORTS_PIECE	1020

/* Of the threads that serve a bucket, since its beginning. */
struct ports_counters {
	uint32_t threads, most_threads;		/* workers now; at any time */
	uint64_t requests;			/* taken, notifications among them */
	uint64_t refused;			/* threads that a ledger denied */
	/* A throttled pool's: */
	uint64_t stalls;			/* requests waited, and there was room for a thread more that runs */
	uint64_t spares;			/* workers added beyond the maximum */
	uint64_t aborts;			/* calls aborted: the pool was stuck */
	uint64_t busy;				/* requests answered PORTS_BUSY */
	uint64_t taken, waited_ns;		/* messages taken, and how long they had been queued in all */
};

struct port_bucket {
	mach_port_t set;
	struct mutex lock;			/* of everything below, and of the ports' references */
	struct ports_piece *pieces[PORTS_PIECES];	/* ports by handle; NULL: all its handles are unused */
	uint32_t open;				/* no piece before this one has an unused handle */
	size_t count;				/* ports */
	uint32_t left, left_last;		/* handles of ports with no-senders notifications still to be looked into; 0: none */
	struct ports_watches {
		struct ports_watch *rbh_root;
	} watches;				/* of all ports, a tree by name (RB_HEAD) */
	struct serving *servings;		/* its threads, and what each serves */
	struct ports_parked_queue {
		struct ports_parked *first, *last;
		size_t count;
	} held;					/* resumed while they were inhibited */
	uint32_t inhibited;			/* 1: no request is served; waited on */
	bool inhibiting;			/* somebody waits for handlers to end */
	/* Threads that serve it or are being made; those of them that are not at work. */
	uint32_t workers, idle;
	struct ports_counters counters;
};

/* KERN_RESOURCE_SHORTAGE and the like: nothing is held. The memory is the caller's. */
kern_return_t ports_bucket_init(struct port_bucket *bucket);
/*
 * Gives back what a bucket without ports and threads still has; its set, which ends the threads, may be gone before.
 * A server ends by ports_bucket_stop, the return of its call of ports_manage_..., ports_refuse of what is parked,
 * ports_destroy_all, ports_port_deref of what it holds itself, and this.
 */
void ports_bucket_end(struct port_bucket *bucket);

/*
 * A new port in the bucket with one reference (the caller's) and no send
 * rights; its record is zero beyond the struct port_info. Charged to this task.
 */
kern_return_t ports_create_port(struct port_class *class, struct port_bucket *bucket,
				struct port_info **port);

/*
 * A send right for somebody, under the receive right's name; the caller's to move or deallocate.
 * KERN_INVALID_NAME: ports_destroy_right was called.
 */
kern_return_t ports_get_send_right(struct port_info *port, mach_port_t *right);

/*
 * How a server begins: what it writes to is made present, so that no flood can take it later; the bucket is made and its
 * first port, with the caller's reference and a send right to register.
 */
kern_return_t ports_begin(struct port_bucket *bucket, struct port_class *class, struct port_info **port, mach_port_t *right);

/* The record for what a stub was given, with a reference for the caller; NULL: another class, or gone. */
struct port_info *ports_lookup(struct port_bucket *bucket, mach_port_t handle,
			       const struct port_class *class);
void ports_port_ref(struct port_info *port);
void ports_port_deref(struct port_info *port);

/*
 * Weak references, of caches. They keep the record, and the right, but when only such are left the class is told
 * (dropweak), so that the cache can let go; the port goes when the last reference of either kind does. Meanwhile
 * whoever holds a weak reference may make a hard one by ports_port_ref. So dropweak takes the cache's lock, looks
 * whether the port is still weak and in the cache, and gives the weak reference up without the lock. It is called
 * each time that the last hard reference goes.
 */
void ports_port_ref_weak(struct port_info *port);
void ports_port_deref_weak(struct port_info *port);
/* Has it no hard reference? True until one is made: hold what its makers hold. */
bool ports_port_is_weak(const struct port_info *port);

/*
 * Destroys the receive right now: senders see it die, what is queued in it is destroyed (its clients hear that nobody
 * will answer), the senders' reference goes, dead names are not told of any more. The record stays until its references
 * have gone; the caller needs one. Once is enough, more do no harm. Never fails.
 */
void ports_destroy_right(struct port_info *port);
/* The same for all ports of the bucket and class (NULL: of any) that there are; those made meanwhile may stay. */
void ports_destroy_all(struct port_bucket *bucket, const struct port_class *class);

/*
 * The class's dead_name is called once when the right that this task has by that name dies, or now when it is dead: by
 * a thread of the bucket, as a request of the port, whose queue the notification goes through. The reference to the
 * dead name that Mach adds is given back afterwards. The port's end cancels it; before the server gives up the name
 * itself it must. 128 bytes of this task's memory and a send-once right. KERN_NAME_EXISTS: a port of the
 * bucket has asked already (Mach has one request a name, and others of the task's would be replaced);
 * KERN_INVALID_NAME, KERN_INVALID_RIGHT, KERN_RESOURCE_SHORTAGE; KERN_INVALID_CAPABILITY: after ports_destroy_right.
 */
kern_return_t ports_request_dead_name_notification(struct port_info *port, mach_port_t name);
/* It will not be told, unless that is done at this moment by another thread. Never fails. */
void ports_cancel_dead_name_notification(struct port_info *port, mach_port_t name);

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
	 * When requests wait, fewer than `concurrency` workers run and none listens; at most max_workers. The
	 * others wait in the kernel's queues. The calling thread manages and does not serve.
	 */
	PORTS_THROTTLE_POOL,
	/*
	 * When a request is taken and nobody is left for the next one, and for each request that found nobody
	 * waiting: a flood costs a thread for each of its requests. No maximum but the ledger's.
	 */
	PORTS_THROTTLE_NONE,
	/* As NONE, at most max_workers: when all of them wait for a request to this very server it is locked up. */
	PORTS_THROTTLE_CAP,
};

#define PORTS_NO_SPARES	UINT32_MAX

/* In brackets what 0 stands for; NONE and CAP have only max_size, max_workers (CAP), min_workers [0] and idle_ms [0]. */
struct ports_manage_options {
	mach_msg_size_t max_size;	/* of a request and of a reply, bytes */
	enum ports_throttle throttle;
	uint32_t concurrency;		/* workers that run at once [the processors] */
	uint32_t min_workers;		/* made at the beginning, and kept [1] */
	uint32_t max_workers;		/* never more, but for the spares [half the room in this task's ledger, at most 64] */
	uint32_t spares;		/* more than that when the pool is stuck, or PORTS_NO_SPARES [2] */
	uint32_t idle_ms;		/* a surplus worker leaves after this time [10,000] */
	uint32_t stuck_ms;		/* T: a pool in which nothing moves for so long is stuck [1,000] */
	uint32_t delay_ms;		/* Tq: a request is not held back behind those that run for longer than this [10] */
	uint32_t busy_ms;		/* a request that waited longer is answered PORTS_BUSY [never] */
};

/* "The server is busy": the request waited longer than busy_ms; nothing was done. */
#define PORTS_BUSY	((kern_return_t)(err_server | 1))

/*
 * Serves the bucket on this thread, for ever: notifications itself, the rest by
 * the demuxer; messages of different ledgers in turn. Returns only on a failure,
 * with its code. Buffers are made once.
 */
kern_return_t ports_manage_port_operations_one_thread(struct port_bucket *bucket,
						      mach_msg_demux_t demuxer,
						      mach_msg_size_t max_size);
/*
 * The same with more threads, made as the throttle says. A thread that is denied is no error: the others go on.
 * Handlers may wait. In a throttled pool a call of mach_msg that a handler makes, or a thread that a handler made, may
 * be aborted when the pool is stuck: it returns MACH_RCV_INTERRUPTED or MACH_SEND_INTERRUPTED, and the handler should
 * fail. No lock may be held across such a call that a handler would need on its way out.
 * When it returns the bucket must stay until its `workers` is 0 (ports_bucket_stop).
 */
kern_return_t ports_manage_port_operations_multithread(struct port_bucket *bucket,
						       mach_msg_demux_t demuxer,
						       const struct ports_manage_options *options);
/*
 * Ends the set, and so the threads that serve the bucket, and waits until they have left: each ends its request, so
 * this may take as long as a handler. Ports stay, with what is queued in them. An inhibited bucket is resumed. Not for
 * a thread that serves the bucket.
 */
void ports_bucket_stop(struct port_bucket *bucket);

/*
 * When it returns KERN_SUCCESS no handler of the port, or of the bucket, runs, but for the caller's own; new requests
 * and notifications wait in the kernel's queues until it is resumed. Waits for handlers to end, at most so many
 * milliseconds (0: no limit): KERN_TIMEDOUT. PORTS_BUSY: it is inhibited, or somebody waits for that in this bucket. On an error nothing
 * has changed. A port leaves the set meanwhile; a bucket's threads wait, each perhaps with a request in its hands.
 * Asks the kernel about each idle thread, each millisecond; those that do not use it pay nothing.
 */
kern_return_t ports_inhibit_port_rpcs(struct port_info *port, unsigned milliseconds);
kern_return_t ports_inhibit_bucket_rpcs(struct port_bucket *bucket, unsigned milliseconds);
/* By any thread. What ports_resume was given meanwhile is served now, on this thread. Never fail. */
void ports_resume_port_rpcs(struct port_info *port);
void ports_resume_bucket_rpcs(struct port_bucket *bucket);

/*
 * Requests that are answered later. A handler that cannot answer yet parks its request and returns what ports_park
 * returned: MIG_NO_REPLY, or KERN_RESOURCE_SHORTAGE (the client is told so). The record is a copy of the request and
 * 24 bytes, of this task's memory. The queue's lock is the server's affair.
 */
kern_return_t ports_park(struct ports_parked_queue *queue);
/* The request that was parked first, out of the queue; NULL: there is none. It must be resumed or refused. */
struct ports_parked *ports_unpark(struct ports_parked_queue *queue);
/* Serves it once more, on this thread: its handler answers, or parks it again. An inhibited one is only noted. */
void ports_resume(struct ports_parked *parked);
/* Answers it with an error. Needs no memory. */
void ports_refuse(struct ports_parked *parked, kern_return_t code);

/* Of this bucket; each number is right, but they may be of different moments. */
void ports_get_counters(struct port_bucket *bucket, struct ports_counters *counters);

#endif

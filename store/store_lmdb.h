/* SPDX-License-Identifier: BSD-2-Clause */
/* Part of the store, between store_lmdb*.c: the only files that know LMDB. */
#ifndef STORE_LMDB_H
#define STORE_LMDB_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "store/store.h"
#include "store/store_epoch.h"
#include "store/store_state.h"
#include "store/store_watch.h"
#include "store/store_writer.h"
#include "store/store_writes.h"

#define STORE_READERS_MAX 1024
#define STORE_POOL_MAX 64 /* read transactions kept for reuse */

struct store_view {
	struct store *st;
	MDB_txn *txn;
};

struct store_txn {
	struct store *st;
	MDB_txn *txn;
	struct store_writes writes; /* of the job that runs */
	enum m2m_rc bad;	    /* of a write that failed: the job may not succeed any more */
	bool wrote;		    /* the transaction is not empty */
};

struct store {
	char *dir;
	const struct m2m_env *menv;
	struct store_conf conf; /* as it was opened, with our dir and epoch_file */
	struct store_health health;
	MDB_env *env; /* changes under map_lock alone; NULL: closed */
	MDB_dbi meta, dbi[STORE_TABLES_MAX];
	unsigned tables;
	uint32_t schema;
	pthread_rwlock_t map_lock;
	pthread_mutex_t pool_lock;
	MDB_txn *pool[STORE_POOL_MAX]; /* read transactions at rest, under pool_lock, and with map_lock held */
	unsigned pooled;
	atomic_bool broken; /* LMDB said MDB_PANIC: nothing goes until the environment is opened anew */

	struct store_watch watch;
	struct store_writer *writer; /* NULL: read only */
	struct store_writer_ops writer_ops;
	struct store_txn job_txn; /* the writer's */
	atomic_uint_least64_t commits;
	atomic_uint_least64_t acked;	 /* the last transaction of ours that was acknowledged */
	bool growth_off;		 /* the writer's, from here: what makes the store grow is refused */
	atomic_bool grown;		 /* a job that makes it grow went through since it was measured */
	struct store_stat last;		 /* as measured */
	int64_t measured, measure_cost;	 /* ms, us of computing */
	atomic_int_least64_t full_until; /* ms, monotonic, as those below */
	int64_t kept_at;
	int64_t try_at, try_every, recovered_at;

	char *epoch_file;	       /* NULL: none is kept */
	struct store_epoch epoch;      /* as it was opened */
	atomic_uint_least64_t counted; /* commits, when the epoch was counted up last */
	bool writer_off;	       /* opened for reading only */
	bool epoch_held;	       /* not counted up: no room (what is full must open too), or an older schema */
	bool take_older;	       /* a store of an older schema is opened: to be upgraded */
};

#define STORE_SHUT (-1) /* beside LMDB's codes: the store is unavailable */

/* Record LMDB's code with the folder's name and what was tried. */
enum m2m_rc store_lmdb_fail(struct store *st, int rc, const char *what, struct m2m_err *err);
/* The same for a write, and tell the state machine. */
enum m2m_rc store_lmdb_write_failed(struct store *st, int rc, const char *what, struct m2m_err *err);

/* Begin a transaction; LMDB's code, or STORE_SHUT. On success map_lock is held shared until store_lmdb_over (after the
 * transaction's end) or store_lmdb_end_read (which ends it). It is here that a map which another process made larger is
 * followed and slots of dead readers are freed, in MAP_WAIT_MS at most. opening: also while the store is unavailable,
 * for whom opens it. */
int store_lmdb_begin(struct store *st, unsigned flags, MDB_txn **txn);
int store_lmdb_begin_opening(struct store *st, unsigned flags, MDB_txn **txn);
void store_lmdb_end_read(struct store *st, MDB_txn *txn);
void store_lmdb_over(struct store *st);
/* Hold map_lock exclusively, until store_lmdb_over: there is no transaction, and all read transactions are in the pool.
 * false: some did not end in MAP_WAIT_MS. */
bool store_lmdb_alone(struct store *st);

/* Opening and closing (store_lmdb_env.c), with map_lock held exclusively or no other thread about; content_open in no
 * transaction. meta_again: put the schema record as it is. */
enum m2m_rc store_lmdb_env_open(struct store *st, struct m2m_err *err);
void store_lmdb_env_close(struct store *st);
enum m2m_rc store_lmdb_content_open(struct store *st, const struct store_conf *conf, struct m2m_err *err);
int store_lmdb_meta_again(struct store *st, MDB_txn *txn);

/* The room (store_lmdb_room.c): measure it, unless that was just done, and tell the state machine. The writer's. */
void store_lmdb_measure(struct store *st);
bool store_lmdb_disk_full(const struct store *st);

/* Try to leave read-only and unavailable (store_lmdb_recover.c); ms until it is to be called again. The writer's. */
int64_t store_lmdb_recover(struct store *st);

void store_lmdb_acked(struct store *st, uint64_t txn); /* Any thread. */
int64_t store_lmdb_ms(void);			       /* monotonic */

/* The epoch (store_lmdb_epoch.c). file: read it before the first transaction (epoch 0: there is none); open: inside
 * that transaction; opened: after its commit. M2M_ECORRUPT: an older copy, or another store. */
enum m2m_rc store_lmdb_epoch_file(struct store *st, struct store_epoch *file, struct m2m_err *err);
enum m2m_rc store_lmdb_epoch_open(struct store *st, MDB_txn *txn, const struct store_conf *conf,
				  const struct store_epoch *file, bool fresh, struct m2m_err *err);
enum m2m_rc store_lmdb_epoch_opened(struct store *st, struct m2m_err *err);
/* The record of it, as it stands in a file: LMDB's code. */
int store_lmdb_epoch_get(MDB_txn *txn, MDB_dbi meta, struct store_epoch *out);
/* Begin the next one; tick: if there was a commit since the last. Any thread, in no transaction. */
enum m2m_rc store_lmdb_epoch_next(struct store *st, struct m2m_err *err);
void store_lmdb_epoch_tick(struct store *st);

#define STORE_LOOK_MS 1000 /* that the opening of a store may take for looking at its pages */

/* Check, in a child process, the pages of an environment that this process does not have open (store_walk.h), for
 * budget_ms or (0) all of them. M2M_ECORRUPT | M2M_EIO. Thread-safe. */
enum m2m_rc store_lmdb_look(const char *dir, int64_t budget_ms, struct m2m_err *err);

/* The same, but when the time is over the child goes on by itself, with the lowest priority. on: pid 0 if it is done.
 * The child ends with the thread that called. */
struct store_look {
	pid_t pid;
	int fd;
};
enum m2m_rc store_lmdb_look_on(const char *dir, int64_t budget_ms, struct store_look *on, struct m2m_err *err);
/* Is there something to hear? */
bool store_lmdb_look_ready(int fd);
/* Wait for the child's verdict: errors of store_lmdb_look. on: is over. */
enum m2m_rc store_lmdb_look_end(struct store_look *on, const char *dir, struct m2m_err *err);

/* Of a store that this process does not have open (store_lmdb_copy.c): hold the lock file `path` (fd: out, its closing
 * gives it back), M2M_EBUSY: another process has the store open; a new file of what the store holds; and, after another
 * data file was put in place, a lock file that fits it. */
enum m2m_rc store_lmdb_lock_alone(const char *path, int *fd, struct m2m_err *err);
enum m2m_rc store_lmdb_copy_beside(const char *dir, const char *path, struct m2m_err *err);
enum m2m_rc store_lmdb_lock_renew(const char *dir, struct m2m_err *err);

/* As store_open; a store of an older schema is opened, st->schema tells which, and its epoch is compared but not
 * counted (store_lmdb_env.c). */
enum m2m_rc store_lmdb_open_older(const struct store_conf *conf, const struct m2m_env *env, struct store **out,
				  struct m2m_err *err);
/* Record the schema, in a transaction of its own. */
enum m2m_rc store_lmdb_schema(struct store *st, uint32_t schema, struct m2m_err *err);

/* The writer's two calls; ctx is the store. */
enum m2m_rc store_lmdb_commit(void *ctx, struct store_job **jobs, unsigned n, struct m2m_err *err);
int64_t store_lmdb_tick(void *ctx);

#endif

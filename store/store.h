/* SPDX-License-Identifier: BSD-2-Clause */
/* The store contract: named tables of octets, read views, and write jobs with group commit.
 *
 * Nothing here knows what a root key is. Reads run on the caller's thread in a view, a consistent snapshot. Writes are
 * jobs: a function that the store's one writer thread runs inside a transaction, so that it can look before it writes;
 * many jobs share one commit, and each job's completion is called after that commit. A job that fails writes nothing
 * and does not harm its neighbours. Several processes may have the same store open (the operator's tool beside the
 * daemon), each once.
 *
 * All functions are thread-safe. */
#ifndef STORE_H
#define STORE_H

#include "common/env.h"
#include "common/metrics.h"
#include "common/secret.h"
#include "common/span.h"
#include "store/store_epoch.h"

#define STORE_KEY_MAX 511 /* octets of a record's key, at least 1 */
#define STORE_TABLES_MAX 16

struct store;

enum store_sync {
	STORE_DURABLE, /* a commit is on stable storage when its completions run */
	STORE_SOFT,    /* survives the process, not the machine: for state whose loss costs little */
};

struct store_conf {
	const char *dir; /* folder of the environment; must exist, not on a network file system */
	/* Names, NULL-terminated; a table is known by its index here. Borrowed until store_close. */
	const char *const *tables;
	size_t map_size; /* octets; the data file is that long from the start, and sparse */
	enum store_sync sync;
	bool create; /* make the environment if the folder has none (or an empty data file); else M2M_ENOENT */
	bool read_only;
	uint32_t schema;    /* version of what the tables hold; a store of another one is refused untouched */
	unsigned batch_max; /* most jobs a commit; 0: 256 */
	/* A file outside of the folder that keeps how far the store has come, so that an older copy in its place is
	 * refused (M2M_ECORRUPT); made when there is none yet. NULL: none is kept. */
	const char *epoch_file;
	/* A server's store: a file outside of the folder that keeps how the last runs ended. After two in a row that
	 * were not closed, all pages are looked at before it is opened, however long that takes; else, what the first
	 * look did not come to is looked at in the background. NULL: none is kept. */
	const char *runs_file;
	int64_t look_ms; /* that the first look may take; 0: a second */
	/* Percent of the room that the store can have (see store_stat) from which it asks for help (alarm) and refuses
	 * what makes it grow (reserve). 0: never. */
	unsigned alarm, reserve;
	/* Where the writer counts its transactions (NULL: nowhere), and which store it is there: enum m2m_met_store.
	 * Until store_close. */
	struct m2m_metrics *metrics;
	unsigned counted_as;
	bool bless; /* accept what is there, whatever the file says: a restored copy; not with read_only */
};

/* Open. out: owned by the caller, store_close(). M2M_EINVAL conf | M2M_ENOENT | M2M_EVERSION a newer schema |
 * M2M_EOLD an older one: store_upgrade | M2M_EDENIED folder or file mode unsafe, network file system | M2M_ECORRUPT |
 * M2M_EIO. The text names the path. The pages of an existing store are looked at by a child process first (fork), for
 * about a second at most. */
enum m2m_rc store_open(const struct store_conf *conf, const struct m2m_env *env, struct store **out,
		       struct m2m_err *err);

/* Runs what is queued, calls every completion, joins the writer, closes. store_close(NULL) does nothing. */
void store_close(struct store *st);

/* The same for a look at a store, or to bless it, that may be of an older schema: tables_of[N] are the tables of schema
 * N, for all up to conf->schema. conf: says afterwards which it is (schema and tables). */
enum m2m_rc store_open_any(struct store_conf *conf, const char *const *const *tables_of, const struct m2m_env *env,
			   struct store **out, struct m2m_err *err);

/* --- reading --------------------------------------------------------------------------------------------------- */

/* A snapshot. Keep it short: it pins old pages. Nothing slow and no store_run inside. */
struct store_view;
enum m2m_rc store_view_begin(struct store *st, struct store_view **out, struct m2m_err *err);
void store_view_end(struct store_view *v); /* NULL does nothing */

/* val: borrowed until the view ends. M2M_ENOENT. */
enum m2m_rc store_get(struct store_view *v, unsigned table, struct m2m_span key, struct m2m_span *val,
		      struct m2m_err *err);

/* Call each(arg, key, val) for every record whose key is >= from and starts with prefix (both may be empty), in key
 * order, until it returns false. Spans are borrowed until each returns. */
typedef bool store_each(void *arg, struct m2m_span key, struct m2m_span val);
enum m2m_rc store_scan(struct store_view *v, unsigned table, struct m2m_span prefix, struct m2m_span from,
		       store_each *each, void *arg, struct m2m_err *err);

/* The number of the newest commit, whichever process made it: nothing was changed while it stays the same. Cheap, to be
 * asked often. 0: the store is unavailable. */
uint64_t store_newest(struct store *st);

/* How many records a table has. */
enum m2m_rc store_count(struct store_view *v, unsigned table, uint64_t *n, struct m2m_err *err);

/* get in a view of its own: val is copied to out (appended). For callers that want one record. */
enum m2m_rc store_fetch(struct store *st, unsigned table, struct m2m_span key, struct m2m_secret *out,
			struct m2m_err *err);

/* --- writing --------------------------------------------------------------------------------------------------- */

/* The transaction as a job sees it, with the writes of the jobs before it. */
struct store_txn;
/* val: borrowed until the next write of this job or its end. */
enum m2m_rc store_txn_get(struct store_txn *t, unsigned table, struct m2m_span key, struct m2m_span *val,
			  struct m2m_err *err);
/* store_scan, of all that starts with prefix: as it was before this job, with the writes of the jobs before it. */
enum m2m_rc store_txn_scan(struct store_txn *t, unsigned table, struct m2m_span prefix, store_each *each, void *arg,
			   struct m2m_err *err);
/* key and val are copied. */
enum m2m_rc store_txn_put(struct store_txn *t, unsigned table, struct m2m_span key, struct m2m_span val,
			  struct m2m_err *err);
/* Deleting what is not there is no error. */
enum m2m_rc store_txn_del(struct store_txn *t, unsigned table, struct m2m_span key, struct m2m_err *err);

/* Runs on the writer thread; may run more than once (a commit that failed is tried again job by job), so it must work
 * from its input alone. Any result but M2M_OK discards this job's writes. Must not block, must not call store_run. */
typedef enum m2m_rc store_apply(void *arg, struct store_txn *t, struct m2m_err *err);
/* Called exactly once per job, on the writer thread, after the commit: rc and err are apply's, or of the commit:
 * M2M_EFULL (refused for want of room too), M2M_EIO, M2M_EBUSY: nothing of the job was written; after M2M_EIO it may
 * turn out that it was, so do it again in a way that does not mind. May call store_submit, must not block, must not
 * call store_run.
 */
typedef void store_done(void *arg, enum m2m_rc rc, const struct m2m_err *err);

/* What a job is to a store that has little room left. */
enum store_class {
	STORE_GROWS, /* adds records: refused while there is no room but the reserve */
	STORE_KEEPS, /* must work to the last: revokes, removes, seals anew */
};

/* Hand a job to the writer; returns at once. done may be NULL. M2M_ENOMEM, M2M_EBUSY (the queue is full, or the store
 * is closing), M2M_EDENIED (opened for reading only), M2M_EIO (read-only or unavailable): done is not called then. */
enum m2m_rc store_submit(struct store *st, enum store_class class, store_apply *apply, store_done *done, void *arg,
			 struct m2m_err *err);

/* Submit and wait: for tools, start-up and tests; never on a dispatch thread. */
enum m2m_rc store_run(struct store *st, enum store_class class, store_apply *apply, void *arg, struct m2m_err *err);

/* --- looking after it -------------------------------------------------------------------------------------------- */

/* What the store takes. What is refused is refused at once, with nothing changed; each state is left without a restart
 * as soon as its reason is gone, but for the last. Which event leads where: the table in store_state.c. A store that
 * was opened for reading only is always healthy. */
enum store_state {
	STORE_HEALTHY,	   /* everything */
	STORE_ALARM,	   /* everything; above store_conf.alarm */
	STORE_RESERVE,	   /* STORE_GROWS: M2M_EFULL; above store_conf.reserve */
	STORE_FULL,	   /* a write found no room; STORE_GROWS: M2M_EFULL while the reserve or the disk is short */
	STORE_READ_ONLY,   /* a write or sync failed: jobs M2M_EIO, views go on; until a commit was proven to stay */
	STORE_UNAVAILABLE, /* jobs and views M2M_EIO: the environment is being opened anew, or cannot be */
	STORE_LOST,	   /* the same, for good: the disk has not what was acknowledged */
	STORE_STATES
};
/* One or two words, never NULL. */
const char *store_state_text(enum store_state s);

/* Each change of state is logged by the store: what needs somebody as an error. Of a job that failed so, no second
 * error need be logged. */
static inline bool store_has_told(enum m2m_rc rc)
{
	return rc == M2M_EFULL || rc == M2M_EIO;
}

/* What is in use are the pages up to the last one, less those that wait for reuse (pages that an old view pins count as
 * free). The room is the map's, or what the pages and the disk have together if that is less. */
struct store_stat {
	uint64_t map_size, used, room; /* octets; 0 while the store is unavailable, as is fill */
	unsigned fill;		       /* percent of the room */
	enum store_state state;
	int64_t since;		  /* s since 1970: when it came into this state */
	char error[M2M_ERR_TEXT]; /* the last error that changed the state or would have; "": none yet */
	uint64_t commits, jobs;	  /* since this process opened it */
	uint32_t schema;
	bool durable; /* as the library reports the flags it really runs with */
};
enum m2m_rc store_stat(struct store *st, struct store_stat *out, struct m2m_err *err);

/* Set the gauges of a store, which the metrics know as counted_as. */
void store_sample(struct store *st, struct m2m_metrics *m, unsigned counted_as);

/* --- copies ------------------------------------------------------------------------------------------------------ */

/* A consistent copy of an open store beside its writers: one new data file, 0600, without free pages, on stable storage
 * when this returns. It pins the pages of its snapshot while it runs. M2M_EEXIST: path is never replaced | M2M_EFULL |
 * M2M_EIO | M2M_ECORRUPT | M2M_EDENIED; nothing is left at path then. Never on a dispatch thread. */
enum m2m_rc store_copy(struct store *st, const char *path, struct m2m_err *err);

/* Replace the data file of a closed store by a copy without free pages: what was deleted is in it no more. The old
 * file's octets are overwritten once the new one is in place, as far as that goes: a kill there, a failing disk, or
 * another name (hard link) of the file leave them, and what the file system or the disk copied is out of reach. At any
 * kill or power cut the store is the old one or the new one. M2M_EBUSY: another process has it open (this process must
 * not: its locks would be dropped); M2M_ENOENT; errors of store_copy. The file is short afterwards: the next store_open
 * for writing makes it as long as the map again. Then what an upgrade or a restore kept beside it (data.mdb.NAME) is
 * removed, overwritten like the rest. */
enum m2m_rc store_compact(const char *dir, struct m2m_err *err);

/* Does no other process have the store open? M2M_EBUSY: one has | M2M_ENOENT: there is none. This process must not. */
enum m2m_rc store_alone(const char *dir, struct m2m_err *err);

/* Every page of a store that this process does not have open (another may): M2M_OK, or M2M_ECORRUPT with the page and
 * what is wrong with it. In a child process, for as long as it takes: about a second a few GiB. M2M_ENOENT | M2M_EIO.
 */
enum m2m_rc store_check(const char *dir, struct m2m_err *err);

/* What a data file that nobody writes, as store_copy makes them, says of itself. epoch->epoch 0: it counts none.
 * M2M_ENOENT | M2M_EIO | M2M_ECORRUPT. LMDB maps it as it is: one that others may have changed, store_check first. */
enum m2m_rc store_about(const char *file, uint32_t *schema, struct store_epoch *epoch, struct m2m_err *err);

/* Move the data file `from`, of a store that nobody has open, on the same file system, into the place of a closed
 * store's data file, if it has one; that gets the name `kept` (NULL: none). The folder must exist. At any kill or power
 * cut the store is the old one or the new one. M2M_EEXIST: kept is there already. Errors of store_compact; M2M_EIO
 * after the new file is in place, and says so. */
enum m2m_rc store_replace(const char *dir, const char *from, const char *kept, struct m2m_err *err);

/* --- upgrade ----------------------------------------------------------------------------------------------------- */

/* Make of the records of schema `from` those of the new one. copy: open for reading and writing, with all tables of the
 * new schema; nobody else has it. A transaction (store_run) should stay below some thousand records. */
typedef enum m2m_rc store_transform(void *arg, struct store *copy, uint32_t from, struct m2m_err *err);

/* Bring a closed store of an older schema up to conf->schema, by copy: the folder `upgrade` in the store's gets a copy,
 * the copy is transformed, gets its new schema last, is checked page by page and takes the data file's place. What was
 * there is kept beside it as data.mdb.schema-N, N its schema, for the operator to remove. At any kill or power cut the
 * store is the old one or the new one; after it, the upgrade begins anew. Its epoch goes along: the kept file is an
 * older copy as soon as the new one has been opened.
 *
 * M2M_EBUSY: another process has it open (this process must not). M2M_EEXIST: a data.mdb.schema-N of an earlier
 * upgrade is in the way. M2M_EVERSION; M2M_EINVAL it is of conf->schema already; M2M_EFULL, M2M_EIO, transform's:
 * nothing was changed. M2M_EIO after the new file is in place, and says so: only the sync of its folder failed. Never
 * on a dispatch thread: takes as long as copying and transforming do. */
enum m2m_rc store_upgrade(const struct store_conf *conf, const struct m2m_env *env, store_transform *transform,
			  void *arg, struct m2m_err *err);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The store on LMDB: how full it is, and what it takes therefore. Threading: store_lmdb_measure is the writer's, the
 * rest anybody's. */
#include "config.h"

#include "store/store_lmdb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

#define DISK_BELOW (1u << 20) /* octets: a disk with less room than this is full */
#define SLACK 2		      /* percent below a threshold until it counts as left */
#define FULL_MS 10000	      /* after a write that found no room, unless one that needs room goes through before */
#define MEASURE_SHARE 20      /* measuring takes at most this part of the time */

/* --- the disk ------------------------------------------------------------- */

static bool disk_room(const struct store *st, uint64_t *room)
{
	struct statvfs fs = { 0 };

	if (statvfs(st->dir, &fs) != 0)
		return false;
	*room = (uint64_t)fs.f_bavail * fs.f_frsize;
	return true;
}

bool store_lmdb_disk_full(const struct store *st)
{
	uint64_t room = 0;

	return disk_room(st, &room) && room < DISK_BELOW;
}

/* --- measuring ------------------------------------------------------------ */

/* Pages that wait for reuse: each record of LMDB's own first tree is a count and that many page numbers. */
static int free_pages(MDB_txn *txn, uint64_t *n)
{
	MDB_cursor *cur = NULL;
	MDB_val k = { 0 }, v = { 0 };
	size_t count = 0;
	int rc = mdb_cursor_open(txn, 0, &cur);

	for (*n = 0; rc == MDB_SUCCESS; *n += count) {
		rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
		count = 0;
		if (rc == MDB_SUCCESS && v.mv_size >= sizeof(count))
			memcpy(&count, v.mv_data, sizeof(count));
	}
	if (cur != NULL)
		mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* map_size, used, room and fill of out. */
static int measure(struct store *st, MDB_txn *txn, struct store_stat *out)
{
	MDB_envinfo info = { 0 };
	MDB_stat ms = { 0 };
	uint64_t freed = 0, pages = 0, disk = 0;
	int rc = mdb_env_info(st->env, &info);

	if (rc == MDB_SUCCESS)
		rc = mdb_env_stat(st->env, &ms);
	if (rc == MDB_SUCCESS)
		rc = free_pages(txn, &freed);
	if (rc != MDB_SUCCESS)
		return rc;
	pages = (uint64_t)info.me_last_pgno + 1;
	freed = freed < pages ? freed : pages;
	out->map_size = info.me_mapsize;
	out->used = (pages - freed) * ms.ms_psize;
	out->room = info.me_mapsize;
	if (disk_room(st, &disk) && pages * ms.ms_psize + disk < out->room)
		out->room = pages * ms.ms_psize + disk;
	out->fill = out->room > 0 ? (unsigned)(out->used * 100 / out->room) : 100;
	return MDB_SUCCESS;
}

enum m2m_rc store_stat(struct store *st, struct store_stat *out, struct m2m_err *err)
{
	struct store_view *v = NULL;
	unsigned flags = 0;
	int rc = MDB_SUCCESS;
	enum m2m_rc code = M2M_OK;

	*out = (struct store_stat){ .commits = atomic_load(&st->commits),
				    .jobs = st->writer != NULL ? store_writer_jobs(st->writer) : 0,
				    .schema = st->conf.schema };
	code = store_view_begin(st, &v, err);
	if (code == M2M_OK) {
		rc = measure(st, v->txn, out);
		if (rc == MDB_SUCCESS)
			rc = mdb_env_get_flags(st->env, &flags);
		out->schema = st->schema;
		out->durable = (flags & (MDB_NOSYNC | MDB_NOMETASYNC | MDB_MAPASYNC | MDB_WRITEMAP)) == 0;
		store_view_end(v);
	}
	store_health_get(&st->health, out);
	if (code != M2M_OK && code != M2M_EIO)
		return code;
	return rc == MDB_SUCCESS ? M2M_OK : store_lmdb_fail(st, rc, "stat", err);
}

/* --- what follows --------------------------------------------------------- */

/* A threshold that was passed is left some way below it, so that nothing flutters. */
static bool above(unsigned fill, unsigned threshold, bool was)
{
	return threshold > 0 && fill + (was ? SLACK : 0) >= threshold;
}

static enum store_event level(const struct store *st, unsigned fill)
{
	enum store_state was = store_health_state(&st->health);

	if (above(fill, st->conf.reserve, was == STORE_RESERVE))
		return STORE_EV_RESERVE;
	return above(fill, st->conf.alarm, was == STORE_ALARM || was == STORE_RESERVE) ? STORE_EV_ALARM : STORE_EV_LOW;
}

static void tell(struct store *st, bool disk_full)
{
	const struct store_stat *now = &st->last;
	enum store_event ev = disk_full ? STORE_EV_NO_ROOM : level(st, now->fill);
	bool hold = store_health_state(&st->health) == STORE_FULL && !st->grown && store_lmdb_ms() < st->full_until;
	char text[160];

	st->growth_off = ev == STORE_EV_NO_ROOM || ev == STORE_EV_RESERVE;
	if (disk_full)
		snprintf(text, sizeof(text), "less than %u KiB left on its disk; new records are refused",
			 DISK_BELOW / 1024);
	else
		snprintf(text, sizeof(text), "%u %% of %" PRIu64 " MiB in use%s", now->fill, now->room >> 20,
			 ev == STORE_EV_RESERVE ? "; new records are refused: raise map-size, or make room on its disk"
			 : ev == STORE_EV_ALARM ? "; raise map-size, or make room on its disk"
						: "");
	if (disk_full || !hold)
		store_health_event(&st->health, ev, text);
	st->grown = false;
}

static int64_t cpu_us(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* The list of free pages may be long: it is gone through as often as its length allows. The disk is looked at always.
 */
void store_lmdb_measure(struct store *st)
{
	int64_t begun = cpu_us(), now = store_lmdb_ms();
	MDB_txn *txn = NULL;

	if (store_health_state(&st->health) >= STORE_READ_ONLY)
		return;
	if (st->last.room == 0 || now - st->measured >= st->measure_cost * MEASURE_SHARE / 1000) {
		if (store_lmdb_begin(st, MDB_RDONLY, &txn) != MDB_SUCCESS)
			return; /* the next will tell */
		(void)measure(st, txn, &st->last);
		store_lmdb_end_read(st, txn);
		st->measured = now;
		st->measure_cost = cpu_us() - begun;
	}
	tell(st, store_lmdb_disk_full(st));
}

enum m2m_rc store_lmdb_write_failed(struct store *st, int rc, const char *what, struct m2m_err *err)
{
	struct m2m_err why = { 0 };
	enum m2m_rc code = store_lmdb_fail(st, rc, what, &why);
	MDB_txn *txn = NULL;

	if (code == M2M_EFULL) {
		st->full_until = store_lmdb_ms() + FULL_MS;
		st->grown = false;
		store_health_event(&st->health, STORE_EV_NO_ROOM, why.text);
	} else if (code == M2M_EIO || rc == EROFS) {
		code = M2M_EIO;
		store_health_event(&st->health, STORE_EV_IO, why.text);
		/* Did it hit the meta page? Then LMDB tells of it now. */
		if (store_lmdb_begin(st, MDB_RDONLY, &txn) == MDB_SUCCESS)
			store_lmdb_end_read(st, txn);
	}
	return m2m_fail(err, code, "%s", why.text);
}

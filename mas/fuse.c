/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts the root keys of the last hour: a table by RelativeKeID, open addressing, half full at most. Each entry has
 * the ten minutes in which it was used last; when the next ten begin, those of more than an hour ago are left behind.
 */
#include "config.h"

#include "mas/fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TURN 600 /* s */
#define TURNS 6	 /* an hour */

struct entry {
	uint8_t rel[M2M_REL_LEN];
	uint32_t turn; /* 0: the place is free */
};

struct fuse {
	const struct m2m_env *env;
	char path[PATH_MAX], lifted_path[PATH_MAX];
	char host[M2M_ID_MAX + 1];
	size_t limit, mask;
	uint64_t chance[2]; /* whoever may choose RelativeKeIDs does not know where they go */
	pthread_mutex_t lock;
	uint32_t turn;
	size_t n;
	struct entry *table, *spare;
	bool blown, on_disk; /* on_disk: the file was there, so that its absence says something */
	bool lifted;	     /* and nobody was told yet */
	int64_t looked;	     /* s */
};

static bool file_is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 || errno != ENOENT; /* what cannot be looked at is not gone */
}

/* host: an FQDN, in whichever case. */
static enum m2m_rc path_of(const char *folder, const char *word, const char *host, char out[PATH_MAX],
			   struct m2m_err *err)
{
	struct m2m_id id = { 0 };
	enum m2m_rc rc = m2m_fqdn_parse(m2m_span_str(host), &id, err);
	int n = rc == M2M_OK ? snprintf(out, PATH_MAX, "%s/%s-%s", folder, word, id.s) : 0;

	if (rc == M2M_OK && (n < 0 || n >= PATH_MAX))
		rc = m2m_fail(err, M2M_ECONF, "fuse of peer %s: the path is too long", host);
	return rc;
}

enum m2m_rc fuse_new(const char *folder, const char *host, int64_t keys, const struct m2m_env *env, struct fuse **out,
		     struct m2m_err *err)
{
	struct fuse *f = calloc(1, sizeof(*f));
	struct m2m_id id = { 0 };
	size_t places = 4;
	enum m2m_rc rc = f ? m2m_fqdn_parse(m2m_span_str(host), &id, err) : m2m_fail(err, M2M_ENOMEM, "fuse: memory");

	if (rc) {
		free(f);
		return rc;
	}
	while (places < 2 * (size_t)keys)
		places *= 2;
	f->env = env;
	f->limit = (size_t)keys;
	f->mask = places - 1;
	memcpy(f->host, id.s, id.n + 1);
	pthread_mutex_init(&f->lock, NULL);
	f->table = calloc(places, sizeof(*f->table));
	f->spare = calloc(places, sizeof(*f->spare));
	rc = path_of(folder, "barred", host, f->path, err);
	if (rc == M2M_OK)
		rc = path_of(folder, "lifted", host, f->lifted_path, err);
	if (rc == M2M_OK && (!f->table || !f->spare))
		rc = m2m_fail(err, M2M_ENOMEM, "fuse of peer %s: out of memory for %zu keys", host, f->limit);
	if (rc == M2M_OK && env->random(env->arg, f->chance, sizeof(f->chance)))
		rc = m2m_fail(err, M2M_ECRYPTO, "fuse of peer %s: no randomness", host);
	if (rc) {
		fuse_free(f);
		return rc;
	}
	f->blown = f->on_disk = file_is_there(f->path);
	f->lifted = file_is_there(f->lifted_path);
	f->looked = m2m_now(env);
	if (f->blown)
		m2m_log(env, M2M_ERROR, "peer %s gets no association key: its fuse has blown, see %s", f->host,
			f->path);
	*out = f;
	return M2M_OK;
}

void fuse_free(struct fuse *f)
{
	if (!f)
		return;
	free(f->table);
	free(f->spare);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* --- the table; the lock is held -------------------------------------------------------------------------------- */

static struct entry *place_of(const struct fuse *f, const uint8_t rel[M2M_REL_LEN])
{
	uint64_t half[2];
	size_t i;

	memcpy(half, rel, sizeof(half));
	i = (size_t)((half[0] * (f->chance[0] | 1) + half[1] * (f->chance[1] | 1)) >> 32);
	for (;; i++) {
		struct entry *e = &f->table[i & f->mask];

		if (e->turn == 0 || memcmp(e->rel, rel, M2M_REL_LEN) == 0)
			return e;
	}
}

static void forget_all(struct fuse *f)
{
	memset(f->table, 0, (f->mask + 1) * sizeof(*f->table));
	f->n = 0;
}

/* Other ten minutes than those before: keep what is of the last hour. A clock that was set back makes nothing older. */
static void turn_to(struct fuse *f, uint32_t turn)
{
	struct entry *was = f->table;

	f->table = f->spare;
	f->spare = was;
	forget_all(f);
	for (size_t i = 0; i <= f->mask; i++) {
		if (was[i].turn == 0 || (was[i].turn < turn && turn - was[i].turn > TURNS))
			continue;
		*place_of(f, was[i].rel) = was[i];
		f->n++;
	}
	for (size_t i = 0; i <= f->mask; i++) {
		if (f->table[i].turn > turn)
			f->table[i].turn = turn;
	}
	f->turn = turn;
}

static void blow(struct fuse *f)
{
	int fd = open(f->path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	f->blown = true;
	f->on_disk = fd >= 0;
	if (fd >= 0)
		close(fd);
	m2m_log(f->env, M2M_ERROR,
		"peer %s asked for association keys under more than %zu root keys within an hour: it gets none from "
		"now on, until %s%s",
		f->host, f->limit, f->on_disk ? "m2mctl fuse lift removes " : "a restart, for want of ", f->path);
}

/* Has the operator removed the file? */
static void look(struct fuse *f, int64_t now)
{
	if (now == f->looked || !f->on_disk)
		return;
	f->looked = now;
	if (file_is_there(f->path))
		return;
	f->blown = f->on_disk = false;
	f->lifted = true;
	forget_all(f);
	m2m_log(f->env, M2M_NOTICE, "peer %s gets association keys again: %s was removed", f->host, f->path);
}

/* --- from outside ----------------------------------------------------------------------------------------------- */

bool fuse_is_blown(struct fuse *f, int64_t now)
{
	bool blown;

	if (!f)
		return false;
	pthread_mutex_lock(&f->lock);
	if (f->blown)
		look(f, now);
	blown = f->blown;
	pthread_mutex_unlock(&f->lock);
	return blown;
}

bool fuse_take(struct fuse *f, const uint8_t rel[M2M_REL_LEN], int64_t now)
{
	uint32_t turn = (uint32_t)(now / TURN) + 1;
	struct entry *e;
	bool may;

	if (!f)
		return true;
	pthread_mutex_lock(&f->lock);
	if (turn != f->turn)
		turn_to(f, turn);
	e = place_of(f, rel);
	if (!f->blown && e->turn == 0 && f->n == f->limit)
		blow(f);
	may = !f->blown;
	if (may && e->turn == 0) {
		memcpy(e->rel, rel, M2M_REL_LEN);
		f->n++;
	}
	if (may)
		e->turn = turn;
	pthread_mutex_unlock(&f->lock);
	return may;
}

bool fuse_take_lift(struct fuse *f, int64_t now)
{
	bool lifted;

	if (!f)
		return false;
	pthread_mutex_lock(&f->lock);
	if (f->blown)
		look(f, now);
	lifted = f->lifted;
	f->lifted = false;
	pthread_mutex_unlock(&f->lock);
	return lifted;
}

void fuse_lift_told(struct fuse *f, bool written)
{
	pthread_mutex_lock(&f->lock);
	if (written)
		(void)unlink(f->lifted_path);
	else
		f->lifted = true;
	pthread_mutex_unlock(&f->lock);
}

const char *fuse_host(const struct fuse *f)
{
	return f->host;
}

/* --- by the operator's tool ------------------------------------------------------------------------------------- */

enum m2m_rc fuse_look(const char *folder, const char *host, int64_t *since, struct m2m_err *err)
{
	char path[PATH_MAX];
	struct stat st;
	enum m2m_rc rc = path_of(folder, "barred", host, path, err);

	*since = 0;
	if (rc != M2M_OK)
		return rc;
	if (lstat(path, &st) == 0)
		*since = st.st_mtime;
	else if (errno != ENOENT)
		rc = m2m_fail_errno(err, "%s", path);
	return rc;
}

enum m2m_rc fuse_lift(const char *folder, const char *host, struct m2m_err *err)
{
	char barred[PATH_MAX], lifted[PATH_MAX];
	enum m2m_rc rc = path_of(folder, "barred", host, barred, err);

	if (rc == M2M_OK)
		rc = path_of(folder, "lifted", host, lifted, err);
	if (rc == M2M_OK && rename(barred, lifted) != 0)
		rc = errno == ENOENT ? m2m_fail(err, M2M_ENOENT, "the fuse of peer %s has not blown", host)
				     : m2m_fail_errno(err, "%s", barred);
	return rc;
}

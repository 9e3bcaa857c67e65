/* SPDX-License-Identifier: BSD-2-Clause */
/* The watch over a server's store: see store_watch.h. Owns the file of the runs and the child. */
#include "config.h"

#include "store/store_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store_lmdb.h"

#define MAGIC "m2m-store-runs 1 "
#define LINE_LEN (sizeof(MAGIC) - 1 + 2) /* a digit and a newline */
#define LOOP 2				 /* unclean ends in a row: a crash loop */
#define COUNT_MAX 9

/* --- the file ------------------------------------------------------------- */

/* What cannot be read counts as a loop: looking at everything is never wrong. */
static unsigned runs_read(const char *path)
{
	char line[LINE_LEN + 1] = { 0 };
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : LOOP;
	n = read(fd, line, sizeof(line));
	close(fd);
	if (n != (ssize_t)LINE_LEN || strncmp(line, MAGIC, sizeof(MAGIC) - 1) != 0 || line[LINE_LEN - 1] != '\n' ||
	    line[LINE_LEN - 2] < '0' || line[LINE_LEN - 2] > '0' + COUNT_MAX)
		return LOOP;
	return (unsigned)(line[LINE_LEN - 2] - '0');
}

/* In place: needs no room on a full disk, and is one sector. */
static bool runs_write(const char *path, unsigned count)
{
	char line[LINE_LEN + 1];
	int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	bool good = false;

	if (fd < 0)
		return false;
	snprintf(line, sizeof(line), MAGIC "%u\n", count < COUNT_MAX ? count : COUNT_MAX);
	good = pwrite(fd, line, LINE_LEN, 0) == (ssize_t)LINE_LEN && fdatasync(fd) == 0;
	close(fd);
	return good;
}

/* --- the looks ------------------------------------------------------------ */

enum m2m_rc store_watch_begin(struct store_watch *w, const struct store_conf *conf, const struct m2m_env *env,
			      bool found, struct m2m_err *err)
{
	int64_t budget = conf->look_ms > 0 ? conf->look_ms : STORE_LOOK_MS;
	struct store_look on = { .fd = -1 };
	enum m2m_rc rc = M2M_OK;

	*w = (struct store_watch){ .env = env, .fd = -1 };
	if (conf->runs_file == NULL)
		return found ? store_lmdb_look(conf->dir, budget, err) : M2M_OK;
	w->runs_file = strdup(conf->runs_file);
	w->dir = strdup(conf->dir);
	if (w->runs_file == NULL || w->dir == NULL)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", conf->dir);
	w->unclean = runs_read(w->runs_file);
	if (!runs_write(w->runs_file, w->unclean + 1) && w->unclean < LOOP)
		w->unclean = LOOP; /* who cannot count must expect the worst */
	if (!found)
		return M2M_OK;
	if (w->unclean >= LOOP) {
		m2m_log(env, M2M_NOTICE,
			"%s: the last runs did not end cleanly: all of it is checked before it is opened", conf->dir);
		rc = store_lmdb_look(conf->dir, 0, err);
	} else {
		rc = store_lmdb_look_on(conf->dir, budget, &on, err);
	}
	w->pid = on.pid;
	w->fd = on.fd;
	return rc;
}

/* The child has said something, or gone. */
static void hear(struct store_watch *w)
{
	struct m2m_err err = { 0 };
	struct store_look on = { .pid = w->pid, .fd = w->fd };
	enum m2m_rc rc = store_lmdb_look_end(&on, w->dir, &err);

	w->pid = 0;
	w->fd = -1;
	w->damaged = rc == M2M_ECORRUPT;
	if (w->damaged)
		m2m_log(w->env, M2M_ERROR, "%s; the next start will be refused: restore a backup", err.text);
	else if (rc != M2M_OK)
		m2m_log(w->env, M2M_NOTICE, "%s: the check in the background did not come to its end", err.text);
}

void store_watch_tick(struct store_watch *w)
{
	if (w->pid > 0 && store_lmdb_look_ready(w->fd))
		hear(w);
}

void store_watch_end(struct store_watch *w, enum m2m_rc opened)
{
	store_watch_tick(w);
	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
			;
		close(w->fd);
	}
	/* A refusal for another reason than damage says nothing of the store. */
	if (w->runs_file != NULL && (w->damaged || opened == M2M_ECORRUPT))
		runs_write(w->runs_file, w->unclean > LOOP ? w->unclean : LOOP);
	else if (w->runs_file != NULL)
		runs_write(w->runs_file, opened == M2M_OK ? 0 : w->unclean);
	free(w->runs_file);
	free(w->dir);
	*w = (struct store_watch){ .fd = -1 };
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The store on LMDB: the look at an environment before this process opens it.
 *
 * It is done in a child, by fork without exec: a helper program would have to be found, and be of the same version. The
 * child calls LMDB, which maps the file, only to pin a snapshot against writers of other processes; what it checks it
 * reads (store_walk.c). If LMDB itself dies of the file, it is the child that dies. The child touches no lock of this
 * process, and its environment is gone before ours is opened: LMDB knows no environment twice in a process.
 *
 * It may take WALK_MS: a store of ten million records must open at once. `m2mctl check` looks at all of it. */
#include "config.h"

#include "store/store_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store_files.h"
#include "store/store_walk.h"

#define END_MS 60000 /* a child that takes longer than this hangs in the disk, or in the file */
#define TRIES 8

static enum m2m_rc snapshot_walk(MDB_env *env, const char *path, int fd, int64_t budget_ms, struct m2m_err *err)
{
	MDB_txn *txn = NULL;
	enum m2m_rc rc = M2M_EBUSY;

	for (int i = 0; i < TRIES && rc == M2M_EBUSY; i++) {
		int mrc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);

		if (mrc != MDB_SUCCESS)
			return m2m_fail(err, mrc == MDB_READERS_FULL ? M2M_EBUSY : M2M_ECORRUPT, "%s: %s", path,
					mdb_strerror(mrc));
		rc = store_walk(path, fd, mdb_txn_id(txn), budget_ms, err);
		mdb_txn_abort(txn);
	}
	/* Written to faster than we look: by a process that has it open, and has looked. */
	return rc == M2M_EBUSY ? M2M_OK : rc;
}

static enum m2m_rc child_look(const char *dir, int64_t budget_ms, struct m2m_err *err)
{
	char path[PATH_MAX];
	MDB_env *env = NULL;
	int fd = -1, mrc = MDB_SUCCESS, n = snprintf(path, sizeof(path), "%s/data.mdb", dir);

	if (n < 0 || n >= PATH_MAX)
		return m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", dir);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return m2m_fail_errno(err, "%s", path);
	mrc = mdb_env_create(&env);
	if (mrc == MDB_SUCCESS)
		mrc = mdb_env_set_maxreaders(env, STORE_READERS_MAX);
	if (mrc == MDB_SUCCESS)
		mrc = mdb_env_open(env, dir, MDB_RDONLY | MDB_NOTLS, 0600);
	/* What keeps LMDB from opening it is for this process to find out, and to name. */
	return mrc == MDB_SUCCESS ? snapshot_walk(env, path, fd, budget_ms, err) : M2M_OK;
}

static _Noreturn void child_main(const char *dir, int64_t budget_ms, int out)
{
	struct m2m_err err = { 0 };
	const struct rlimit none = { 0 };
	ssize_t n = 0;

	setrlimit(RLIMIT_CORE, &none);
	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			signal(s, SIG_DFL);
	if (child_look(dir, budget_ms, &err) != M2M_OK)
		n = write(out, &err, sizeof(err));
	_exit(n == 0 || n == (ssize_t)sizeof(err) ? 0 : 1);
}

/* All that the child has to say. false: it said it too slowly. */
static bool hear(int fd, int64_t budget_ms, struct m2m_err *said, size_t *n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t got = 1;

	for (*n = 0; got > 0 && *n < sizeof(*said); *n += (size_t)got) {
		int rc = poll(&p, 1, budget_ms > 0 ? END_MS : -1);

		got = rc > 0 ? read(fd, (char *)said + *n, sizeof(*said) - *n) : rc;
		if (rc == 0)
			return false;
		if (got < 0 && errno == EINTR)
			got = 0;
		else if (got < 0)
			return false;
		else if (got == 0)
			break;
	}
	return true;
}

static enum m2m_rc child_end(const char *dir, pid_t pid, int fd, int64_t budget_ms, struct m2m_err *err)
{
	struct m2m_err said = { 0 };
	int status = 0;
	size_t n = 0;
	bool in_time = hear(fd, budget_ms, &said, &n);

	if (!in_time)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno == ECHILD) /* the host takes its children itself */
			break;
		if (errno != EINTR)
			return m2m_fail_errno(err, "%s: cannot be checked", dir);
	}
	if (!in_time)
		return m2m_fail(err, M2M_EIO, "%s: cannot be read in %d s", dir, END_MS / 1000);
	if (WIFSIGNALED(status))
		return m2m_fail(err, M2M_ECORRUPT, "%s: damaged: LMDB dies of it (signal %d)", dir, WTERMSIG(status));
	if (n == sizeof(said) && said.rc != M2M_OK) {
		said.text[sizeof(said.text) - 1] = 0;
		return m2m_fail(err, said.rc, "%s", said.text);
	}
	return n == 0 && status == 0 ? M2M_OK : m2m_fail(err, M2M_EIO, "%s: the check of it failed", dir);
}

enum m2m_rc store_lmdb_look(const char *dir, int64_t budget_ms, struct m2m_err *err)
{
	int ends[2] = { -1, -1 };
	enum m2m_rc rc = M2M_OK;
	pid_t pid = -1;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return m2m_fail_errno(err, "%s: cannot be checked", dir);
	pid = fork();
	if (pid == 0)
		child_main(dir, budget_ms, ends[1]);
	if (pid < 0)
		rc = m2m_fail_errno(err, "%s: cannot be checked", dir);
	close(ends[1]);
	if (pid > 0)
		rc = child_end(dir, pid, ends[0], budget_ms, err);
	close(ends[0]);
	return rc;
}

enum m2m_rc store_check(const char *dir, struct m2m_err *err)
{
	bool found = false;
	enum m2m_rc rc = store_files_check(dir, &found, err);

	if (rc == M2M_OK && !found)
		rc = m2m_fail(err, M2M_ENOENT, "%s: there is no store in it", dir);
	return rc == M2M_OK ? store_lmdb_look(dir, 0, err) : rc;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The store on LMDB: the look at an environment before this process opens it.
 *
 * It is done in a child, by fork without exec: a helper program would have to be found, and be of the same version. The
 * child calls LMDB, which maps the file, only to pin a snapshot against writers of other processes; what it checks it
 * reads (store_walk.c). If LMDB itself dies of the file, it is the child that dies. The child touches no lock of this
 * process, and its environment is gone before ours is opened: LMDB knows no environment twice in a process.
 *
 * It may take a second: a store of ten million records must open at once. What is left over then, the child of a
 * server's store goes on with by itself (store_watch.h); `m2mctl check` looks at all of it. */
#include "config.h"

#include "store/store_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store_files.h"
#include "store/store_walk.h"

#define END_MS 60000 /* a child that takes longer than this hangs in the disk, or in the file */
#define TRIES 8

#define GOES_ON M2M_ETIMEOUT  /* what a child says whose time is over and who goes on */
#define IOPRIO_IDLE (3 << 13) /* of this process, see ioprio_set(2) */

/* What the child is to do, and where it says what it found. */
struct task {
	const char *dir;
	int64_t budget_ms;
	bool go_on;
	int out;
};

/* Let the caller go, and be no burden to it. */
static bool go_on(void *arg)
{
	const struct task *t = arg;
	const struct m2m_err late = { .rc = GOES_ON };

	setpriority(PRIO_PROCESS, 0, 19);
	syscall(SYS_ioprio_set, 1, 0, IOPRIO_IDLE);
	return write(t->out, &late, sizeof(late)) == (ssize_t)sizeof(late);
}

static enum m2m_rc snapshot_walk(MDB_env *env, const char *path, int fd, struct task *t, struct m2m_err *err)
{
	MDB_txn *txn = NULL;
	enum m2m_rc rc = M2M_EBUSY;

	for (int i = 0; i < TRIES && rc == M2M_EBUSY; i++) {
		int mrc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);

		if (mrc != MDB_SUCCESS)
			return m2m_fail(err, mrc == MDB_READERS_FULL ? M2M_EBUSY : M2M_ECORRUPT, "%s: %s", path,
					mdb_strerror(mrc));
		rc = store_walk(path, fd, mdb_txn_id(txn), t->budget_ms, t->go_on ? go_on : NULL, t, err);
		mdb_txn_abort(txn);
	}
	/* Written to faster than we look: by a process that has it open, and has looked. */
	return rc == M2M_EBUSY ? M2M_OK : rc;
}

static enum m2m_rc child_look(struct task *t, struct m2m_err *err)
{
	const char *dir = t->dir;
	char path[PATH_MAX];
	MDB_env *env = NULL;
	int fd = -1, mrc = MDB_SUCCESS, n = snprintf(path, sizeof(path), "%s/data.mdb", dir);

	if (n < 0 || n >= PATH_MAX)
		return m2m_fail(err, M2M_EINVAL, "%.200s…: path too long", dir);
	mrc = mdb_env_create(&env);
	if (mrc == MDB_SUCCESS)
		mrc = mdb_env_set_maxreaders(env, STORE_READERS_MAX);
	if (mrc == MDB_SUCCESS)
		mrc = mdb_env_open(env, dir, MDB_RDONLY | MDB_NOTLS, 0600);
	/* What keeps LMDB from opening it is for this process to find out, and to name. */
	if (mrc != MDB_SUCCESS)
		return M2M_OK;
	/* Not before: while we waited for LMDB's lock another file may have taken the place of this one. */
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? snapshot_walk(env, path, fd, t, err) : m2m_fail_errno(err, "%s", path);
}

static _Noreturn void child_main(struct task *t)
{
	struct m2m_err err = { 0 };
	const struct rlimit none = { 0 };
	ssize_t n = 0;

	close_range(STDERR_FILENO + 1, (unsigned)t->out - 1, 0); /* nothing of the host's is held open or locked */
	close_range((unsigned)t->out + 1, ~0U, 0);
	setrlimit(RLIMIT_CORE, &none);
	if (t->go_on)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			signal(s, SIG_DFL);
	if (child_look(t, &err) != M2M_OK)
		n = write(t->out, &err, sizeof(err));
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

/* on: the child, out: over, unless it goes on. */
static enum m2m_rc child_end(const char *dir, struct store_look *on, int64_t budget_ms, struct m2m_err *err)
{
	struct m2m_err said = { 0 };
	int status = 0;
	size_t n = 0;
	bool in_time = hear(on->fd, budget_ms, &said, &n);
	pid_t pid = on->pid;

	if (in_time && n == sizeof(said) && said.rc == GOES_ON)
		return M2M_OK;
	if (!in_time)
		kill(pid, SIGKILL);
	close(on->fd);
	*on = (struct store_look){ .fd = -1 };
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

static enum m2m_rc look(struct task *t, struct store_look *on, struct m2m_err *err)
{
	int ends[2] = { -1, -1 };
	pid_t pid = -1;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return m2m_fail_errno(err, "%s: cannot be checked", t->dir);
	t->out = ends[1];
	pid = fork();
	if (pid == 0)
		child_main(t);
	if (pid < 0)
		m2m_fail_errno(err, "%s: cannot be checked", t->dir);
	close(ends[1]);
	*on = (struct store_look){ .pid = pid, .fd = ends[0] };
	if (pid > 0)
		return child_end(t->dir, on, t->budget_ms, err);
	close(ends[0]);
	*on = (struct store_look){ .fd = -1 };
	return M2M_EIO;
}

enum m2m_rc store_lmdb_look(const char *dir, int64_t budget_ms, struct m2m_err *err)
{
	struct task t = { .dir = dir, .budget_ms = budget_ms };
	struct store_look on;

	return look(&t, &on, err);
}

enum m2m_rc store_lmdb_look_on(const char *dir, int64_t budget_ms, struct store_look *on, struct m2m_err *err)
{
	struct task t = { .dir = dir, .budget_ms = budget_ms, .go_on = true };

	return look(&t, on, err);
}

bool store_lmdb_look_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

enum m2m_rc store_lmdb_look_end(struct store_look *on, const char *dir, struct m2m_err *err)
{
	return child_end(dir, on, 0, err);
}

enum m2m_rc store_check(const char *dir, struct m2m_err *err)
{
	bool found = false;
	enum m2m_rc rc = store_files_check(dir, &found, err);

	if (rc == M2M_OK && !found)
		rc = m2m_fail(err, M2M_ENOENT, "%s: there is no store in it", dir);
	return rc == M2M_OK ? store_lmdb_look(dir, 0, err) : rc;
}

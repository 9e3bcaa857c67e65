/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit log's threads. The writer takes what waits, makes lines of it, gives them to the sinks and has those told
 * who wait; it alone touches chain, file and syslog. The syncer has the file synced after that; nobody waits for it.
 * The warden is the queue's. `lock` guards what writer and syncer share, and `broken`. */
#include "config.h"

#include "common/audit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/audit_chain.h"
#include "common/audit_queue.h"
#include "common/audit_sink.h"

#define CHECKPOINT_LINES 1000
#define CHECKPOINT_MS 10000
#define RETRY_MS 1000

struct m2m_audit {
	const struct m2m_env *env;
	struct m2m_audit_keep keep;
	struct m2m_key name_key; /* constant */

	struct audit_queue queue;

	pthread_mutex_t lock;
	pthread_cond_t to_sync;
	bool done_writing;
	bool dirty;	  /* written, not synced */
	bool sync_failed; /* the writer opens the file anew */
	bool broken;	  /* no sink took what was written last */
	int fd;		  /* file.fd, for the syncer */

	/* the writer's */
	struct audit_chain chain;
	struct audit_file file;
	struct audit_syslog syslog;
	struct m2m_secret text;
	struct audit_line opening; /* to be written next, if announce */
	bool announce;
	bool file_told, keep_told; /* a failure was logged */
	int64_t retry_ms, unsigned_since_ms;

	pthread_t writer, syncer, warden;
	unsigned threads; /* how many of them run */
};

/* Log a failure once, and again only after it was over. */
static void tell(struct m2m_audit *a, bool *told, const char *text)
{
	if (!*told)
		m2m_log(a->env, M2M_ERROR, "audit log: %s", text);
	*told = true;
}

/* --- opening the file ---------------------------------------------------- */

/* Would c's newest checkpoint be the next line? It was about to be written when the server stopped. */
static bool checkpoint_is_next(const struct audit_chain *c, const struct audit_tail *t)
{
	struct audit_line l = { 0 };

	return t->any && !t->strange && t->has_key && c->checkpoint.n > 0 &&
	       audit_line_parse(m2m_secret_span(&c->checkpoint), &l, NULL) == M2M_OK && l.seq == t->seq + 1 &&
	       memcmp(l.prev, t->hash, sizeof(l.prev)) == 0 && audit_signed(&l, t->key);
}

/* Place the chain after what the file ends with. gap: out, lines are missing that were written. first: the chain
 * comes from the state kept; else it is the one that runs. */
static enum m2m_rc go_on_after(struct m2m_audit *a, const struct audit_tail *t, bool first, bool *gap,
			       struct m2m_err *err)
{
	struct audit_chain *c = &a->chain;
	uint8_t key[AUDIT_KEY];
	enum m2m_rc rc = audit_public(&c->seed, key, err);

	*gap = false;
	if (rc != M2M_OK)
		return rc;
	if (!first) {
		/* moved away by an operator: a new file goes on with the chain; else it must end where the chain does
		 */
		*gap = t->any && (t->strange || memcmp(t->hash, c->prev, sizeof(c->prev)) != 0);
	} else if (!t->any) {
		*gap = c->checkpoint.n > 0 || t->strange;
	} else if (checkpoint_is_next(c, t)) {
		return audit_file_write(&a->file, m2m_secret_span(&c->checkpoint), err);
	} else if (!t->strange && t->has_key && memcmp(t->key, key, sizeof(key)) == 0) {
		memcpy(c->prev, t->hash, sizeof(c->prev));
		c->next_seq = t->seq + 1;
	} else {
		*gap = true;
	}
	if (*gap && t->any && c->next_seq <= t->seq)
		c->next_seq = t->seq + 1;
	return M2M_OK;
}

static enum m2m_rc open_file(struct m2m_audit *a, bool first, struct m2m_err *err)
{
	struct audit_tail tail = { 0 };
	bool gap = false;
	enum m2m_rc rc = audit_file_open(&a->file, &tail, err);

	if (rc == M2M_OK)
		rc = go_on_after(a, &tail, first, &gap, err);
	if (rc != M2M_OK) {
		audit_file_close(&a->file);
		return rc;
	}
	if (gap)
		m2m_log(a->env, M2M_ERROR, "audit log: %s: lines that this server wrote are not there any more",
			a->file.path);
	a->opening = (struct audit_line){ .kind = AUDIT_OPEN, .gap = gap, .torn = tail.torn };
	a->announce = true;
	pthread_mutex_lock(&a->lock);
	a->fd = a->file.fd;
	a->sync_failed = false;
	pthread_mutex_unlock(&a->lock);
	return M2M_OK;
}

static void shut_file(struct m2m_audit *a)
{
	pthread_mutex_lock(&a->lock);
	a->fd = -1;
	pthread_mutex_unlock(&a->lock);
	audit_file_close(&a->file);
	a->announce = false;
	a->retry_ms = audit_now_ms() + RETRY_MS;
}

static void file_failed(struct m2m_audit *a, const struct m2m_err *err)
{
	tell(a, &a->file_told, err->text);
	shut_file(a);
}

/* Before each write: moved away, or not open. */
static void ready_file(struct m2m_audit *a)
{
	struct m2m_err err = { 0 };
	bool failed = false;

	pthread_mutex_lock(&a->lock);
	failed = a->sync_failed;
	pthread_mutex_unlock(&a->lock);
	if (a->file.fd >= 0 && (failed || audit_file_is_gone(&a->file))) {
		shut_file(a);
		a->retry_ms = failed ? a->retry_ms : 0;
	}
	if (a->file.fd >= 0 || audit_now_ms() < a->retry_ms)
		return;
	if (open_file(a, false, &err) != M2M_OK)
		file_failed(a, &err);
}

/* --- writing ------------------------------------------------------------- */

/* Give text to the sinks. False: none has it. */
static bool give(struct m2m_audit *a, struct m2m_span text)
{
	struct m2m_err err = { 0 };
	bool in_file = a->file.fd >= 0 && audit_file_write(&a->file, text, &err) == M2M_OK;
	bool in_log = audit_syslog_write(&a->syslog, text), told = false;

	if (in_file) {
		a->announce = false;
		a->file_told = false;
		pthread_mutex_lock(&a->lock);
		a->dirty = true;
		pthread_cond_signal(&a->to_sync);
		pthread_mutex_unlock(&a->lock);
	} else if (a->file.fd >= 0) {
		file_failed(a, &err);
	}
	pthread_mutex_lock(&a->lock);
	told = a->broken;
	a->broken = !in_file && !in_log;
	pthread_mutex_unlock(&a->lock);
	if (!in_file && !in_log)
		tell(a, &told, "no sink takes it: requests are refused");
	return in_file || in_log;
}

static enum m2m_rc print(struct m2m_audit *a, struct audit_wait *const *batch, size_t n, struct m2m_err *err)
{
	struct audit_line opening = a->announce ? a->opening : (struct audit_line){ .kind = AUDIT_OPEN };
	enum m2m_rc rc = M2M_OK;

	m2m_secret_reset(&a->text);
	opening.time_us = m2m_now_us(a->env);
	if (a->announce || n == 0)
		rc = audit_chain_add(&a->chain, &opening, &a->text, err);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < batch[i]->n && rc == M2M_OK; k++)
			rc = audit_chain_add(&a->chain, &batch[i]->line[k], &a->text, err);
	}
	return rc;
}

/* Write the batch (an opening, if there is none), or nothing of it. The chain moves only if it was written. */
static bool write_batch(struct m2m_audit *a, struct audit_wait *const *batch, size_t n)
{
	const struct audit_chain before = a->chain;
	struct m2m_err err = { 0 };
	bool written = false;

	ready_file(a);
	if (print(a, batch, n, &err) != M2M_OK)
		m2m_log(a->env, M2M_ERROR, "%s", err.text);
	else
		written = give(a, m2m_secret_span(&a->text));
	if (!written)
		a->chain = before;
	else if (before.unsigned_lines == 0)
		a->unsigned_since_ms = audit_now_ms();
	return written;
}

static void keep_failed(struct m2m_audit *a, const struct m2m_err *err)
{
	tell(a, &a->keep_told, err->text);
	a->unsigned_since_ms = audit_now_ms(); /* again in ten seconds */
}

static enum m2m_rc save(struct m2m_audit *a, const struct audit_chain *c, struct m2m_err *err)
{
	struct m2m_secret state = { 0 };
	enum m2m_rc rc = audit_chain_state(c, &state, err);

	if (rc == M2M_OK)
		rc = a->keep.save(a->keep.arg, m2m_secret_span(&state), err);
	m2m_secret_wipe(&state);
	return rc;
}

/* The state first: what was signed with a key that is forgotten can be written again, not the other way round. */
static void checkpoint(struct m2m_audit *a)
{
	struct audit_chain next = { 0 };
	struct m2m_err err = { 0 };

	if (audit_chain_checkpoint(&a->chain, a->env, m2m_now_us(a->env), &next, &err) != M2M_OK ||
	    save(a, &next, &err) != M2M_OK) {
		keep_failed(a, &err);
		audit_chain_wipe(&next);
		return;
	}
	a->keep_told = false;
	audit_chain_wipe(&a->chain);
	a->chain = next;
	(void)give(a, m2m_secret_span(&next.checkpoint)); /* if no sink takes it, the next opening tells of a gap */
}

static bool checkpoint_due(const struct m2m_audit *a)
{
	return a->chain.unsigned_lines >= CHECKPOINT_LINES ||
	       (a->chain.unsigned_lines > 0 && audit_now_ms() >= a->unsigned_since_ms + CHECKPOINT_MS);
}

/* When the writer has something to do though nobody asks; 0: not before somebody does. */
static int64_t next_ms(struct m2m_audit *a)
{
	if (!m2m_audit_works(a))
		return a->retry_ms;
	return a->chain.unsigned_lines > 0 ? a->unsigned_since_ms + CHECKPOINT_MS : 0;
}

static void *write_on(void *arg)
{
	struct m2m_audit *a = arg;
	struct audit_wait *batch[AUDIT_BATCH_MAX];
	bool end = false;

	while (!end) {
		size_t n = audit_queue_take(&a->queue, next_ms(a), batch, &end);

		if (n > 0)
			audit_queue_answer(&a->queue, batch, n, write_batch(a, batch, n));
		else if (!end && !m2m_audit_works(a))
			(void)write_batch(a, NULL, 0);
		if (checkpoint_due(a) || (end && a->chain.unsigned_lines > 0))
			checkpoint(a);
	}
	audit_queue_closed(&a->queue);
	pthread_mutex_lock(&a->lock);
	a->done_writing = true;
	pthread_cond_broadcast(&a->to_sync);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static void *sync_on(void *arg)
{
	struct m2m_audit *a = arg;

	pthread_mutex_lock(&a->lock);
	while (a->dirty || !a->done_writing) {
		int fd = -1, rc = 0;

		if (!a->dirty) {
			pthread_cond_wait(&a->to_sync, &a->lock);
			continue;
		}
		a->dirty = false;
		fd = a->fd >= 0 ? dup(a->fd) : -1;
		pthread_mutex_unlock(&a->lock);
		rc = fd >= 0 ? fdatasync(fd) : 0;
		if (rc != 0)
			m2m_log(a->env, M2M_ERROR, "audit log: %s: cannot be synced: %s", a->file.path,
				strerror(errno));
		if (fd >= 0)
			close(fd);
		pthread_mutex_lock(&a->lock);
		a->sync_failed = a->sync_failed || rc != 0;
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static void *watch_on(void *arg)
{
	struct m2m_audit *a = arg;

	audit_queue_watch(&a->queue);
	return NULL;
}

/* --- writing, the caller's side ------------------------------------------ */

bool m2m_audit_works(struct m2m_audit *a)
{
	bool works = false;

	pthread_mutex_lock(&a->lock);
	works = !a->broken;
	pthread_mutex_unlock(&a->lock);
	return works;
}

static bool fill(const struct m2m_audit *a, const struct m2m_audit_record *r, int64_t now_us, struct audit_line *l)
{
	l->kind = AUDIT_RECORD;
	l->time_us = now_us;
	l->suid = r->suid;
	l->result = r->result;
	l->took_us = r->took_us > 0 ? (uint64_t)r->took_us : 0;
	return (size_t)snprintf(l->command, sizeof(l->command), "%s", r->command) < sizeof(l->command) &&
	       (size_t)snprintf(l->peer, sizeof(l->peer), "%s", r->peer) < sizeof(l->peer) &&
	       audit_pseudonym(&a->name_key, r->name, l->name, NULL) == M2M_OK;
}

void m2m_audit_write(struct m2m_audit *a, const struct m2m_audit_record *r, size_t n, unsigned wait_ms,
		     m2m_audit_done *done, void *arg)
{
	struct audit_wait *w = calloc(1, sizeof(*w) + n * sizeof(w->line[0]));
	int64_t now = m2m_now_us(a->env);
	bool good = w != NULL;

	for (size_t i = 0; good && i < n; i++)
		good = fill(a, &r[i], now, &w->line[i]);
	if (good) {
		w->done = done;
		w->arg = arg;
		w->n = n;
		w->until_ms = audit_now_ms() + wait_ms;
		good = audit_queue_put(&a->queue, w);
	}
	if (!good) {
		free(w);
		done(arg, false);
	}
}

/* --- opening, closing ---------------------------------------------------- */

/* The chain as it was kept, or a new one, which is kept at once. */
static enum m2m_rc load_chain(struct m2m_audit *a, const char *node, struct m2m_err *err)
{
	struct m2m_secret state = { 0 };
	enum m2m_rc rc = a->keep.load(a->keep.arg, &state, err);

	if (rc == M2M_OK) {
		rc = audit_chain_load(&a->chain, node, m2m_secret_span(&state), err);
	} else if (rc == M2M_ENOENT) {
		rc = audit_chain_new(&a->chain, node, a->env, err);
		if (rc == M2M_OK)
			rc = save(a, &a->chain, err);
	}
	m2m_secret_wipe(&state);
	a->name_key = a->chain.name_key;
	return rc;
}

/* All signals are the host's. */
static enum m2m_rc start(struct m2m_audit *a, struct m2m_err *err)
{
	void *(*const run[])(void *) = { write_on, sync_on, watch_on };
	pthread_t *const thread[] = { &a->writer, &a->syncer, &a->warden };
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (a->threads < 3 && pthread_create(thread[a->threads], NULL, run[a->threads], a) == 0)
		a->threads++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return a->threads == 3 ? M2M_OK : m2m_fail(err, M2M_ENOMEM, "audit log: cannot start a thread");
}

enum m2m_rc m2m_audit_open(const struct m2m_audit_conf *conf, const struct m2m_env *env, struct m2m_audit **out,
			   struct m2m_err *err)
{
	struct m2m_audit *a = calloc(1, sizeof(*a));
	enum m2m_rc rc = M2M_OK;

	*out = NULL;
	if (!a)
		return m2m_fail(err, M2M_ENOMEM, "audit log: out of memory");
	a->env = env;
	a->keep = conf->keep;
	a->fd = a->file.fd = a->syslog.fd = -1;
	audit_queue_init(&a->queue);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->to_sync, NULL);
	if ((size_t)snprintf(a->file.path, sizeof(a->file.path), "%s", conf->file) >= sizeof(a->file.path) ||
	    (size_t)snprintf(a->syslog.path, sizeof(a->syslog.path), "%s", conf->system_log ? conf->system_log : "") >=
		    sizeof(a->syslog.path))
		rc = m2m_fail(err, M2M_EINVAL, "audit log: a path is too long");
	if (rc == M2M_OK)
		rc = load_chain(a, conf->node, err);
	if (rc == M2M_OK)
		rc = open_file(a, true, err);
	if (rc == M2M_OK && !write_batch(a, NULL, 0))
		rc = m2m_fail(err, M2M_EIO, "audit log: %s: cannot be written", conf->file);
	if (rc == M2M_OK)
		rc = start(a, err);
	if (rc == M2M_OK)
		*out = a;
	else
		m2m_audit_close(a);
	return rc;
}

void m2m_audit_close(struct m2m_audit *a)
{
	if (!a)
		return;
	audit_queue_close(&a->queue);
	if (a->threads > 0)
		pthread_join(a->writer, NULL);
	if (a->threads > 1)
		pthread_join(a->syncer, NULL);
	if (a->threads > 2)
		pthread_join(a->warden, NULL);
	audit_file_close(&a->file);
	audit_syslog_close(&a->syslog);
	audit_chain_wipe(&a->chain);
	m2m_key_wipe(&a->name_key);
	m2m_secret_wipe(&a->text);
	audit_queue_free(&a->queue);
	pthread_cond_destroy(&a->to_sync);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

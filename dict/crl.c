/* SPDX-License-Identifier: BSD-2-Clause */
/* Revocation lists, their file watched. Owns the lists; `lock` guards everything in the struct. */
#include "config.h"

#include "dict/crl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LISTS_MAX 16
#define DEPTH_MAX 8 /* CAs above one another */

/* What tells one state of the file from another; all zero: it is not there. */
struct look {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

/* What a file holds: one list of each CA. */
struct lists {
	gnutls_x509_crl_t *v; /* GnuTLS's memory */
	unsigned n;
};

struct m2m_crl {
	const char *path;
	const gnutls_x509_crt_t *cas;
	unsigned ncas;
	const struct m2m_env *env;
	pthread_mutex_t lock;
	int64_t looked; /* s */
	struct look look;
	struct lists lists;
	int64_t next_update; /* s, the first of theirs */
	bool told;	     /* that it has passed */
};

static void lists_free(struct lists *lists)
{
	for (unsigned i = 0; i < lists->n; i++)
		gnutls_x509_crl_deinit(lists->v[i]);
	gnutls_free(lists->v);
	*lists = (struct lists){ NULL, 0 };
}

static bool look_at(const char *path, struct look *out)
{
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return false;
	*out = (struct look){ st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim };
	return true;
}

static bool look_equal(const struct look *a, const struct look *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
	       a->mtime.tv_nsec == b->mtime.tv_nsec && a->ctime.tv_sec == b->ctime.tv_sec &&
	       a->ctime.tv_nsec == b->ctime.tv_nsec;
}

static enum m2m_rc check_list(const struct m2m_crl *crl, gnutls_x509_crl_t list, struct m2m_err *err)
{
	int64_t next = gnutls_x509_crl_get_next_update(list);
	unsigned status = 0;
	char when[16];

	if (next < 0)
		return m2m_fail(err, M2M_ECONF, "%s: has no nextUpdate", crl->path);
	if (next <= m2m_now(crl->env)) {
		m2m_time_format(next, when);
		return m2m_fail(err, M2M_ECONF, "%s: its nextUpdate, %s, has passed", crl->path, when);
	}
	if (gnutls_x509_crl_verify(list, crl->cas, crl->ncas, 0, &status) < 0)
		return m2m_fail(err, M2M_ECONF, "%s: its signature cannot be verified", crl->path);
	if (status & GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE)
		return m2m_fail(err, M2M_ECONF, "%s: its thisUpdate is yet to come", crl->path);
	if (status != 0)
		return m2m_fail(err, M2M_ECONF, "%s: is not signed by a CA of peers (TLS_CA)", crl->path);
	return M2M_OK;
}

static enum m2m_rc import(const char *path, const gnutls_datum_t *data, struct lists *out, struct m2m_err *err)
{
	int e = gnutls_x509_crl_list_import2(&out->v, &out->n, data, GNUTLS_X509_FMT_PEM, 0);

	if (e < 0) {
		*out = (struct lists){ NULL, 0 };
		return m2m_fail(err, e == GNUTLS_E_MEMORY_ERROR ? M2M_ENOMEM : M2M_ECONF,
				"%s: is no revocation list in PEM: %s", path, gnutls_strerror(e));
	}
	if (out->n == 0 || out->n > LISTS_MAX)
		return m2m_fail(err, M2M_ECONF, "%s: holds %u revocation lists, not 1 to %d", path, out->n, LISTS_MAX);
	return M2M_OK;
}

static bool same_ca(gnutls_x509_crl_t a, gnutls_x509_crl_t b)
{
	gnutls_datum_t x = { NULL, 0 }, y = { NULL, 0 };
	bool same = gnutls_x509_crl_get_raw_issuer_dn(a, &x) == 0 && gnutls_x509_crl_get_raw_issuer_dn(b, &y) == 0 &&
		    x.size == y.size && memcmp(x.data, y.data, x.size) == 0;

	gnutls_free(x.data);
	gnutls_free(y.data);
	return same;
}

static gnutls_x509_crl_t list_like(const struct lists *lists, unsigned n, gnutls_x509_crl_t list)
{
	for (unsigned i = 0; i < n; i++)
		if (same_ca(lists->v[i], list))
			return lists->v[i];
	return NULL;
}

/* Each good, one of each CA, and none that takes back what is known. */
static enum m2m_rc check_lists(const struct m2m_crl *crl, const struct lists *lists, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	for (unsigned i = 0; rc == M2M_OK && i < lists->n; i++) {
		rc = check_list(crl, lists->v[i], err);
		if (rc == M2M_OK && list_like(lists, i, lists->v[i]))
			rc = m2m_fail(err, M2M_ECONF, "%s: holds two revocation lists of one CA", crl->path);
	}
	for (unsigned i = 0; rc == M2M_OK && i < crl->lists.n; i++) {
		gnutls_x509_crl_t was = crl->lists.v[i], is = list_like(lists, lists->n, was);

		if (!is)
			rc = m2m_fail(err, M2M_ECONF, "%s: the list of one of its CAs is missing", crl->path);
		else if (gnutls_x509_crl_get_this_update(is) < gnutls_x509_crl_get_this_update(was))
			rc = m2m_fail(err, M2M_ECONF, "%s: is older than the list in force", crl->path);
	}
	return rc;
}

static int64_t first_end(const struct lists *lists)
{
	int64_t first = INT64_MAX;

	for (unsigned i = 0; i < lists->n; i++) {
		int64_t next = gnutls_x509_crl_get_next_update(lists->v[i]);

		first = next < first ? next : first;
	}
	return first;
}

/* Read the file as it is now, and put its lists in force if they are good. look: what is on record as read, in any
 * case. */
static enum m2m_rc load(struct m2m_crl *crl, const struct look *look, struct m2m_err *err)
{
	gnutls_datum_t data = { NULL, 0 };
	struct lists lists = { NULL, 0 };
	enum m2m_rc rc = M2M_OK;

	crl->look = *look;
	if (look->size > M2M_CRL_SIZE_MAX)
		return m2m_fail(err, M2M_ECONF, "%s: is larger than %u octets", crl->path, M2M_CRL_SIZE_MAX);
	if (look->ino == 0 || gnutls_load_file(crl->path, &data) < 0)
		return m2m_fail(err, M2M_ECONF, "%s: cannot be read", crl->path);
	rc = import(crl->path, &data, &lists, err);
	gnutls_free(data.data);
	if (!rc)
		rc = check_lists(crl, &lists, err);
	if (rc) {
		lists_free(&lists);
		return rc;
	}
	lists_free(&crl->lists);
	crl->lists = lists;
	crl->next_update = first_end(&lists);
	crl->told = false;
	return M2M_OK;
}

enum m2m_rc m2m_crl_open(const char *path, const gnutls_x509_crt_t *cas, unsigned n, const struct m2m_env *env,
			 struct m2m_crl **out, struct m2m_err *err)
{
	struct m2m_crl *crl = calloc(1, sizeof(*crl));
	struct look look;
	enum m2m_rc rc;

	if (!crl)
		return m2m_fail(err, M2M_ENOMEM, "%s: out of memory", path);
	*crl = (struct m2m_crl){ .path = path, .cas = cas, .ncas = n, .env = env, .looked = m2m_now(env) };
	pthread_mutex_init(&crl->lock, NULL);
	look_at(path, &look);
	rc = load(crl, &look, err);
	if (rc) {
		m2m_crl_close(crl);
		return rc;
	}
	*out = crl;
	return M2M_OK;
}

void m2m_crl_close(struct m2m_crl *crl)
{
	if (!crl)
		return;
	lists_free(&crl->lists);
	pthread_mutex_destroy(&crl->lock);
	free(crl);
}

static unsigned revoked_count(const struct lists *lists)
{
	unsigned n = 0;

	for (unsigned i = 0; i < lists->n; i++) {
		int in_it = gnutls_x509_crl_get_crt_count(lists->v[i]);

		n += in_it > 0 ? (unsigned)in_it : 0;
	}
	return n;
}

static bool look_again(struct m2m_crl *crl, int64_t now)
{
	struct m2m_err err = { 0 };
	struct look look;
	enum m2m_rc rc;

	if (now >= crl->next_update && !crl->told) {
		crl->told = true;
		m2m_log(crl->env, M2M_ERROR, "%s: its nextUpdate has passed, it stays in force until there is another",
			crl->path);
	}
	look_at(crl->path, &look);
	if (look_equal(&look, &crl->look))
		return false;
	rc = load(crl, &look, &err);
	if (rc)
		m2m_log(crl->env, M2M_ERROR, "%s; the revocation list that was read before stays in force", err.text);
	else
		m2m_log(crl->env, M2M_NOTICE, "%s: read again, %u certificates are revoked", crl->path,
			revoked_count(&crl->lists));
	return rc == M2M_OK;
}

bool m2m_crl_look(struct m2m_crl *crl)
{
	int64_t now = m2m_now(crl->env);
	bool changed = false;

	if (pthread_mutex_trylock(&crl->lock))
		return false; /* somebody else looks */
	if (now != crl->looked) {
		crl->looked = now;
		changed = look_again(crl, now);
	}
	pthread_mutex_unlock(&crl->lock);
	return changed;
}

static bool on_a_list(const struct m2m_crl *crl, gnutls_x509_crt_t crt)
{
	return gnutls_x509_crt_check_revocation(crt, crl->lists.v, crl->lists.n) != 0; /* also where it cannot tell */
}

/* Is a CA above it revoked, of those that are configured? */
static bool ca_revoked(const struct m2m_crl *crl, gnutls_x509_crt_t crt, unsigned depth)
{
	for (unsigned i = 0; depth > 0 && i < crl->ncas; i++) {
		gnutls_x509_crt_t ca = crl->cas[i];

		if (gnutls_x509_crt_check_issuer(crt, ca) == 1 && !gnutls_x509_crt_equals(crt, ca) &&
		    (on_a_list(crl, ca) || ca_revoked(crl, ca, depth - 1)))
			return true;
	}
	return false;
}

bool m2m_crl_revokes(struct m2m_crl *crl, const gnutls_x509_crt_t *chain, unsigned n)
{
	bool revoked = false;

	pthread_mutex_lock(&crl->lock);
	for (unsigned i = 0; i < n && !revoked; i++)
		revoked = on_a_list(crl, chain[i]) || ca_revoked(crl, chain[i], DEPTH_MAX);
	pthread_mutex_unlock(&crl->lock);
	return revoked;
}

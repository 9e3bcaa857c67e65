/* SPDX-License-Identifier: BSD-2-Clause */
/* A revocation list, its file watched. Owns the list; `lock` guards everything in the struct. */
#include "config.h"

#include "dict/crl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What tells one state of the file from another; all zero: it is not there. */
struct look {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

struct m2m_crl {
	const char *path;
	const gnutls_x509_crt_t *cas;
	unsigned ncas;
	const struct m2m_env *env;
	pthread_mutex_t lock;
	int64_t looked; /* s */
	struct look look;
	gnutls_x509_crl_t list;
	int64_t next_update; /* s, of the list */
	bool told;	     /* that it has passed */
};

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
		return m2m_fail(err, M2M_ECONF, "%s: is not signed by the CA of peers (TLS_CA)", crl->path);
	return M2M_OK;
}

static enum m2m_rc import(const char *path, const gnutls_datum_t *data, gnutls_x509_crl_t *out, struct m2m_err *err)
{
	gnutls_x509_crl_t *lists = NULL;
	unsigned n = 0;
	int e = gnutls_x509_crl_list_import2(&lists, &n, data, GNUTLS_X509_FMT_PEM, 0);

	if (e < 0)
		return m2m_fail(err, e == GNUTLS_E_MEMORY_ERROR ? M2M_ENOMEM : M2M_ECONF,
				"%s: is no revocation list in PEM: %s", path, gnutls_strerror(e));
	if (n == 1)
		*out = lists[0];
	for (unsigned i = 0; n != 1 && i < n; i++)
		gnutls_x509_crl_deinit(lists[i]);
	gnutls_free(lists);
	return n == 1 ? M2M_OK : m2m_fail(err, M2M_ECONF, "%s: holds %u revocation lists, not one", path, n);
}

/* Read the file as it is now, and put its list in force if it is good. look: what is on record as read, in any case. */
static enum m2m_rc load(struct m2m_crl *crl, const struct look *look, struct m2m_err *err)
{
	gnutls_datum_t data = { NULL, 0 };
	gnutls_x509_crl_t list = NULL;
	enum m2m_rc rc = M2M_OK;

	crl->look = *look;
	if (look->size > M2M_CRL_SIZE_MAX)
		return m2m_fail(err, M2M_ECONF, "%s: is larger than %u octets", crl->path, M2M_CRL_SIZE_MAX);
	if (look->ino == 0 || gnutls_load_file(crl->path, &data) < 0)
		return m2m_fail(err, M2M_ECONF, "%s: cannot be read", crl->path);
	rc = import(crl->path, &data, &list, err);
	gnutls_free(data.data);
	if (!rc)
		rc = check_list(crl, list, err);
	if (!rc && crl->list && gnutls_x509_crl_get_this_update(list) < gnutls_x509_crl_get_this_update(crl->list))
		rc = m2m_fail(err, M2M_ECONF, "%s: is older than the list in force", crl->path);
	if (rc) {
		if (list)
			gnutls_x509_crl_deinit(list);
		return rc;
	}
	if (crl->list)
		gnutls_x509_crl_deinit(crl->list);
	crl->list = list;
	crl->next_update = gnutls_x509_crl_get_next_update(list);
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
	if (crl->list)
		gnutls_x509_crl_deinit(crl->list);
	pthread_mutex_destroy(&crl->lock);
	free(crl);
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
		m2m_log(crl->env, M2M_NOTICE, "%s: read again, %d certificates are revoked", crl->path,
			gnutls_x509_crl_get_crt_count(crl->list));
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

bool m2m_crl_revokes(struct m2m_crl *crl, gnutls_x509_crt_t crt)
{
	bool revoked;

	pthread_mutex_lock(&crl->lock);
	revoked = gnutls_x509_crt_check_revocation(crt, &crl->list, 1) != 0; /* also where it cannot tell */
	pthread_mutex_unlock(&crl->lock);
	return revoked;
}

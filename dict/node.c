/* SPDX-License-Identifier: BSD-2-Clause */
/* The node: this extension's face on freeDiameter, its lifecycle and what all of it shares.
 *
 * One per extension: the host gives some callbacks no argument, so a static pointer leads to it. It is counted: the
 * owner, every call under way and every host callback under way hold it. */
#include "config.h"

#include "dict/node_int.h"

#include "common/hex.h"

#include <time.h>

static struct {
	pthread_mutex_t lock;
	struct dict_node *node;
} self = { PTHREAD_MUTEX_INITIALIZER, NULL };

/* --- the cores' environment ------------------------------------------------------------------------------------- */

static int64_t env_now_us(void *arg)
{
	(void)arg;
	return m2m_env_system.now_us(m2m_env_system.arg);
}

static enum m2m_rc env_random(void *arg, void *p, size_t n)
{
	(void)arg;
	return m2m_env_system.random(m2m_env_system.arg, p, n);
}

static void env_log(void *arg, enum m2m_level level, const char *text)
{
	(void)arg;
	fd_log(level == M2M_ERROR ? FD_LOG_ERROR : level == M2M_NOTICE ? FD_LOG_NOTICE : FD_LOG_DEBUG, "%s", text);
}

const struct m2m_env dict_env = { env_now_us, env_random, env_log, NULL };

/* --- references ------------------------------------------------------------------------------------------------- */

void dict_node_ref(struct dict_node *node)
{
	pthread_mutex_lock(&node->lock);
	node->refs++;
	pthread_mutex_unlock(&node->lock);
}

static void destroy(struct dict_node *node)
{
	dict_links_free(node);
	pthread_rwlock_destroy(&node->links_lock);
	pthread_cond_destroy(&node->idle);
	pthread_cond_destroy(&node->self.wake);
	pthread_mutex_destroy(&node->lock);
	pthread_mutex_destroy(&node->rates_lock);
	pthread_mutex_destroy(&node->up_lock);
	free(node->rates);
	m2m_again_free(node->again);
	m2m_metrics_free(node->metrics);
	m2m_log_limit_close(&node->log_limit);
	free(node);
}

void dict_node_unref(struct dict_node *node)
{
	bool last;

	pthread_mutex_lock(&node->lock);
	last = --node->refs == 0;
	pthread_cond_broadcast(&node->idle);
	pthread_mutex_unlock(&node->lock);
	if (last)
		destroy(node);
}

struct dict_node *dict_node_self(void)
{
	struct dict_node *node;

	pthread_mutex_lock(&self.lock);
	node = self.node;
	if (node)
		dict_node_ref(node);
	pthread_mutex_unlock(&self.lock);
	return node;
}

/* False: there is one already. */
static bool become_self(struct dict_node *node)
{
	bool free_place;

	pthread_mutex_lock(&self.lock);
	free_place = self.node == NULL;
	if (free_place)
		self.node = node;
	pthread_mutex_unlock(&self.lock);
	return free_place;
}

static void resign(struct dict_node *node)
{
	pthread_mutex_lock(&self.lock);
	if (self.node == node)
		self.node = NULL;
	pthread_mutex_unlock(&self.lock);
}

/* --- lifecycle -------------------------------------------------------------------------------------------------- */

static struct dict_node *alloc(const struct m2m_conf_sections *peers)
{
	pthread_condattr_t attr;
	struct dict_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->rates = calloc(peers->n * M2M_CMDS + 1, sizeof(*node->rates));
	node->again = m2m_again_new(peers->n);
	if (!node->rates || !node->again) {
		m2m_again_free(node->again);
		free(node->rates);
		free(node);
		return NULL;
	}
	node->refs = 1;
	node->peers = peers;
	m2m_log_limit_init(&node->log_limit, M2M_LOG_MANY, M2M_LOG_FEW);
	pthread_mutex_init(&node->rates_lock, NULL);
	pthread_mutex_init(&node->up_lock, NULL);
	pthread_mutex_init(&node->lock, NULL);
	pthread_rwlock_init(&node->links_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&node->idle, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&node->self.wake, NULL);
	return node;
}

static enum m2m_rc take_identity(struct dict_node *node, struct m2m_err *err)
{
	enum m2m_rc rc =
		m2m_fqdn_parse(m2m_span(fd_g_config->cnf_diamid, fd_g_config->cnf_diamid_len), &node->host, err);

	if (!rc)
		rc = m2m_fqdn_parse(m2m_span(fd_g_config->cnf_diamrlm, fd_g_config->cnf_diamrlm_len), &node->realm,
				    err);
	if (rc) {
		m2m_err_prefix(err, "freeDiameter's Identity or Realm");
		return M2M_ECONF;
	}
	node->codec.host = m2m_id_span(&node->host);
	node->codec.realm = m2m_id_span(&node->realm);
	return M2M_OK;
}

enum m2m_rc dict_node_new(const struct m2m_conf_sections *peers, struct dict_node **out, struct m2m_err *err)
{
	struct dict_node *node = alloc(peers);
	enum m2m_rc rc;

	if (!node)
		return m2m_fail(err, M2M_ENOMEM, "node: out of memory");
	rc = take_identity(node, err);
	if (!rc)
		rc = m2m_fd_dict_find(fd_g_config->cnf_dict, &node->codec.dict, err);
	if (!rc)
		rc = dict_env.random(NULL, &node->session_low, sizeof(node->session_low));
	if (!rc && !become_self(node))
		rc = m2m_fail(err, M2M_EEXIST, "node: this extension has one already");
	node->session_high = (uint32_t)m2m_now(&dict_env);
	if (!rc)
		rc = dict_links_open(node, err);
	if (!rc)
		rc = dict_ask_open(node, err);
	if (rc) {
		dict_node_free(node);
		return rc;
	}
	*out = node;
	return M2M_OK;
}

void dict_node_free(struct dict_node *node)
{
	if (!node)
		return;
	resign(node);
	dict_unserve(node);
	dict_ask_close(node);
	dict_links_close(node);
	dict_node_unref(node);
}

enum m2m_rc dict_node_count(struct dict_node *node, unsigned server, struct m2m_metrics **out, struct m2m_err *err)
{
	enum m2m_rc rc = m2m_metrics_new(server, dict_env.now_us(dict_env.arg), &node->metrics, err);

	*out = node->metrics;
	return rc;
}

const char *dict_node_identity(const struct dict_node *node)
{
	return node->host.s;
}

const char *dict_node_realm(const struct dict_node *node)
{
	return node->realm.s;
}

/* --- small services --------------------------------------------------------------------------------------------- */

enum m2m_rc dict_node_advertise(struct dict_node *node, enum m2m_cmd cmd, struct m2m_err *err)
{
	size_t app = m2m_cmds[cmd].app - M2M_APP_RP;
	bool done;

	pthread_mutex_lock(&node->lock);
	done = node->apps & 1U << app;
	node->apps |= 1U << app;
	pthread_mutex_unlock(&node->lock);
	if (!done && fd_disp_app_support(node->codec.dict.app[app], NULL, 1, 0))
		return m2m_fail(err, M2M_ENOMEM, "node: the host does not advertise %s", m2m_apps[app].name);
	return M2M_OK;
}

enum m2m_rc dict_client_of(struct dict_node *node, enum m2m_cmd cmd, struct m2m_err *err)
{
	return dict_node_advertise(node, cmd, err);
}

enum m2m_rc dict_session_id(struct dict_node *node, char *out, size_t size, struct m2m_err *err)
{
	uint8_t chance[8];
	char hex[2 * sizeof(chance) + 1];
	uint32_t high, low;
	int n;

	if (dict_env.random(NULL, chance, sizeof(chance)))
		return m2m_fail(err, M2M_ECRYPTO, "Session-Id: no randomness");
	pthread_mutex_lock(&node->lock);
	low = ++node->session_low;
	high = low ? node->session_high : ++node->session_high; /* RFC 6733 8.8: together they only grow */
	pthread_mutex_unlock(&node->lock);
	m2m_hex(chance, sizeof(chance), hex);
	n = snprintf(out, size, "%s;%u;%u;%s", node->host.s, high, low, hex);
	return n < 0 || (size_t)n >= size ? m2m_fail(err, M2M_EINVAL, "Session-Id: does not fit in %zu octets", size)
					  : M2M_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* m2m-node associate: a security association with an IN-CSE (protocol section 5.3), standard input and output copied
 * through it. One thread; a bounded buffer each way. */
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <unistd.h>

#include "common/kdf.h"
#include "csf/node.h"
#include "csf/node_keys.h"
#include "csf/node_tls.h"

#define PIPE_ROOM 4096 /* what poll promises that a pipe takes without blocking (PIPE_BUF) */

struct pipe_buf {
	uint8_t b[16384];
	size_t from, to; /* octets from..to are waiting */
};

struct copy {
	struct node_tls *tls;
	struct pipe_buf up, down; /* standard input -> peer, peer -> standard output */
	bool in_open, told_end, peer_open;
	short read_wants, write_wants; /* poll events without which SSL_read, SSL_write cannot go on; 0: try */
};

/* One SSL_read into an empty down buffer. */
static enum m2m_rc read_peer(struct copy *c, struct m2m_err *err)
{
	int n = 0;
	enum m2m_rc rc = M2M_OK;

	ERR_clear_error();
	errno = 0;
	n = SSL_read(c->tls->ssl, c->down.b, sizeof(c->down.b));
	c->read_wants = 0;
	if (n > 0) {
		c->down.from = 0;
		c->down.to = (size_t)n;
		return M2M_OK;
	}
	rc = node_tls_result(c->tls, n, &c->read_wants, "association", err);
	if (rc != M2M_ENOENT)
		return rc;
	c->peer_open = false;
	return M2M_OK;
}

static enum m2m_rc write_peer(struct copy *c, struct m2m_err *err)
{
	int n = 0;

	ERR_clear_error();
	errno = 0;
	n = SSL_write(c->tls->ssl, c->up.b + c->up.from, (int)(c->up.to - c->up.from));
	c->write_wants = 0;
	if (n <= 0)
		return node_tls_result(c->tls, n, &c->write_wants, "association", err);
	c->up.from += (size_t)n;
	return M2M_OK;
}

static enum m2m_rc read_input(struct copy *c, struct m2m_err *err)
{
	ssize_t n = read(STDIN_FILENO, c->up.b, sizeof(c->up.b));

	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return m2m_fail_errno(err, "standard input");
	if (n == 0)
		c->in_open = false;
	c->up.from = 0;
	c->up.to = n > 0 ? (size_t)n : 0;
	return M2M_OK;
}

static enum m2m_rc write_output(struct copy *c, struct m2m_err *err)
{
	size_t want = c->down.to - c->down.from;
	ssize_t n = write(STDOUT_FILENO, c->down.b + c->down.from, want < PIPE_ROOM ? want : PIPE_ROOM);

	if (n < 0 && errno != EINTR && errno != EAGAIN)
		return m2m_fail_errno(err, "standard output");
	if (n > 0)
		c->down.from += (size_t)n;
	return M2M_OK;
}

static bool empty(const struct pipe_buf *b)
{
	return b->from == b->to;
}

static void tell_end(struct copy *c)
{
	int n = 0;

	ERR_clear_error();
	n = SSL_shutdown(c->tls->ssl);
	/* Any other trouble shows when the peer is read. */
	if (n < 0 && SSL_get_error(c->tls->ssl, n) == SSL_ERROR_WANT_WRITE)
		c->write_wants = POLLOUT;
	else
		c->told_end = true;
}

/* What can be done with TLS without waiting; both wants are set when nothing more can. */
static enum m2m_rc pump_tls(struct copy *c, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	while (rc == M2M_OK && !empty(&c->up) && c->write_wants == 0)
		rc = write_peer(c, err);
	/* Our half is over; what the peer still sends is read (RFC 8446 6.1). */
	if (rc == M2M_OK && !c->in_open && empty(&c->up) && !c->told_end && c->write_wants == 0)
		tell_end(c);
	if (rc == M2M_OK && c->peer_open && empty(&c->down) && c->read_wants == 0)
		rc = read_peer(c, err);
	return rc;
}

static enum m2m_rc wait_and_serve(struct copy *c, struct m2m_err *err)
{
	struct pollfd p[3] = { { .fd = -1 }, { .fd = -1 }, { .fd = c->tls->fd } };
	enum m2m_rc rc = M2M_OK;

	if (c->in_open && empty(&c->up))
		p[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	if (!empty(&c->down))
		p[1] = (struct pollfd){ .fd = STDOUT_FILENO, .events = POLLOUT };
	if (empty(&c->down))
		p[2].events |= c->read_wants;
	p[2].events |= c->write_wants;
	if (p[2].events == 0)
		p[2].fd = -1;
	if (poll(p, 3, -1) < 0)
		return errno == EINTR ? M2M_OK : m2m_fail_errno(err, "association");
	if (p[2].revents != 0)
		c->read_wants = c->write_wants = 0;
	if (p[0].revents != 0)
		rc = read_input(c, err);
	if (rc == M2M_OK && p[1].revents != 0)
		rc = write_output(c, err);
	return rc;
}

static enum m2m_rc copy_both_ways(struct node_tls *tls, struct m2m_err *err)
{
	struct copy c = { .tls = tls, .in_open = true, .peer_open = true };
	enum m2m_rc rc = M2M_OK;

	while (rc == M2M_OK) {
		rc = pump_tls(&c, err);
		if (rc == M2M_OK && !c.peer_open && empty(&c.down))
			break;
		if (rc == M2M_OK)
			rc = wait_and_serve(&c, err);
	}
	m2m_wipe(&c, sizeof(c));
	return rc;
}

/* KI and Kc of the next sequence, which is in the keys file then. */
static enum m2m_rc next_key(const struct node_associate *arg, const struct m2m_env *env, struct m2m_id *name,
			    struct m2m_key *kc, struct m2m_err *err)
{
	struct node_keys *keys = NULL;
	const struct node_root_key *root = NULL;
	struct m2m_key_name km_id;
	struct m2m_ki ki = { 0 };
	size_t k = 0, t = 0;
	enum m2m_rc rc = node_keys_next_sequence(arg->keys, arg->mas_id, arg->target, env, &keys, &k, &t, err);

	if (rc != M2M_OK)
		goto out;
	root = &keys->keys[k];
	rc = m2m_key_name_parse(m2m_id_span(&root->km_id), &km_id, err);
	if (rc != M2M_OK)
		goto out;
	memcpy(ki.rel, km_id.rel, sizeof(ki.rel));
	ki.mas = root->mas_id;
	ki.sequence = (uint64_t)root->targets[t].last_sequence;
	rc = env->random(env->arg, ki.random, sizeof(ki.random));
	if (rc != M2M_OK) {
		rc = m2m_fail(err, rc, "no random octets");
		goto out;
	}
	m2m_ki_format(&ki, name);
	rc = m2m_kdf_kc(&root->km, m2m_id_span(name), m2m_id_span(&keys->enrolee_id), m2m_id_span(&root->targets[t].id),
			M2M_SUID_ASSOCIATION_KEY, kc, err);
out:
	node_keys_free(keys);
	return rc;
}

enum m2m_rc node_associate(const struct node_associate *arg, const struct m2m_env *env, struct m2m_err *err)
{
	struct m2m_id name;
	struct m2m_key kc = { 0 };
	struct node_psk psk = { .identity = name.s, .key = { kc.b, sizeof(kc.b) }, .strict_sha256 = true };
	struct node_tls tls = { .fd = -1 };
	enum m2m_rc rc = next_key(arg, env, &name, &kc, err);

	if (rc == M2M_OK)
		rc = node_tls_init(&tls, arg->tls12, &psk, err);
	if (rc == M2M_OK)
		rc = node_tls_connect(&tls, arg->address, arg->timeout, err);
	m2m_key_wipe(&kc);
	if (rc == M2M_OK)
		rc = copy_both_ways(&tls, err);
	node_tls_close(&tls);
	m2m_key_wipe(&kc);
	return rc;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The resolver. Belongs to the loop's thread, except on_answer, which lands a key in the cache from whatever
 * thread brought it and posts the rest to the loop. */
#include "csf/resolver.h"

#include "common/kdf.h"
#include "common/log_limit.h"
#include "csf/line.h"
#include "csf/listen.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#define SWEEP_S 5
#define WRITE_TIMEOUT_S 30			/* a client that does not read its answers */
#define OUTPUT_MAX (16 * CSF_RESOLVER_LINE_MAX) /* answers not read yet: requests wait */

/* A request that is not answered yet. */
struct slot {
	struct slot *next;
	struct csf_about about;
	bool subscribe;
	struct csf_key *key; /* a reference; NULL: outcome says all */
	enum csf_outcome outcome;
};

struct client {
	struct client *next, **at;
	struct csf_resolver *r;
	struct bufferevent *bev;
	struct slot *first, **end; /* in the order of the requests */
	size_t n;		   /* of them */
	bool last;		   /* nothing more is read: end of file, or hopeless */
	bool subscribed;
};

struct csf_resolver {
	struct csf_loop *loop;
	const struct csf_conf *conf;
	struct csf_out out;
	const struct m2m_env *env;
	struct m2m_log_limit log_limit;
	struct csf_keycache *cache;
	struct csf_listener *listener;
	struct event *sweep;
	struct client *clients;
	int64_t n;
};

/* An SKR under way. */
struct flight {
	struct csf_post post;
	struct csf_resolver *r;
	struct csf_key *key;
};

/* --- SKR -------------------------------------------------------------------------------------------------------- */

static enum csf_outcome outcome_of(uint32_t result)
{
	switch (result) {
	case DIAMETER_SUCCESS:
		return CSF_OK;
	case M2M_KEY_UNAVAILABLE:
		return CSF_UNKNOWN;
	case M2M_KEY_REVOKED:
		return CSF_REVOKED;
	case M2M_KEY_EXPIRED:
		return CSF_EXPIRED;
	case DIAMETER_AUTHORIZATION_REJECTED:
	case M2M_KEY_USAGE_NOT_PERMITTED:
	case DIAMETER_INVALID_AVP_VALUE:
		return CSF_DENIED;
	default:
		return CSF_UNAVAILABLE;
	}
}

/* Is it the key that was asked for, whole? */
static bool key_is_good(const struct m2m_ki *asked, const struct m2m_key_avp *key)
{
	struct m2m_id want, got;
	struct m2m_ki ki;

	if (m2m_ki_parse(key->name, &ki, NULL) != M2M_OK)
		return false;
	m2m_ki_format(asked, &want);
	m2m_ki_format(&ki, &got);
	if (!m2m_span_equal(m2m_id_span(&want), m2m_id_span(&got)))
		return false;
	if (key->usage != M2M_SUID_ASSOCIATION_KEY || !key->material.p || key->material.n != M2M_KEY_LEN ||
	    m2m_secret_is_zero(key->material.p, key->material.n))
		return false;
	if (!key->has_lifetime || key->lifetime == 0 || m2m_enrolee_id_check(key->enrolee, NULL) != M2M_OK)
		return false;
	for (size_t i = 0; i < key->app_ids.n; i++) {
		if (m2m_app_id_check(key->app_ids.v[i], NULL) != M2M_OK)
			return false;
	}
	return true;
}

void csf_resolver_judge(const struct m2m_ki *ki, enum m2m_rc rc, const struct m2m_ska *answer, struct csf_landing *out)
{
	const struct m2m_key_avp *key = NULL;

	*out = (struct csf_landing){ .outcome = CSF_UNAVAILABLE };
	if (rc != M2M_OK)
		return;
	out->outcome = outcome_of(answer->head.result);
	if (out->outcome != CSF_OK)
		return;
	key = &answer->key[0];
	if (answer->nkeys != 1 || !key_is_good(ki, key)) {
		out->outcome = CSF_UNAVAILABLE;
		return;
	}
	out->key = key->material;
	out->lifetime = key->lifetime;
	out->enrolee = key->enrolee;
	out->app_ids = &key->app_ids;
}

static void pump(struct client *c);

static bool waits_for(const struct client *c, const struct csf_key *key)
{
	for (const struct slot *s = c->first; s; s = s->next) {
		if (s->key == key)
			return true;
	}
	return false;
}

/* On the loop: a key has landed; whoever waits for it goes on. */
static void run_landed(struct csf_post *post)
{
	struct flight *f = (struct flight *)post;
	struct csf_resolver *r = f->r;
	struct client *c = NULL, *next = NULL;

	for (c = r->clients; c; c = next) {
		next = c->next;
		if (waits_for(c, f->key))
			pump(c);
	}
	csf_key_drop(r->cache, f->key);
	free(f);
}

static void log_no_key(const struct flight *f, enum m2m_rc rc, const struct m2m_ska *answer, const struct m2m_err *err)
{
	const char *why = err && err->text[0] ? err->text : m2m_rc_text(rc);

	if (rc == M2M_OK) /* 2001 too, where the key is not the one asked for or is not whole */
		why = m2m_result_name(answer->head.result);
	m2m_log_often(&f->r->log_limit, f->r->env, M2M_ERROR, NULL, "resolver: no key from %s: %s",
		      csf_key_ki(f->key)->mas.s, why);
}

/* On any thread. */
static void on_answer(void *arg, enum m2m_rc rc, const void *answer, const struct m2m_err *err)
{
	struct flight *f = arg;
	struct csf_landing landing;

	csf_resolver_judge(csf_key_ki(f->key), rc, answer, &landing);
	if (landing.outcome == CSF_UNAVAILABLE)
		log_no_key(f, rc, answer, err);
	csf_key_land(f->r->cache, f->key, &landing);
	csf_loop_post(f->r->loop, &f->post);
}

static const struct csf_mas *find_mas(const struct csf_conf *conf, const struct m2m_id *id)
{
	const struct csf_mas *v = conf->mas.v;

	for (size_t i = 0; i < conf->mas.n; i++) {
		if (m2m_fqdn_equal(m2m_span_str(v[i].mas_id), m2m_id_span(id)))
			return &v[i];
	}
	return NULL;
}

/* Ask the MAS for a fresh entry, which is landed whatever happens. */
static void fly(struct csf_resolver *r, const struct csf_mas *mas, struct csf_key *key)
{
	const struct csf_landing failed = { .outcome = CSF_UNAVAILABLE };
	struct flight *f = calloc(1, sizeof(*f));
	struct m2m_err err = { .text = "out of memory" };
	struct m2m_skr *req = calloc(1, sizeof(*req)); /* large, for a stack */
	enum m2m_rc rc = M2M_ENOMEM;
	struct m2m_id name;

	if (f && req) {
		m2m_ki_format(csf_key_ki(key), &name);
		req->head.dest_host = m2m_span_str(mas->mas_id);
		req->head.dest_realm = m2m_span_str(mas->realm);
		req->target = m2m_span_str(r->conf->cse_id);
		req->usage = M2M_SUID_ASSOCIATION_KEY;
		req->n = 1;
		req->name[0] = m2m_id_span(&name);
		*f = (struct flight){ .post = { .run = run_landed }, .r = r, .key = key };
		rc = r->out.association_keys(r->out.ctx, req, on_answer, f, &err);
	}
	free(req);
	if (rc == M2M_OK)
		return;
	m2m_log_often(&r->log_limit, r->env, M2M_ERROR, NULL, "resolver: cannot ask %s: %s", mas->mas_id, err.text);
	csf_key_land(r->cache, key, &failed);
	csf_key_drop(r->cache, key);
	free(f);
}

/* --- a client's requests ---------------------------------------------------------------------------------------- */

/* Fill a slot from a request; may start an SKR. */
static void ask(struct csf_resolver *r, const struct csf_ask *a, struct slot *s)
{
	const struct csf_mas *mas = NULL;
	bool fresh = false;

	*s = (struct slot){ .outcome = a->outcome, .about = a->about, .subscribe = a->subscribe };
	if (a->outcome != CSF_FLYING)
		return;
	mas = find_mas(r->conf, &a->ki.mas);
	if (!mas) {
		s->outcome = CSF_UNKNOWN;
		return;
	}
	if (csf_keycache_get(r->cache, &a->ki, &s->key, &fresh, NULL) != M2M_OK) {
		s->outcome = CSF_UNAVAILABLE;
		return;
	}
	if (fresh) {
		/* The flight holds the entry by a reference of its own: the client may be gone before it lands. */
		csf_key_hold(r->cache, s->key);
		fly(r, mas, s->key);
	}
}

static void wipe_line(const void *p, size_t n, void *arg)
{
	struct m2m_secret *line = arg;

	(void)p, (void)n;
	m2m_secret_wipe(line);
	free(line);
}

/* Write one answer. M2M_ENOMEM. */
static enum m2m_rc write_answer(struct client *c, const struct csf_about *about, struct csf_key_view *view)
{
	struct m2m_secret *line = calloc(1, sizeof(*line));
	struct m2m_err err;
	enum m2m_rc rc = M2M_ENOMEM;

	if (!line)
		return M2M_ENOMEM;
	rc = csf_line_answer(about, view, line, &err);
	if (rc == M2M_EINVAL) {
		m2m_log_often(&c->r->log_limit, c->r->env, M2M_ERROR, NULL, "resolver: %s", err.text);
		rc = csf_line_answer(about, &(struct csf_key_view){ .outcome = CSF_UNAVAILABLE }, line, &err);
	}
	/* By reference: libevent makes no copy, and the octets are wiped when the last has been sent, or never
	 * will be. */
	if (rc == M2M_OK &&
	    evbuffer_add_reference(bufferevent_get_output(c->bev), line->p, line->n, wipe_line, line) == 0)
		return M2M_OK;
	wipe_line(NULL, 0, line);
	return M2M_ENOMEM;
}

/* Take a request out of the queue. */
static void pop(struct client *c, struct slot **at)
{
	struct slot *s = *at;

	*at = s->next;
	if (!s->next)
		c->end = at;
	c->n--;
	if (s->key)
		csf_key_drop(c->r->cache, s->key);
	free(s);
}

/* Answer a request if its key has landed. M2M_EBUSY: it has not; M2M_ENOMEM. */
static enum m2m_rc answer(struct client *c, const struct slot *s)
{
	struct csf_key_view view = { .outcome = s->outcome };
	enum m2m_rc rc = M2M_EBUSY;

	if (s->subscribe)
		return evbuffer_add(bufferevent_get_output(c->bev), CSF_LINE_SUBSCRIBED, strlen(CSF_LINE_SUBSCRIBED)) ==
				       0
			       ? M2M_OK
			       : M2M_ENOMEM;
	if (s->key)
		csf_key_view(c->r->cache, s->key, &view);
	if (view.outcome != CSF_FLYING)
		rc = write_answer(c, &s->about, &view);
	m2m_key_wipe(&view.key);
	return rc;
}

/* Answer what can be answered: a request without an id waits for those without one before it. M2M_EBUSY: nothing could
 * be; M2M_ENOMEM. */
static enum m2m_rc answer_all(struct client *c)
{
	struct slot **at = &c->first;
	bool in_turn = true, some = false;

	while (*at) {
		enum m2m_rc rc = in_turn || (*at)->about.id >= 0 ? answer(c, *at) : M2M_EBUSY;

		if (rc == M2M_ENOMEM)
			return rc;
		if (rc == M2M_OK) {
			pop(c, at);
			some = true;
			continue;
		}
		in_turn = in_turn && (*at)->about.id >= 0;
		at = &(*at)->next;
	}
	return some ? M2M_OK : M2M_EBUSY;
}

static void client_free(struct client *c)
{
	while (c->first)
		pop(c, &c->first);
	*c->at = c->next;
	if (c->next)
		c->next->at = c->at;
	c->r->n--;
	bufferevent_free(c->bev);
	free(c);
}

/* Take one request from the input. M2M_EBUSY: there is none that is whole; M2M_ENOMEM. */
static enum m2m_rc take_request(struct client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t eol = 0, have = evbuffer_get_length(in);
	struct evbuffer_ptr at = evbuffer_search_eol(in, NULL, &eol, EVBUFFER_EOL_LF);
	struct csf_ask a = { .outcome = CSF_MALFORMED, .hopeless = true, .about.id = -1 };
	size_t n = at.pos >= 0 ? (size_t)at.pos : have;
	struct slot *s = NULL;

	if (at.pos < 0 && have <= CSF_RESOLVER_LINE_MAX)
		return M2M_EBUSY;
	s = malloc(sizeof(*s));
	if (!s)
		return M2M_ENOMEM;
	if (n + 1 <= CSF_RESOLVER_LINE_MAX) {
		csf_line_parse((const char *)evbuffer_pullup(in, (ev_ssize_t)n), n, &a);
		evbuffer_drain(in, n + eol);
	}
	ask(c->r, &a, s);
	*c->end = s;
	c->end = &s->next;
	c->n++;
	c->subscribed |= a.subscribe;
	if (a.hopeless) {
		c->last = true;
		bufferevent_disable(c->bev, EV_READ);
		evbuffer_drain(in, evbuffer_get_length(in));
	}
	return M2M_OK;
}

/* Do what can be done for a client: take requests, give answers. It may be gone afterwards. */
static void pump(struct client *c)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	enum m2m_rc rc = M2M_OK;

	while (rc == M2M_OK) {
		while (rc == M2M_OK && c->n < CSF_PIPELINE_MAX && evbuffer_get_length(out) <= OUTPUT_MAX)
			rc = take_request(c);
		if (rc != M2M_ENOMEM)
			rc = answer_all(c);
	}
	if (rc == M2M_ENOMEM || (c->last && c->n == 0 && evbuffer_get_length(out) == 0))
		client_free(c);
}

static void on_io(struct bufferevent *bev, void *arg)
{
	(void)bev;
	pump(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	/* A client may shut its side and still read: what it asked is answered. */
	if ((what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING) && !(what & BEV_EVENT_ERROR)) {
		c->last = true;
		bufferevent_disable(bev, EV_READ);
		pump(c);
		return;
	}
	client_free(c);
}

static void on_accept(void *arg, int fd)
{
	const struct timeval patience = { WRITE_TIMEOUT_S, 0 };
	struct csf_resolver *r = arg;
	struct client *c = NULL;

	if (r->n >= r->conf->resolver_max) {
		m2m_log_often(&r->log_limit, r->env, M2M_ERROR, NULL, "resolver: more than %lld connections at once",
			      (long long)r->conf->resolver_max);
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c)
		c->bev = bufferevent_socket_new(csf_loop_base(r->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c || !c->bev) {
		free(c);
		close(fd);
		return;
	}
	c->r = r;
	c->end = &c->first;
	c->next = r->clients;
	c->at = &r->clients;
	if (c->next)
		c->next->at = &c->next;
	r->clients = c;
	r->n++;
	bufferevent_setcb(c->bev, on_io, on_io, on_event, c);
	bufferevent_set_timeouts(c->bev, NULL, &patience);
	bufferevent_setwatermark(c->bev, EV_READ, 0, 2 * CSF_RESOLVER_LINE_MAX);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

void csf_resolver_tell(struct csf_resolver *r, const char *lines, size_t n)
{
	struct client *next = NULL;

	for (struct client *c = r->clients; c; c = next) {
		struct evbuffer *out = bufferevent_get_output(c->bev);

		next = c->next;
		if (!c->subscribed)
			continue;
		if (evbuffer_get_length(out) + n <= CSF_EVENTS_MAX && evbuffer_add(out, lines, n) == 0)
			continue;
		/* Without an event it would go on with a key that is revoked: it has to notice. */
		m2m_log_often(&r->log_limit, r->env, M2M_ERROR, NULL,
			      "resolver: a subscriber that does not read its events is disconnected");
		client_free(c);
	}
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct csf_resolver *r = arg;

	(void)fd, (void)what;
	csf_keycache_sweep(r->cache);
}

enum m2m_rc csf_resolver_new(struct csf_loop *loop, const struct csf_conf *conf, const struct csf_out *out_ops,
			     const struct m2m_env *env, struct csf_keycache *cache, struct csf_resolver **out,
			     struct m2m_err *err)
{
	const struct timeval every = { SWEEP_S, 0 };
	struct csf_resolver *r = calloc(1, sizeof(*r));
	enum m2m_rc rc = M2M_OK;

	if (!r)
		return m2m_fail(err, M2M_ENOMEM, "resolver: out of memory");
	*r = (struct csf_resolver){ .loop = loop, .conf = conf, .out = *out_ops, .env = env, .cache = cache };
	m2m_log_limit_init(&r->log_limit, M2M_LOG_MANY, M2M_LOG_FEW);
	rc = csf_listen_unix(csf_loop_base(loop), conf->resolver_socket, env, on_accept, r, &r->listener, err);
	if (rc == M2M_OK) {
		r->sweep = event_new(csf_loop_base(loop), -1, EV_PERSIST, on_sweep, r);
		if (!r->sweep || event_add(r->sweep, &every) != 0)
			rc = m2m_fail(err, M2M_ENOMEM, "resolver: out of memory");
	}
	if (rc != M2M_OK) {
		csf_resolver_free(r);
		return rc;
	}
	*out = r;
	return M2M_OK;
}

void csf_resolver_free(struct csf_resolver *r)
{
	if (!r)
		return;
	csf_listener_free(r->listener);
	while (r->clients)
		client_free(r->clients);
	if (r->sweep)
		event_free(r->sweep);
	m2m_log_limit_close(&r->log_limit);
	free(r);
}

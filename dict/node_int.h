/* SPDX-License-Identifier: BSD-2-Clause */
/* What the node's files share: node.c owns the struct, links.c the connections, serve.c answers, ask.c asks, self.c
 * asks this host itself. */
#ifndef DICT_NODE_INT_H
#define DICT_NODE_INT_H

#include "dict/again.h"
#include "dict/codec.h"
#include "dict/crl.h"
#include "dict/node.h"
#include "dict/rate.h"

#include "common/ident.h"
#include "common/log_limit.h"

#include <pthread.h>

#define ASK_BUCKETS 256

struct served {
	struct dict_node *node;
	enum m2m_cmd cmd;
	unsigned roles;
	dict_handler *handler;
	void *arg;
	struct disp_hdl *handle; /* NULL: not served */
};

/* What is known of a peer's connection; see links.c. */
#define M2M_SHOWN_MAX 8 /* more are nothing that can be read */

/* The certificates that a peer showed, its own first; none: nothing that can be read. */
struct shown {
	gnutls_x509_crt_t v[M2M_SHOWN_MAX];
	unsigned n;
};

struct link {
	bool bound;	 /* the certificate is good for the peer */
	bool dialled;	 /* by us */
	bool answered;	 /* our CER was, and the connection is not established yet: `why` and `crt` are of the answer */
	bool dropped;	 /* the host was asked to close it */
	const char *why; /* it is not bound, static text */
	int64_t expires; /* s, the certificate */
	struct shown shown; /* links.c's alone */
	unsigned apps;	    /* bit i: advertised m2m_apps[i] */
	struct m2m_id realm;
};

struct question;
struct self_item;

/* What this host asks itself; see self.c. */
struct dict_self {
	struct self_item *first, **last;
	pthread_cond_t wake;
	pthread_t thread;
	bool runs;
};

struct dict_node {
	struct m2m_codec codec;
	struct m2m_id host, realm; /* lower case */
	const struct m2m_conf_sections *peers;
	struct served served[M2M_CMDS];
	struct fd_hook_hdl *hook;
	struct fd_rt_out_hdl *route;

	pthread_rwlock_t links_lock;
	struct link *links;	/* one per peer section */
	struct m2m_crl *crl;	/* NULL: none is configured */
	gnutls_x509_crt_t *cas; /* who may sign it */
	unsigned ncas;

	pthread_mutex_t up_lock; /* held while on_up is called */
	void (*on_up)(void *arg, const char *host);
	void *on_up_arg;

	pthread_mutex_t rates_lock;
	struct m2m_rate *rates; /* M2M_CMDS per peer section */

	struct m2m_metrics *metrics; /* NULL: nobody counts */
	struct m2m_again *again;     /* one peer per section */

	struct m2m_log_limit log_limit;

	pthread_mutex_t lock; /* the rest */
	pthread_cond_t idle;  /* refs or answering changed */
	unsigned refs;	      /* the owner's, one per call under way, one per host callback under way */
	unsigned answering;   /* host callbacks that may call back */
	bool closing;
	unsigned apps; /* advertised, a bit each */
	uint64_t next_id;
	struct question *questions[ASK_BUCKETS];
	struct dict_self self;
	pthread_t timer;
	bool timer_runs;
	uint32_t session_high, session_low;
};

/* The node of this extension, with a reference; NULL: there is none (any more). The host gives its validators no
 * argument, and may call back after its extension has gone. */
struct dict_node *dict_node_self(void);
void dict_node_ref(struct dict_node *node);
void dict_node_unref(struct dict_node *node);

enum m2m_rc dict_node_advertise(struct dict_node *node, enum m2m_cmd cmd, struct m2m_err *err);

/* links.c */
enum m2m_rc dict_links_open(struct dict_node *node, struct m2m_err *err);
void dict_links_close(struct dict_node *node); /* no callback of the host comes after it */
void dict_links_free(struct dict_node *node);
/* The connection of a peer (one of node->peers); false: not connected, or its certificate does not name it. */
bool dict_link_get(struct dict_node *node, const struct m2m_peer *peer, struct link *out);
/* Does the peer at the other end of the message's connection have a section, and does its certificate name it? NULL:
 * no. */
const struct m2m_peer *dict_link_source(struct dict_node *node, struct msg *msg, struct link *out);

/* ask.c */
enum m2m_rc dict_ask_open(struct dict_node *node, struct m2m_err *err);
void dict_ask_close(struct dict_node *node);
/* What became of a question that this host was asked itself; nothing happens if it had its end. msg: borrowed. */
void dict_ask_answered(struct dict_node *node, uint64_t id, struct msg *msg);
void dict_ask_failed(struct dict_node *node, uint64_t id, const char *why);

/* self.c */
void dict_self_close(struct dict_node *node); /* closing is set */
/* The section of this host's own name; NULL: it may ask itself nothing. */
const struct m2m_peer *dict_self_peer(const struct dict_node *node);
/* Is a request for this host itself: by its Destination-Host, or without one, because it has a role of `roles`? */
bool dict_self_is_asked(const struct dict_node *node, unsigned roles, const struct m2m_request *head);
/* Takes msg, unless it returns false. */
bool dict_self_send(struct dict_node *node, struct msg *msg, uint64_t id);
/* Did it come from this host itself? What comes over a connection has a source. */
bool dict_self_is_from(struct msg *request);
/* Give the answer, which owns the request, to the asker. */
void dict_self_answer(struct msg *request, struct msg *answer);

#endif

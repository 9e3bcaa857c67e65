/* SPDX-License-Identifier: BSD-2-Clause */
/* This host's M2M face on freeDiameter: dictionary handles, peers' identities, commands in and out.
 *
 * One struct dict_node per extension, made in fd_ext_init, freed in fd_ext_fini. An extension registers a handler per
 * command; before a handler runs, the request was checked: the connection's certificate names its peer, Origin-Host and
 * -Realm are that peer's, the peer has one of the roles that the command needs, the application of header, command and
 * Auth-Application-Id is one, the peer advertised it, no Route-Record but through a configured relay (and then only
 * RPR and KPR, marked as relayed: the handler sees to it that its keys are in end-to-end packages), and every AVP obeys
 * the command's rules. What fails is answered here, with the Failed-AVP that RFC 6733 asks for. No callback ever
 * returns an error to the host (that would mean silence, and a dump of the message in the log).
 *
 * MAS, MTF and CSF may be extensions of one host. It does not route to itself: a request whose Destination-Host is this
 * host's own (or has none, where this host's own section has the role) takes the way inside, with the same messages,
 * checks and handlers; what differs is in self.c. The peer is the `peer` section of the host's own name, which default
 * deny asks for here too. There is no connection, so there are no certificate, pin and revocation list, and no limit of
 * requests a second.
 *
 * Handlers run on freeDiameter's dispatch threads, or a thread of a node that asks inside, several at once: they must
 * not wait for a disk or a peer. */
#ifndef DICT_NODE_H
#define DICT_NODE_H

#include "common/env.h"
#include "common/ident.h"
#include "common/metrics.h"
#include "dict/messages.h"
#include "dict/peers.h"

struct dict_node;

/* Resolve our dictionary (dict_m2m.fdx must be loaded) and start checking connections. peers: borrowed until
 * dict_node_free. M2M_ECONF with the missing object's name if the dictionary is not there; M2M_EEXIST: an extension has
 * one node only. */
enum m2m_rc dict_node_new(const struct m2m_conf_sections *peers, struct dict_node **out, struct m2m_err *err);
/* Unregisters everything; NULL does nothing. Requests under way get their callbacks with M2M_ETIMEOUT before it
 * returns. Calls that are not answered yet may still be, afterwards. */
void dict_node_free(struct dict_node *node);

/* Refuse certificates that the revocation list in file `path` names: at each new connection, and, when the file has
 * changed, on connections that are open. Call in init; path: borrowed until dict_node_free, NULL: no list. M2M_ECONF,
 * M2M_ENOMEM: m2m_crl_open's. A file that turns bad later leaves the list in force as it was, and is logged. */
enum m2m_rc dict_node_revocations(struct dict_node *node, const char *path, struct m2m_err *err);

/* Count what is served from now on. server: M2M_SERVER_*. Call in init, once, before dict_serve. out: the node's, and
 * as long as there is the node. M2M_ENOMEM. */
enum m2m_rc dict_node_count(struct dict_node *node, unsigned server, struct m2m_metrics **out, struct m2m_err *err);
/* Set the gauges that the node knows: peers that are connected, the host's certificate. For a sampler. */
void dict_node_sample(struct dict_node *node, struct m2m_metrics *m);
/* The same of a certificate's file (PEM); path NULL, or one that cannot be read: nothing is set. */
void dict_sample_certificate(struct m2m_metrics *m, enum m2m_met_certificate which, const char *path);

/* Of the host, lower case, NUL-terminated, borrowed. */
const char *dict_node_identity(const struct dict_node *node);
const char *dict_node_realm(const struct dict_node *node);

/* The realm of a configured peer: what its connection said last, else what is configured, else this host's. False: no
 * such peer. */
bool dict_peer_realm(struct dict_node *node, struct m2m_span host, struct m2m_id *out);

/* Call fn(arg, host) whenever the connection of a peer is up, good for its requests; from a thread of the host's, must
 * not block. One at most; fn NULL: none, and none is called any more when this returns. */
void dict_node_on_up(struct dict_node *node, void (*fn)(void *arg, const char *host), void *arg);

/* Events to freeDiameter's log; real clock; OpenSSL's random. The env of the cores inside the host. */
extern const struct m2m_env dict_env;

/* --- serving ----------------------------------------------------------------------------------------------------- */

/* A request being served. Lives until it is answered. */
struct dict_call;

/* The decoded request: struct m2m_rpr, m2m_kpr … by command; borrowed until the answer. */
const void *dict_call_request(const struct dict_call *call);
const struct m2m_peer *dict_call_peer(const struct dict_call *call);

/* Answer and free the call: exactly once, from any thread. answer: the struct of the command's answer (m2m_rpa,
 * m2m_status_answer, m2m_ska, m2m_kfa); its spans are copied. */
void dict_call_answer(struct dict_call *call, const void *answer);
/* Answer with a code and nothing else. error_message: static text or NULL. */
void dict_call_refuse(struct dict_call *call, uint32_t result, const char *error_message);

typedef void dict_handler(void *arg, struct dict_call *call);

/* Serve a command and advertise its application. roles: any of them suffices. */
enum m2m_rc dict_serve(struct dict_node *node, enum m2m_cmd cmd, unsigned roles, dict_handler *handler, void *arg,
		       struct m2m_err *err);

/* Serve nothing any more: no handler runs after it. Call before the core that the handlers use is closed, since another
 * extension of this host may go on asking while the host stops. NULL does nothing. */
void dict_unserve(struct dict_node *node);

/* --- asking ------------------------------------------------------------------------------------------------------ */

/* Called exactly once per request, on a thread of freeDiameter's or the node's. rc: M2M_OK: answer is the decoded
 * struct, borrowed until return (its head.result may still be a refusal); M2M_ETIMEOUT; M2M_EPEER: a protocol error
 * (3xxx, also "no route") or an answer that breaks the command's rules or comes from another host than dest_host or a
 * peer without a role of `roles` (err says which). */
typedef void dict_answered(void *arg, enum m2m_rc rc, const void *answer, const struct m2m_err *err);

/* Send a request. req: the struct of the command; head.dest_realm is required, head.dest_host optional;
 * head.session_id: NULL for a new one, or the one to go on with (RPR). Its spans are copied. roles: what the answering
 * peer must be. timeout_ms: when done is called with M2M_ETIMEOUT. On failure (M2M_ENOMEM …) done is not called.
 * It goes only to a peer that may see it: dest_host itself, or where there is none one with a role of `roles`, whose
 * certificate names it; RPR may go through a relay too, and KPR if all its keys are in packages. Advertises the
 * application once as a client. M2M_EDENIED: this host itself is asked, and its own section has not the role. */
enum m2m_rc dict_request(struct dict_node *node, enum m2m_cmd cmd, unsigned roles, const void *req, int timeout_ms,
			 dict_answered *done, void *arg, struct m2m_err *err);

/* A new Session-Id of this host (RFC 6733 8.8), for a client that must know it before the first request. */
enum m2m_rc dict_session_id(struct dict_node *node, char *out, size_t size, struct m2m_err *err);

/* Declare that this extension is a client of a command's application (so that it is advertised in CER). Call in init.
 */
enum m2m_rc dict_client_of(struct dict_node *node, enum m2m_cmd cmd, struct m2m_err *err);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The IN-CSE's side: relay (nodes' TCP <-> RPR) and resolver (unix socket <-> SKR). No freeDiameter, no globals; one
 * libevent loop on a thread of its own. */
#ifndef CSF_H
#define CSF_H

#include "common/conf.h"
#include "common/metrics.h"
#include "common/metrics_conf.h"
#include "common/env.h"
#include "common/ident.h"
#include "dict/messages.h"
#include "dict/peers.h"

/* A MAS that may be asked: section `mas "MAS-ID" { realm = … }`. */
struct csf_mas {
	char *mas_id;
	char *realm;
};

/* The configuration file of csf.fdx, described in csf_conf_items. */
struct csf_conf {
	char *relay_listen;	      /* "127.0.0.1:4444"; NULL: no relay. Port 0 takes a free one, told in the log */
	char *mtf_realm;	      /* Destination-Realm of RPR round 1 */
	int64_t relay_max;	      /* connections at once */
	int64_t relay_idle;	      /* s that a node has for its next whole TLS record, or to read what it was sent */
	int64_t provision_timeout;    /* s, for an RPA */
	char *resolver_socket;	      /* path of the unix socket; NULL: no resolver */
	int64_t resolver_max;	      /* client connections at once */
	char *cse_id;		      /* the IN-CSE that this host is: Association-Target-Id of every SKR */
	int64_t key_timeout;	      /* s, for an SKA */
	int64_t cache_max;	      /* association keys held at once */
	struct m2m_conf_sections mas; /* struct csf_mas */
	char *crl;		      /* revocation list of peers' CA; NULL: none */
	struct m2m_metrics_conf show_metrics;
	struct m2m_conf_sections peers; /* struct m2m_peer */
};
extern const struct m2m_conf_item csf_conf_items[];
enum m2m_rc csf_conf_load(const char *path, struct csf_conf *out, struct m2m_err *err);
void csf_conf_free(struct csf_conf *conf);

/* How the core reaches the Diameter side; called from the loop's thread. req: borrowed until the call returns. done:
 * exactly once unless the call failed, from any thread; the answer is borrowed until done returns, err says why where
 * rc is not M2M_OK. The same type as dict/node.h's dict_answered. */
typedef void csf_answered(void *arg, enum m2m_rc rc, const void *answer, const struct m2m_err *err);
struct csf_out {
	enum m2m_rc (*provision)(void *ctx, const struct m2m_rpr *req, csf_answered *done, void *arg,
				 struct m2m_err *err);
	enum m2m_rc (*association_keys)(void *ctx, const struct m2m_skr *req, csf_answered *done, void *arg,
					struct m2m_err *err);
	enum m2m_rc (*session_id)(void *ctx, char *out, size_t size, struct m2m_err *err);
	void *ctx;
};

struct csf;
/* Bind the sockets and start the loop. conf, env: borrowed until csf_close. out_ops is copied. M2M_EIO, M2M_EINVAL,
 * M2M_ENOENT, M2M_EDENIED (a name that is none, nobody's, in use, or of a folder that is not there or shut) name the
 * address or path. */
enum m2m_rc csf_open(const struct csf_conf *conf, const struct csf_out *out_ops, const struct m2m_env *env,
		     struct csf **out, struct m2m_err *err);
/* Stop the loop, close every connection, forget every key, remove the socket. Answers that are still to come must have
 * come (the Diameter side is shut first; requests that the loop sends after that must fail). NULL does nothing. */
void csf_close(struct csf *csf);
/* The port that the relay really listens on (host order), 0 without a relay. */
uint16_t csf_relay_port(const struct csf *csf);

/* A KNR that has passed the checks of dict/: when this returns, the association keys named (a KI, or a KmID for all of
 * its KIs) are forgotten, and the resolver's subscribers are about to be told. Of keys that only expire soon nothing is
 * forgotten; an event that is not known is as bad as a revocation. Returns the answer's code. Nothing was done with
 * 5003: a name's MAS is not the sender; 5004: it is no name of a key, then *failed tells which; 4181: out of memory.
 * Thread-safe. */
uint32_t csf_notified(struct csf *csf, const struct m2m_knr *req, struct m2m_failed *failed);

/* --- resolver protocol
 * ------------------------------------------------------------------------------------------------- One JSON object a
 * line each way, at most 4,096 octets a line with its newline, many requests a connection.
 * ->  {"pskIdentity":"<KI>"}
 * <-  {"status":"ok","pskIdentity":"<KI>","key":"<64 hex>","enroleeId":"//sp/node","appIds":["…"],"lifetime":86400}
 * <-  {"status":"refused","pskIdentity":"<KI>","reason":"malformed|unknown|revoked|expired|denied|unavailable"}
 * Members come in any order; unknown ones are passed over. pskIdentity in an answer: as it was asked; "" if it could
 * not be read or is over 128 octets. lifetime: seconds that the key still lives. "unavailable": try later (MAS not
 * reachable, overloaded). Answers come in the order of the requests of a connection; but a request with a member "id",
 * an integer from 0, is answered as soon as its answer is there, with that "id". After a line that is too long or is no
 * such object ("malformed") the connection is closed. The socket's mode is 0600: who may connect may learn keys.
 *
 * ->  {"subscribe":"events"}
 * <-  {"status":"subscribed"}
 * <-  {"event":"revoked","key":"<KI or KmID>"}
 * From then on one line for each key that a MAS tells about, between other lines, in the order of what it told. A KmID
 * means every KI of that root key. An answer that stands before an event may have become void by it; one behind it may
 * not.
 * revoked: it is good for nothing more. superseded: a newer root key is there, this one works for a grace time. resync:
 * the MAS does not vouch for what it said before. After these two, ask again for what is in use. expiring: soon.
 * Others: ask again. A subscriber that does not read is disconnected; after a lost connection, ask again for all that
 * is in use: events may have been missed. */
#define CSF_RESOLVER_LINE_MAX 4096

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Root keys that come in protected key packages (protocol, section 10): our certificate and those of the MTFs, and what
 * policy asks of each. Constant after opening: thread-safe. */
#ifndef MAS_PACKAGE_H
#define MAS_PACKAGE_H

#include "common/env.h"
#include "dict/peers.h"
#include "mas/mas.h"

struct mas_packages;

/* Load what the configuration names; a certificate that is not valid now is told, and refused when it is met. conf,
 * env: borrowed until mas_packages_close. Errors: m2m_party_load's. */
enum m2m_rc mas_packages_open(const struct mas_conf *conf, const struct m2m_env *env, struct mas_packages **out,
			      struct m2m_err *err);
/* NULL does nothing. */
void mas_packages_close(struct mas_packages *packages);

/* The root key that an M2M-Key of an MTF brings: what is in its package, or the M2M-Key itself if it has none (or both,
 * which is for others to refuse). head: of the message: who sends it to whom in which session, and whether through a
 * relay. plain: empty before; what out borrows beside the M2M-Key. Returns 2001; 5505: it had to come in a package;
 * 5506: the package does not open, or holds other than what stands beside it, which is logged; 4181: no memory. why:
 * out, what the peer may be told. */
struct mas;
uint32_t mas_package_key(struct mas *mas, const struct m2m_peer *mtf, const struct m2m_request *head,
			 const struct m2m_key_avp *sent, struct m2m_secret *plain, struct m2m_key_avp *out,
			 const char **why);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The revocation lists of the CAs that peers' certificates are of: a file, which is read again when it has changed, so
 * that a certificate can be revoked while the server runs. GnuTLS does the parsing and the signature.
 *
 * Thread-safe. Errors after the first load go to the log, one line each time that the file has changed: the lists
 * that were good last stay in force. */
#ifndef DICT_CRL_H
#define DICT_CRL_H

#include "common/env.h"

#include <gnutls/x509.h>
#include <stdbool.h>

#define M2M_CRL_SIZE_MAX (16U << 20) /* octets of the file */

struct m2m_crl;

/* Load it. path: PEM, a list of each of one to 16 CAs; cas, n: who may have signed them; both, and env, borrowed until
 * m2m_crl_close. M2M_ECONF: the file is not there, damaged, of another CA, or its nextUpdate has passed; the text says
 * which. M2M_ENOMEM. */
enum m2m_rc m2m_crl_open(const char *path, const gnutls_x509_crt_t *cas, unsigned n, const struct m2m_env *env,
			 struct m2m_crl **out, struct m2m_err *err);
/* NULL does nothing. */
void m2m_crl_close(struct m2m_crl *crl);

/* Has the file changed? Looks once a second at most. True: other lists are in force now. */
bool m2m_crl_look(struct m2m_crl *crl);
/* Is one of the certificates that a peer showed, or a CA above them, on a list? */
bool m2m_crl_revokes(struct m2m_crl *crl, const gnutls_x509_crt_t *chain, unsigned n);

#endif

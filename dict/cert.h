/* SPDX-License-Identifier: BSD-2-Clause */
/* What a peer's certificate says of it. GnuTLS, which the host has verified the chain with; no freeDiameter. Reads
 * only: thread-safe. */
#ifndef DICT_CERT_H
#define DICT_CERT_H

#include "dict/peers.h"

#include <gnutls/x509.h>

/* Is host one of its dNSNames (subjectAltName)? Letters' case does not count; no wildcards, no common name. */
bool m2m_cert_names(gnutls_x509_crt_t crt, struct m2m_span host);
/* Is its key one that the peer may have (RFC 7469 2.4: SHA-256 of the SubjectPublicKeyInfo)? */
bool m2m_cert_is_pinned(gnutls_x509_crt_t crt, const struct m2m_peer *peer);

#endif

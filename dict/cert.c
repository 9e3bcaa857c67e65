/* SPDX-License-Identifier: BSD-2-Clause */
/* A certificate's names and its key's pin. */
#include "config.h"

#include "dict/cert.h"

#include "common/ident.h"

bool m2m_cert_names(gnutls_x509_crt_t crt, struct m2m_span host)
{
	for (unsigned i = 0;; i++) {
		char name[256];
		size_t n = sizeof(name);
		int kind = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &n, NULL);

		if (kind == GNUTLS_E_SHORT_MEMORY_BUFFER)
			continue; /* longer than any host's name */
		if (kind < 0)
			return false;
		if (kind == GNUTLS_SAN_DNSNAME && m2m_fqdn_equal(m2m_span(name, n), host))
			return true;
	}
}

bool m2m_cert_is_pinned(gnutls_x509_crt_t crt, const struct m2m_peer *peer)
{
	uint8_t pin[M2M_PIN_LEN];
	size_t n = sizeof(pin);

	return gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, pin, &n) == 0 && n == sizeof(pin) &&
	       m2m_peer_is_pinned(peer, pin);
}

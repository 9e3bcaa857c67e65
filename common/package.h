/* SPDX-License-Identifier: BSD-2-Clause */
/* Protected key packages: octets that one party signs for one other, who alone can read them (protocol, section 10).
 *
 * A DER ContentInfo (RFC 5652): AuthEnvelopedData (RFC 5083) whose content, of type data, is a ContentInfo of
 * SignedData, or of type signedData the SignedData itself; the first is what is made. One way to do each thing, and no
 * other is opened: one recipient by key agreement (ECDH on P-256 with an ephemeral key,
 * dhSinglePass-stdDH-sha256kdf-scheme, AES-256 key wrap: RFC 5753), AES-256-GCM with a nonce of 12 and a tag of 16
 * octets (RFC 5084), one signer (ECDSA on P-256 with SHA-256). No originator's certificates, no attributes that are not
 * authenticated, no revocation lists, nothing left over, DER only.
 *
 * The format is read and written here, not by libcrypto's CMS: what a peer sends meets a reader of one form, and every
 * copy of the key is wiped. No state; thread-safe. */
#ifndef M2M_PACKAGE_H
#define M2M_PACKAGE_H

#include "common/env.h"
#include "common/party.h"

#define M2M_PACKAGE_MAX 24576 /* octets of a package: more than the longest M2M-Key makes */

/* Sign content as signer (with its private key) for recipient, and append the package to out, which is as it was on
 * failure. M2M_EEXPIRED: a certificate is not valid at env's now | M2M_EINVAL: content is too long | M2M_ENOMEM |
 * M2M_ECRYPTO. */
enum m2m_rc m2m_package_seal(const struct m2m_party *signer, const struct m2m_party *recipient,
			     const struct m2m_env *env, struct m2m_span content, struct m2m_secret *out,
			     struct m2m_err *err);

/* Does it name that recipient? False also for what is no package. */
bool m2m_package_is_for(struct m2m_span package, const struct m2m_party *recipient);

/* Open a package that is for recipient (with its private key) and signed by one of n signers, whose certificate is
 * valid at `now`. plain: out, empty before, holds what content (out) borrows: both set only on M2M_OK. M2M_ECRYPTO: it
 * does not open, for whatever reason; err has the reason, for our own log and not for the peer | M2M_ENOMEM. */
enum m2m_rc m2m_package_open(const struct m2m_party *recipient, struct m2m_party *const *signers, size_t n, int64_t now,
			     struct m2m_span package, struct m2m_secret *plain, struct m2m_span *content,
			     struct m2m_err *err);

#endif

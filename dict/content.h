/* SPDX-License-Identifier: BSD-2-Clause */
/* The content of a protected key package (protocol, section 10): the AVPs of an M2M-Key in wire form, and with them who
 * sends it to whom, in which session and when. Pure C, driven by the rules of M2M-Key. No state; thread-safe. */
#ifndef DICT_CONTENT_H
#define DICT_CONTENT_H

#include "dict/messages.h"

#define M2M_PACKAGE_SKEW 300 /* s that its time may be off the opener's clock, both ways */

struct m2m_content {
	struct m2m_key_avp key; /* without package */
	struct m2m_span origin_host, dest_host, session_id;
	int64_t timestamp; /* Event-Timestamp, s */
};

/* Append the octets. M2M_EINVAL: a value is missing or too long, err names it | M2M_ENOMEM; out may then hold a part.
 */
enum m2m_rc m2m_content_encode(const struct m2m_content *in, struct m2m_secret *out, struct m2m_err *err);

/* Read them; out: overwritten, borrows from octets. Each AVP has the length that its type allows; what is in a text is
 * not looked at. An unknown AVP is passed over unless it has the M flag. M2M_EINVAL. */
enum m2m_rc m2m_content_decode(struct m2m_span octets, struct m2m_content *out, struct m2m_err *err);

/* Does every value that stands in clear (what of the message a package has too; absent: it does not stand there) stand
 * in the package as well, and is the same? Not its time. M2M_EINVAL: err names the first that is not. */
enum m2m_rc m2m_content_covers(const struct m2m_content *in, const struct m2m_content *clear, struct m2m_err *err);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Where TLS records end in a node's stream. Only the five octets of each header are read: type, version, length
 * (RFC 8446 5.1). Pure; a scanner belongs to one connection. */
#ifndef CSF_TLS_RECORDS_H
#define CSF_TLS_RECORDS_H

#include "common/span.h"

/* {0} is a scanner at the start of a stream. */
struct csf_records {
	uint8_t header[5];
	uint8_t have;  /* octets of the header seen, 0..5 */
	uint16_t left; /* octets of the record's body still to come */
	bool begun;    /* the first record's header was seen */
	bool bad;
};

/* Go on over the stream's next n octets. False, for good, where it is not TLS that a node may send: the first
 * record is not a handshake, or a record's type, version or length is impossible. Judged octet by octet: garbage
 * is seen at its first. */
bool csf_records_feed(struct csf_records *r, const uint8_t *p, size_t n);

/* Does the stream, as far as fed, end with a whole record? True at the very start. */
bool csf_records_at_end(const struct csf_records *r);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Hex: written in lower case, accepted in either. Thread-safe. */
#ifndef M2M_HEX_H
#define M2M_HEX_H

#include "common/span.h"

/* Write 2n characters and a NUL to out (2n + 1 octets). */
void m2m_hex(const void *p, size_t n, char *out);

/* Read exactly 2n hex characters to out (n octets). False, out zeroed, on any other character or length. Runs in time
 * that depends on the length only where the input is valid (used for keys too). */
bool m2m_unhex(struct m2m_span text, void *out, size_t n);

#endif

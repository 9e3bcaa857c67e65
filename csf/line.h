/* SPDX-License-Identifier: BSD-2-Clause */
/* The lines of the resolver protocol (csf/csf.h): JSON in, JSON out. Pure; thread-safe. */
#ifndef CSF_LINE_H
#define CSF_LINE_H

#include "csf/keycache.h"

/* A request, as far as it could be read. */
struct csf_ask {
	enum csf_outcome outcome; /* CSF_FLYING: a good key identifier, in ki; CSF_MALFORMED: anything else */
	bool hopeless;		  /* not an object with a pskIdentity: the connection is not worth going on with */
	char identity[M2M_KI_MAX +
		      1]; /* pskIdentity as it was written, to be sent back; "" where it is absent or longer */
	struct m2m_ki ki;
};

/* Read one line, without its newline. */
void csf_line_parse(const char *line, size_t n, struct csf_ask *out);

/* Append the answer, with its newline, to out. view: outcome and, with CSF_OK, the key. A text that would be over
 * CSF_RESOLVER_LINE_MAX: M2M_EINVAL, nothing appended. M2M_ENOMEM. */
enum m2m_rc csf_line_answer(const char *identity, const struct csf_key_view *view, struct m2m_secret *out,
			    struct m2m_err *err);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The lines of the resolver protocol (csf/csf.h): JSON in, JSON out. Pure; thread-safe. */
#ifndef CSF_LINE_H
#define CSF_LINE_H

#include "csf/keycache.h"

/* What of a request its answer repeats. */
struct csf_about {
	char identity[M2M_KI_MAX + 1]; /* pskIdentity as it was written; "" where it is absent or longer */
	int64_t id;		       /* -1: none */
};

/* A request, as far as it could be read. */
struct csf_ask {
	enum csf_outcome outcome; /* CSF_FLYING: a good key identifier, in ki; CSF_MALFORMED: anything else */
	bool hopeless;		  /* no request at all: the connection is not worth going on with */
	bool subscribe;		  /* to events; nothing else counts then */
	struct csf_about about;
	struct m2m_ki ki;
};

/* Read one line, without its newline. */
void csf_line_parse(const char *line, size_t n, struct csf_ask *out);

/* Append the answer, with its newline, to out. view: outcome and, with CSF_OK, the key. A text that would be over
 * CSF_RESOLVER_LINE_MAX: M2M_EINVAL, nothing appended. M2M_ENOMEM. */
enum m2m_rc csf_line_answer(const struct csf_about *about, const struct csf_key_view *view, struct m2m_secret *out,
			    struct m2m_err *err);

/* The answer to a subscription. */
#define CSF_LINE_SUBSCRIBED "{\"status\":\"subscribed\"}\n"

/* An event's line, NUL-terminated. word: static; name: a KI or KmID, lower case. out: CSF_EVENT_MAX octets. Its length.
 */
#define CSF_EVENT_MAX (M2M_ID_MAX + 64)
size_t csf_line_event(const char *word, const struct m2m_id *name, char *out);

#endif

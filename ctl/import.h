/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of credentials: reading them row by row, in bounded memory, whatever their form. One thread.
 *
 * No text of this has a value of the file in it, nor a header's: a key may stand anywhere. What was read is wiped. */
#ifndef CTL_IMPORT_H
#define CTL_IMPORT_H

#include "ctl/ctl.h"
#include "ctl/import_keys.h"

/* --- octets ------------------------------------------------------------------------------------------------------ */

#define IMPORT_ROW_MAX 65536 /* octets of a row as it stands in the file */

struct import_input {
	int fd;
	struct m2m_secret buf;
	size_t start, end; /* of the row at hand, in buf */
	bool eof;
	uint64_t line;	   /* of the row's first octet, from 1 */
	uint64_t next;	   /* line after the row */
	uint64_t consumed; /* octets read from fd */
};

/* M2M_ENOMEM. fd: borrowed. */
enum m2m_rc import_input_open(int fd, struct import_input *out, struct m2m_err *err);
void import_input_close(struct import_input *in);

enum import_got {
	IMPORT_ROW,
	IMPORT_BAD,    /* this row is refused: err says why; the next one can be read */
	IMPORT_END,    /* there are no more */
	IMPORT_BROKEN, /* what follows cannot be read: err */
};

/* For a reader that has its own buffers: up to n octets, as read(2); 0 at the end, -1 with errno. */
ssize_t import_octets(struct import_input *in, void *p, size_t n);

/* The next line, without its line feed; longer: or the row at hand made longer by the line after it. row: out, the row
 * so far, changeable, until the next call. IMPORT_END (with longer: IMPORT_BROKEN) | IMPORT_BROKEN: M2M_EINVAL over
 * IMPORT_ROW_MAX, m2m_fail_errno's. */
enum import_got import_line(struct import_input *in, bool longer, uint8_t **row, size_t *n, struct m2m_err *err);

/* --- rows -------------------------------------------------------------------------------------------------------- */

enum import_field {
	IMPORT_RECORD, /* credential, enrolee, enrolment: as export says; absent: what the row has */
	IMPORT_SERIAL,
	IMPORT_KEY_ID,
	IMPORT_CREDENTIAL,
	IMPORT_KEY,	      /* hex */
	IMPORT_WRAPPED,	      /* hex */
	IMPORT_TRANSPORT_KEY, /* name of what it is wrapped under */
	IMPORT_ENROLEE,
	IMPORT_APP_ID,
	IMPORT_MAS,
	IMPORT_TARGET,
	IMPORT_STAKEHOLDER,
	IMPORT_KEY_LIFE,
	IMPORT_EXPIRES,
	IMPORT_FIELDS,
	IMPORT_IGNORED, /* what an export tells besides, or --ignore names */
	IMPORT_UNKNOWN
};
struct import_field_about {
	const char *name;
	bool many;
};
extern const struct import_field_about import_fields[IMPORT_FIELDS];
/* The field of a column's or member's name; ignore: names that --ignore gave. */
enum import_field import_field_find(struct m2m_span name, const struct ctl_values *ignore);

/* v: empty values are absent. Borrowed from the reader until its next row. */
struct import_row {
	uint64_t place; /* line, or number of the element */
	struct m2m_list v[IMPORT_FIELDS];
	bool raw_key;	   /* IMPORT_KEY is octets, not hex */
	const char *field; /* IMPORT_BAD: which one, or NULL */
};
void import_row_begin(struct import_row *row, uint64_t place);
/* Add a value; fields that are not listed are taken and left. M2M_EINVAL: a second value of a field that has one, or
 * too many; row->field is set. */
enum m2m_rc import_row_add(struct import_row *row, enum import_field f, struct m2m_span value, struct m2m_err *err);

/* --- readers ----------------------------------------------------------------------------------------------------- */

struct import_with {
	const struct ctl_values *ignore; /* names that are of no use */
	const struct import_keys *keys;
};

struct import_reader;
struct import_format {
	const char *name;
	const char *place;   /* what row->place counts */
	const char *endings; /* of file names, each with a blank behind it */
	/* in and what `with` points to: borrowed until close. M2M_ENOMEM. */
	enum m2m_rc (*open)(struct import_input *in, const struct import_with *with, struct import_reader **out,
			    struct m2m_err *err);
	enum import_got (*next)(struct import_reader *r, struct import_row *row, struct m2m_err *err);
	void (*close)(struct import_reader *r); /* NULL does nothing */
};
/* RFC 4180, the first line names the columns. */
extern const struct import_format import_csv;
/* A JSON object a line. */
extern const struct import_format import_ndjson;

/* PSKC (RFC 6030), plain or encrypted; a row is a KeyPackage. A document type is refused. Signatures are not looked at.
 */
extern const struct import_format import_pskc;

/* Make jansson and libxml2 wipe what they free; before their first use. */
void import_memory_wipes(void);

#endif

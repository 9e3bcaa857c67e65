/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration files: a table says what may stand in one, libconfuse reads it.
 *
 * Syntax: libconfuse's. `name = value`, lists `{ "a", "b" }` (never empty), sections `peer "host" { … }`, comments with
 * #. No includes, no environment variables; in strings only \" and \\; a | nowhere; // needs quotes. An unknown name, a
 * value out of range, a name given twice, a missing file: M2M_ECONF with "FILE:LINE: name: reason", before anything is
 * opened. */
#ifndef M2M_CONF_H
#define M2M_CONF_H

#include "common/err.h"
#include "common/span.h"

enum m2m_conf_type {
	M2M_CONF_STRING,   /* char *, owned by the configuration */
	M2M_CONF_INT,	   /* int64_t, min..max */
	M2M_CONF_DURATION, /* int64_t seconds; "90", "90s", "15m", "24h", "30d", "2y" (365 d); min..max */
	M2M_CONF_SIZE,	   /* int64_t octets; "4096", "64K", "256M", "16G" (powers of 1024); min..max */
	M2M_CONF_BOOL,	   /* bool; true/false, yes/no, on/off */
	M2M_CONF_LIST,	   /* struct m2m_conf_strings */
	M2M_CONF_WORDS,	   /* unsigned: bit set of words[] */
	M2M_CONF_SECTIONS, /* struct m2m_conf_sections: zero or more `name "title" { … }`; titles are unique */
};

struct m2m_conf_strings {
	size_t n;
	char **v;
};

/* Array of n structs of `sub_size` octets each; in each, the first member is `char *title`. */
struct m2m_conf_sections {
	size_t n;
	void *v;
};

/* Checks a value: returns NULL if it is good, or a sentence that says how it should be (static storage, or in buf). */
typedef const char *m2m_conf_check(const char *value, char *buf, size_t size);

struct m2m_conf_item {
	const char *name; /* NULL ends a table */
	enum m2m_conf_type type;
	size_t offset;	 /* of the member in the struct that is filled */
	const char *def; /* default, as it would stand in the file; NULL with required unset: NULL/0/empty */
	int64_t min,
		max; /* INT, DURATION, SIZE: range, both 0: 0 and up; LIST, SECTIONS: how many (max 0: any number) */
	bool required;
	bool secret; /* wiped when freed (libconfuse's own copies are not); never part of an error text */
	bool file;   /* STRING: a file that must exist and be readable; relative paths are relative to the file's folder
		      */
	const char *const *words;	 /* WORDS: NULL-terminated; word i is bit 1 << i */
	m2m_conf_check *check;		 /* STRING, LIST (each), SECTIONS (the title) */
	const struct m2m_conf_item *sub; /* SECTIONS */
	size_t sub_size;		 /* SECTIONS */
	const char *help;		 /* one or two sentences; the manual page is made from them */
};

/* Read `path` by `items` into `out` (each member that items name is zeroed first). On failure nothing is left to free.
 * path is borrowed. Not thread-safe against itself (libconfuse's scanner has globals): serialised by a lock inside. */
enum m2m_rc m2m_conf_load(const char *path, const struct m2m_conf_item *items, void *out, struct m2m_err *err);

/* Free what m2m_conf_load put into out; out itself is the caller's. Secrets are wiped. Idempotent. */
void m2m_conf_free(const struct m2m_conf_item *items, void *out);

/* A duration as it would stand in a file ("90", "15m", "2y"), 0 s and up, for command lines. M2M_EINVAL. Thread-safe.
 */
enum m2m_rc m2m_conf_duration(const char *text, int64_t *seconds, struct m2m_err *err);

/* The manual's list of items (roff), written to f. */
#include <stdio.h>
void m2m_conf_manual(const struct m2m_conf_item *items, FILE *f);

/* Ready-made checks. */
m2m_conf_check m2m_conf_is_fqdn;
m2m_conf_check m2m_conf_is_cse_id;
m2m_conf_check m2m_conf_is_host_port; /* "127.0.0.1:4444", "[::1]:4444", "name:4444" */

#endif

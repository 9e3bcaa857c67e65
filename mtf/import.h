/* SPDX-License-Identifier: BSD-2-Clause */
/* Many credentials and instructions at once: an import. Rows are written by the store's writer while the caller reads
 * the next ones; memory does not grow with their number, but for a trial run (below).
 *
 * A row is stored whole or not at all, and never changes what is there: what it names and is there already has to be
 * the same. So an import that was cut short is completed by doing it again. One caller's thread. No text has a value of
 * a row in it: a key may stand where a name should. */
#ifndef MTF_IMPORT_H
#define MTF_IMPORT_H

#include "mtf/mtf.h"

struct mtf_import;

/* Spans are borrowed until mtf_import_row returns. */
struct mtf_import_row {
	uint64_t place; /* where in the input, handed back */
	/* Of what.credentials each is stored unless it is there. what.enrolee absent: no instruction, and the other
	 * parts of `what` mean nothing. Its created, ke_id and enrolled are not read. */
	struct mtf_enrolee_info what;
	/* Secret. Of the one credential, if that is a psk: ; absent: each psk: has to be there, with whatever key. */
	struct m2m_span key;
};

enum mtf_import_outcome {
	MTF_IMPORT_NEW,	    /* something of the row was stored */
	MTF_IMPORT_THERE,   /* all of it was there already, the same */
	MTF_IMPORT_REFUSED, /* nothing of it was stored */
};

struct mtf_import_told {
	uint64_t place;
	enum mtf_import_outcome outcome;
	const char *field;	   /* refused: the part, in the words of doc/operating.md's columns; NULL: the row */
	const struct m2m_err *why; /* refused: M2M_EINVAL a rule | M2M_EEXIST it is there, and other | M2M_ENOENT */
};
/* Called for each row, in their order, on the thread and within the calls of the import's owner. */
typedef void mtf_import_each(void *arg, const struct mtf_import_told *told);

/* dry: a trial run, that says of each row what would become of it, and writes nothing. It remembers what the rows
 * before would have stored, about 100 octets for each. out: mtf_import_end. M2M_ENOMEM | M2M_ECRYPTO. */
enum m2m_rc mtf_import_begin(struct mtf *mtf, bool dry, mtf_import_each *each, void *arg, struct mtf_import **out,
			     struct m2m_err *err);

/* The next row. Anything but M2M_OK is not about the row but ends the import: M2M_ENOMEM and the errors of store_run
 * and of records that do not open. Rows that were not told then may have been stored or not. */
enum m2m_rc mtf_import_row(struct mtf_import *imp, const struct mtf_import_row *row, struct m2m_err *err);
/* In the place of a row that its reader refused: told like the others, in its order. field: static. Errors: as above.
 */
enum m2m_rc mtf_import_refuse(struct mtf_import *imp, uint64_t place, const char *field, const struct m2m_err *why,
			      struct m2m_err *err);
/* Until all rows so far are stored and told. Errors: as above. */
enum m2m_rc mtf_import_flush(struct mtf_import *imp, struct m2m_err *err);
/* Waits for what is being written, tells nothing more. NULL does nothing. */
void mtf_import_end(struct mtf_import *imp);

#endif

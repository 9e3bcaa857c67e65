/* SPDX-License-Identifier: BSD-2-Clause */
/* Every record of a store, looked at one by one: the part of a check that knows neither records nor seals.
 *
 * Beside whoever writes, without false alarms: records are read a page at a time, each in a view of its own, and the
 * looks that follow from a record (its index entry, what an index entry names) are in the same view, so at the same
 * moment. One that seems bad is looked at again in a later view, since its data key may have been destroyed by a
 * rotation in between; gone, or good by then, it is not bad. No view outlives a page. Thread-safe. */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "common/ident.h"
#include "store/store.h"

/* Is that record good? Anything but M2M_OK is a bad record, err says why; M2M_ENOMEM, and M2M_EIO, end the check. */
typedef enum m2m_rc store_look(void *arg, struct store_view *v, struct m2m_span key, struct m2m_span val,
			       struct m2m_err *err);

struct store_check_table {
	unsigned table;
	const char *name;
	store_look *look;
};

struct store_checker {
	const struct store_check_table *tables; /* to be looked at */
	size_t n;
	void *arg; /* of look */
	/* How an operator knows a record: appended to text, which is empty. */
	void (*name)(void *arg, unsigned table, struct m2m_span key, struct m2m_id *text);
};

/* Who is told. Called with no view held. */
struct store_told {
	/* One bad record. */
	void (*bad)(void *arg, const char *table, const char *name, const char *why);
	/* After each page; total: as many records as there were at the beginning. May be NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

/* good, bad: out, how many records, also if the check ended early. M2M_OK says that the check came to its end, not that
 * there was nothing bad. Errors: store_view_begin's, store_scan's, M2M_ENOMEM. */
enum m2m_rc store_check_records(struct store *st, const struct store_checker *c, const struct store_told *told,
				uint64_t *good, uint64_t *bad, struct m2m_err *err);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* KFR at the MTF: by name, and all that live, a page at a time. */
#include "config.h"

#include "check_common.h"
#include "mtf_kfr.h"

#include "dict/m2m_table.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* --- by name -------------------------------------------------------------- */

START_TEST(test_name_gives_what_was_pushed)
{
	struct node_conf node = rig_psk_node("node-7");
	struct enrolled e;
	struct m2m_kfr req = { .n = 1 };
	struct got *g = NULL;

	rig_credential(&r, "psk:node-7");
	rig_enrolee(&r, RIG_NODE, "psk:node-7", 1, 0, 0);
	rig_enrol(&r, &node, "s;1;1", &e);
	ck_assert_uint_eq(e.result, 2001);
	req.name[0] = m2m_span_str(r.mas[0].name);
	g = fetch(&mas0, &req);
	ck_assert_uint_eq(g->result, 2001);
	ck_assert_uint_eq(g->nkeys, 1);
	ck_assert_uint_eq(g->nstatus, 0);
	ck_assert_uint_eq(g->cursor_n, 0);
	/* the listing has it too, and the other MAS sees nothing */
	ck_assert_uint_eq(page(&mas0, NULL, 0)->nkeys, 1);
	ck_assert_uint_eq(page(&mas1, NULL, 0)->nkeys, 0);
}
END_TEST

START_TEST(test_name_right)
{
	put_live(7, 2);
	ck_assert_uint_eq(by_name(&mas0, 7)->result, 2001);
	ck_assert(by_name(&mas0, 7)->right[0]);
	ck_assert(by_name(&mas1, 7)->right[0]); /* each its own */
}
END_TEST

/* Unknown, another MAS's, a name of another MAS: one answer. */
START_TEST(test_name_unavailable)
{
	struct m2m_kfr req = { .n = 1 };

	put_live(1, 1);
	put_live(2, 0);
	put(&(struct put){
		.i = 3, .enrolee = "//sp.example.com/node-3", .n_mas = 1, .expiry = RIG_NOW, .latest = true });
	put(&(struct put){ .i = 4, .enrolee = "//sp.example.com/node-1", .n_mas = 1 });
	ck_assert_uint_eq(by_name(&mas0, 99)->result, M2M_KEY_UNAVAILABLE);
	ck_assert_uint_eq(by_name(&mas0, 2)->result, M2M_KEY_UNAVAILABLE);
	for (unsigned i = 1; i <= 4; i++)
		ck_assert_uint_eq(by_name(&mas1, i)->result, M2M_KEY_UNAVAILABLE);
	req.name[0] = km_name(1, MAS0);
	ck_assert_uint_eq(fetch(&mas1, &req)->result, M2M_KEY_UNAVAILABLE);
	ck_assert_uint_eq(fetch(&mas0, &req)->result, DIAMETER_SUCCESS);
	req.name[0] = km_name(1, "mas.example.org");
	ck_assert_uint_eq(fetch(&mas0, &req)->result, M2M_KEY_UNAVAILABLE);
}
END_TEST

START_TEST(test_name_superseded_and_expired)
{
	put(&(struct put){ .i = 1, .enrolee = "//sp.example.com/node-2", .n_mas = 1 });
	put_live(2, 1);
	put(&(struct put){
		.i = 3, .enrolee = "//sp.example.com/node-3", .n_mas = 1, .expiry = RIG_NOW + 10, .latest = true });
	ck_assert_uint_eq(by_name(&mas0, 1)->result, M2M_KEY_REVOKED);
	ck_assert_uint_eq(by_name(&mas0, 2)->result, DIAMETER_SUCCESS);
	rig_advance(&r, 9);
	ck_assert_uint_eq(by_name(&mas0, 3)->result, DIAMETER_SUCCESS);
	rig_advance(&r, 1); /* on the second */
	ck_assert_uint_eq(by_name(&mas0, 3)->result, M2M_KEY_EXPIRED);
}
END_TEST

START_TEST(test_name_mixed)
{
	struct m2m_kfr req = { .n = 4 };
	struct got *g = NULL;

	put(&(struct put){ .i = 1, .enrolee = "//sp.example.com/node-2", .n_mas = 1 });
	put_live(2, 1);
	req.name[0] = km_name(1, MAS0);
	req.name[1] = km_name(2, MAS0);
	req.name[2] = km_name(9, MAS0);
	req.name[3] = km_name(2, MAS0); /* twice */
	g = fetch(&mas0, &req);
	ck_assert_uint_eq(g->result, DIAMETER_LIMITED_SUCCESS);
	ck_assert_uint_eq(g->nkeys, 2);
	ck_assert(g->right[0] && g->right[1]);
	ck_assert_uint_eq(g->nstatus, 2);
	ck_assert_uint_eq(g->status[0].result, M2M_KEY_REVOKED);
	ck_assert_uint_eq(g->status[1].result, M2M_KEY_UNAVAILABLE);
	ck_assert_str_eq(g->status[1].name, "00000009000000000000000000000000@" MAS0);
	req.n = 2;
	req.name[1] = km_name(9, MAS0);
	g = fetch(&mas0, &req);
	ck_assert_uint_eq(g->result, DIAMETER_UNABLE_TO_COMPLY);
	ck_assert_uint_eq(g->nstatus, 2);
}
END_TEST

/* A MAS that the instruction names by now is served, though the enrolment was not for it. */
START_TEST(test_added_mas)
{
	rig_credential(&r, "psk:node-7");
	rig_enrolee(&r, "//sp.example.com/node-5", "psk:node-7", 2, 0, 0);
	put_live(5, 1); /* when it enrolled, for the first only */
	put_live(6, 1); /* no instruction at all any more */
	ck_assert(by_name(&mas1, 5)->right[0]);
	ck_assert_uint_eq(by_name(&mas1, 6)->result, M2M_KEY_UNAVAILABLE);
	ck_assert_uint_eq(page(&mas1, NULL, 0)->nkeys, 1);
	ck_assert_uint_eq(page(&mas0, NULL, 0)->nkeys, 2);
	/* superseded: 5502, for it may have fetched it */
	put(&(struct put){ .i = 5, .enrolee = "//sp.example.com/node-5", .n_mas = 1 });
	ck_assert_uint_eq(by_name(&mas1, 5)->result, M2M_KEY_REVOKED);
}
END_TEST

/* --- refusals ------------------------------------------------------------- */

START_TEST(test_refuses)
{
	struct m2m_kfr req = { .n = 1, .name = { m2m_span_str("no KmID") } };
	struct got *g = fetch(&mas0, &req);

	ck_assert_uint_eq(g->result, DIAMETER_INVALID_AVP_VALUE);
	ck_assert_uint_eq(g->failed_avp, M2M_AVP_KEY_NAME);
	req.head.dest_host = m2m_span_str("mtf-2.example.com");
	req.name[0] = km_name(1, MAS0);
	g = fetch(&mas0, &req);
	ck_assert_uint_eq(g->result, DIAMETER_INVALID_AVP_VALUE);
	ck_assert_uint_eq(g->failed_avp, M2M_AVP_DESTINATION_HOST);
	req.head.dest_host = m2m_span_str("MTF.example.com");
	req.cursor = m2m_span_str("x");
	g = fetch(&mas0, &req);
	ck_assert_uint_eq(g->result, DIAMETER_CONTRADICTING_AVPS);
	ck_assert_uint_eq(g->failed_avp, M2M_AVP_PAGE_CURSOR);
	req.cursor = m2m_span(NULL, 0);
	req.n = M2M_BULK_MAX + 1;
	ck_assert_uint_eq(fetch(&mas0, &req)->result, DIAMETER_AVP_OCCURS_TOO_MANY_TIMES);
	r.conf.fetch = false;
	req.n = 1;
	ck_assert_uint_eq(fetch(&mas0, &req)->result, DIAMETER_AUTHORIZATION_REJECTED);
	r.conf.fetch = true;
	ck_assert_uint_eq(fetch(&mas0, &req)->result, M2M_KEY_UNAVAILABLE);
}
END_TEST

static void refused_cursor(const struct m2m_peer *peer, const uint8_t *cursor, size_t n)
{
	struct got *g = page(peer, cursor, n);

	ck_assert_uint_eq(g->result, DIAMETER_INVALID_AVP_VALUE);
	ck_assert_uint_eq(g->failed_avp, M2M_AVP_PAGE_CURSOR);
	ck_assert_uint_eq(g->nkeys, 0);
	ck_assert_uint_eq(g->cursor_n, 0);
}

START_TEST(test_cursors)
{
	uint8_t cursor[256], spoilt[256] = { 0 };
	size_t n = 0;
	struct got *g = NULL;

	for (unsigned i = 1; i <= 40; i++)
		put_live(i, 2);
	g = page(&mas0, NULL, 0);
	ck_assert_uint_eq(g->nkeys, 32);
	n = g->cursor_n;
	ck_assert_uint_gt(n, 0);
	memcpy(cursor, g->cursor, n);
	/* it tells nothing of where it stands */
	for (size_t i = 0; i + 4 <= n; i++)
		ck_assert(memcmp(cursor + i, "\0\0\0\40", 4) != 0);
	refused_cursor(&mas1, cursor, n); /* another MAS's */
	for (size_t bit = 0; bit < n * 8; bit += 7) {
		memcpy(spoilt, cursor, n);
		spoilt[bit / 8] ^= (uint8_t)(1U << bit % 8);
		refused_cursor(&mas0, spoilt, n);
	}
	for (size_t cut = 1; cut < n; cut += 13)
		refused_cursor(&mas0, cursor, cut);
	memcpy(spoilt, cursor, n);
	refused_cursor(&mas0, spoilt, n + 1);
	memset(spoilt, 0, sizeof(spoilt));
	refused_cursor(&mas0, spoilt, 16);
	refused_cursor(&mas0, spoilt, 255);
	/* and it works, again and after a restart */
	for (unsigned i = 0; i < 2; i++) {
		g = page(&mas0, cursor, n);
		ck_assert_uint_eq(g->result, 2001);
		ck_assert_uint_eq(g->nkeys, 8);
		ck_assert_uint_eq(g->key[0], 33);
		ck_assert_uint_eq(g->cursor_n, 0);
		rig_close(&r);
		rig_open(&r);
	}
}
END_TEST

/* --- pages ---------------------------------------------------------------- */

/* Read all pages; returns how many keys, which come in order. empty: out, pages without one. */
static unsigned read_all(const struct m2m_peer *peer, unsigned *pages, unsigned *empty)
{
	uint8_t cursor[256];
	size_t n = 0;
	unsigned keys = 0, last = 0;

	*pages = *empty = 0;
	do {
		struct got *g = page(peer, cursor, n);

		ck_assert_uint_eq(g->result, 2001);
		ck_assert_uint_eq(g->nstatus, 0);
		for (size_t i = 0; i < g->nkeys; i++) {
			ck_assert(g->right[i]);
			ck_assert_uint_gt(g->key[i], last);
			last = g->key[i];
		}
		keys += (unsigned)g->nkeys;
		*empty += g->nkeys == 0;
		++*pages;
		n = g->cursor_n;
		memcpy(cursor, g->cursor, n);
	} while (n > 0);
	return keys;
}

START_TEST(test_pages)
{
	unsigned pages = 0, empty = 0;

	ck_assert_uint_eq(read_all(&mas0, &pages, &empty), 0);
	ck_assert_uint_eq(pages, 1);
	for (unsigned i = 1; i <= 32; i++)
		put_live(2 * i, 1);
	ck_assert_uint_eq(read_all(&mas0, &pages, &empty), 32);
	ck_assert_uint_eq(pages, 1);
	put_live(100, 1);
	ck_assert_uint_eq(read_all(&mas0, &pages, &empty), 33);
	ck_assert_uint_eq(pages, 2);
	/* what is not live, or another's, is not there */
	put_live(101, 0);
	put(&(struct put){ .i = 3, .enrolee = "//sp.example.com/node-4", .n_mas = 1 });
	put(&(struct put){
		.i = 5, .enrolee = "//sp.example.com/node-5", .n_mas = 1, .expiry = RIG_NOW, .latest = true });
	ck_assert_uint_eq(read_all(&mas0, &pages, &empty), 33);
	ck_assert_uint_eq(read_all(&mas1, &pages, &empty), 0);
}
END_TEST

/* The work for one page is bounded: it ends empty, with a cursor. */
START_TEST(test_empty_pages)
{
	unsigned pages = 0, empty = 0;

	for (unsigned i = 1; i <= 4200; i++)
		put(&(struct put){ .i = i, .enrolee = "//sp.example.com/other", .n_mas = 0 });
	put_live(5000, 1);
	ck_assert_uint_eq(read_all(&mas0, &pages, &empty), 1);
	ck_assert_uint_eq(pages, 2);
	ck_assert_uint_eq(empty, 1);
}
END_TEST

/* An answer stays below what the host can send. */
START_TEST(test_long_keys)
{
	unsigned pages = 0, empty = 0;
	struct m2m_kfr req = { .n = 8 };
	struct got *g = NULL;

	for (unsigned i = 1; i <= 8; i++) {
		char enrolee[64];

		snprintf(enrolee, sizeof(enrolee), "//sp.example.com/node-%u", i);
		put(&(struct put){
			.i = i, .enrolee = enrolee, .n_mas = 1, .latest = true, .long_lists = M2M_LIST_MAX });
		req.name[i - 1] = km_name(i, MAS0);
	}
	ck_assert_uint_eq(read_all(&mas0, &pages, &empty), 8);
	ck_assert_uint_eq(pages, 4);
	ck_assert_uint_eq(empty, 0);
	g = fetch(&mas0, &req);
	ck_assert_uint_eq(g->result, DIAMETER_LIMITED_SUCCESS);
	ck_assert_uint_eq(g->nkeys, 2);
	ck_assert_uint_eq(g->nstatus, 6);
	ck_assert_uint_eq(g->status[0].result, M2M_PROVISIONING_BUSY);
	ck_assert_uint_eq(g->targets, M2M_LIST_MAX);
}
END_TEST

/* --- troubles ------------------------------------------------------------- */

/* A record that does not open is left out of the listing, and is trouble by name. */
static enum m2m_rc apply_damage(void *arg, struct store_txn *t, struct m2m_err *err)
{
	uint8_t rel[M2M_REL_LEN];
	static const uint8_t nonsense[120] = { 1, 1 };

	rel_of(*(unsigned *)arg, rel);
	return store_txn_put(t, MTF_T_ENROLMENT, m2m_span(rel, sizeof(rel)), m2m_span(nonsense, sizeof(nonsense)), err);
}

START_TEST(test_damaged_record)
{
	unsigned pages = 0, empty = 0, which = 2;
	struct got *g = NULL;

	put_live(1, 1);
	put_live(3, 1);
	ck_assert_int_eq(store_run(r.mtf->store.st, STORE_KEEPS, apply_damage, &which, NULL), M2M_OK);
	ck_assert_uint_eq(read_all(&mas0, &pages, &empty), 2);
	/* the Key-Status says that it is this key, and not the store */
	g = by_name(&mas0, 2);
	ck_assert_uint_eq(g->result, M2M_KEY_STORE_UNAVAILABLE);
	ck_assert_uint_eq(g->nstatus, 1);
	ck_assert_uint_eq(g->status[0].result, M2M_KEY_STORE_UNAVAILABLE);
	/* if there is but one MAS, it is that one's: the page has it as a hole */
	r.conf.mas.n = 1;
	g = page(&mas0, NULL, 0);
	ck_assert_uint_eq(g->result, DIAMETER_LIMITED_SUCCESS);
	ck_assert_uint_eq(g->nkeys, 2);
	ck_assert_uint_eq(g->nstatus, 1);
	ck_assert_str_eq(g->status[0].name, "00000002000000000000000000000000@" MAS0);
	ck_assert_uint_eq(g->status[0].result, M2M_KEY_STORE_UNAVAILABLE);
}
END_TEST

/* No key leaves that the audit log does not have. */
START_TEST(test_audit)
{
	char path[PATH_MAX], line[2048];
	unsigned kfr = 0;
	FILE *f = NULL;
	struct m2m_kfr req = { .n = 2 };

	put_live(1, 1);
	put_live(2, 1);
	ck_assert_uint_eq(page(&mas0, NULL, 0)->nkeys, 2);
	req.name[0] = km_name(1, MAS0);
	req.name[1] = km_name(9, MAS0);
	ck_assert_uint_eq(fetch(&mas0, &req)->nkeys, 1);
	ck_assert_int_eq(mtf_audit_path(&r.conf, path, NULL), M2M_OK);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		kfr += strstr(line, "\"KFR\"") != NULL && strstr(line, "\"peer\":\"" MAS0 "\"") != NULL;
	fclose(f);
	ck_assert_uint_eq(kfr, 4);
}
END_TEST

START_TEST(test_without_audit_no_key)
{
	const struct timespec ms = { 0, 10000000 };
	char path[PATH_MAX];

	put_live(1, 1);
	ck_assert_uint_eq(page(&mas0, NULL, 0)->nkeys, 1);
	ck_assert_int_eq(mtf_audit_path(&r.conf, path, NULL), M2M_OK);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0); /* nothing that can be written to */
	for (int i = 0; i < 2; i++) {
		struct got *g = i == 0 ? page(&mas0, NULL, 0) : by_name(&mas0, 1);

		ck_assert_uint_eq(g->result, M2M_KEY_STORE_UNAVAILABLE);
		ck_assert_uint_eq(g->nkeys, 0);
	}
	ck_assert_int_eq(rmdir(path), 0);
	for (int i = 0; by_name(&mas0, 1)->result != DIAMETER_SUCCESS; i++) { /* it goes on by itself */
		ck_assert_int_lt(i, 500);
		nanosleep(&ms, NULL);
	}
}
END_TEST

/* More at once than there is room for are refused; each gets its answer, also when the MTF closes. */
START_TEST(test_too_many_at_once)
{
	enum { N = 200 };
	static struct got g[N];
	static struct m2m_kfr req[N];
	unsigned well = 0, busy = 0;

	memset(g, 0, sizeof(g));
	for (unsigned i = 1; i <= 200; i++)
		put_live(i, 1);
	asking = MAS0;
	for (unsigned i = 0; i < N; i++) {
		req[i] = (struct m2m_kfr){ .head.dest_host = m2m_span_str(MTF_ID) };
		mtf_fetch(r.mtf, &mas0, &req[i], on_fetched, &g[i]);
	}
	rig_close(&r);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_eq(g[i].times, 1);
		well += g[i].result == 2001;
		busy += g[i].result == M2M_PROVISIONING_BUSY;
	}
	ck_assert_uint_ge(well, 4);
	ck_assert_uint_eq(well + busy, N);
	ck_assert_uint_gt(busy, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mtf_fetch");
	TCase *tc = tcase_create("fetch");

	tcase_add_checked_fixture(tc, up, down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_name_gives_what_was_pushed);
	tcase_add_test(tc, test_name_right);
	tcase_add_test(tc, test_name_unavailable);
	tcase_add_test(tc, test_name_superseded_and_expired);
	tcase_add_test(tc, test_name_mixed);
	tcase_add_test(tc, test_added_mas);
	tcase_add_test(tc, test_refuses);
	tcase_add_test(tc, test_cursors);
	tcase_add_test(tc, test_pages);
	tcase_add_test(tc, test_empty_pages);
	tcase_add_test(tc, test_long_keys);
	tcase_add_test(tc, test_damaged_record);
	tcase_add_test(tc, test_audit);
	tcase_add_test(tc, test_without_audit_no_key);
	tcase_add_test(tc, test_too_many_at_once);
	suite_add_tcase(s, tc);
	return check_run(s);
}

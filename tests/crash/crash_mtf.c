/* SPDX-License-Identifier: BSD-2-Clause */
/* The MTF core as a crash test drives and checks it.
 *
 * crash_mtf drive DIR N   make an MTF in DIR (store, KEK) with a credential and an instruction, and let a node enrol N
 *                         times. Says on standard output, and to tests/crash/diskshim.c if that is loaded, what is
 *                         under way and what was acknowledged: "init", "credential", "instruction", "enrolling",
 *                         "enrolled KEID". A refusal is no failure: a disk may fail.
 * crash_mtf check         reads lines "DIR FILE": FILE has such notes. Opens the MTF in DIR as the operator's tool
 * does, compares, holds its tables against each other, and adds a credential; answers "ok ENROLMENTS", "shut REASON"
 * (it was not made yet) or "BAD REASON". */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/hex.h"
#include "store/check.h"
#include "tests/unit/mtf_rig.h"

#define MTF "mtf.example.com"
#define CREDENTIAL "psk:node-7"
#define KEPT_MAX 1024

/* The shim's, if it is loaded. */
extern void diskshim_note(const char *text) __attribute__((weak));

static struct rig r;

static void note(const char *text)
{
	if (diskshim_note)
		diskshim_note(text);
	printf("%s\n", text);
	fflush(stdout);
}

/* --- driving ------------------------------------------------------------------------------------------------------ */

static enum m2m_rc add_enrolee(struct m2m_err *err)
{
	struct mtf_enrolee_info info = { .enrolee = m2m_span_str(RIG_NODE) };

	info.credentials = (struct m2m_list){ 1, { m2m_span_str(CREDENTIAL) } };
	info.targets = (struct m2m_list){ 1, { m2m_span_str(RIG_CSE) } };
	info.mas_ids = (struct m2m_list){ 1, { m2m_span_str(r.mas[0].id) } };
	return mtf_enrolee_add(r.mtf, &info, err);
}

static void enrol(size_t i)
{
	struct node_conf node = rig_psk_node("node-7");
	char session[32], rel[2 * M2M_REL_LEN + 1], line[128];
	static struct enrolled e;

	snprintf(session, sizeof(session), "s;crash;%zu", i);
	note("enrolling");
	rig_enrol(&r, &node, session, &e);
	if (!strstr(e.text, "\"enrolled\""))
		return;
	m2m_hex(e.exported, M2M_REL_LEN, rel);
	snprintf(line, sizeof(line), "enrolled %s@" MTF, rel);
	note(line);
}

static int drive(const char *dir, size_t n)
{
	struct m2m_err err = { 0 };
	int status = 1;

	rig_prepare(&r, dir);
	r.conf.map_size = 1 << 20;
	if (mtf_init_store(&r.conf, &r.env, &err) != M2M_OK)
		goto out;
	note("init");
	if (rig_try_open(&r, &err) != M2M_OK ||
	    mtf_credential_add(r.mtf, m2m_span_str(CREDENTIAL), m2m_span(rig_psk, sizeof(rig_psk)), &err) != M2M_OK)
		goto out;
	note("credential");
	if (add_enrolee(&err) != M2M_OK)
		goto out;
	note("instruction");
	for (size_t i = 0; i < n; i++)
		enrol(i);
	status = 0;
out:
	if (status != 0)
		fprintf(stderr, "crash_mtf: %s\n", err.text);
	rig_free(&r);
	return status;
}

/* --- checking ----------------------------------------------------------------------------------------------------- */

/* What the notes say, and what is there. */
static struct {
	bool init, credential, instruction;
	size_t began, n, seen;
	char kept[KEPT_MAX][128];
	bool found[KEPT_MAX];
	char bad[M2M_ERR_TEXT];
} t;

static bool read_notes(const char *file)
{
	char line[256], what[16], name[128];
	FILE *f = fopen(file, "re");

	memset(&t, 0, sizeof(t));
	while (f && fgets(line, sizeof(line), f)) {
		int n = sscanf(line, "%15s %127s", what, name);

		t.init |= strcmp(what, "init") == 0;
		t.credential |= strcmp(what, "credential") == 0;
		t.instruction |= strcmp(what, "instruction") == 0;
		t.began += strcmp(what, "enrolling") == 0;
		if (n == 2 && t.n < KEPT_MAX)
			memcpy(t.kept[t.n++], name, sizeof(name));
	}
	if (f)
		fclose(f);
	return f;
}

static bool see(void *arg, const struct mtf_enrolment_info *info)
{
	(void)arg;
	t.seen++;
	for (size_t i = 0; i < t.n; i++)
		t.found[i] |= strcmp(t.kept[i], info->ke_id.s) == 0;
	if (!m2m_span_equal(info->enrolee, m2m_span_str(RIG_NODE)))
		snprintf(t.bad, sizeof(t.bad), "%s has another enrolee", info->ke_id.s);
	return true;
}

static bool see_credential(void *arg, const struct mtf_credential_info *info)
{
	(void)info;
	++*(unsigned *)arg;
	return true;
}

static bool see_instruction(void *arg, const struct mtf_enrolee_info *info)
{
	(void)info;
	++*(unsigned *)arg;
	return true;
}

static void told(void *arg, const char *table, const char *name, const char *why)
{
	(void)arg;
	snprintf(t.bad, sizeof(t.bad), "table %s: %s: %.300s", table, name, why);
}

static void judge_enrolments(struct m2m_err *err)
{
	if (mtf_enrolment_list(r.mtf, see, NULL, err) != M2M_OK)
		snprintf(t.bad, sizeof(t.bad), "%.400s", err->text);
	if (t.seen > t.began)
		snprintf(t.bad, sizeof(t.bad), "%zu enrolments of %zu that began", t.seen, t.began);
	for (size_t i = 0; i < t.n; i++) {
		if (!t.found[i])
			snprintf(t.bad, sizeof(t.bad), "%s was acknowledged and is lost", t.kept[i]);
	}
}

/* What was left must also take something new. */
static void judge_rest(struct m2m_err *err)
{
	const struct store_told tell = { .bad = told };
	unsigned credentials = 0, instructions = 0;
	uint64_t good = 0, bad = 0;

	if (mtf_check_store(r.mtf, &tell, &good, &bad, err) != M2M_OK ||
	    mtf_credential_list(r.mtf, see_credential, &credentials, err) != M2M_OK ||
	    mtf_enrolee_list(r.mtf, see_instruction, &instructions, err) != M2M_OK ||
	    mtf_credential_add(r.mtf, m2m_span_str("psk:another"), m2m_span(rig_psk, sizeof(rig_psk)), err) != M2M_OK)
		snprintf(t.bad, sizeof(t.bad), "%.400s", err->text);
	if (t.credential && credentials == 0)
		snprintf(t.bad, sizeof(t.bad), "the credential was acknowledged and is lost");
	if (t.instruction && instructions == 0)
		snprintf(t.bad, sizeof(t.bad), "the instruction was acknowledged and is lost");
}

static void check(const char *dir, const char *notes)
{
	struct m2m_err err = { 0 };

	if (!read_notes(notes)) {
		printf("BAD no notes\n");
		return;
	}
	snprintf(r.store, sizeof(r.store), "%.70s/store", dir);
	snprintf(r.kek, sizeof(r.kek), "%.70s/kek", dir);
	if (mtf_open(&r.conf, MTF, NULL, &r.env, &r.mtf, &err) != M2M_OK) {
		printf("%s %s\n", t.init ? "BAD" : "shut", err.text);
		return;
	}
	judge_enrolments(&err);
	judge_rest(&err);
	rig_close(&r);
	if (t.bad[0])
		printf("BAD %s\n", t.bad);
	else
		printf("ok %zu\n", t.seen);
}

static int status = 2;
static char **args;

START_TEST(work)
{
	char dir[256], notes[256];

	if (args[1] && strcmp(args[1], "drive") == 0) {
		status = drive(args[2], strtoul(args[3], NULL, 10));
		return;
	}
	rig_prepare(&r, NULL);
	r.conf.map_size = 1 << 20;
	while (scanf("%255s %255s", dir, notes) == 2)
		check(dir, notes);
	rig_free(&r);
	status = 0;
}
END_TEST

/* The rig asserts as it goes, which it may only in a test that runs. */
int main(int argc, char **argv)
{
	Suite *s = suite_create("crash_mtf");
	TCase *tc = tcase_create("crash_mtf");
	SRunner *sr = srunner_create(s);

	setvbuf(stdout, NULL, _IOLBF, 0);
	args = argv;
	suite_add_tcase(s, tc);
	tcase_add_test(tc, work);
	srunner_set_fork_status(sr, CK_NOFORK);
	if (argc == 2 || argc == 4)
		srunner_run_all(sr, CK_SILENT);
	srunner_free(sr);
	return status;
}

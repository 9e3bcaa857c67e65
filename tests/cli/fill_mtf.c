/* SPDX-License-Identifier: BSD-2-Clause */
/* fill_mtf MTF-CONF SEED FIRST N MAS-ID: put N enrolments into an MTF's store, as so many nodes would have left them,
 * beside a running server too. SEED: a file; of enrolment i all follows from it: RelativeKeID is the first 16 octets of
 * HMAC-SHA-256(seed, "r" i), Ke is HMAC-SHA-256(seed, "k" i), i in 8 octets, big endian. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/kdf.h"
#include "mtf/core.h"

#define BATCH 1000

struct fill {
	struct mtf *mtf;
	struct m2m_span seed, mas;
	uint64_t first, n;
	int64_t now;
};

static enum m2m_rc make(const struct fill *f, char what, uint64_t i, uint8_t out[32], struct m2m_err *err)
{
	uint8_t data[9] = { (uint8_t)what };

	for (unsigned k = 0; k < 8; k++)
		data[1 + k] = (uint8_t)(i >> (56 - 8 * k));
	return m2m_hmac(f->seed, m2m_span(data, sizeof(data)), out, err);
}

static enum m2m_rc put(const struct fill *f, struct store_txn *t, enum mtf_table table, struct m2m_span key,
		       const struct m2m_secret *plain, struct m2m_err *err)
{
	return mtf_store_txn_save(&f->mtf->store, t, table, key, m2m_secret_span(plain), err);
}

static enum m2m_rc put_one(const struct fill *f, struct store_txn *t, uint64_t i, struct m2m_err *err)
{
	char enrolee[64];
	struct mtf_enrolment en = { .state = MTF_ENROLMENT_ACTIVE, .created = f->now, .expiry = f->now + 300 * 86400 };
	struct mtf_latest latest = { .enrolled = f->now, .mtf_id = m2m_id_span(&f->mtf->mtf_id) };
	struct m2m_secret plain = { 0 };
	uint8_t rel[32];
	enum m2m_rc rc = make(f, 'r', i, rel, err);

	snprintf(enrolee, sizeof(enrolee), "//sp.example.com/fill-%08llu", (unsigned long long)i);
	memcpy(latest.rel, rel, M2M_REL_LEN);
	if (rc == M2M_OK)
		rc = make(f, 'k', i, en.ke.b, err);
	en.mtf_id = m2m_id_span(&f->mtf->mtf_id);
	en.enrolee = m2m_span_str(enrolee);
	en.credential = m2m_span_str("psk:fill");
	en.app_ids = (struct m2m_list){ 1, { m2m_span_str("Nfill") } };
	en.mas_ids = (struct m2m_list){ 1, { f->mas } };
	en.targets = (struct m2m_list){ 1, { m2m_span_str("//sp.example.com/in-cse") } };
	if (rc == M2M_OK)
		rc = mtf_enrolment_encode(&en, &plain, err);
	if (rc == M2M_OK)
		rc = put(f, t, MTF_T_ENROLMENT, m2m_span(rel, M2M_REL_LEN), &plain, err);
	m2m_secret_reset(&plain);
	if (rc == M2M_OK)
		rc = mtf_latest_encode(&latest, &plain, err);
	if (rc == M2M_OK)
		rc = put(f, t, MTF_T_LATEST, en.enrolee, &plain, err);
	m2m_secret_wipe(&plain);
	m2m_key_wipe(&en.ke);
	return rc;
}

static enum m2m_rc apply(void *arg, struct store_txn *t, struct m2m_err *err)
{
	const struct fill *f = arg;
	enum m2m_rc rc = M2M_OK;

	for (uint64_t i = 0; rc == M2M_OK && i < f->n && i < BATCH; i++)
		rc = put_one(f, t, f->first + i, err);
	return rc;
}

static enum m2m_rc fill(struct fill *f, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	while (rc == M2M_OK && f->n > 0) {
		uint64_t did = f->n < BATCH ? f->n : BATCH;

		rc = store_run(f->mtf->store.st, STORE_KEEPS, apply, f, err);
		f->first += did;
		f->n -= did;
	}
	return rc;
}

int main(int argc, char **argv)
{
	struct m2m_err err = { 0 };
	struct mtf_conf conf = { 0 };
	uint8_t seed[32];
	FILE *f = argc == 6 ? fopen(argv[2], "rb") : NULL;
	struct fill fl = { .seed = m2m_span(seed, sizeof(seed)), .now = m2m_now(&m2m_env_system) };
	enum m2m_rc rc = M2M_EINVAL;

	if (f && fread(seed, 1, sizeof(seed), f) == sizeof(seed))
		rc = m2m_secret_process(&err);
	if (rc == M2M_OK)
		rc = mtf_conf_load(argv[1], &conf, &err);
	if (rc == M2M_OK)
		rc = mtf_open(&conf, NULL, NULL, &m2m_env_system, &fl.mtf, &err);
	if (rc == M2M_OK) {
		fl.first = strtoull(argv[3], NULL, 10);
		fl.n = strtoull(argv[4], NULL, 10);
		fl.mas = m2m_span_str(argv[5]);
		rc = fill(&fl, &err);
	}
	if (rc != M2M_OK)
		fprintf(stderr, "fill_mtf: %s\n", err.text[0] ? err.text : "MTF-CONF SEED FIRST N MAS-ID");
	mtf_close(fl.mtf);
	mtf_conf_free(&conf);
	if (f)
		fclose(f);
	return rc == M2M_OK ? 0 : 1;
}

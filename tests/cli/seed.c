/* SPDX-License-Identifier: BSD-2-Clause */
/* seed MAS-CONF revoke KMID: revoke a root key. seed MAS-CONF N [hold]: push N root keys into a MAS's store, as its MTF
 * would; prints each KmID and, so that a test can look for it where it must not be, each key. Keys are random. hold:
 * keep the store open, as a daemon would, until standard input ends. */
#include "config.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/hex.h"
#include "common/kdf.h"
#include "mas/mas.h"

struct pushed {
	sem_t done;
	uint32_t result;
};

static void pushed(void *arg, const struct m2m_status_answer *answer)
{
	struct pushed *p = arg;

	p->result = answer->head.result;
	sem_post(&p->done);
}

static bool push(struct mas *mas, const struct m2m_peer *mtf, unsigned i)
{
	const struct m2m_env *env = &m2m_env_system;
	uint8_t rel[M2M_REL_LEN];
	struct m2m_key km;
	struct m2m_id km_id, ke_id;
	char hex[2 * M2M_KEY_LEN + 1], enrolee[64];
	struct m2m_kpr req = {
		.head = { .dest_host = m2m_span_str(mas_id(mas)), .origin_host = m2m_span_str(mtf->host) }, .n = 1
	};
	struct m2m_key_avp *k = &req.key[0];
	struct pushed p = { .result = 0 };

	sem_init(&p.done, 0, 0);
	if (env->random(env->arg, rel, sizeof(rel)) != M2M_OK || env->random(env->arg, km.b, sizeof(km.b)) != M2M_OK)
		return false;
	m2m_key_name_format(rel, mas_id(mas), &km_id);
	m2m_key_name_format(rel, mtf->host, &ke_id);
	snprintf(enrolee, sizeof(enrolee), "//sp.example.com/node-%u", i);
	*k = (struct m2m_key_avp){ .name = m2m_id_span(&km_id),
				   .usage = M2M_SUID_ROOT_KEY,
				   .material = m2m_span(km.b, sizeof(km.b)),
				   .has_expiry = true,
				   .expiry = m2m_now(env) + 300 * 86400,
				   .enrolee = m2m_span_str(enrolee),
				   .app_ids = { 1, { m2m_span_str("Nseed") } },
				   .targets = { 1, { m2m_span_str("//sp.example.com/in-cse") } },
				   .enrolment_key_name = m2m_id_span(&ke_id) };
	mas_push(mas, mtf, &req, pushed, &p);
	while (sem_wait(&p.done) != 0)
		;
	m2m_hex(km.b, sizeof(km.b), hex);
	printf("%s %s\n", km_id.s, hex);
	return p.result == DIAMETER_SUCCESS;
}

static bool revoke(struct mas *mas, const struct m2m_peer *mtf, const char *km_id)
{
	const struct m2m_krr req = {
		.head = { .dest_host = m2m_span_str(mas_id(mas)), .origin_host = m2m_span_str(mtf->host) },
		.reason = 1,
		.n = 1,
		.name = { m2m_span_str(km_id) },
	};
	struct pushed p = { .result = 0 };

	sem_init(&p.done, 0, 0);
	mas_revoke(mas, mtf, &req, pushed, &p);
	while (sem_wait(&p.done) != 0)
		;
	return p.result == DIAMETER_SUCCESS;
}

int main(int argc, char **argv)
{
	struct m2m_err err = { 0 };
	struct mas_conf conf = { 0 };
	struct mas *mas = NULL;
	const struct m2m_peer *mtf = NULL;
	bool good = true;

	if (argc < 3 || m2m_secret_process(&err) != M2M_OK || mas_conf_load(argv[1], &conf, &err) != M2M_OK ||
	    mas_open(&conf, NULL, argc > 3 && strcmp(argv[3], "hold") == 0, &m2m_env_system, &mas, &err) != M2M_OK) {
		fprintf(stderr, "seed: %s\n", err.text);
		return 1;
	}
	mtf = m2m_peer_find(&conf.peers, m2m_span_str("mtf.example.com"));
	if (argc > 3 && strcmp(argv[2], "revoke") == 0) {
		good = mtf && revoke(mas, mtf, argv[3]);
		goto out;
	}
	for (unsigned i = 0; good && i < strtoul(argv[2], NULL, 10); i++)
		good = mtf && push(mas, mtf, i);
	fflush(stdout);
	while (argc > 3 && getchar() != EOF)
		;
out:
	mas_close(mas);
	mas_conf_free(&conf);
	return good ? 0 : 1;
}

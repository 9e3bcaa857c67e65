/* SPDX-License-Identifier: BSD-2-Clause */
/* What is lost when an older store takes the place of the one that is there: what came since, and what was taken back
 * since, which then holds again. */
#include "config.h"

#include <inttypes.h>

#include "ctl/ctl.h"

struct loss {
	const struct ctl_server *now, *then;
	uint64_t n, lost;	     /* what is there now; not in the backup */
	uint64_t revoked, of_backup; /* revoked now; and in the backup as well */
	uint64_t revived;	     /* revoked now, but not in the backup */
	enum mas_key_state state;    /* of the one that was looked up */
	enum m2m_rc rc;
	struct m2m_err *err;
};

/* --- MAS --------------------------------------------------------------------------------------------------------- */

static bool state_note(void *arg, const struct mas_key_info *info)
{
	struct loss *l = arg;

	l->state = info->state;
	return false;
}

static bool key_note(void *arg, const struct mas_key_info *info)
{
	struct loss *l = arg;
	bool revoked = info->state == MAS_KEY_REVOKED;

	l->n++;
	l->revoked += revoked;
	l->rc = mas_key_show(l->then->mas.mas, m2m_id_span(&info->km_id), state_note, l, l->err);
	if (l->rc == M2M_ENOENT) {
		l->lost++;
		l->rc = M2M_OK;
	} else if (l->rc == M2M_OK && revoked) {
		l->of_backup += l->state == MAS_KEY_REVOKED;
		l->revived += l->state != MAS_KEY_REVOKED;
	}
	return l->rc == M2M_OK;
}

static enum m2m_rc mas_tell(struct loss *l, struct m2m_err *err)
{
	enum m2m_rc rc = mas_key_list(l->now->mas.mas, key_note, l, err);

	if (rc == M2M_OK)
		rc = l->rc;
	if (rc != M2M_OK)
		return rc;
	printf("there now: %" PRIu64 " root keys, %" PRIu64 " of them revoked; of these the backup has %" PRIu64
	       " as revoked\n",
	       l->n, l->revoked, l->of_backup);
	printf("lost: %" PRIu64 " root keys that came since, whose nodes have to enrol again\n", l->lost);
	if (l->revived > 0)
		printf("ATTENTION: %" PRIu64 " root keys that were revoked since will work again\n", l->revived);
	return M2M_OK;
}

/* --- MTF --------------------------------------------------------------------------------------------------------- */

static bool found_note(void *arg, const struct mtf_credential_info *info)
{
	(void)arg;
	(void)info;
	return false;
}

/* Is a credential in the other store too? */
static bool missing(struct loss *l, struct mtf *other, const struct mtf_credential_info *info)
{
	l->rc = mtf_credential_show(other, info->name, found_note, NULL, l->err);
	if (l->rc != M2M_ENOENT)
		return false;
	l->rc = M2M_OK;
	return true;
}

static bool credential_now(void *arg, const struct mtf_credential_info *info)
{
	struct loss *l = arg;

	l->n++;
	l->lost += missing(l, l->then->mtf.mtf, info);
	return l->rc == M2M_OK;
}

static bool credential_then(void *arg, const struct mtf_credential_info *info)
{
	struct loss *l = arg;

	l->revived += missing(l, l->now->mtf.mtf, info);
	return l->rc == M2M_OK;
}

static bool enrolment_count(void *arg, const struct mtf_enrolment_info *info)
{
	uint64_t *n = arg;

	(void)info;
	++*n;
	return true;
}

static enum m2m_rc mtf_tell(struct loss *l, struct m2m_err *err)
{
	uint64_t now = 0, then = 0;
	enum m2m_rc rc = mtf_credential_list(l->now->mtf.mtf, credential_now, l, err);

	if (rc == M2M_OK)
		rc = l->rc;
	if (rc == M2M_OK)
		rc = mtf_credential_list(l->then->mtf.mtf, credential_then, l, err);
	if (rc == M2M_OK)
		rc = l->rc;
	if (rc == M2M_OK)
		rc = mtf_enrolment_list(l->now->mtf.mtf, enrolment_count, &now, err);
	if (rc == M2M_OK)
		rc = mtf_enrolment_list(l->then->mtf.mtf, enrolment_count, &then, err);
	if (rc != M2M_OK)
		return rc;
	printf("there now: %" PRIu64 " credentials and %" PRIu64 " enrolments; the backup has %" PRIu64 " enrolments\n",
	       l->n, now, then);
	printf("lost: %" PRIu64 " credentials that came since\n", l->lost);
	if (l->revived > 0)
		printf("ATTENTION: %" PRIu64 " credentials that were removed since will work again\n", l->revived);
	return M2M_OK;
}

enum m2m_rc ctl_loss_tell(const struct ctl_server *now, const struct ctl_server *then, struct m2m_err *err)
{
	struct loss l = { .now = now, .then = then, .err = err };

	return now->is_mas ? mas_tell(&l, err) : mtf_tell(&l, err);
}

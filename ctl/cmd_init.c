/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl init. */
#include "config.h"

#include <unistd.h>

#include "common/kek.h"
#include "ctl/ctl.h"

static void init_tell(const char *what, const char *store, const char *kek_file, bool kek_there)
{
	printf("made the %s's store and keyring in %s\n", what, store);
	if (!kek_file)
		return;
	printf("%s the key encryption key in %s\n", kek_there ? "used" : "made", kek_file);
	printf("\nBack up %s now, and apart from the store: without it nothing in\n"
	       "the store opens again, and who has both has every key in it.\n",
	       kek_file);
}

static bool file_there(const char *path)
{
	return path && access(path, F_OK) == 0;
}

static enum m2m_rc init_mas(const char *path, struct m2m_err *err)
{
	struct mas_conf conf = { 0 };
	enum m2m_rc rc = mas_conf_load(path, &conf, err);
	bool there;

	if (rc != M2M_OK)
		return rc;
	there = file_there(conf.kek_file);
	rc = mas_init_store(&conf, &m2m_env_system, err);
	if (rc == M2M_OK)
		init_tell("MAS", conf.store, conf.kek_file, there);
	mas_conf_free(&conf);
	return rc;
}

static enum m2m_rc init_mtf(const char *path, struct m2m_err *err)
{
	struct mtf_conf conf = { 0 };
	enum m2m_rc rc = mtf_conf_load(path, &conf, err);
	bool there;

	if (rc != M2M_OK)
		return rc;
	there = file_there(conf.kek_file);
	rc = mtf_init_store(&conf, &m2m_env_system, err);
	if (rc == M2M_OK)
		init_tell("MTF", conf.store, conf.kek_file, there);
	mtf_conf_free(&conf);
	return rc;
}

/* A second way in, for the day when the first is lost. */
static enum m2m_rc recovery_add(const struct ctl_args *args, const char *file, struct m2m_err *err)
{
	const struct m2m_kek_source src = { .type = M2M_KEK_PASSPHRASE, .where = file };
	struct m2m_secret text = { 0 };
	struct ctl_ring r = { 0 };
	enum m2m_rc rc = ctl_ring_open(args, &r, err);

	if (rc == M2M_OK)
		rc = m2m_recovery_create(file, &m2m_env_system, &text, err);
	if (rc == M2M_OK)
		rc = ctl_slot_add(&r, &src, err);
	if (rc == M2M_OK)
		printf("\nThe recovery passphrase is in %s. Print it, put it away, and delete the file:\n"
		       "who has it and the store has every key in it.\n",
		       file);
	else
		m2m_err_prefix(err, "the store was made, but has no recovery passphrase (m2mctl kek add)");
	m2m_secret_wipe(&text);
	ctl_ring_close(&r);
	return rc;
}

static bool recovery_said(const struct ctl_args *args)
{
	return (ctl_value(args, CTL_RECOVERY) != NULL) != (args->opt[CTL_NO_RECOVERY].n > 0);
}

enum m2m_rc ctl_init(const struct ctl_args *args, struct m2m_err *err)
{
	const char *recovery = ctl_value(args, CTL_RECOVERY), *path = NULL;
	bool is_mas = false;
	enum m2m_rc rc = ctl_which(args, &is_mas, &path, err);

	if (rc != M2M_OK)
		return rc;
	if (!recovery_said(args))
		return m2m_fail(err, M2M_EINVAL,
				"init: say --recovery-file FILE, so that a lost key encryption key is not the end of "
				"the store, or --no-recovery");
	if (file_there(recovery))
		return m2m_fail(err, M2M_EEXIST, "%s: exists already, left as it is", recovery);
	rc = m2m_secret_process(err);
	if (rc == M2M_OK)
		rc = is_mas ? init_mas(path, err) : init_mtf(path, err);
	return rc == M2M_OK && recovery ? recovery_add(args, recovery, err) : rc;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl init. */
#include "config.h"

#include <unistd.h>

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

/* Did an init that was interrupted leave that? It had begun the store, and the keyring comes last. */
static bool half_done(const struct ctl_server *s)
{
	char data[CTL_PATH_MAX + 16], keyring[CTL_PATH_MAX + 16];

	snprintf(data, sizeof(data), "%s/data.mdb", s->env);
	snprintf(keyring, sizeof(keyring), "%s/keyring", s->store);
	return file_there(data) && !file_there(keyring);
}

/* recovery: NULL: none. One that is there already may be another server's. */
static enum m2m_rc init(struct ctl_server *s, const char *recovery, struct m2m_err *err)
{
	const char *kek = s->is_mas ? s->mas.conf.kek_file : s->mtf.conf.kek_file;
	bool there = file_there(kek);
	enum m2m_rc rc;

	if (file_there(recovery) && !half_done(s))
		return m2m_fail(err, M2M_EEXIST, "%s: exists already, left as it is", recovery);
	s->mas.conf.passphrase_file = s->mtf.conf.passphrase_file = recovery;
	rc = s->is_mas ? mas_init_store(&s->mas.conf, &m2m_env_system, err)
		       : mtf_init_store(&s->mtf.conf, &m2m_env_system, err);
	if (rc != M2M_OK)
		return rc;
	init_tell(s->is_mas ? "MAS" : "MTF", s->store, kek, there);
	if (recovery)
		printf("\nThe recovery passphrase is in %s. Print it, put it away, and delete the file:\n"
		       "who has it and the store has every key in it.\n",
		       recovery);
	return M2M_OK;
}

static bool recovery_said(const struct ctl_args *args)
{
	return (ctl_value(args, CTL_RECOVERY) != NULL) != (args->opt[CTL_NO_RECOVERY].n > 0);
}

enum m2m_rc ctl_init(const struct ctl_args *args, struct m2m_err *err)
{
	struct ctl_server s = { 0 };
	enum m2m_rc rc = ctl_server_load(args, &s, err);

	if (rc == M2M_OK && !recovery_said(args))
		rc = m2m_fail(err, M2M_EINVAL,
			      "init: say --recovery-file FILE, so that a lost key encryption key is not the end of "
			      "the store, or --no-recovery");
	if (rc == M2M_OK)
		rc = init(&s, ctl_value(args, CTL_RECOVERY), err);
	ctl_server_close(&s);
	return rc;
}

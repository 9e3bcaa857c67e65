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

enum m2m_rc ctl_init(const struct ctl_args *args, struct m2m_err *err)
{
	const char *mas = ctl_value(args, CTL_MAS), *mtf = ctl_value(args, CTL_MTF);
	enum m2m_rc rc;

	if (!mas && !mtf) {
		mas = ctl_conf_path(args, CTL_MAS);
		mtf = ctl_conf_path(args, CTL_MTF);
	}
	if (!mas == !mtf)
		return m2m_fail(err, M2M_EINVAL, "init: give either --mas FILE or --mtf FILE");
	rc = m2m_secret_process(err);
	if (rc != M2M_OK)
		return rc;
	return mas ? init_mas(mas, err) : init_mtf(mtf, err);
}

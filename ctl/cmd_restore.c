/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl restore: a backup in the place of a stopped server's store.
 *
 * All is done on a copy in the folder restore/ of the store's folder, which becomes a store of its own there: it is
 * looked at, upgraded if it is of an older schema, opened with the keyring that it will have, and every record of it
 * too. Only what was shown to be good takes the place of what is there, in one step, as a store that is newer than all
 * that was there before. A kill leaves the folder restore/, and the store as it was or as it is to be; run again, it
 * begins anew. */
#include "config.h"

#include "ctl/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/folder.h"
#include "common/hex.h"
#include "store/store.h"

struct restore {
	const struct ctl_args *args;
	struct ctl_server now, then; /* what is there; the copy, below work */
	struct backup_paths from;
	json_t *m; /* the manifest, and what it says: */
	const char *uuid, *created, *data_sum, *keyring_sum;
	json_int_t epoch_said;
	struct store_epoch there; /* how far what is there has come, as its epoch file tells; 0: it tells nothing */
	struct store_epoch copy;  /* and the copy, as it came */
	uint32_t schema;
	char work[CTL_PATH_MAX], staged[CTL_PATH_MAX], data[CTL_PATH_MAX];
	char epoch[CTL_PATH_MAX], keyring[CTL_PATH_MAX];	   /* in the copy's folder */
	char real_epoch[CTL_PATH_MAX], real_keyring[CTL_PATH_MAX]; /* in the store's */
	bool keyring_there;
	bool made;   /* the store's folder, by this run */
	int work_fd; /* locked: one restore at a time */
};

/* --- what the backup says of itself --------------------------------------------------------------------------------
 */

static enum m2m_rc manifest_read(struct restore *r, struct m2m_err *err)
{
	const char *server = NULL;
	int format = 0;
	json_error_t why;

	r->m = json_load_file(r->from.manifest, JSON_REJECT_DUPLICATES, &why);
	if (!r->m && access(r->from.manifest, F_OK) != 0)
		return m2m_fail_errno(err, "%s", r->from.manifest);
	if (!r->m || json_unpack(r->m, "{s:i, s:s, s:s, s:I, s:s, s:{s:s, s?s}}", "format", &format, "server", &server,
				 "store", &r->uuid, "epoch", &r->epoch_said, "created", &r->created, "sha256",
				 "data.mdb", &r->data_sum, "keyring", &r->keyring_sum) != 0)
		return m2m_fail(err, M2M_ECORRUPT, "%s: not the manifest of a backup, or damaged", r->from.manifest);
	if (format > BACKUP_FORMAT)
		return m2m_fail(err, M2M_EVERSION, "%s: format %d, this program knows %d", r->from.manifest, format,
				BACKUP_FORMAT);
	if (strcmp(server, r->now.is_mas ? "mas" : "mtf") != 0)
		return m2m_fail(err, M2M_EINVAL, "%s: is of another server (%.16s)", r->from.manifest, server);
	return M2M_OK;
}

/* A file of the backup, as the manifest has it. */
static enum m2m_rc fetch(const char *from, const char *to, const char *want, struct m2m_err *err)
{
	char sum[SHA256_HEX];
	enum m2m_rc rc = backup_file_copy(from, to, sum, err);

	if (rc == M2M_OK && strcmp(sum, want) != 0)
		rc = m2m_fail(err, M2M_ECORRUPT, "%s: is not what the manifest says (SHA-256)", from);
	return rc;
}

/* --- the folder of the copy ----------------------------------------------------------------------------------------
 */

static enum m2m_rc paths_set(struct restore *r, struct m2m_err *err)
{
	const char *env = r->now.is_mas ? "new/keys" : "new/enrolments";
	const struct {
		char *out;
		const char *dir, *name;
	} all[] = {
		{ r->work, r->now.store, "restore" },
		{ r->staged, r->work, "new" },
		{ r->then.env, r->work, env },
		{ r->data, r->then.env, "data.mdb" },
		{ r->epoch, r->staged, "epoch" },
		{ r->keyring, r->staged, "keyring" },
		{ r->real_epoch, r->now.store, "epoch" },
		{ r->real_keyring, r->now.store, "keyring" },
	};
	enum m2m_rc rc = backup_paths_set(r->args->operand, &r->from, err);

	for (size_t i = 0; rc == M2M_OK && i < sizeof(all) / sizeof(all[0]); i++)
		rc = backup_path(all[i].out, all[i].dir, all[i].name, err);
	return rc;
}

static int entry_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)at;
	return kind == FTW_DP ? rmdir(path) : unlink(path);
}

/* What was made in it; what cannot be removed is told by whoever makes it anew. */
static void work_clear(const struct restore *r)
{
	(void)nftw(r->staged, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static enum m2m_rc work_begin(struct restore *r, struct m2m_err *err)
{
	bool there = access(r->now.store, F_OK) == 0;
	enum m2m_rc rc = m2m_folder_make(r->now.store, true, err);

	r->made = rc == M2M_OK && !there;
	if (rc == M2M_OK)
		rc = m2m_folder_make(r->work, true, err);
	if (rc != M2M_OK)
		return rc;
	r->work_fd = open(r->work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r->work_fd < 0)
		return m2m_fail_errno(err, "%s", r->work);
	if (flock(r->work_fd, LOCK_EX | LOCK_NB) != 0) {
		rc = errno == EWOULDBLOCK ? m2m_fail(err, M2M_EBUSY, "%s: another restore is under way", r->work)
					  : m2m_fail_errno(err, "%s", r->work);
		close(r->work_fd);
		r->work_fd = -1; /* what is in it is not ours */
		return rc;
	}
	work_clear(r); /* of one that was killed */
	rc = m2m_folder_make(r->staged, false, err);
	return rc == M2M_OK ? m2m_folder_make(r->then.env, false, err) : rc;
}

/* failed: also what was made for it. */
static void work_end(const struct restore *r, bool failed)
{
	if (r->work_fd < 0)
		return;
	work_clear(r);
	rmdir(r->work);
	close(r->work_fd);
	if (failed && r->made)
		rmdir(r->now.store);
}

/* --- is it good? ---------------------------------------------------------------------------------------------------
 */

/* The copy's configuration: the server's, with another place, and the keyring that it will have. */
static enum m2m_rc then_load(struct restore *r, struct m2m_err *err)
{
	struct ctl_server *s = &r->then;
	char env[CTL_PATH_MAX], **store;
	enum m2m_rc rc;

	memcpy(env, s->env, sizeof(env));
	rc = ctl_server_load(r->args, s, err);
	memcpy(s->env, env, sizeof(env));
	if (rc != M2M_OK)
		return rc;
	store = s->is_mas ? &s->mas.conf.store : &s->mtf.conf.store;
	free(*store);
	*store = strdup(r->staged);
	s->store = *store;
	if (r->keyring_there)
		s->mas.conf.keyring = s->mtf.conf.keyring = r->real_keyring;
	return *store ? M2M_OK : m2m_fail(err, M2M_ENOMEM, "restore: out of memory");
}

static enum m2m_rc files_fetch(struct restore *r, struct m2m_err *err)
{
	enum m2m_rc rc = M2M_OK;

	r->keyring_there = access(r->real_keyring, F_OK) == 0;
	if (!r->keyring_there && !r->keyring_sum)
		return m2m_fail(err, M2M_ENOENT, "%s: missing, and not in the backup: put its copy there first",
				r->real_keyring);
	rc = fetch(r->from.data, r->data, r->data_sum, err);
	if (rc == M2M_OK && r->keyring_sum)
		rc = fetch(r->from.keyring, r->keyring_there ? NULL : r->keyring, r->keyring_sum, err);
	return rc;
}

/* Pages, then what the copy says of itself: is it what the manifest tells of, and of the store that is there? */
static enum m2m_rc copy_look(struct restore *r, struct m2m_err *err)
{
	char uuid[2 * STORE_UUID_LEN + 1];
	enum m2m_rc rc = store_check(r->then.env, err);

	if (rc == M2M_OK)
		rc = store_about(r->data, &r->schema, &r->copy, err);
	if (rc != M2M_OK)
		return rc;
	m2m_hex(r->copy.uuid, sizeof(r->copy.uuid), uuid);
	if (strcmp(uuid, r->uuid) != 0 || r->epoch_said < 0 || (uint64_t)r->epoch_said != r->copy.epoch)
		return m2m_fail(err, M2M_ECORRUPT, "%s: store and epoch are not those of %s", r->from.manifest,
				r->from.data);
	if (store_epoch_read(r->real_epoch, &r->there, NULL) != M2M_OK)
		r->there = (struct store_epoch){ 0 };
	if (r->there.epoch > 0 && r->copy.epoch > 0 && memcmp(r->there.uuid, r->copy.uuid, STORE_UUID_LEN) != 0)
		return m2m_fail(err, M2M_EINVAL,
				"%s: is of another store than the one in %s; if it is to be put there, move that away",
				r->args->operand, r->now.store);
	return M2M_OK;
}

/* From now on the copy is newer than all that was there. */
static enum m2m_rc copy_bless(const struct restore *r, struct m2m_err *err)
{
	struct store_epoch there = { 0 }, to = r->copy;
	enum m2m_rc rc = M2M_OK;

	if (store_epoch_read(r->real_epoch, &there, NULL) == M2M_OK && there.epoch > to.epoch)
		to.epoch = there.epoch;
	if (r->copy.epoch > 0)
		rc = store_epoch_raise(r->epoch, r->then.env, &to, err);
	if (rc != M2M_OK)
		return rc;
	return r->then.is_mas ? mas_accept_store(&r->then.mas.conf, &m2m_env_system, err)
			      : mtf_accept_store(&r->then.mtf.conf, &m2m_env_system, err);
}

static enum m2m_rc copy_upgrade(struct restore *r, struct m2m_err *err)
{
	struct mas_upgrade mas = { 0 };
	struct mtf_upgrade mtf = { 0 };
	enum m2m_rc rc = r->then.is_mas ? mas_upgrade(&r->then.mas.conf, false, &m2m_env_system, &mas, err)
					: mtf_upgrade(&r->then.mtf.conf, false, &m2m_env_system, &mtf, err);

	if (rc == M2M_OK)
		printf("the backup has schema %u, and will have schema %u\n", r->then.is_mas ? mas.from : mtf.from,
		       r->then.is_mas ? mas.to : mtf.to);
	return rc;
}

static enum m2m_rc copy_open(struct restore *r, struct m2m_err *err)
{
	enum m2m_rc rc = copy_bless(r, err);

	if (rc == M2M_OK)
		rc = ctl_server_open(r->args, &r->then, err);
	if (rc == M2M_EOLD) {
		rc = copy_upgrade(r, err);
		if (rc == M2M_OK)
			rc = ctl_server_open(r->args, &r->then, err);
	}
	if (rc != M2M_OK && r->keyring_there && r->keyring_sum && (rc == M2M_ECORRUPT || rc == M2M_ESEALED))
		m2m_err_prefix(err, "the backup has another keyring than %s: is it that one? Then move this away",
			       r->real_keyring);
	return rc;
}

static bool one_key(void *arg, const struct mas_key_info *info)
{
	(void)arg;
	(void)info;
	return false;
}

static bool one_credential(void *arg, const struct mtf_credential_info *info)
{
	(void)arg;
	(void)info;
	return false;
}

static enum m2m_rc records_look(const struct restore *r, struct m2m_err *err)
{
	uint64_t n[2] = { 0 };
	enum m2m_rc rc;

	if (r->args->opt[CTL_QUICK].n > 0)
		return r->then.is_mas ? mas_key_list(r->then.mas.mas, one_key, NULL, err)
				      : mtf_credential_list(r->then.mtf.mtf, one_credential, NULL, err);
	rc = ctl_records_check(&r->then, false, n, err);
	if (rc == M2M_OK && n[1] > 0)
		rc = m2m_fail(err, M2M_ECORRUPT, "%s: %" PRIu64 " bad records; --quick does not look at them",
			      r->args->operand, n[1]);
	return rc;
}

static enum m2m_rc prove(struct restore *r, struct m2m_err *err)
{
	enum m2m_rc rc = files_fetch(r, err);

	if (rc == M2M_OK)
		rc = copy_look(r, err);
	if (rc == M2M_OK)
		rc = then_load(r, err);
	if (rc == M2M_OK)
		rc = copy_open(r, err);
	return rc == M2M_OK ? records_look(r, err) : rc;
}

/* --- what will be lost -----------------------------------------------------------------------------------------------
 */

/* What is there need not open: it may be why there is a restore. */
static void loss_tell(struct restore *r)
{
	struct m2m_err why = { 0 };

	printf("the backup is good: made at %s (UTC)\n", r->created);
	if (r->there.epoch > r->copy.epoch && r->copy.epoch > 0)
		printf("older than what is there by %" PRIu64 " epochs (of up to ten seconds with commits each)\n",
		       r->there.epoch - r->copy.epoch);
	if (r->args->opt[CTL_QUICK].n > 0) {
		printf("what was revoked since will work again; what came since is lost\n");
		return;
	}
	if (ctl_server_open(r->args, &r->now, &why) == M2M_OK)
		(void)ctl_loss_tell(&r->now, &r->then, &why);
	if (why.rc == M2M_ENOENT && access(r->now.env, F_OK) != 0)
		printf("there is no store yet in %s\n", r->now.store);
	else if (why.rc != M2M_OK)
		printf("what is there cannot be told: %s\nwhat was revoked since will work again; what came since is "
		       "lost\n",
		       why.text);
}

/* --- in its place ----------------------------------------------------------------------------------------------------
 */

/* Under a name that is free: another restore may have been in this second. kept: out. */
static enum m2m_rc swap(const struct restore *r, char kept[CTL_PATH_MAX], struct m2m_err *err)
{
	char now[16], name[64];
	enum m2m_rc rc = M2M_EEXIST;

	m2m_time_format(m2m_now(&m2m_env_system), now);
	for (unsigned i = 1; rc == M2M_EEXIST && i < 100; i++) {
		if (i == 1)
			snprintf(name, sizeof(name), "data.mdb.before-%s", now);
		else
			snprintf(name, sizeof(name), "data.mdb.before-%s-%u", now, i);
		rc = backup_path(kept, r->now.env, name, err);
		if (rc == M2M_OK)
			rc = store_replace(r->now.env, r->data, kept, err);
	}
	return rc;
}

static enum m2m_rc put(const struct restore *r, char kept[CTL_PATH_MAX], struct m2m_err *err)
{
	enum m2m_rc rc = copy_bless(r, err);

	if (rc == M2M_OK)
		rc = m2m_folder_make(r->now.env, true, err);
	if (rc == M2M_OK && !r->keyring_there && rename(r->keyring, r->real_keyring) != 0)
		rc = m2m_fail_errno(err, "%s: cannot be put in its place", r->real_keyring);
	if (rc != M2M_OK)
		return rc;
	rc = m2m_folder_sync(r->now.store, err);
	if (rc == M2M_OK)
		rc = swap(r, kept, err);
	if (rc != M2M_OK && !r->keyring_there && access(r->data, F_OK) == 0)
		(void)rename(r->real_keyring, r->keyring);
	return rc;
}

/* What came and what was revoked since the backup, the MTFs know: the server asks them when it starts. */
static enum m2m_rc fetch_want(struct restore *r, struct m2m_err *err)
{
	size_t wanted = 0, running = 0;
	enum m2m_rc rc = M2M_OK;

	if (r->now.mas.conf.auto_fetch)
		rc = mas_fetch_want(r->now.mas.mas, NULL, true, &wanted, &running, err);
	if (rc == M2M_OK && wanted > 0)
		printf("when it starts, the server asks its MTFs for what is missing: m2mctl fetch --status\n");
	return rc;
}

/* The epoch file follows; and it opens where it is. */
static enum m2m_rc put_prove(struct restore *r, struct m2m_err *err)
{
	enum m2m_rc rc = r->now.is_mas ? mas_accept_store(&r->now.mas.conf, &m2m_env_system, err)
				       : mtf_accept_store(&r->now.mtf.conf, &m2m_env_system, err);

	if (rc == M2M_OK)
		rc = ctl_server_open(r->args, &r->now, err);
	return rc == M2M_OK && r->now.is_mas ? fetch_want(r, err) : rc;
}

/* Both servers' stores closed, with their configurations kept. */
static void stores_close(struct restore *r)
{
	mas_close(r->now.mas.mas);
	mas_close(r->then.mas.mas);
	mtf_close(r->now.mtf.mtf);
	mtf_close(r->then.mtf.mtf);
	r->now.mas.mas = r->then.mas.mas = NULL;
	r->now.mtf.mtf = r->then.mtf.mtf = NULL;
}

static enum m2m_rc run(struct restore *r, char kept[CTL_PATH_MAX], struct m2m_err *err)
{
	bool placed = false;
	enum m2m_rc rc = manifest_read(r, err);

	if (rc == M2M_OK && store_alone(r->now.env, err) == M2M_EBUSY)
		rc = m2m_err_prefix(err, "stop the server first");
	if (rc == M2M_OK)
		rc = work_begin(r, err);
	if (rc == M2M_OK)
		rc = prove(r, err);
	if (rc == M2M_OK) {
		loss_tell(r);
		fflush(stdout);
	}
	stores_close(r);
	if (rc == M2M_OK)
		rc = ctl_confirm(r->args, "Put the backup in the place of what is there", err);
	if (rc == M2M_OK) {
		rc = put(r, kept, err);
		placed = access(r->data, F_OK) != 0;
	}
	if (rc == M2M_OK)
		rc = put_prove(r, err);
	if (rc != M2M_OK)
		m2m_err_prefix(err, placed ? "restored, but" : "nothing was changed");
	work_end(r, rc != M2M_OK && !placed);
	return rc;
}

enum m2m_rc ctl_restore(const struct ctl_args *args, struct m2m_err *err)
{
	static struct restore r;
	char kept[CTL_PATH_MAX] = "";
	enum m2m_rc rc;

	r.args = args;
	r.work_fd = -1;
	rc = ctl_server_load(args, &r.now, err);
	if (rc == M2M_OK)
		rc = paths_set(&r, err);
	if (rc == M2M_OK)
		rc = run(&r, kept, err);
	if (rc == M2M_OK) {
		printf("%s: restored from %s\n", r.now.store, args->operand);
		if (access(kept, F_OK) == 0)
			printf("what was there is %s; remove it when it is not needed\n", kept);
	}
	ctl_server_close(&r.now);
	ctl_server_close(&r.then);
	json_decref(r.m);
	return rc;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl backup and restore: a server's store as files of a folder, with a manifest that tells what they are. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/folder.h"
#include "common/hex.h"
#include "ctl/ctl.h"
#include "store/store.h"
#include "store/store_epoch.h"

#define SHA256_LEN 32
#define SHA256_HEX (2 * SHA256_LEN + 1)
#define FORMAT 1

/* Which server, and where what it has lies. */
struct place {
	bool is_mas;
	const char *conf_path;
	struct mas_conf mas;
	struct mtf_conf mtf;
	const char *store;
	char env[PATH_MAX], keyring[PATH_MAX], epoch[PATH_MAX];
	char data[PATH_MAX], kept_keyring[PATH_MAX], manifest[PATH_MAX]; /* in the backup's folder */
};

static enum m2m_rc path_set(char out[PATH_MAX], const char *dir, const char *name, struct m2m_err *err)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);

	return n > 0 && n < PATH_MAX ? M2M_OK : m2m_fail(err, M2M_EINVAL, "%.200s...: path too long", dir);
}

static enum m2m_rc paths_set(struct place *p, const char *dir, struct m2m_err *err)
{
	enum m2m_rc rc = path_set(p->env, p->store, p->is_mas ? "keys" : "enrolments", err);

	if (rc == M2M_OK)
		rc = path_set(p->keyring, p->store, "keyring", err);
	if (rc == M2M_OK)
		rc = path_set(p->epoch, p->store, "epoch", err);
	if (rc == M2M_OK)
		rc = path_set(p->data, dir, "data.mdb", err);
	if (rc == M2M_OK)
		rc = path_set(p->kept_keyring, dir, "keyring", err);
	return rc == M2M_OK ? path_set(p->manifest, dir, "manifest.json", err) : rc;
}

static enum m2m_rc place_load(const struct ctl_args *args, struct place *p, struct m2m_err *err)
{
	const char *mas = ctl_value(args, CTL_MAS), *mtf = ctl_value(args, CTL_MTF);
	enum m2m_rc rc;

	if (!mas && !mtf) {
		mas = ctl_conf_path(args, CTL_MAS);
		mtf = ctl_conf_path(args, CTL_MTF);
	}
	if (!mas == !mtf)
		return m2m_fail(err, M2M_EINVAL, "%s: give either --mas FILE or --mtf FILE", args->verb->path);
	p->is_mas = mas != NULL;
	p->conf_path = mas ? mas : mtf;
	rc = mas ? mas_conf_load(mas, &p->mas, err) : mtf_conf_load(mtf, &p->mtf, err);
	if (rc != M2M_OK)
		return rc;
	p->store = mas ? p->mas.store : p->mtf.store;
	return paths_set(p, args->operand ? args->operand : "", err);
}

static void place_free(struct place *p)
{
	if (p->is_mas)
		mas_conf_free(&p->mas);
	else
		mtf_conf_free(&p->mtf);
}

/* --- files ---------------------------------------------------------------------------------------------------- */

/* Copy from to a new file `to` (NULL: only read it), 0600, synced; hex: its SHA-256. */
static enum m2m_rc file_copy(const char *from, const char *to, char hex[SHA256_HEX], struct m2m_err *err)
{
	static uint8_t buf[65536];
	uint8_t sum[SHA256_LEN] = { 0 };
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int in = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), out = -1;
	enum m2m_rc rc = M2M_OK;
	ssize_t n = 1;

	if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		rc = m2m_fail_openssl(err, "SHA-256");
	else if (in < 0)
		rc = m2m_fail_errno(err, "%s", from);
	if (rc == M2M_OK && to) {
		out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (out < 0)
			rc = m2m_fail_errno(err, "%s", to);
	}
	while (rc == M2M_OK && n > 0) {
		n = read(in, buf, sizeof(buf));
		if (n < 0)
			rc = m2m_fail_errno(err, "%s", from);
		else if (out >= 0 && write(out, buf, (size_t)n) != n)
			rc = m2m_fail_errno(err, "%s: cannot be written", to);
		else if (EVP_DigestUpdate(md, buf, (size_t)n) != 1)
			rc = m2m_fail_openssl(err, "SHA-256");
	}
	if (rc == M2M_OK && out >= 0 && fsync(out) != 0)
		rc = m2m_fail_errno(err, "%s: cannot be synced", to);
	if (rc == M2M_OK && EVP_DigestFinal_ex(md, sum, NULL) != 1)
		rc = m2m_fail_openssl(err, "SHA-256");
	m2m_hex(sum, sizeof(sum), hex);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	if (out >= 0 && rc != M2M_OK)
		unlink(to);
	EVP_MD_CTX_free(md);
	return rc;
}

static enum m2m_rc folder_sync(const char *dir, struct m2m_err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum m2m_rc rc = fd >= 0 && fsync(fd) == 0 ? M2M_OK : m2m_fail_errno(err, "%s: cannot be synced", dir);

	if (fd >= 0)
		close(fd);
	return rc;
}

/* --- backup --------------------------------------------------------------------------------------------------- */

static enum m2m_rc copy_store(const struct ctl_args *args, const struct place *p, struct m2m_err *err)
{
	struct ctl_mas mas = { 0 };
	struct ctl_mtf mtf = { 0 };
	enum m2m_rc rc = p->is_mas ? ctl_mas_open(args, &mas, err) : ctl_mtf_open(args, &mtf, err);

	if (rc == M2M_OK)
		rc = p->is_mas ? mas_copy(mas.mas, p->data, err) : mtf_copy(mtf.mtf, p->data, err);
	if (p->is_mas)
		ctl_mas_close(&mas);
	else
		ctl_mtf_close(&mtf);
	return rc;
}

/* out: free()d by the caller. It is read again: jansson passes over some failures of its dumping. */
static enum m2m_rc manifest_text(const struct place *p, const char *sum, const char *keyring_sum, char **out,
				 struct m2m_err *err)
{
	char uuid[2 * STORE_UUID_LEN + 1], now[16];
	struct store_epoch e = { 0 };
	json_t *m = NULL, *again = NULL;
	char *text = NULL;
	enum m2m_rc rc = store_epoch_read(p->epoch, &e, err);

	if (rc != M2M_OK)
		return rc;
	m2m_hex(e.uuid, sizeof(e.uuid), uuid);
	m2m_time_format(m2m_now(&m2m_env_system), now);
	m = json_pack("{s:i, s:s, s:s, s:I, s:s, s:{s:s, s:s*}}", "format", FORMAT, "server", p->is_mas ? "mas" : "mtf",
		      "store", uuid, "epoch", (json_int_t)e.epoch, "created", now, "sha256", "data.mdb", sum, "keyring",
		      keyring_sum);
	text = m ? json_dumps(m, JSON_INDENT(2)) : NULL;
	again = text ? json_loads(text, 0, NULL) : NULL;
	if (again && json_equal(m, again)) {
		*out = text;
		text = NULL;
	} else {
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", p->manifest);
	}
	free(text);
	json_decref(again);
	json_decref(m);
	return rc;
}

/* Written last: a folder without it is no backup. */
static enum m2m_rc manifest_write(const struct place *p, const char *keyring_sum, struct m2m_err *err)
{
	char sum[SHA256_HEX], *text = NULL;
	int fd = -1;
	enum m2m_rc rc = file_copy(p->data, NULL, sum, err);

	if (rc == M2M_OK)
		rc = manifest_text(p, sum, keyring_sum, &text, err);
	if (rc != M2M_OK)
		return rc;
	fd = open(p->manifest, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fsync(fd) != 0)
		rc = m2m_fail_errno(err, "%s: cannot be written", p->manifest);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && rc != M2M_OK)
		unlink(p->manifest);
	free(text);
	return rc;
}

enum m2m_rc ctl_backup(const struct ctl_args *args, struct m2m_err *err)
{
	static struct place p;
	char keyring_sum[SHA256_HEX];
	bool with = args->opt[CTL_WITH_KEYRING].n > 0;
	enum m2m_rc rc = place_load(args, &p, err);

	if (rc == M2M_OK)
		rc = m2m_folder_make(args->operand, false, err);
	if (rc == M2M_OK)
		rc = copy_store(args, &p, err);
	/* After the store: it has every term that a record of the copy was sealed with, unless one is purged right now.
	 */
	if (rc == M2M_OK && with)
		rc = file_copy(p.keyring, p.kept_keyring, keyring_sum, err);
	/* What it names is there to stay before the manifest is. */
	if (rc == M2M_OK)
		rc = folder_sync(args->operand, err);
	if (rc == M2M_OK)
		rc = manifest_write(&p, with ? keyring_sum : NULL, err);
	if (rc == M2M_OK)
		rc = folder_sync(args->operand, err);
	if (rc == M2M_OK)
		printf("%s: %s of %s\n", args->operand, with ? "store and keyring" : "store", p.store);
	place_free(&p);
	return rc;
}

/* --- restore -------------------------------------------------------------------------------------------------- */

static enum m2m_rc file_check(const char *path, const char *want, struct m2m_err *err)
{
	char sum[SHA256_HEX];
	enum m2m_rc rc = file_copy(path, NULL, sum, err);

	if (rc == M2M_OK && strcmp(sum, want) != 0)
		rc = m2m_fail(err, M2M_ECORRUPT, "%s: is not what the manifest says (SHA-256)", path);
	return rc;
}

/* keyring: out, whether the backup has one. Nothing was changed if this fails. */
static enum m2m_rc backup_check(const struct place *p, bool *keyring, struct m2m_err *err)
{
	const char *server = NULL, *data = NULL, *ring = NULL;
	int format = 0;
	json_error_t why;
	json_t *m = json_load_file(p->manifest, JSON_REJECT_DUPLICATES, &why);
	enum m2m_rc rc = M2M_OK;

	if (!m || json_unpack(m, "{s:i, s:s, s:{s:s, s?s}}", "format", &format, "server", &server, "sha256", "data.mdb",
			      &data, "keyring", &ring) != 0)
		rc = m2m_fail(err, M2M_ECORRUPT, "%s: not the manifest of a backup", p->manifest);
	else if (format > FORMAT)
		rc = m2m_fail(err, M2M_EVERSION, "%s: format %d, this program knows %d", p->manifest, format, FORMAT);
	else if (strcmp(server, p->is_mas ? "mas" : "mtf") != 0)
		rc = m2m_fail(err, M2M_EINVAL, "%s: is of another server (%s)", p->manifest, server);
	if (rc == M2M_OK)
		rc = file_check(p->data, data, err);
	if (rc == M2M_OK && ring)
		rc = file_check(p->kept_keyring, ring, err);
	*keyring = ring != NULL;
	json_decref(m);
	return rc;
}

/* A keyring that is there stays, with the KEK slots of today. Records sealed with a term that was purged since the
 * backup do not open again: that is what a purge is for, and `m2mctl check` tells. */
static enum m2m_rc keyring_place(const struct place *p, bool kept, struct m2m_err *err)
{
	char sum[SHA256_HEX];

	if (access(p->keyring, F_OK) == 0)
		return M2M_OK;
	if (!kept)
		return m2m_fail(err, M2M_ENOENT, "%s: missing, and not in the backup: put its copy there first",
				p->keyring);
	return file_copy(p->kept_keyring, p->keyring, sum, err);
}

/* Opened as the operator's tool opens it: the keyring fits, the recorded identity is the configured one. */
static enum m2m_rc prove(const struct ctl_args *args, const struct place *p, struct m2m_err *err)
{
	struct ctl_mas mas = { 0 };
	struct ctl_mtf mtf = { 0 };
	enum m2m_rc rc = p->is_mas ? ctl_mas_open(args, &mas, err) : ctl_mtf_open(args, &mtf, err);

	if (p->is_mas)
		ctl_mas_close(&mas);
	else
		ctl_mtf_close(&mtf);
	return rc;
}

enum m2m_rc ctl_restore(const struct ctl_args *args, struct m2m_err *err)
{
	static struct place p;
	bool kept = false;
	enum m2m_rc rc = place_load(args, &p, err);

	if (rc == M2M_OK)
		rc = backup_check(&p, &kept, err);
	if (rc == M2M_OK)
		rc = ctl_confirm(args, "Replace the store by the backup; what was stored since is lost", err);
	if (rc == M2M_OK)
		rc = m2m_folder_make(p.store, true, err);
	if (rc == M2M_OK)
		rc = keyring_place(&p, kept, err);
	if (rc == M2M_OK)
		rc = m2m_folder_make(p.env, true, err);
	if (rc == M2M_OK)
		rc = store_replace(p.env, p.data, err);
	if (rc == M2M_OK)
		rc = p.is_mas ? mas_accept_store(&p.mas, &m2m_env_system, err)
			      : mtf_accept_store(&p.mtf, &m2m_env_system, err);
	if (rc == M2M_OK)
		rc = prove(args, &p, err);
	if (rc == M2M_OK)
		printf("%s: restored from %s\n", p.store, args->operand);
	place_free(&p);
	return rc;
}

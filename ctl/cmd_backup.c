/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl backup: a server's store as files of a folder, with a manifest that tells what they are. */
#include "config.h"

#include "ctl/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/folder.h"
#include "common/hex.h"
#include "store/store.h"

#define SHA256_LEN 32

enum m2m_rc backup_path(char out[CTL_PATH_MAX], const char *dir, const char *name, struct m2m_err *err)
{
	int n = snprintf(out, CTL_PATH_MAX, "%s/%s", dir, name);

	return n > 0 && n < CTL_PATH_MAX ? M2M_OK : m2m_fail(err, M2M_EINVAL, "%.200s...: path too long", dir);
}

enum m2m_rc backup_paths_set(const char *dir, struct backup_paths *p, struct m2m_err *err)
{
	enum m2m_rc rc = backup_path(p->data, dir, "data.mdb", err);

	if (rc == M2M_OK)
		rc = backup_path(p->keyring, dir, "keyring", err);
	return rc == M2M_OK ? backup_path(p->manifest, dir, "manifest.json", err) : rc;
}

enum m2m_rc backup_file_copy(const char *from, const char *to, char hex[SHA256_HEX], struct m2m_err *err)
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

/* --- the manifest ------------------------------------------------------------------------------------------------ */

struct backup {
	struct ctl_server server;
	struct backup_paths to;
	bool with_keyring;
	char sum[SHA256_HEX], keyring_sum[SHA256_HEX];
	uint32_t schema;
	struct store_epoch epoch; /* the copy's own */
};

/* out: free()d by the caller. It is read again: jansson passes over some failures of its dumping. */
static enum m2m_rc manifest_text(const struct backup *b, char **out, struct m2m_err *err)
{
	char uuid[2 * STORE_UUID_LEN + 1], now[16];
	json_t *m = NULL, *again = NULL;
	char *text = NULL;
	enum m2m_rc rc = M2M_OK;

	m2m_hex(b->epoch.uuid, sizeof(b->epoch.uuid), uuid);
	m2m_time_format(m2m_now(&m2m_env_system), now);
	m = json_pack("{s:i, s:s, s:i, s:s, s:I, s:s, s:{s:s, s:s*}}", "format", BACKUP_FORMAT, "server",
		      b->server.is_mas ? "mas" : "mtf", "schema", (int)b->schema, "store", uuid, "epoch",
		      (json_int_t)b->epoch.epoch, "created", now, "sha256", "data.mdb", b->sum, "keyring",
		      b->with_keyring ? b->keyring_sum : NULL);
	text = m ? json_dumps(m, JSON_INDENT(2)) : NULL;
	again = text ? json_loads(text, 0, NULL) : NULL;
	if (again && json_equal(m, again)) {
		*out = text;
		text = NULL;
	} else {
		rc = m2m_fail(err, M2M_ENOMEM, "%s: out of memory", b->to.manifest);
	}
	free(text);
	json_decref(again);
	json_decref(m);
	return rc;
}

/* Written last: a folder without it is no backup. */
static enum m2m_rc manifest_write(struct backup *b, struct m2m_err *err)
{
	char *text = NULL;
	int fd = -1;
	enum m2m_rc rc = backup_file_copy(b->to.data, NULL, b->sum, err);

	if (rc == M2M_OK)
		rc = store_about(b->to.data, &b->schema, &b->epoch, err);
	if (rc == M2M_OK)
		rc = manifest_text(b, &text, err);
	if (rc != M2M_OK)
		return rc;
	fd = open(b->to.manifest, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fsync(fd) != 0)
		rc = m2m_fail_errno(err, "%s: cannot be written", b->to.manifest);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && rc != M2M_OK)
		unlink(b->to.manifest);
	free(text);
	return rc;
}

/* --- backup ------------------------------------------------------------------------------------------------------ */

static enum m2m_rc keyring_copy(struct backup *b, struct m2m_err *err)
{
	char keyring[CTL_PATH_MAX];
	enum m2m_rc rc = backup_path(keyring, b->server.store, "keyring", err);

	return rc == M2M_OK ? backup_file_copy(keyring, b->to.keyring, b->keyring_sum, err) : rc;
}

static enum m2m_rc make(struct backup *b, const char *dir, struct m2m_err *err)
{
	const struct ctl_server *s = &b->server;
	enum m2m_rc rc = m2m_folder_make(dir, false, err);

	if (rc == M2M_OK)
		rc = s->is_mas ? mas_copy(s->mas.mas, b->to.data, err) : mtf_copy(s->mtf.mtf, b->to.data, err);
	/* After the store: it has every term that a record of the copy was sealed with, unless one is purged right now.
	 */
	if (rc == M2M_OK && b->with_keyring)
		rc = keyring_copy(b, err);
	/* What it names is there to stay before the manifest is. */
	if (rc == M2M_OK)
		rc = m2m_folder_sync(dir, err);
	if (rc == M2M_OK)
		rc = manifest_write(b, err);
	return rc == M2M_OK ? m2m_folder_sync(dir, err) : rc;
}

enum m2m_rc ctl_backup(const struct ctl_args *args, struct m2m_err *err)
{
	static struct backup b;
	enum m2m_rc rc = ctl_server_load(args, &b.server, err);

	b.with_keyring = args->opt[CTL_WITH_KEYRING].n > 0;
	if (rc == M2M_OK)
		rc = backup_paths_set(args->operand, &b.to, err);
	if (rc == M2M_OK)
		rc = ctl_server_open(args, &b.server, err);
	if (rc == M2M_OK)
		rc = make(&b, args->operand, err);
	if (rc == M2M_OK)
		printf("%s: %s of %s\n", args->operand, b.with_keyring ? "store and keyring" : "store", b.server.store);
	ctl_server_close(&b.server);
	return rc;
}

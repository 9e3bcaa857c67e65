/* SPDX-License-Identifier: BSD-2-Clause */
/* keyring_keys KEYRING KEK-FILE: print, in hex, the data key that seals a store's new records, and the root master key.
 * For a test that must know a key to look for it. One thread. */
#include "config.h"

#include <stdio.h>

#include "common/hex.h"
#include "common/keyring_int.h"

static enum m2m_rc root_tell(const char *path, const struct m2m_kek_source *src, struct m2m_err *err)
{
	static struct m2m_keyring_image img;
	struct m2m_secret file = { 0 };
	struct m2m_key *rmk = NULL;
	char hex[2 * M2M_KEY_LEN + 1];
	enum m2m_rc rc = m2m_keyring_load(path, &file, &img, NULL, err);

	if (rc == M2M_OK)
		rc = m2m_keyring_new_key(&rmk, err);
	if (rc == M2M_OK)
		rc = m2m_keyring_rmk(&img, src, 1, rmk, NULL, err);
	if (rc == M2M_OK) {
		m2m_hex(rmk->b, M2M_KEY_LEN, hex);
		puts(hex);
	}
	m2m_key_free_locked(rmk);
	m2m_secret_wipe(&file);
	return rc;
}

int main(int argc, char **argv)
{
	struct m2m_err err = { 0 };
	struct m2m_keyring *kr = NULL;
	struct m2m_kek_source src = { .type = M2M_KEK_FILE, .where = argc == 3 ? argv[2] : "" };
	char hex[2 * M2M_KEY_LEN + 1];

	if (argc != 3 || m2m_secret_process(&err) != M2M_OK ||
	    m2m_keyring_open(argv[1], &src, 1, &kr, &err) != M2M_OK) {
		fprintf(stderr, "keyring_keys: %s\n", err.text);
		return 1;
	}
	m2m_hex(m2m_keyring_dek(kr, m2m_keyring_active_term(kr))->b, M2M_KEY_LEN, hex);
	puts(hex);
	m2m_keyring_close(kr);
	if (root_tell(argv[1], &src, &err) != M2M_OK) {
		fprintf(stderr, "keyring_keys: %s\n", err.text);
		return 1;
	}
	return 0;
}

# SPDX-License-Identifier: BSD-2-Clause
# common: pure C and libcrypto (and libconfuse for conf.c).
noinst_LTLIBRARIES += common/libcommon.la
common_libcommon_la_SOURCES = \
	common/audit.c common/audit.h common/audit_chain.c common/audit_chain.h common/audit_line.c common/audit_line.h \
	common/audit_queue.c common/audit_queue.h common/audit_sink.c common/audit_sink.h common/audit_verify.c \
	common/conf.c common/conf.h common/conf_manual.c common/conf_text.c common/conf_text.h \
	common/cursor.c common/cursor.h common/quota.c common/quota.h common/der.c common/der.h common/env.c common/env.h common/err.c common/err.h \
	common/box.c common/box.h common/folder.c common/folder.h common/hex.c common/hex.h common/ident.c common/ident.h common/kdf.c common/kdf.h \
	common/keyfile.c common/keyfile.h common/keyring.c common/keyring.h common/keyring_file.c common/keyring_file.h \
	common/log_limit.c common/log_limit.h common/kek.c common/kek.h common/keyring_edit.c common/keyring_edit.h common/keyring_int.h common/keyring_keys.c \
	common/package.h common/package_crypto.c common/package_int.h common/package_open.c common/package_seal.c common/party.c common/party.h \
	common/seal.c common/seal.h common/secret.c common/secret.h common/span.h common/ticker.c common/ticker.h
common_libcommon_la_SOURCES += common/horizon.h
common_libcommon_la_SOURCES += common/metrics.c common/metrics.h common/metrics_conf.c common/metrics_conf.h common/metrics_table.c
common_libcommon_la_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS) $(CONFUSE_CFLAGS)
common_libcommon_la_LIBADD = $(CRYPTO_LIBS) $(CONFUSE_LIBS) $(AX_PTHREAD_LIBS)

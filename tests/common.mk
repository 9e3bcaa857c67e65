# SPDX-License-Identifier: BSD-2-Clause
EXTRA_DIST += tests/unit/audit_fixture.h tests/unit/check_common.h tests/unit/keyring_fixture.h
COMMON_TESTS = tests/unit/check_audit tests/unit/check_audit_log tests/unit/check_base tests/unit/check_conf tests/unit/check_ident tests/unit/check_kdf \
	tests/unit/check_keyfile tests/unit/check_keyring tests/unit/check_keyring_edit tests/unit/check_keyring_root tests/unit/check_seal \
	tests/unit/check_ticker
check_PROGRAMS += $(COMMON_TESTS)
TESTS += $(COMMON_TESTS)

tests_unit_check_audit_SOURCES = tests/unit/check_audit.c
tests_unit_check_audit_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_audit_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_audit_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_audit_log_SOURCES = tests/unit/check_audit_log.c
tests_unit_check_audit_log_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_audit_log_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_audit_log_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_base_SOURCES = tests/unit/check_base.c
tests_unit_check_base_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_base_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_base_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS)

tests_unit_check_ident_SOURCES = tests/unit/check_ident.c
tests_unit_check_ident_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_ident_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_ident_LDADD = common/libcommon.la $(CHECK_LIBS)

tests_unit_check_kdf_SOURCES = tests/unit/check_kdf.c
tests_unit_check_kdf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_kdf_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_check_kdf_LDADD = common/libcommon.la $(CHECK_LIBS) $(JANSSON_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_keyring_SOURCES = tests/unit/check_keyring.c
tests_unit_check_keyring_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_keyring_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_keyring_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS)

tests_unit_check_keyring_edit_SOURCES = tests/unit/check_keyring_edit.c
tests_unit_check_keyring_edit_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_keyring_edit_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_keyring_edit_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_keyring_root_SOURCES = tests/unit/check_keyring_root.c
tests_unit_check_keyring_root_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_keyring_root_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_keyring_root_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_keyfile_SOURCES = tests/unit/check_keyfile.c
tests_unit_check_keyfile_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_keyfile_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_keyfile_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS)

tests_unit_check_seal_SOURCES = tests/unit/check_seal.c
tests_unit_check_seal_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_seal_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_seal_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_audit tests/fuzz/fuzz_ident tests/fuzz/fuzz_keyring tests/fuzz/fuzz_unseal
tests_fuzz_fuzz_audit_SOURCES = tests/fuzz/fuzz_audit.c $(FUZZ_MAIN)
tests_fuzz_fuzz_audit_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_audit_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_audit_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_audit_LDADD = common/libcommon.la

tests_fuzz_fuzz_ident_SOURCES = tests/fuzz/fuzz_ident.c $(FUZZ_MAIN)
tests_fuzz_fuzz_ident_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_ident_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_ident_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_ident_LDADD = common/libcommon.la

tests_fuzz_fuzz_keyring_SOURCES = tests/fuzz/fuzz_keyring.c $(FUZZ_MAIN)
tests_fuzz_fuzz_keyring_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_keyring_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_keyring_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_keyring_LDADD = common/libcommon.la

tests_fuzz_fuzz_unseal_SOURCES = tests/fuzz/fuzz_unseal.c $(FUZZ_MAIN)
tests_fuzz_fuzz_unseal_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_unseal_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_unseal_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_unseal_LDADD = common/libcommon.la

tests_unit_check_conf_SOURCES = tests/unit/check_conf.c
tests_unit_check_conf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_conf_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_conf_LDADD = common/libcommon.la $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_conf
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c $(FUZZ_MAIN)
tests_fuzz_fuzz_conf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_conf_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_conf_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_conf_LDADD = common/libcommon.la

check_PROGRAMS += tests/unit/check_log_limit
TESTS += tests/unit/check_log_limit
tests_unit_check_log_limit_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_log_limit_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_log_limit_LDADD = common/libcommon.la $(AX_PTHREAD_LIBS) $(CHECK_LIBS)

tests_unit_check_ticker_SOURCES = tests/unit/check_ticker.c
tests_unit_check_ticker_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_ticker_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_ticker_LDADD = common/libcommon.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

EXTRA_DIST += tests/unit/package_fixture.h
check_PROGRAMS += tests/unit/check_package tests/unit/check_party
TESTS += tests/unit/check_package tests/unit/check_party
tests_unit_check_package_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_package_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_package_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS)
tests_unit_check_party_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_party_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_party_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_package
tests_fuzz_fuzz_package_SOURCES = tests/fuzz/fuzz_package.c $(FUZZ_MAIN)
tests_fuzz_fuzz_package_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_package_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
tests_fuzz_fuzz_package_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_package_LDADD = dict/libm2mmsg.la common/libcommon.la $(CRYPTO_LIBS)

# SPDX-License-Identifier: BSD-2-Clause
check_PROGRAMS += tests/unit/check_assoc tests/unit/check_mas tests/unit/check_rootkey
TESTS += tests/unit/check_assoc tests/unit/check_mas tests/unit/check_rootkey

tests_unit_check_assoc_SOURCES = tests/unit/check_assoc.c
tests_unit_check_assoc_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_assoc_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_assoc_LDADD = mas/libmas.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

EXTRA_DIST += tests/data/mas-schema-1/README tests/data/mas-schema-1/data.mdb tests/data/mas-schema-1/epoch tests/data/mas-schema-1/keyring \
	tests/data/mas-schema-1/public-test.kek
EXTRA_DIST += tests/data/mas-schema-2/README tests/data/mas-schema-2/data.mdb tests/data/mas-schema-2/epoch tests/data/mas-schema-2/keyring \
	tests/data/mas-schema-2/public-test.kek

tests_unit_check_mas_SOURCES = tests/unit/check_mas.c tests/unit/check_mas.h tests/unit/check_mas_push.c \
	tests/unit/check_mas_sak.c tests/unit/check_mas_package.c tests/unit/tls_node.c tests/unit/tls_node.h tests/unit/check_mas_fuse.c tests/unit/check_mas_view.c tests/unit/check_mas_audit.c tests/unit/check_mas_upgrade.c \
	tests/unit/check_mas_clock.c tests/unit/check_mas_end.c tests/unit/check_mas_life.c tests/unit/check_mas_revoke.c tests/unit/check_clock.h
tests_unit_check_mas_SOURCES += tests/unit/check_mas_quota.c tests/unit/check_mas_fetch.c tests/unit/check_mas_fetch.h tests/unit/check_mas_fetch_bad.c tests/unit/check_mas_fetch_world.c
tests_unit_check_mas_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mas_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mas_LDADD = mas/libmas.la $(CHECK_LIBS) $(JANSSON_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_rootkey_SOURCES = tests/unit/check_rootkey.c
tests_unit_check_rootkey_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_rootkey_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_rootkey_LDADD = mas/libmas.la $(CHECK_LIBS)

check_PROGRAMS += tests/unit/check_fuse
TESTS += tests/unit/check_fuse
tests_unit_check_fuse_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_fuse_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_fuse_LDADD = mas/libmas.la $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_rootkey tests/fuzz/fuzz_assoc
tests_fuzz_fuzz_rootkey_SOURCES = tests/fuzz/fuzz_rootkey.c $(FUZZ_MAIN)
tests_fuzz_fuzz_rootkey_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_rootkey_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_rootkey_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_rootkey_LDADD = mas/libmas.la

tests_fuzz_fuzz_assoc_SOURCES = tests/fuzz/fuzz_assoc.c $(FUZZ_MAIN)
tests_fuzz_fuzz_assoc_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_assoc_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_assoc_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_assoc_LDADD = mas/libmas.la

FUZZ_TARGETS += tests/fuzz/fuzz_fetch_state
tests_fuzz_fuzz_fetch_state_SOURCES = tests/fuzz/fuzz_fetch_state.c $(FUZZ_MAIN)
tests_fuzz_fuzz_fetch_state_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_fetch_state_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_fetch_state_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_fetch_state_LDADD = mas/libmas.la

check_PROGRAMS += tests/unit/check_assoc_state
TESTS += tests/unit/check_assoc_state
tests_unit_check_assoc_state_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_assoc_state_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_assoc_state_LDADD = mas/libmas.la $(CHECK_LIBS)

# SPDX-License-Identifier: BSD-2-Clause
check_PROGRAMS += tests/unit/check_mtf_records
TESTS += tests/unit/check_mtf_records

tests_unit_check_mtf_records_SOURCES = tests/unit/check_mtf_records.c
tests_unit_check_mtf_records_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_records_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_mtf_records_LDADD = mtf/libmtf.la $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_mtf_records
tests_fuzz_fuzz_mtf_records_SOURCES = tests/fuzz/fuzz_mtf_records.c $(FUZZ_MAIN)
tests_fuzz_fuzz_mtf_records_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_mtf_records_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_mtf_records_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_mtf_records_LDADD = mtf/libmtf.la

FUZZ_TARGETS += tests/fuzz/fuzz_tls
tests_fuzz_fuzz_tls_SOURCES = tests/fuzz/fuzz_tls.c tests/unit/tls_node.c tests/unit/tls_node.h $(FUZZ_MAIN)
tests_fuzz_fuzz_tls_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_tls_CFLAGS = $(AM_CFLAGS) $(SSL_CFLAGS)
tests_fuzz_fuzz_tls_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_tls_LDADD = mtf/libmtf.la $(SSL_LIBS) $(CRYPTO_LIBS)

check_PROGRAMS += tests/unit/check_tls_engine tests/unit/check_mtf tests/unit/check_mtf_rounds tests/unit/check_mtf_admin
TESTS += tests/unit/check_tls_engine tests/unit/check_mtf tests/unit/check_mtf_rounds tests/unit/check_mtf_admin

tests_unit_check_tls_engine_SOURCES = tests/unit/check_tls_engine.c tests/unit/tls_node.c tests/unit/tls_node.h
tests_unit_check_tls_engine_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_tls_engine_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_tls_engine_LDADD = mtf/libmtf.la $(CHECK_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)

MTF_RIG = tests/unit/mtf_rig.c tests/unit/mtf_rig.h tests/unit/tls_node.c tests/unit/tls_node.h
MTF_RIG_LIBS = mtf/libmtf.la $(CHECK_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_mtf_SOURCES = tests/unit/check_mtf.c $(MTF_RIG)
tests_unit_check_mtf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_LDADD = $(MTF_RIG_LIBS)

tests_unit_check_mtf_rounds_SOURCES = tests/unit/check_mtf_rounds.c $(MTF_RIG)
tests_unit_check_mtf_rounds_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_rounds_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_rounds_LDADD = $(MTF_RIG_LIBS)

tests_unit_check_mtf_admin_SOURCES = tests/unit/check_mtf_admin.c $(MTF_RIG)
tests_unit_check_mtf_admin_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_admin_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_admin_LDADD = $(MTF_RIG_LIBS)

check_PROGRAMS += tests/unit/check_mtf_clock
TESTS += tests/unit/check_mtf_clock
tests_unit_check_mtf_clock_SOURCES = tests/unit/check_mtf_clock.c tests/unit/check_clock.h $(MTF_RIG)
tests_unit_check_mtf_clock_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_clock_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_clock_LDADD = $(MTF_RIG_LIBS)

check_PROGRAMS += tests/unit/check_mtf_check
TESTS += tests/unit/check_mtf_check
tests_unit_check_mtf_check_SOURCES = tests/unit/check_mtf_check.c $(MTF_RIG)
tests_unit_check_mtf_check_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_check_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_check_LDADD = $(MTF_RIG_LIBS)

check_PROGRAMS += tests/unit/check_mtf_upgrade
TESTS += tests/unit/check_mtf_upgrade
tests_unit_check_mtf_upgrade_SOURCES = tests/unit/check_mtf_upgrade.c $(MTF_RIG)
tests_unit_check_mtf_upgrade_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_upgrade_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_upgrade_LDADD = $(MTF_RIG_LIBS)
EXTRA_DIST += tests/data/mtf-schema-1/README tests/data/mtf-schema-1/data.mdb tests/data/mtf-schema-1/epoch tests/data/mtf-schema-1/keyring \
	tests/data/mtf-schema-1/public-test.kek

check_PROGRAMS += tests/unit/check_mtf_tenants
TESTS += tests/unit/check_mtf_tenants
tests_unit_check_mtf_tenants_SOURCES = tests/unit/check_mtf_tenants.c $(MTF_RIG)
tests_unit_check_mtf_tenants_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_tenants_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_tenants_LDADD = $(MTF_RIG_LIBS)

check_PROGRAMS += tests/unit/check_mtf_fetch
TESTS += tests/unit/check_mtf_fetch
tests_unit_check_mtf_fetch_SOURCES = tests/unit/check_mtf_fetch.c tests/unit/mtf_kfr.c tests/unit/mtf_kfr.h $(MTF_RIG)
tests_unit_check_mtf_fetch_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_fetch_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_fetch_LDADD = $(MTF_RIG_LIBS)

check_PROGRAMS += tests/unit/check_mtf_life
TESTS += tests/unit/check_mtf_life
tests_unit_check_mtf_life_SOURCES = tests/unit/check_mtf_life.c $(MTF_RIG)
tests_unit_check_mtf_life_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_life_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_life_LDADD = $(MTF_RIG_LIBS)

check_PROGRAMS += tests/unit/check_mtf_package
TESTS += tests/unit/check_mtf_package
tests_unit_check_mtf_package_SOURCES = tests/unit/check_mtf_package.c tests/unit/mtf_kfr.c tests/unit/mtf_kfr.h $(MTF_RIG)
tests_unit_check_mtf_package_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_package_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_package_LDADD = $(MTF_RIG_LIBS)

check_PROGRAMS += tests/unit/check_mtf_held
TESTS += tests/unit/check_mtf_held
tests_unit_check_mtf_held_SOURCES = tests/unit/check_mtf_held.c $(MTF_RIG)
tests_unit_check_mtf_held_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_held_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_held_LDADD = $(MTF_RIG_LIBS)

check_PROGRAMS += tests/unit/check_mtf_set
TESTS += tests/unit/check_mtf_set
tests_unit_check_mtf_set_SOURCES = tests/unit/check_mtf_set.c tests/unit/mtf_kfr.c tests/unit/mtf_kfr.h $(MTF_RIG)
tests_unit_check_mtf_set_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_set_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_set_LDADD = $(MTF_RIG_LIBS)

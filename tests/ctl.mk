# SPDX-License-Identifier: BSD-2-Clause
# m2mctl
check_PROGRAMS += tests/cli/seed tests/cli/seed_mtf
tests_cli_seed_SOURCES = tests/cli/seed.c
tests_cli_seed_LDADD = mas/libmas.la store/libstore.la common/libcommon.la $(CRYPTO_LIBS)

tests_cli_seed_mtf_SOURCES = tests/cli/seed_mtf.c $(MTF_RIG)
tests_cli_seed_mtf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_cli_seed_mtf_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_cli_seed_mtf_LDADD = $(MTF_RIG_LIBS)

TESTS += tests/cli/test_m2mctl.py
EXTRA_DIST += tests/cli/test_m2mctl.py

FUZZ_TARGETS += tests/fuzz/fuzz_host_conf
tests_fuzz_fuzz_host_conf_SOURCES = tests/fuzz/fuzz_host_conf.c ctl/host_conf.c $(FUZZ_MAIN)
tests_fuzz_fuzz_host_conf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_host_conf_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_host_conf_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_host_conf_LDADD = common/libcommon.la

TESTS += tests/cli/test_store.py
EXTRA_DIST += tests/cli/test_store.py

check_PROGRAMS += tests/cli/fill_mtf
tests_cli_fill_mtf_SOURCES = tests/cli/fill_mtf.c
tests_cli_fill_mtf_LDADD = mtf/libmtf.la store/libstore.la common/libcommon.la $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)

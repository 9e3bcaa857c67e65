# SPDX-License-Identifier: BSD-2-Clause
# m2mctl
check_PROGRAMS += tests/cli/seed
tests_cli_seed_SOURCES = tests/cli/seed.c
tests_cli_seed_LDADD = mas/libmas.la store/libstore.la common/libcommon.la $(CRYPTO_LIBS)

TESTS += tests/cli/test_m2mctl.py
EXTRA_DIST += tests/cli/test_m2mctl.py

# SPDX-License-Identifier: BSD-2-Clause
EXTRA_DIST += tests/unit/check_common.h
check_PROGRAMS += tests/unit/check_base
TESTS += tests/unit/check_base
tests_unit_check_base_SOURCES = tests/unit/check_base.c
tests_unit_check_base_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_base_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_base_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS)

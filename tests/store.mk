# SPDX-License-Identifier: BSD-2-Clause
check_PROGRAMS += tests/unit/check_store
TESTS += tests/unit/check_store
EXTRA_DIST += tests/unit/store_fixture.h

tests_unit_check_store_SOURCES = tests/unit/check_store.c
tests_unit_check_store_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_store_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_store_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

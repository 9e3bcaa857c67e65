# SPDX-License-Identifier: BSD-2-Clause
check_PROGRAMS += tests/unit/check_results
TESTS += tests/unit/check_results
tests_unit_check_results_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_results_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_results_LDADD = dict/libm2mmsg.la $(CHECK_LIBS)

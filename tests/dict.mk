# SPDX-License-Identifier: BSD-2-Clause
check_PROGRAMS += tests/unit/check_results
TESTS += tests/unit/check_results
tests_unit_check_results_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_results_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_results_LDADD = dict/libm2mmsg.la common/libcommon.la $(CHECK_LIBS)

check_PROGRAMS += tests/glue/check_codec
TESTS += tests/glue/check_codec
tests_glue_check_codec_CPPFLAGS = $(TEST_CPPFLAGS)
tests_glue_check_codec_CFLAGS = $(TEST_CFLAGS)
tests_glue_check_codec_LDADD = dict/libdict.la dict/libm2mmsg.la common/libcommon.la $(CHECK_LIBS)

check_PROGRAMS += tests/unit/check_guard tests/unit/check_peers
TESTS += tests/unit/check_guard tests/unit/check_peers
tests_unit_check_guard_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_guard_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_guard_LDADD = dict/libm2mmsg.la common/libcommon.la $(CHECK_LIBS)
tests_unit_check_peers_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_peers_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_peers_LDADD = dict/libm2mmsg.la common/libcommon.la $(CHECK_LIBS)

# SPDX-License-Identifier: BSD-2-Clause
# m2m-node and m2m-front
check_PROGRAMS += tests/cli/fake_mtf
tests_cli_fake_mtf_SOURCES = tests/cli/fake_mtf.c
tests_cli_fake_mtf_CFLAGS = $(AM_CFLAGS) $(SSL_CFLAGS)
tests_cli_fake_mtf_LDADD = common/libcommon.la $(SSL_LIBS) $(CRYPTO_LIBS)

node_cli_tests = tests/cli/test_derive.sh tests/cli/test_enrol.py tests/cli/test_front.py
TESTS += $(node_cli_tests)
EXTRA_DIST += $(node_cli_tests)

check_PROGRAMS += tests/unit/check_node_keys
TESTS += tests/unit/check_node_keys
tests_unit_check_node_keys_SOURCES = tests/unit/check_node_keys.c
tests_unit_check_node_keys_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_node_keys_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_node_keys_LDADD = csf/libnode.la $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_node_result
tests_fuzz_fuzz_node_result_SOURCES = tests/fuzz/fuzz_node_result.c $(FUZZ_MAIN)
tests_fuzz_fuzz_node_result_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_node_result_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_node_result_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_node_result_LDADD = csf/libnode.la common/libcommon.la $(JANSSON_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_front_line
tests_fuzz_fuzz_front_line_SOURCES = tests/fuzz/fuzz_front_line.c $(FUZZ_MAIN)
tests_fuzz_fuzz_front_line_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_front_line_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
tests_fuzz_fuzz_front_line_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_front_line_LDADD = csf/libfront.la common/libcommon.la

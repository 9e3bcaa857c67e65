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

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

# imports: readers and the way into the store
IMPORT_READERS = ctl/import.h ctl/import_csv.c ctl/import_input.c ctl/import_keys.c ctl/import_keys.h ctl/import_memory.c ctl/import_ndjson.c ctl/import_pskc.c \
	ctl/import_pskc.h ctl/import_pskc_parts.c ctl/import_row.c ctl/key_file.c tests/unit/import_text.c tests/unit/import_text.h
IMPORT_LIBS = csf/libnode.la common/libcommon.la $(JANSSON_LIBS) $(XML_LIBS) $(CRYPTO_LIBS)
check_PROGRAMS += tests/unit/check_import_keys tests/unit/check_import_pskc tests/unit/check_import_read tests/unit/check_mtf_import
TESTS += tests/unit/check_import_keys tests/unit/check_import_pskc tests/unit/check_import_read tests/unit/check_mtf_import
tests_unit_check_import_read_SOURCES = tests/unit/check_import_read.c $(IMPORT_READERS)
tests_unit_check_import_read_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_import_read_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(XML_CFLAGS)
tests_unit_check_import_read_LDADD = $(CHECK_LIBS) $(IMPORT_LIBS)

tests_unit_check_import_keys_SOURCES = tests/unit/check_import_keys.c $(IMPORT_READERS)
tests_unit_check_import_keys_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_import_keys_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(XML_CFLAGS)
tests_unit_check_import_keys_LDADD = $(CHECK_LIBS) $(IMPORT_LIBS)

tests_unit_check_import_pskc_SOURCES = tests/unit/check_import_pskc.c $(IMPORT_READERS)
tests_unit_check_import_pskc_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_import_pskc_CFLAGS = $(TEST_CFLAGS) $(JANSSON_CFLAGS) $(XML_CFLAGS)
tests_unit_check_import_pskc_LDADD = $(CHECK_LIBS) $(IMPORT_LIBS)

tests_unit_check_mtf_import_SOURCES = tests/unit/check_mtf_import.c $(MTF_RIG)
tests_unit_check_mtf_import_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_mtf_import_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_unit_check_mtf_import_LDADD = $(MTF_RIG_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_csv tests/fuzz/fuzz_ndjson tests/fuzz/fuzz_pskc
tests_fuzz_fuzz_csv_SOURCES = tests/fuzz/fuzz_csv.c $(IMPORT_READERS) $(FUZZ_MAIN)
tests_fuzz_fuzz_csv_CPPFLAGS = $(TEST_CPPFLAGS) -I$(top_srcdir)/tests/unit
tests_fuzz_fuzz_csv_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(XML_CFLAGS)
tests_fuzz_fuzz_csv_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_csv_LDADD = $(IMPORT_LIBS)

tests_fuzz_fuzz_ndjson_SOURCES = tests/fuzz/fuzz_ndjson.c $(IMPORT_READERS) $(FUZZ_MAIN)
tests_fuzz_fuzz_ndjson_CPPFLAGS = $(TEST_CPPFLAGS) -I$(top_srcdir)/tests/unit
tests_fuzz_fuzz_ndjson_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(XML_CFLAGS)
tests_fuzz_fuzz_ndjson_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_ndjson_LDADD = $(IMPORT_LIBS)

tests_fuzz_fuzz_pskc_SOURCES = tests/fuzz/fuzz_pskc.c $(IMPORT_READERS) $(FUZZ_MAIN)
tests_fuzz_fuzz_pskc_CPPFLAGS = $(TEST_CPPFLAGS) -I$(top_srcdir)/tests/unit
tests_fuzz_fuzz_pskc_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(XML_CFLAGS)
tests_fuzz_fuzz_pskc_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_pskc_LDADD = $(IMPORT_LIBS)

EXTRA_DIST += tests/data/pskc
TESTS += tests/cli/test_import.py
EXTRA_DIST += tests/cli/test_import.py

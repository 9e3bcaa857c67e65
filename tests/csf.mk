# SPDX-License-Identifier: BSD-2-Clause
check_PROGRAMS += tests/unit/check_keycache
TESTS += tests/unit/check_keycache

tests_unit_check_keycache_SOURCES = tests/unit/check_keycache.c
tests_unit_check_keycache_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_keycache_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_keycache_LDADD = csf/libcsf.la $(CHECK_LIBS)

check_PROGRAMS += tests/unit/check_relay
TESTS += tests/unit/check_relay
tests_unit_check_relay_SOURCES = tests/unit/check_relay.c tests/unit/csf_fake.c tests/unit/csf_fake.h
tests_unit_check_relay_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_relay_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_relay_LDADD = csf/libcsf.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

check_PROGRAMS += tests/unit/check_resolver
TESTS += tests/unit/check_resolver
tests_unit_check_resolver_SOURCES = tests/unit/check_resolver.c tests/unit/csf_fake.c tests/unit/csf_fake.h
tests_unit_check_resolver_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_resolver_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_resolver_LDADD = csf/libcsf.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

check_PROGRAMS += tests/unit/check_csf_conf
TESTS += tests/unit/check_csf_conf
tests_unit_check_csf_conf_SOURCES = tests/unit/check_csf_conf.c
tests_unit_check_csf_conf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_csf_conf_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_csf_conf_LDADD = csf/libcsf.la $(CHECK_LIBS)

check_PROGRAMS += tests/unit/check_relay_limits
TESTS += tests/unit/check_relay_limits
tests_unit_check_relay_limits_SOURCES = tests/unit/check_relay_limits.c tests/unit/csf_fake.c tests/unit/csf_fake.h
tests_unit_check_relay_limits_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_relay_limits_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_relay_limits_LDADD = csf/libcsf.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

check_PROGRAMS += tests/unit/check_resolver_life
TESTS += tests/unit/check_resolver_life
tests_unit_check_resolver_life_SOURCES = tests/unit/check_resolver_life.c tests/unit/csf_fake.c tests/unit/csf_fake.h
tests_unit_check_resolver_life_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_resolver_life_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_resolver_life_LDADD = csf/libcsf.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

check_PROGRAMS += tests/unit/check_events
TESTS += tests/unit/check_events
tests_unit_check_events_SOURCES = tests/unit/check_events.c tests/unit/csf_fake.c tests/unit/csf_fake.h
tests_unit_check_events_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_events_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_events_LDADD = csf/libcsf.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

check_PROGRAMS += tests/unit/check_csf_text
TESTS += tests/unit/check_csf_text
tests_unit_check_csf_text_SOURCES = tests/unit/check_csf_text.c
tests_unit_check_csf_text_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_csf_text_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_csf_text_LDADD = csf/libcsf.la $(CHECK_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_resolver tests/fuzz/fuzz_relay_stream
tests_fuzz_fuzz_resolver_SOURCES = tests/fuzz/fuzz_resolver.c $(FUZZ_MAIN)
tests_fuzz_fuzz_resolver_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_resolver_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_resolver_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_resolver_LDADD = csf/libcsf.la $(JANSSON_LIBS)
tests_fuzz_fuzz_relay_stream_SOURCES = tests/fuzz/fuzz_relay_stream.c $(FUZZ_MAIN)
tests_fuzz_fuzz_relay_stream_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_relay_stream_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_relay_stream_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_relay_stream_LDADD = csf/libcsf.la

# SPDX-License-Identifier: BSD-2-Clause
check_PROGRAMS += tests/unit/check_results
TESTS += tests/unit/check_results
tests_unit_check_results_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_results_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_results_LDADD = dict/libm2mmsg.la common/libcommon.la $(CHECK_LIBS)

check_PROGRAMS += tests/glue/check_codec
TESTS += tests/glue/check_codec
tests_glue_check_codec_SOURCES = tests/glue/check_codec.c tests/glue/raw_msg.h
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

check_PROGRAMS += tests/unit/check_flow
TESTS += tests/unit/check_flow
tests_unit_check_flow_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_flow_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_flow_LDADD = dict/libm2mmsg.la common/libcommon.la $(AX_PTHREAD_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/check_rate
TESTS += tests/unit/check_rate
tests_unit_check_rate_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_rate_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_rate_LDADD = dict/libm2mmsg.la common/libcommon.la $(CHECK_LIBS)

check_PROGRAMS += tests/unit/check_again
TESTS += tests/unit/check_again
tests_unit_check_again_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_again_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_again_LDADD = dict/libm2mmsg.la common/libcommon.la $(AX_PTHREAD_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/check_offender
TESTS += tests/unit/check_offender
tests_unit_check_offender_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_offender_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_offender_LDADD = dict/libm2mmsg.la common/libcommon.la $(CHECK_LIBS)

check_PROGRAMS += tests/glue/check_node
TESTS += tests/glue/check_node
tests_glue_check_node_SOURCES = tests/glue/check_node.c tests/glue/node_lab.h
tests_glue_check_node_CPPFLAGS = $(TEST_CPPFLAGS)
tests_glue_check_node_CFLAGS = $(TEST_CFLAGS) $(GNUTLS_CFLAGS)
tests_glue_check_node_LDADD = dict/libdict.la dict/libm2mmsg.la common/libcommon.la $(GNUTLS_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/glue/check_hooks
TESTS += tests/glue/check_hooks
tests_glue_check_hooks_SOURCES = tests/glue/check_hooks.c tests/glue/node_lab.h dict/hooks.c dict/mend.c
tests_glue_check_hooks_CPPFLAGS = $(TEST_CPPFLAGS)
tests_glue_check_hooks_CFLAGS = $(TEST_CFLAGS) $(GNUTLS_CFLAGS)
tests_glue_check_hooks_LDADD = dict/libdict.la dict/libm2mmsg.la common/libcommon.la $(GNUTLS_LIBS) $(AX_PTHREAD_LIBS) $(CHECK_LIBS)

EXTRA_DIST += tests/glue/cert_fixture.h
check_PROGRAMS += tests/glue/check_cert tests/glue/check_crl
TESTS += tests/glue/check_cert tests/glue/check_crl
tests_glue_check_cert_CPPFLAGS = $(TEST_CPPFLAGS)
tests_glue_check_cert_CFLAGS = $(TEST_CFLAGS) $(GNUTLS_CFLAGS)
tests_glue_check_cert_LDADD = dict/libdict.la dict/libm2mmsg.la common/libcommon.la $(GNUTLS_LIBS) $(CHECK_LIBS)
tests_glue_check_crl_CPPFLAGS = $(TEST_CPPFLAGS)
tests_glue_check_crl_CFLAGS = $(TEST_CFLAGS) $(GNUTLS_CFLAGS)
tests_glue_check_crl_LDADD = $(tests_glue_check_cert_LDADD)

TESTS += tests/glue/exports.sh tests/glue/dictionary.sh
EXTRA_DIST += tests/glue/exports.sh tests/glue/dictionary.sh

FUZZ_TARGETS += tests/fuzz/fuzz_guard tests/fuzz/fuzz_codec
tests_fuzz_fuzz_guard_SOURCES = tests/fuzz/fuzz_guard.c dict/m2m_table.c $(FUZZ_MAIN)
tests_fuzz_fuzz_guard_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_guard_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_guard_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_guard_LDADD = dict/libm2mmsg.la common/libcommon.la
tests_fuzz_fuzz_codec_SOURCES = tests/fuzz/fuzz_codec.c $(FUZZ_MAIN)
tests_fuzz_fuzz_codec_CPPFLAGS = $(TEST_CPPFLAGS)
tests_fuzz_fuzz_codec_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_codec_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_codec_LDADD = dict/libdict.la dict/libm2mmsg.la common/libcommon.la

check_PROGRAMS += tests/glue/check_faults
TESTS += tests/glue/check_faults
tests_glue_check_faults_SOURCES = tests/glue/check_faults.c tests/glue/raw_msg.h
tests_glue_check_faults_CPPFLAGS = $(TEST_CPPFLAGS)
tests_glue_check_faults_CFLAGS = $(TEST_CFLAGS)
tests_glue_check_faults_LDADD = dict/libdict.la dict/libm2mmsg.la common/libcommon.la $(CHECK_LIBS)

check_PROGRAMS += tests/glue/check_ask
TESTS += tests/glue/check_ask
tests_glue_check_ask_SOURCES = tests/glue/check_ask.c tests/glue/node_lab.h
tests_glue_check_ask_CPPFLAGS = $(TEST_CPPFLAGS)
tests_glue_check_ask_CFLAGS = $(TEST_CFLAGS) $(GNUTLS_CFLAGS)
tests_glue_check_ask_LDADD = dict/libdict.la dict/libm2mmsg.la common/libcommon.la $(GNUTLS_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/glue/check_self
TESTS += tests/glue/check_self
tests_glue_check_self_SOURCES = tests/glue/check_self.c tests/glue/node_lab.h
tests_glue_check_self_CPPFLAGS = $(TEST_CPPFLAGS)
tests_glue_check_self_CFLAGS = $(TEST_CFLAGS) $(GNUTLS_CFLAGS)
tests_glue_check_self_LDADD = dict/libdict.la dict/libm2mmsg.la common/libcommon.la $(GNUTLS_LIBS) $(AX_PTHREAD_LIBS) $(CHECK_LIBS)

check_PROGRAMS += tests/unit/check_content
TESTS += tests/unit/check_content
tests_unit_check_content_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_content_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_content_LDADD = dict/libm2mmsg.la common/libcommon.la $(CHECK_LIBS)

EXTRA_DIST += tests/data/m2m-alerts-test.yml
check_PROGRAMS += tests/unit/check_metrics
TESTS += tests/unit/check_metrics
tests_unit_check_metrics_SOURCES = tests/unit/check_metrics.c dict/metrics_serve.c dict/metrics_serve.h
tests_unit_check_metrics_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_metrics_CFLAGS = $(TEST_CFLAGS) $(MICROHTTPD_CFLAGS)
tests_unit_check_metrics_LDADD = dict/libm2mmsg.la common/libcommon.la $(MICROHTTPD_LIBS) $(AX_PTHREAD_LIBS) $(CHECK_LIBS)

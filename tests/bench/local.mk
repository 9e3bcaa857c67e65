# SPDX-License-Identifier: BSD-2-Clause
# tests/bench: what scripts/bench measures with; built on demand only.
EXTRA_PROGRAMS = tests/bench/bench_store tests/bench/bench_timing tests/bench/bench_timing_kfr
CLEANFILES += $(EXTRA_PROGRAMS)
tests_bench_bench_store_SOURCES = tests/bench/bench_store.c tests/bench/bench_store.h tests/bench/store_look.c
tests_bench_bench_store_CFLAGS = $(AM_CFLAGS) $(LMDB_CFLAGS) $(CRYPTO_CFLAGS)
tests_bench_bench_store_LDADD = mas/libmas.la store/libstore.la common/libcommon.la $(LMDB_LIBS) \
	$(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)
tests_bench_bench_timing_SOURCES = tests/bench/bench_timing.c tests/bench/welch.h
tests_bench_bench_timing_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
tests_bench_bench_timing_LDADD = mas/libmas.la $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS) -lm
tests_bench_bench_timing_kfr_SOURCES = tests/bench/bench_timing_kfr.c tests/bench/welch.h tests/unit/mtf_kfr.c tests/unit/mtf_kfr.h $(MTF_RIG)
tests_bench_bench_timing_kfr_CPPFLAGS = $(TEST_CPPFLAGS)
tests_bench_bench_timing_kfr_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_bench_bench_timing_kfr_LDADD = $(MTF_RIG_LIBS) -lm
EXTRA_DIST += tests/bench/frame.py tests/bench/store.py tests/bench/fetch.py

# SPDX-License-Identifier: BSD-2-Clause
# fuzz targets, one per decoder.
#
# To add one, say fuzz_thing:
#   1. tests/fuzz/fuzz_thing.c with `int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)`: always returns 0, leaves nothing
#      allocated, asserts what must hold of every input (for instance: what was decoded encodes to the same octets). No main.
#   2. tests/fuzz/seeds/fuzz_thing/: at least one good input and the ones that once failed, one file each. Small.
#   3. in your module's tests/MODULE.mk:
#        FUZZ_TARGETS += tests/fuzz/fuzz_thing
#        tests_fuzz_fuzz_thing_SOURCES = tests/fuzz/fuzz_thing.c $(FUZZ_MAIN)
#        tests_fuzz_fuzz_thing_CPPFLAGS = $(TEST_CPPFLAGS)
#        tests_fuzz_fuzz_thing_CFLAGS = $(AM_CFLAGS)
#        tests_fuzz_fuzz_thing_LDFLAGS = $(FUZZ_LINK)
#        tests_fuzz_fuzz_thing_LDADD = the/module.la common/libcommon.la
# `make check` then replays the seeds, each also cut short at every length, with any compiler (FUZZ_MAIN is replay_main.c). Configured with CC=clang --enable-fuzzers
# --enable-sanitizers, the same names are libFuzzer programs:
#   tests/fuzz/fuzz_thing -max_total_time=60 NEW_FOLDER ../tests/fuzz/seeds/fuzz_thing
FUZZ_TARGETS =
if LIBFUZZER
FUZZ_MAIN =
FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
else
FUZZ_MAIN = tests/fuzz/replay_main.c
FUZZ_LINK = $(AM_LDFLAGS)
TESTS += $(FUZZ_TARGETS)
endif
check_PROGRAMS += $(FUZZ_TARGETS)
EXTRA_DIST += tests/fuzz/replay_main.c tests/fuzz/seeds

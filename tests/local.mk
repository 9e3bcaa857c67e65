# SPDX-License-Identifier: BSD-2-Clause
# tests: one fragment per module, so that a module's tests can be found and run alone.
TEST_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_DATA='"$(abs_top_srcdir)/tests/data"'
TEST_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
EXTRA_DIST += tests/data/kdf.json

include tests/fuzz/local.mk
include tests/common.mk
include tests/store.mk
include tests/dict.mk
include tests/mas.mk
include tests/mtf.mk
include tests/csf.mk
include tests/node.mk
include tests/ctl.mk
include tests/lab.mk
include tests/crash.mk
include tests/model.mk
include tests/bench/local.mk

# After `make check`, in distcheck too: what its suites counted.
installcheck-local:
	@find tests -name '*.log' -newer config.status -exec grep -hE 'Checks: [0-9]+|^Ran [0-9]+' {} +

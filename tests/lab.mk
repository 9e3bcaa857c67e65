# SPDX-License-Identifier: BSD-2-Clause
# tests/lab: what integration tests and the demo need beside the product.
noinst_LTLIBRARIES += tests/lab/loopback.la
tests_lab_loopback_la_SOURCES = tests/lab/loopback_fd.c
# -rpath makes libtool build a loadable module although it is never installed.
tests_lab_loopback_la_LDFLAGS = $(EXTENSION_LDFLAGS) -rpath $(abs_top_builddir)/tests/lab
tests_lab_loopback_la_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
tests_lab_loopback_la_LIBADD = $(FD_LIBS)
EXTRA_DIST += tests/lab/lab.py tests/lab/rawdia.py tests/lab/good.py tests/lab/mutate.py tests/lab/packages.py tests/lab/asan.supp

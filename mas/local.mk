# SPDX-License-Identifier: BSD-2-Clause
# mas: the M2M Authentication Server. The core is libmas.la; mas_fd.c is the extension's entry.
noinst_LTLIBRARIES += mas/libmas.la
mas_libmas_la_SOURCES = mas/mas.h
mas_libmas_la_LIBADD = dict/libm2mmsg.la store/libstore.la common/libcommon.la

# SPDX-License-Identifier: BSD-2-Clause
# mtf: the M2M Trust Function. The core is libmtf.la; mtf_fd.c is the extension's entry.
noinst_LTLIBRARIES += mtf/libmtf.la
mtf_libmtf_la_SOURCES = mtf/mtf.h
mtf_libmtf_la_LIBADD = dict/libm2mmsg.la store/libstore.la common/libcommon.la $(SSL_LIBS)

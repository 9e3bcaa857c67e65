# SPDX-License-Identifier: BSD-2-Clause
# mas: the M2M Authentication Server. The core is libmas.la; mas_fd.c is the extension's entry.
noinst_LTLIBRARIES += mas/libmas.la
mas_libmas_la_SOURCES = mas/mas.h mas/mas_int.h mas/assoc.c mas/assoc.h mas/assoc_state.c mas/assoc_state.h mas/mas_conf.c \
	mas/mas_core.c mas/mas_list.c mas/mas_open.c mas/mas_record.c mas/mas_sak.c mas/rootkey.c mas/rootkey.h
mas_libmas_la_LIBADD = dict/libm2mmsg.la store/libstore.la common/libcommon.la

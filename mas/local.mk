# SPDX-License-Identifier: BSD-2-Clause
# mas: the M2M Authentication Server. The core is libmas.la; mas_fd.c, the extension's entry, makes mas.fdx of it.
noinst_LTLIBRARIES += mas/libmas.la
mas_libmas_la_SOURCES = mas/mas.h mas/mas_int.h mas/assoc.c mas/assoc.h mas/assoc_state.c mas/assoc_state.h mas/fetch.c mas/fetch.h mas/fetch_copy.c mas/fetch_state.c mas/fetch_sweep.c mas/fetch_take.c mas/fuse.c mas/fuse.h mas/mas_audit.c mas/mas_check.c mas/mas_conf.c mas/mas_end.c mas/mas_expiry.c mas/mas_upgrade.c \
	mas/mas_core.c mas/mas_list.c mas/mas_open.c mas/mas_package.c mas/package.h mas/mas_prune.c mas/mas_quota.c mas/mas_record.c mas/mas_reseal.c mas/mas_revoke.c mas/mas_ahead.c mas/mas_sak.c mas/mas_tend.c mas/rootkey.c mas/rootkey.h
mas_libmas_la_SOURCES += mas/mas_expiring.c
mas_libmas_la_LIBADD = dict/libm2mmsg.la store/libstore.la common/libcommon.la

extension_LTLIBRARIES += mas/mas.la
mas_mas_la_SOURCES = mas/mas_fd.c mas/mas_fetch_fd.c mas/mas_fetch_fd.h dict/owed.c dict/owed.h
mas_mas_la_LDFLAGS = $(EXTENSION_LDFLAGS)
mas_mas_la_LIBADD = mas/libmas.la dict/libdict.la $(FD_LIBS)

# SPDX-License-Identifier: BSD-2-Clause
# mtf: the M2M Trust Function. The core is libmtf.la; mtf_fd.c is the extension's entry.
noinst_LTLIBRARIES += mtf/libmtf.la
mtf_libmtf_la_SOURCES = \
	mtf/core.h mtf/enrolment.c mtf/enrolment.h mtf/enrolment_audit.c mtf/enrolment_hold.c mtf/enrolment_int.h mtf/enrolment_push.c mtf/enrolment_record.c mtf/fetch.c mtf/fetch.h mtf/fetch_enter.c mtf/fetch_int.h mtf/fetch_key.c mtf/handshake.c mtf/handshake.h mtf/import.c mtf/import.h mtf/import_seen.c mtf/import_seen.h mtf/instruct.c mtf/instruct.h mtf/mtf.h mtf/mtf_admin.c mtf/mtf_check.c mtf/mtf_audit.c mtf/mtf_conf.c \
	mtf/mtf_core.c mtf/mtf_package.c mtf/mtf_reseal.c mtf/mtf_store.c mtf/mtf_store.h mtf/mtf_upgrade.c mtf/names.c mtf/names.h mtf/records.c mtf/records.h mtf/result.c \
	mtf/result.h mtf/tls_engine.c mtf/tls_engine.h mtf/workers.c mtf/workers.h
mtf_libmtf_la_SOURCES += mtf/mtf_prune.c mtf/mtf_quota.c mtf/mtf_revoke.c mtf/mtf_tend.c
mtf_libmtf_la_CFLAGS = $(AM_CFLAGS) $(SSL_CFLAGS) $(JANSSON_CFLAGS)
mtf_libmtf_la_LIBADD = dict/libm2mmsg.la store/libstore.la common/libcommon.la $(SSL_LIBS) $(CRYPTO_LIBS) $(JANSSON_LIBS) \
	$(AX_PTHREAD_LIBS)

extension_LTLIBRARIES += mtf/mtf.la
mtf_mtf_la_SOURCES = mtf/mtf_fd.c dict/owed.c dict/owed.h
mtf_mtf_la_LDFLAGS = $(EXTENSION_LDFLAGS)
mtf_mtf_la_LIBADD = mtf/libmtf.la dict/libdict.la $(FD_LIBS)

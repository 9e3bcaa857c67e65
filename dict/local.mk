# SPDX-License-Identifier: BSD-2-Clause
# dict: libm2mmsg.la is pure C (results, peers); libdict.la is the face on freeDiameter; dict_m2m.fdx the dictionary.
# Neither holds another convenience library, so that an extension can link both beside a core that has libcommon in it.
noinst_LTLIBRARIES += dict/libm2mmsg.la
dict_libm2mmsg_la_SOURCES = dict/messages.h dict/peers.h dict/peers.c dict/results.h dict/results.c \
	dict/guard.c dict/guard.h dict/flow.c dict/flow.h dict/rate.c dict/rate.h \
	dict/again.c dict/again.h dict/offender.c dict/offender.h dict/content.c dict/content.h dict/values.c dict/values.h dict/m2m_table.c dict/m2m_table.h
# A receiver may be cancelled while it waits: with unwind tables, that needs no setjmp, which AddressSanitizer minds.
dict_libm2mmsg_la_CFLAGS = $(AM_CFLAGS) -fexceptions

extension_LTLIBRARIES += dict/dict_m2m.la
dict_dict_m2m_la_SOURCES = dict/dict_fd.c dict/entry.h dict/fd_dict.c dict/fd_dict.h dict/m2m_table.c dict/m2m_table.h \
	dict/flow.c dict/flow.h dict/guard.c dict/guard.h dict/hooks.c dict/hooks.h dict/mend.c dict/mend.h dict/host_log.c dict/host_log.h common/env.c common/env.h common/log_limit.c common/log_limit.h \
	dict/msg.c dict/offender.c dict/offender.h common/err.c common/err.h common/secret.c common/secret.h
dict_dict_m2m_la_CFLAGS = $(AM_CFLAGS) -fexceptions $(CRYPTO_CFLAGS)
dict_dict_m2m_la_LDFLAGS = $(EXTENSION_LDFLAGS)
dict_dict_m2m_la_LIBADD = $(CRYPTO_LIBS) $(FD_LIBS) $(AX_PTHREAD_LIBS)

# The dictionary for other stacks, made from the same table.
noinst_PROGRAMS += dict/dictgen
dict_dictgen_SOURCES = dict/dictgen.c dict/dictgen.h dict/gen_markdown.c dict/gen_wireshark.c dict/m2m_table.c dict/m2m_table.h
dict_dictgen_LDADD = dict/libm2mmsg.la
wiresharkdir = $(pkgdatadir)/wireshark
nodist_wireshark_DATA = dict/m2m.xml
erlangdir = $(pkgdatadir)/erlang
nodist_erlang_DATA = dict/m2m_avp.dia dict/m2m_rp.dia dict/m2m_rkm.dia dict/m2m_sak.dia
CLEANFILES += $(nodist_wireshark_DATA) $(nodist_erlang_DATA)
dict/m2m.xml: dict/dictgen$(EXEEXT)
	$(AM_V_GEN)dict/dictgen$(EXEEXT) wireshark m2m >$@.tmp && mv $@.tmp $@
$(nodist_erlang_DATA): dict/dictgen$(EXEEXT)
	$(AM_V_GEN)part=$(@F); dict/dictgen$(EXEEXT) dia $${part%.dia} >$@.tmp && mv $@.tmp $@

# What extensions link beside libm2mmsg.la and libcommon.la (or a core that holds them).
noinst_LTLIBRARIES += dict/libdict.la
dict_libdict_la_SOURCES = dict/codec.h dict/codec_int.h dict/decode.c dict/encode.c dict/msg.c dict/failed_avp.c dict/fd_dict.c \
	dict/fd_dict.h dict/node.h dict/entry.h \
	dict/node_int.h dict/node.c dict/links.c dict/serve.c dict/ask.c dict/self.c dict/cert.c dict/cert.h dict/crl.c dict/crl.h \
	dict/metrics_serve.c dict/metrics_serve.h dict/sample.c
dict_libdict_la_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS) $(GNUTLS_CFLAGS) $(MICROHTTPD_CFLAGS)
dict_libdict_la_LIBADD = $(CRYPTO_LIBS) $(FD_LIBS) $(GNUTLS_LIBS) $(MICROHTTPD_LIBS) $(AX_PTHREAD_LIBS)

# SPDX-License-Identifier: BSD-2-Clause
# csf: the IN-CSE's side (relay, resolver: libcsf.la, csf.fdx; m2m-front) and the field side's reference client (m2m-node).
noinst_LTLIBRARIES += csf/libcsf.la
csf_libcsf_la_SOURCES = \
	csf/csf.c csf/csf.h csf/csf_conf.c csf/hostport.c csf/hostport.h csf/keycache.c csf/keycache.h csf/line.c csf/line.h \
	csf/listen.c csf/listen.h csf/loop.c csf/loop.h csf/relay.c csf/relay.h csf/resolver.c csf/resolver.h csf/tls_records.c csf/tls_records.h
csf_libcsf_la_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(JANSSON_CFLAGS)
csf_libcsf_la_LIBADD = dict/libm2mmsg.la common/libcommon.la $(EVENT_LIBS) $(JANSSON_LIBS) $(AX_PTHREAD_LIBS)

extension_LTLIBRARIES += csf/csf.la
csf_csf_la_SOURCES = csf/csf_fd.c
csf_csf_la_LDFLAGS = $(EXTENSION_LDFLAGS)
csf_csf_la_LIBADD = csf/libcsf.la dict/libdict.la $(FD_LIBS) $(GNUTLS_LIBS)

# m2m-node
noinst_LTLIBRARIES += csf/libnode.la
csf_libnode_la_SOURCES = \
	csf/hostport.c csf/hostport.h csf/node.h csf/node_associate.c csf/node_derive.c csf/node_enrol.c csf/node_file.c \
	csf/node_file.h csf/node_json.c csf/node_json.h csf/node_keys.c csf/node_keys.h csf/node_tls.c csf/node_tls.h \
	csf/wipejson.c csf/wipejson.h
csf_libnode_la_CFLAGS = $(AM_CFLAGS) $(SSL_CFLAGS) $(JANSSON_CFLAGS)
csf_libnode_la_LIBADD = common/libcommon.la $(SSL_LIBS) $(CRYPTO_LIBS) $(JANSSON_LIBS)
bin_PROGRAMS += csf/m2m-node
csf_m2m_node_SOURCES = csf/node_main.c
csf_m2m_node_LDADD = csf/libnode.la

# m2m-front
noinst_LTLIBRARIES += csf/libfront.la
csf_libfront_la_SOURCES = \
	csf/csf.h csf/front.c csf/front.h csf/front_again.c csf/front_again.h csf/front_control.c csf/front_control.h csf/front_index.c csf/front_index.h csf/front_pipe.c csf/front_pipe.h csf/front_resolve.c csf/front_resolve.h \
	csf/front_resolve_line.c csf/front_tls.c csf/front_tls.h csf/hostport.c csf/hostport.h csf/listen.c csf/listen.h \
	csf/wipejson.c csf/wipejson.h
csf_libfront_la_CFLAGS = $(AM_CFLAGS) $(SSL_CFLAGS) $(EVENT_CFLAGS) $(JANSSON_CFLAGS)
csf_libfront_la_LIBADD = common/libcommon.la $(SSL_LIBS) $(CRYPTO_LIBS) $(EVENT_LIBS) $(JANSSON_LIBS)
bin_PROGRAMS += csf/m2m-front
csf_m2m_front_SOURCES = csf/front_main.c
csf_m2m_front_LDADD = csf/libfront.la

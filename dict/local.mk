# SPDX-License-Identifier: BSD-2-Clause
# dict: libm2mmsg.la is pure C (results, peers); libdict.la is the face on freeDiameter; dict_m2m.fdx the dictionary.
# Neither holds another convenience library, so that an extension can link both beside a core that has libcommon in it.
noinst_LTLIBRARIES += dict/libm2mmsg.la
dict_libm2mmsg_la_SOURCES = dict/messages.h dict/peers.h dict/peers.c dict/results.h dict/results.c

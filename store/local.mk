# SPDX-License-Identifier: BSD-2-Clause
# store: the store contract and its LMDB implementation. lmdb.h is included by store_lmdb.h alone.
noinst_LTLIBRARIES += store/libstore.la
store_libstore_la_SOURCES = store/store.h store/store_files.c store/store_files.h store/store_lmdb.c store/store_lmdb.h \
	store/store_epoch.c store/store_epoch.h store/store_lmdb_child.c store/store_lmdb_epoch.c store/store_lmdb_copy.c store/store_pages.h store/store_walk.c store/store_walk.h store/store_lmdb_env.c store/store_lmdb_room.c \
	store/store_lmdb_recover.c store/store_state.c store/store_state.h store/store_writer.c \
	store/store_writer.h store/store_writes.c store/store_writes.h
store_libstore_la_SOURCES += store/store_lmdb_upgrade.c store/store_older.c store/store_watch.c store/store_watch.h
store_libstore_la_SOURCES += store/outbox.c store/outbox.h store/outbox_int.h store/outbox_peers.c store/outbox_flight.c store/outbox_flight.h store/outbox_run.c store/outbox_run.h store/check.c store/check.h store/reseal.c store/reseal.h
store_libstore_la_SOURCES += store/note.c store/note.h store/store_sample.c
store_libstore_la_CFLAGS = $(AM_CFLAGS) $(LMDB_CFLAGS)
store_libstore_la_LIBADD = $(LMDB_LIBS) $(AX_PTHREAD_LIBS)

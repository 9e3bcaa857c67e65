# SPDX-License-Identifier: BSD-2-Clause
check_PROGRAMS += tests/unit/check_store_state tests/unit/check_store_disk tests/unit/check_store_recover
TESTS += tests/unit/check_store_state tests/unit/check_store_disk tests/unit/check_store_recover
check_PROGRAMS += tests/unit/check_store tests/unit/check_store_writer tests/unit/check_store_faults tests/unit/check_store_open tests/unit/check_store_copy tests/unit/check_store_damage tests/unit/check_store_epoch
TESTS += tests/unit/check_store tests/unit/check_store_writer tests/unit/check_store_faults tests/unit/check_store_open tests/unit/check_store_copy tests/unit/check_store_damage tests/unit/check_store_epoch
EXTRA_DIST += tests/unit/store_fixture.h tests/unit/store_hooks.h tests/data/store-format-1.mdb

tests_unit_check_store_SOURCES = tests/unit/check_store.c
tests_unit_check_store_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_store_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_store_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_store_writer_SOURCES = tests/unit/check_store_writer.c
tests_unit_check_store_writer_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_store_writer_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_store_writer_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

# LMDB too, for environments that are not ours.
tests_unit_check_store_open_SOURCES = tests/unit/check_store_open.c
tests_unit_check_store_open_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_store_open_CFLAGS = $(TEST_CFLAGS) $(LMDB_CFLAGS)
tests_unit_check_store_open_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(LMDB_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_store_faults_SOURCES = tests/unit/check_store_faults.c
tests_unit_check_store_faults_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_store_faults_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_store_faults_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_store_copy_SOURCES = tests/unit/check_store_copy.c
tests_unit_check_store_copy_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_store_copy_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_store_copy_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_store_damage_SOURCES = tests/unit/check_store_damage.c
tests_unit_check_store_damage_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_store_damage_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_store_damage_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_store_epoch_SOURCES = tests/unit/check_store_epoch.c
tests_unit_check_store_epoch_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_store_epoch_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_store_epoch_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)
check_PROGRAMS += tests/unit/check_reseal
TESTS += tests/unit/check_reseal
tests_unit_check_reseal_SOURCES = tests/unit/check_reseal.c
tests_unit_check_reseal_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_reseal_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_reseal_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_store_state_SOURCES = tests/unit/check_store_state.c
tests_unit_check_store_state_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_store_state_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_store_state_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_store_disk_SOURCES = tests/unit/check_store_disk.c
tests_unit_check_store_disk_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_store_disk_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_store_disk_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

tests_unit_check_store_recover_SOURCES = tests/unit/check_store_recover.c
tests_unit_check_store_recover_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_store_recover_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_store_recover_LDADD = store/libstore.la common/libcommon.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

check_PROGRAMS += tests/unit/check_outbox tests/unit/check_outbox_run
TESTS += tests/unit/check_outbox tests/unit/check_outbox_run
tests_unit_check_outbox_SOURCES = tests/unit/check_outbox.c tests/unit/outbox_fixture.h
tests_unit_check_outbox_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_outbox_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_outbox_LDADD = store/libstore.la dict/libm2mmsg.la common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)
tests_unit_check_outbox_run_SOURCES = tests/unit/check_outbox_run.c tests/unit/outbox_fixture.h
tests_unit_check_outbox_run_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_outbox_run_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_unit_check_outbox_run_LDADD = store/libstore.la dict/libm2mmsg.la common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)

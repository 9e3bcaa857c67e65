# SPDX-License-Identifier: BSD-2-Clause
# tests/crash: tools of the crash, disk and memory tests
check_PROGRAMS += tests/crash/scan_memory tests/crash/keyring_keys
tests_crash_scan_memory_SOURCES = tests/crash/scan_memory.c
tests_crash_keyring_keys_SOURCES = tests/crash/keyring_keys.c
tests_crash_keyring_keys_LDADD = common/libcommon.la $(CRYPTO_LIBS)

check_PROGRAMS += tests/unit/check_folder
TESTS += tests/unit/check_folder
tests_unit_check_folder_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_folder_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_folder_LDADD = common/libcommon.la $(CHECK_LIBS)

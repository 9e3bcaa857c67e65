# SPDX-License-Identifier: BSD-2-Clause
# tests/crash: tools of the crash, disk and memory tests
check_PROGRAMS += tests/crash/scan_memory tests/crash/keyring_keys
tests_crash_scan_memory_SOURCES = tests/crash/scan_memory.c
tests_crash_keyring_keys_SOURCES = tests/crash/keyring_keys.c
tests_crash_keyring_keys_LDADD = common/libcommon.la $(CRYPTO_LIBS)

# The shim sees calls that the sanitizers' runtime would see too.
if !SANITIZERS
check_LTLIBRARIES += tests/crash/diskshim.la
tests_crash_diskshim_la_SOURCES = tests/crash/diskshim.c
tests_crash_diskshim_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath $(abs_top_builddir)/tests/crash
tests_crash_diskshim_la_LIBADD = -ldl $(AX_PTHREAD_LIBS)

check_LTLIBRARIES += tests/crash/memshim.la
tests_crash_memshim_la_SOURCES = tests/crash/memshim.c
tests_crash_memshim_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath $(abs_top_builddir)/tests/crash

check_LTLIBRARIES += tests/crash/clockshim.la
tests_crash_clockshim_la_SOURCES = tests/crash/clockshim.c
tests_crash_clockshim_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath $(abs_top_builddir)/tests/crash

check_PROGRAMS += tests/crash/crash_mas
tests_crash_crash_mas_SOURCES = tests/crash/crash_mas.c
tests_crash_crash_mas_LDADD = mas/libmas.la store/libstore.la common/libcommon.la $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)
check_PROGRAMS += tests/crash/crash_mtf
tests_crash_crash_mtf_SOURCES = tests/crash/crash_mtf.c $(MTF_RIG)
tests_crash_crash_mtf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_crash_crash_mtf_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_crash_crash_mtf_LDADD = $(MTF_RIG_LIBS)
TESTS += tests/crash/test_crash.sh
tests/crash/test_crash.log: ctl/m2mctl$(EXEEXT) tests/cli/seed$(EXEEXT) tests/cli/seed_mtf$(EXEEXT)

# Nor can their allocator be replaced.
check_PROGRAMS += tests/crash/check_nomem_mas
TESTS += tests/crash/check_nomem_mas
tests_crash_check_nomem_mas_SOURCES = tests/crash/check_nomem_mas.c tests/crash/nomem.c tests/crash/nomem.h
tests_crash_check_nomem_mas_CPPFLAGS = $(TEST_CPPFLAGS)
tests_crash_check_nomem_mas_CFLAGS = $(TEST_CFLAGS)
tests_crash_check_nomem_mas_LDADD = mas/libmas.la $(CHECK_LIBS) $(AX_PTHREAD_LIBS)

check_PROGRAMS += tests/crash/check_nomem_package
TESTS += tests/crash/check_nomem_package
tests_crash_check_nomem_package_SOURCES = tests/crash/check_nomem_package.c tests/crash/nomem.c tests/crash/nomem.h
tests_crash_check_nomem_package_CPPFLAGS = $(TEST_CPPFLAGS)
tests_crash_check_nomem_package_CFLAGS = $(TEST_CFLAGS) $(CRYPTO_CFLAGS)
tests_crash_check_nomem_package_LDADD = common/libcommon.la $(CHECK_LIBS) $(CRYPTO_LIBS) $(AX_PTHREAD_LIBS)

check_PROGRAMS += tests/crash/check_nomem_mtf
TESTS += tests/crash/check_nomem_mtf
tests_crash_check_nomem_mtf_SOURCES = tests/crash/check_nomem_mtf.c tests/crash/nomem.c tests/crash/nomem.h $(MTF_RIG)
tests_crash_check_nomem_mtf_CPPFLAGS = $(TEST_CPPFLAGS)
tests_crash_check_nomem_mtf_CFLAGS = $(TEST_CFLAGS) $(SSL_CFLAGS)
tests_crash_check_nomem_mtf_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=mtf_provision -Wl,--wrap=_mark_point
tests_crash_check_nomem_mtf_LDADD = $(MTF_RIG_LIBS)
endif
EXTRA_DIST += tests/crash/test_crash.sh tests/crash/images.py tests/crash/faults.py tests/crash/nomem.py tests/crash/works.py

check_PROGRAMS += tests/unit/check_folder
TESTS += tests/unit/check_folder
tests_unit_check_folder_CPPFLAGS = $(TEST_CPPFLAGS)
tests_unit_check_folder_CFLAGS = $(TEST_CFLAGS)
tests_unit_check_folder_LDADD = common/libcommon.la $(CHECK_LIBS)

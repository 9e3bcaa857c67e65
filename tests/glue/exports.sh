#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every extension shows the host its three entry points and nothing else.
set -u
status=0
found=0
for fdx in "$top_builddir"/*/.libs/*.fdx; do
	[ -e "$fdx" ] || continue
	found=$((found + 1))
	# AddressSanitizer's own symbols are none of ours.
	names=$(nm -D --defined-only "$fdx" | awk '{ print $NF }' | grep -vE '^(__asan_|__odr_asan|_init$|_fini$)' | sort | tr '\n' ' ')
	if [ "$names" != "fd_ext_depends fd_ext_fini fd_ext_init " ]; then
		echo "$fdx exports: $names"
		status=1
	fi
done
if [ "$found" = 0 ]; then
	echo "no extension was built"
	status=1
fi
exit $status

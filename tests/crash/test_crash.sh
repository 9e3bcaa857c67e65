#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The short forms of scripts/crash images, faults and memory.
set -eu
"${PYTHON:-/usr/bin/python3}" -B "$top_srcdir/tests/crash/images.py" "$top_builddir" 300
"${PYTHON:-/usr/bin/python3}" -B "$top_srcdir/tests/crash/faults.py" "$top_builddir" 12 160
"${PYTHON:-/usr/bin/python3}" -B "$top_srcdir/tests/crash/nomem.py" "$top_builddir" 100

#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The published dictionary is the table's: doc/dictionary.md is what dictgen prints, and what dictgen does not know is refused.
set -eu
gen=$top_builddir/dict/dictgen
"$gen" markdown dictionary | diff -u "$top_srcdir/doc/dictionary.md" - || {
	echo "doc/dictionary.md is not the table's: dict/dictgen markdown dictionary >doc/dictionary.md"
	exit 1
}
for bad in "" "dia" "dia m2m_none" "wireshark dia" "markdown m2m" "xml m2m" "dia m2m_avp m2m_rp"; do
	# shellcheck disable=SC2086
	! "$gen" $bad >/dev/null 2>&1 || { echo "dictgen takes '$bad'"; exit 1; }
done
if "$gen" dia m2m_avp 2>/dev/null >/dev/full; then
	echo "dictgen does not see that it could not write"
	exit 1
fi

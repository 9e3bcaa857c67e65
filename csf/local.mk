# SPDX-License-Identifier: BSD-2-Clause
# csf: the IN-CSE's side (relay, resolver: libcsf.la, csf.fdx; m2m-front) and the field side's reference client (m2m-node).

# SPDX-License-Identifier: BSD-2-Clause
EXTRA_DIST += SECURITY.md doc/operating.md doc/protocol.md

# SPDX-License-Identifier: BSD-2-Clause
EXTRA_DIST += SECURITY.md doc/bench.md doc/dictionary.md doc/formats.md doc/hostile.md doc/operating.md doc/protocol.md doc/examples

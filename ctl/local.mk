# SPDX-License-Identifier: BSD-2-Clause
# ctl: m2mctl, the operator's command.

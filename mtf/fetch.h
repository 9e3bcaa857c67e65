/* SPDX-License-Identifier: BSD-2-Clause */
/* KFR inside the MTF's core: root keys are given back to the MAS that they are for. Nobody outside mtf/ includes it. */
#ifndef MTF_FETCH_H
#define MTF_FETCH_H

#include "mtf/core.h"

/* The thread that works on fetches, and what it works on where there is nothing. Errors: workers_new's, m2m_seal's. */
enum m2m_rc mtf_fetch_open(struct mtf *mtf, struct m2m_err *err);
/* What is queued is worked on, and goes to the audit log; nothing may be queued any more. Before the log closes. */
void mtf_fetch_stop(struct mtf *mtf);
/* After the log has closed, which answers the last one. */
void mtf_fetch_close(struct mtf *mtf);

#endif

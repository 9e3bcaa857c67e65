/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread that fetches root keys (KFR), and its way to the MTFs. */
#ifndef MAS_FETCH_FD_H
#define MAS_FETCH_FD_H

#include "dict/node.h"
#include "mas/mas.h"

struct fetcher;

/* node, mas: borrowed until stop. M2M_ENOMEM, M2M_EIO. */
enum m2m_rc fetcher_start(struct dict_node *node, struct mas *mas, struct fetcher **out, struct m2m_err *err);
/* Does not wait for an MTF's answer. NULL does nothing. */
void fetcher_stop(struct fetcher *f);

#endif

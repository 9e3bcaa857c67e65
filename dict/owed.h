/* SPDX-License-Identifier: BSD-2-Clause */
/* A server's outbox on this node: what is owed is sent by KRR and KNR, to the peer itself. Linked into the extensions
 * of servers. Thread-safe. */
#ifndef DICT_OWED_H
#define DICT_OWED_H

#include "dict/node.h"
#include "store/outbox.h"

struct dict_owed;

/* Make and start. node: borrowed until dict_owed_free; at: what it points to until dict_owed_stop. Errors:
 * outbox_new's, outbox_start's. Whatever it returns: dict_owed_stop, dict_owed_free. */
enum m2m_rc dict_owed_start(struct dict_node *node, const struct outbox_at *at, struct dict_owed **out,
			    struct m2m_err *err);
/* Before the store closes: it is not used any more. NULL does nothing. */
void dict_owed_stop(struct dict_owed *o);
/* After dict_node_free, which calls back what is under way. NULL does nothing. */
void dict_owed_free(struct dict_owed *o);

#endif

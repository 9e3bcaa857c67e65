/* SPDX-License-Identifier: BSD-2-Clause */
/* What the answers that the host itself makes lack. No state: thread-safe as long as nobody else has the message. */
#ifndef DICT_MEND_H
#define DICT_MEND_H

#include "dict/fd_dict.h"

/* Give an answer that is about to be sent the P bit of its request (RFC 6733 6.2; the host takes it from the
 * dictionary), a Failed-AVP with what was refused (7.5), and what every answer of our applications has. Answers of ours
 * and answers that are only passed on are left as they are, but for the P bit. Out of memory: as much as was possible.
 */
void m2m_mend_answer(const struct m2m_fd_dict *dict, struct msg *answer);

#endif

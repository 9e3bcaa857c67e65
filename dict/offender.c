/* SPDX-License-Identifier: BSD-2-Clause */
/* One walk in the order in which the host reads; then the path to the AVP is written from inside out. */
#include "config.h"

#include "dict/offender.h"

#include <string.h>

#define MSG_HEADER 20
#define AVP_HEADER 8
#define FLAG_VENDOR 0x80
#define FLAG_MANDATORY 0x40
#define DEPTH_MAX 8

struct at {
	const uint8_t *p;
	uint32_t code, vendor;
	uint8_t flags;
	size_t header, len, padded;
};

struct search {
	const struct m2m_offender *want;
	m2m_guard_look *look;
	void *arg;
	struct at path[DEPTH_MAX + 1]; /* the groups, then the AVP */
	int depth;		       /* of the AVP */
};

static uint32_t u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool read_at(const uint8_t *p, size_t left, struct at *a)
{
	if (left < AVP_HEADER)
		return false;
	*a = (struct at){ .p = p, .code = u32(p), .flags = p[4], .header = AVP_HEADER, .len = u32(p + 4) & 0xffffff };
	if (a->flags & FLAG_VENDOR)
		a->header += 4;
	if (a->len < a->header || a->len > left)
		return false;
	if (a->flags & FLAG_VENDOR)
		a->vendor = u32(p + AVP_HEADER);
	a->padded = (a->len + 3) & ~(size_t)3;
	if (a->padded > left)
		a->padded = left;
	return true;
}

static bool is_it(const struct search *s, const struct at *a, enum m2m_guard_kind kind, bool mandatory)
{
	const struct m2m_offender *w = s->want;

	if (a->code != w->code || a->vendor != w->vendor || a->flags != w->flags || a->len != w->len)
		return false;
	return w->is_unknown ? kind == M2M_GUARD_UNKNOWN && mandatory : kind != M2M_GUARD_UNKNOWN;
}

/* mandatory: all groups around are. */
static bool find(struct search *s, const uint8_t *p, size_t n, int depth, bool mandatory)
{
	while (n > 0) {
		struct at *a = &s->path[depth];
		enum m2m_guard_kind kind;
		bool m;

		if (!read_at(p, n, a))
			return false;
		kind = s->look(s->arg, a->code, a->vendor);
		m = mandatory && a->flags & FLAG_MANDATORY;
		s->depth = depth;
		if (is_it(s, a, kind, m))
			return true;
		if (kind == M2M_GUARD_GROUP && depth < DEPTH_MAX &&
		    find(s, a->p + a->header, a->len - a->header, depth + 1, m))
			return true;
		p += a->padded;
		n -= a->padded;
	}
	return false;
}

static void put_header(uint8_t *out, const struct at *a, size_t len)
{
	memcpy(out, a->p, a->header);
	out[5] = (uint8_t)(len >> 16);
	out[6] = (uint8_t)(len >> 8);
	out[7] = (uint8_t)len;
}

size_t m2m_offender_find(const uint8_t *msg, size_t n, const struct m2m_offender *want, m2m_guard_look *look, void *arg,
			 uint8_t *out, size_t room)
{
	struct search s = { .want = want, .look = look, .arg = arg };
	const struct at *a = NULL;
	enum m2m_guard_kind kind;
	size_t size = 0, at = 0;

	if (n < MSG_HEADER || !find(&s, msg + MSG_HEADER, n - MSG_HEADER, 0, true))
		return 0;
	a = &s.path[s.depth];
	size = (a->len + 3) & ~(size_t)3;
	for (int i = 0; i < s.depth; i++)
		size += s.path[i].header;
	if (size > room)
		return 0;
	memset(out, 0, size);
	for (int i = 0; i < s.depth; i++) {
		put_header(out + at, &s.path[i], size - at);
		at += s.path[i].header;
	}
	put_header(out + at, a, a->len);
	kind = look(arg, a->code, a->vendor);
	if (kind == M2M_GUARD_UNKNOWN || kind == M2M_GUARD_4 || kind == M2M_GUARD_8)
		memcpy(out + at + a->header, a->p + a->header, a->len - a->header);
	return size;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* One walk over a message's AVPs, groups included. */
#include "config.h"

#include "dict/guard.h"
#include "dict/m2m_table.h"

#define MSG_HEADER 20
#define AVP_HEADER 8
#define FLAG_REQUEST 0x80 /* of the message */
#define FLAG_VENDOR 0x80  /* of an AVP */
#define FLAG_MANDATORY 0x40
#define CODE_SESSION_ID 263
#define CODE_PROXY_INFO 284
#define DEPTH_MAX 8

struct walk {
	m2m_guard_look *look;
	void *arg;
	bool strict;  /* every value must be one that the host can read */
	bool request; /* the host refuses what it cannot read, with a copy of it */
	bool mended;
};

/* An AVP's header, read and checked against what is left of its surroundings. */
struct avp_at {
	uint8_t *p;
	uint32_t code, vendor;
	uint8_t flags;
	size_t header, len, padded; /* padded: where the next one begins */
};

static uint32_t u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* RFC 6733 4.1: false if the header does not fit, or its length does not. */
static bool read_avp(uint8_t *p, size_t left, struct avp_at *a)
{
	size_t len;

	if (left < AVP_HEADER)
		return false;
	*a = (struct avp_at){ .p = p, .code = u32(p), .flags = p[4], .header = AVP_HEADER };
	len = u32(p + 4) & 0xffffff;
	if (a->flags & FLAG_VENDOR)
		a->header += 4;
	if (len < a->header || len > left)
		return false;
	if (a->flags & FLAG_VENDOR)
		a->vendor = u32(p + AVP_HEADER);
	a->len = len;
	a->padded = (len + 3) & ~(size_t)3;
	if (a->padded > left)
		a->padded = left; /* the last AVP without its padding: the host takes it */
	return true;
}

static void disarm(struct walk *w, uint8_t *p)
{
	memset(p, 0, 5); /* code and flags; the length stays */
	w->mended = true;
}

/* Is its value one that the host cannot read as the type that it knows? Groups are looked into elsewhere. */
static bool unreadable(const struct avp_at *a, enum m2m_guard_kind kind)
{
	size_t n = a->len - a->header;

	return (kind == M2M_GUARD_4 && n != 4) || (kind == M2M_GUARD_8 && n != 8);
}

/* The host refuses these with a copy, which it cannot write where there are no octets: it would close the connection.
 */
static void mend_unanswerable(struct walk *w, const struct avp_at *a, enum m2m_guard_kind kind)
{
	if (a->len > a->header)
		return;
	if (unreadable(a, kind)) {
		disarm(w, a->p);
	} else if (kind == M2M_GUARD_UNKNOWN && a->flags & FLAG_MANDATORY) {
		a->p[4] = (uint8_t)((a->flags & ~FLAG_MANDATORY) | M2M_GUARD_MARK);
		w->mended = true;
	}
}

/* A vendor's AVP of no vendor, or a code that is not one. */
static bool nameless(const struct avp_at *a)
{
	return a->code == 0 || (a->flags & FLAG_VENDOR && a->vendor == 0);
}

/* The host keys sessions by this string and cannot stand a NUL in it; 0xff is not UTF-8, so the codec will refuse it.
 */
static void mend_session_id(struct walk *w, const struct avp_at *a)
{
	for (size_t i = a->header; i < a->len; i++) {
		if (a->p[i] == 0) {
			a->p[i] = 0xff;
			w->mended = true;
		}
	}
}

/* Identities and texts of the base protocol: the host writes them to the log as they are, also those of a peer that it
 * is about to refuse. Control characters would forge lines there; '?' is in no identity. */
static bool is_logged(const struct avp_at *a)
{
	static const uint32_t codes[] = { 264, 269, 281, 282, 283, 293, 294, 296 };
	bool found = false;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		found = found || a->code == codes[i];
	return found && a->vendor == 0;
}

static void mend_text(struct walk *w, const struct avp_at *a)
{
	for (size_t i = a->header; i < a->len; i++) {
		if (a->p[i] < 0x20 || a->p[i] == 0x7f) {
			a->p[i] = '?';
			w->mended = true;
		}
	}
}

/* The host copies Proxy-Info into its answers, octets that it does not know included, and fails if one of them is not
 * as it should be. Reads only. */
static bool copies_well(struct walk *w, uint8_t *p, size_t n, int depth)
{
	while (n > 0) {
		struct avp_at a;
		enum m2m_guard_kind kind;

		if (!read_avp(p, n, &a) || nameless(&a))
			return false;
		kind = w->look(w->arg, a.code, a.vendor);
		if (unreadable(&a, kind) || (kind == M2M_GUARD_UNKNOWN && a.len == a.header))
			return false;
		if (kind == M2M_GUARD_GROUP &&
		    (depth >= DEPTH_MAX || !copies_well(w, a.p + a.header, a.len - a.header, depth + 1)))
			return false;
		p += a.padded;
		n -= a.padded;
	}
	return true;
}

static bool walk_group(struct walk *w, uint8_t *p, size_t n, int depth);

/* One AVP whose frame is good. */
static void look_at(struct walk *w, const struct avp_at *a, int depth)
{
	enum m2m_guard_kind kind;
	bool ok = true;

	if (nameless(a)) {
		if (u32(a->p) != 0 || a->flags != 0)
			disarm(w, a->p);
		return;
	}
	kind = w->look(w->arg, a->code, a->vendor);
	if (a->code == CODE_PROXY_INFO && a->vendor == 0)
		ok = copies_well(w, a->p + a->header, a->len - a->header, depth + 1);
	else if (kind == M2M_GUARD_GROUP)
		ok = depth < DEPTH_MAX && walk_group(w, a->p + a->header, a->len - a->header, depth + 1);
	else if (w->strict)
		ok = !unreadable(a, kind) && !(kind == M2M_GUARD_UNKNOWN && a->flags & FLAG_MANDATORY);
	else if (w->request)
		mend_unanswerable(w, a, kind);
	if (!ok)
		disarm(w, a->p);
	else if (a->code == CODE_SESSION_ID && a->vendor == 0)
		mend_session_id(w, a);
	else if (is_logged(a))
		mend_text(w, a);
}

/* False: broken, and too short an end to hold a harmless AVP. */
static bool walk_group(struct walk *w, uint8_t *p, size_t n, int depth)
{
	while (n > 0) {
		struct avp_at a;

		if (!read_avp(p, n, &a)) {
			if (n < AVP_HEADER)
				return false;
			/* The rest of the group becomes one harmless AVP. */
			disarm(w, p);
			p[5] = (uint8_t)(n >> 16);
			p[6] = (uint8_t)(n >> 8);
			p[7] = (uint8_t)n;
			return true;
		}
		look_at(w, &a, depth);
		p += a.padded;
		n -= a.padded;
	}
	return true;
}

static bool walk_message(struct walk *w, uint8_t *msg, size_t n)
{
	uint32_t app = u32(msg + 8);
	bool ours = app == 0 || (app >= M2M_APP_RP && app < M2M_APP_RP + M2M_APPS);
	uint8_t *p = msg + MSG_HEADER;

	/* An answer to us that the host cannot read would be dropped without a word, or worse. Answers of other
	 * applications may only pass through this host. */
	w->request = msg[4] & FLAG_REQUEST;
	w->strict = !w->request && ours;
	n -= MSG_HEADER;
	while (n > 0) {
		struct avp_at a;

		if (!read_avp(p, n, &a))
			return false;
		look_at(w, &a, 0);
		p += a.padded;
		n -= a.padded;
	}
	return true;
}

enum m2m_guard_verdict m2m_guard(uint8_t *msg, size_t n, m2m_guard_look *look, void *arg)
{
	struct walk w = { .look = look, .arg = arg };
	bool good = n >= MSG_HEADER && msg[0] == 1 && (u32(msg) & 0xffffff) == n && walk_message(&w, msg, n);

	if (good)
		return w.mended ? M2M_GUARD_MENDED : M2M_GUARD_PASS;
	if (n > 0)
		msg[0] = 0;
	return M2M_GUARD_SPOILED;
}

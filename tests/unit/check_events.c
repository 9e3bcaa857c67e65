/* SPDX-License-Identifier: BSD-2-Clause */
/* What a MAS's notifications become: keys forgotten, subscribers of the resolver told. Real connections, a fake
 * Diameter side. */
#include "tests/unit/csf_fake.h"

#include "tests/unit/check_common.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOT FAKE_REL "@mas.example.com"
#define SUBSCRIBE "{\"subscribe\":\"events\"}\n"
#define SUBSCRIBED "{\"status\":\"subscribed\"}\n"
#define EVENT(word, key) "{\"event\":\"" word "\",\"key\":\"" key "\"}\n"

static struct fake *f;
static struct m2m_knr knr;
static struct m2m_failed failed;

static void setup(void)
{
	f = fake_new();
	f->conf.relay_listen = NULL;
	memset(&knr, 0, sizeof(knr));
	failed = (struct m2m_failed){ 0 };
	knr.head.origin_host = m2m_span_str("mas.example.com");
}

static void teardown(void)
{
	if (f->csf)
		ck_assert_int_eq(fake_log_count(f, FAKE_HEX16), 0);
	fake_free(f);
}

static uint32_t notify(uint32_t event, const char *name)
{
	knr.event = event;
	knr.n = 1;
	knr.name[0] = m2m_span_str(name);
	return csf_notified(f->csf, &knr, &failed);
}

static int subscriber(void)
{
	int fd = fake_client(f);

	fake_say(fd, SUBSCRIBE);
	fake_expect(fd, SUBSCRIBED);
	return fd;
}

static const struct {
	uint32_t event, reason;
	const char *line;
	bool forgets;
	const char *waits; /* what an asker in flight is told; NULL: the key */
} events[] = {
	{ M2M_EVENT_REVOKED, 0, EVENT("revoked", ROOT), true, "revoked" },
	{ M2M_EVENT_REVOKED, M2M_REASON_COMPROMISE, EVENT("revoked", ROOT), true, "revoked" },
	{ M2M_EVENT_SUPERSEDED, M2M_REASON_SUPERSEDED, EVENT("superseded", ROOT), true, "unavailable" },
	{ M2M_EVENT_EXPIRING, 0, EVENT("expiring", ROOT), false, NULL },
	{ M2M_EVENT_RESYNC, 0, EVENT("resync", ROOT), true, "unavailable" },
	{ 5, 6, EVENT("revoked", ROOT), true, "revoked" },
	{ UINT32_MAX, UINT32_MAX, EVENT("revoked", ROOT), true, "revoked" },
	{ 0, 0, EVENT("revoked", ROOT), true, "revoked" },
};

START_TEST(test_event)
{
	int fd = subscriber();
	char want[256];

	fake_say(fd, ASK(K1) ASK(K2));
	fake_wait(f, 1);
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100"));
	knr.reason = events[_i].reason;
	ck_assert_uint_eq(notify(events[_i].event, ROOT), DIAMETER_SUCCESS);
	fake_expect(fd, events[_i].line);
	fake_land(f, 1); /* the answer of before */
	if (events[_i].waits) {
		snprintf(want, sizeof(want), REFUSED(K2, "%s"), events[_i].waits);
		fake_expect(fd, want);
	} else {
		fake_expect(fd, ANSWERED(K2, "100"));
	}
	fake_say(fd, ASK(K1) ASK(K2));
	if (events[_i].forgets) {
		fake_expect_skr(f, 2, K1);
		fake_expect_skr(f, 3, K2);
	} else {
		fake_expect(fd, ANSWERED(K1, "100") ANSWERED(K2, "100"));
	}
	fake_logged(f, "mas.example.com tells of 1 keys (" ROOT " first): ", 1);
	close(fd);
}
END_TEST

START_TEST(test_names)
{
	int fd = subscriber();

	knr.event = M2M_EVENT_REVOKED;
	knr.n = 3;
	knr.name[0] = m2m_span_str("00112233445566778899AABBCCDDEEFF@MAS.Example.com");
	knr.name[1] = m2m_span_str(K1);
	knr.name[2] = knr.name[1];
	ck_assert_uint_eq(csf_notified(f->csf, &knr, &failed), DIAMETER_SUCCESS);
	fake_expect(fd, EVENT("revoked", ROOT) EVENT("revoked", K1) EVENT("revoked", K1));
	close(fd);
}
END_TEST

START_TEST(test_256_names)
{
	static char name[M2M_NAMES_MAX][64], want[128];
	int fd = subscriber();

	knr.event = M2M_EVENT_REVOKED;
	knr.n = M2M_NAMES_MAX;
	for (unsigned i = 0; i < M2M_NAMES_MAX; i++) {
		snprintf(name[i], sizeof(name[i]), "%032x@mas.example.com", i);
		knr.name[i] = m2m_span_str(name[i]);
	}
	ck_assert_uint_eq(csf_notified(f->csf, &knr, &failed), DIAMETER_SUCCESS);
	for (unsigned i = 0; i < M2M_NAMES_MAX; i++) {
		snprintf(want, sizeof(want), EVENT("revoked", "%032x@mas.example.com"), i);
		fake_expect(fd, want);
	}
	close(fd);
}
END_TEST

/* One bad name among good ones, and nothing happens. */
START_TEST(test_refused)
{
	static const struct {
		const char *name;
		uint32_t code;
	} c[] = {
		{ FAKE_REL "@mas2.example.net", DIAMETER_AUTHORIZATION_REJECTED },
		{ FAKE_REL ".00000000000000010102030405060708@mas2.example.net", DIAMETER_AUTHORIZATION_REJECTED },
		{ FAKE_REL "@mas.example.com.evil.example", DIAMETER_AUTHORIZATION_REJECTED },
		{ FAKE_REL "@mas.example.com.", DIAMETER_INVALID_AVP_VALUE },
		{ FAKE_REL, DIAMETER_INVALID_AVP_VALUE },
		{ "*", DIAMETER_INVALID_AVP_VALUE },
		{ "", DIAMETER_INVALID_AVP_VALUE },
		{ "@mas.example.com", DIAMETER_INVALID_AVP_VALUE },
		{ FAKE_REL "0@mas.example.com", DIAMETER_INVALID_AVP_VALUE },
		{ K1 "\"}", DIAMETER_INVALID_AVP_VALUE },
	};
	int fd = subscriber();

	fake_say(fd, ASK(K1));
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100"));
	knr.event = M2M_EVENT_REVOKED;
	knr.n = 2;
	knr.name[0] = m2m_span_str(ROOT);
	knr.name[1] = m2m_span_str(c[_i].name);
	ck_assert_uint_eq(csf_notified(f->csf, &knr, &failed), c[_i].code);
	ck_assert(failed.value.p == (c[_i].code == DIAMETER_INVALID_AVP_VALUE ? knr.name[1].p : NULL));
	fake_say(fd, ASK(K1));
	fake_expect(fd, ANSWERED(K1, "100"));
	ck_assert_int_eq(fake_log_count(f, "tells of"), 0);
	close(fd);
}
END_TEST

START_TEST(test_who_did_not_subscribe_hears_nothing)
{
	int fd = fake_client(f);

	fake_say(fd, ASK("x"));
	fake_expect(fd, REFUSED("x", "malformed"));
	notify(M2M_EVENT_REVOKED, ROOT);
	fake_say(fd, ASK("y"));
	fake_expect(fd, REFUSED("y", "malformed"));
	close(fd);
}
END_TEST

START_TEST(test_several_subscribers)
{
	int a = subscriber(), b = subscriber(), c = subscriber();

	fake_say(b, SUBSCRIBE); /* again: nothing twice */
	fake_expect(b, SUBSCRIBED);
	close(c);
	notify(M2M_EVENT_REVOKED, K1);
	notify(M2M_EVENT_RESYNC, K2);
	fake_expect(a, EVENT("revoked", K1) EVENT("resync", K2));
	fake_expect(b, EVENT("revoked", K1) EVENT("resync", K2));
	fake_say(b, ASK("x"));
	fake_expect(b, REFUSED("x", "malformed"));
	close(a);
	close(b);
}
END_TEST

START_TEST(test_subscription_waits_its_turn)
{
	int fd = fake_client(f);

	fake_say(fd, ASK(K1) SUBSCRIBE);
	fake_wait(f, 0);
	fake_land(f, 0);
	fake_expect(fd, ANSWERED(K1, "100") SUBSCRIBED);
	close(fd);
}
END_TEST

/* One that does not read is disconnected, within bounds, and others hear all. */
START_TEST(test_deaf_subscriber)
{
	static char name[M2M_NAMES_MAX][64], buffer[1 << 16];
	int deaf = subscriber(), other = subscriber();
	size_t got = 0, told = 0;

	knr.event = M2M_EVENT_REVOKED;
	knr.n = M2M_NAMES_MAX;
	for (unsigned i = 0; i < M2M_NAMES_MAX; i++) {
		snprintf(name[i], sizeof(name[i]), "%032x@mas.example.com", i);
		knr.name[i] = m2m_span_str(name[i]);
	}
	while (fake_log_count(f, "does not read its events") == 0) {
		ck_assert_uint_eq(csf_notified(f->csf, &knr, &failed), DIAMETER_SUCCESS);
		told += M2M_NAMES_MAX * strlen(EVENT("revoked", ROOT));
		ck_assert_uint_lt(told, 2 * CSF_EVENTS_MAX);
		while (got < told) {
			size_t n = told - got < sizeof(buffer) ? told - got : sizeof(buffer);

			ck_assert_uint_eq(fake_recv(other, buffer, n), n);
			got += n;
		}
	}
	ck_assert_uint_gt(told, CSF_EVENTS_MAX / 2);
	while (fake_recv(deaf, buffer, sizeof(buffer)) == sizeof(buffer))
		; /* what was under way, then the end */
	close(deaf);
	deaf = subscriber();
	notify(M2M_EVENT_REVOKED, K1);
	fake_expect(deaf, EVENT("revoked", K1));
	fake_expect(other, EVENT("revoked", K1));
	close(deaf);
	close(other);
}
END_TEST

/* What a MAS told is on its way when all ends. */
START_TEST(test_close_with_events_under_way)
{
	int fd = subscriber();

	for (int i = 0; i < 1000; i++)
		notify(M2M_EVENT_REVOKED, ROOT);
	teardown();
	setup();
	close(fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("csf events");
	TCase *c = tcase_create("csf events");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, test_event, 0, sizeof(events) / sizeof(*events));
	tcase_add_test(c, test_names);
	tcase_add_test(c, test_256_names);
	tcase_add_loop_test(c, test_refused, 0, 10);
	tcase_add_test(c, test_who_did_not_subscribe_hears_nothing);
	tcase_add_test(c, test_several_subscribers);
	tcase_add_test(c, test_subscription_waits_its_turn);
	tcase_add_test(c, test_deaf_subscriber);
	tcase_add_test(c, test_close_with_events_under_way);
	suite_add_tcase(s, c);
	return s;
}

int main(void)
{
	return check_run(suite());
}

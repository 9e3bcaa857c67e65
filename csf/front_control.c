/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator's socket. Belongs to the loop's thread. */
#include "csf/front_control.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "csf/listen.h"

#define CLIENTS_MAX 8
#define LINE_MAX_OCTETS 512
#define PATIENCE_S 10

struct client {
	struct client *next, **at;
	struct front_control *control;
	struct bufferevent *bev;
	bool last; /* nothing more is read */
};

struct front_control {
	struct event_base *base;
	struct front *front;
	struct csf_listener *listener;
	struct client *clients;
	unsigned n;
};

static void client_free(struct client *c)
{
	*c->at = c->next;
	if (c->next != NULL)
		c->next->at = c->at;
	c->control->n--;
	bufferevent_free(c->bev);
	free(c);
}

static int add(const char *p, size_t n, void *out)
{
	return evbuffer_add(out, p, n);
}

/* Takes o; NULL: out of memory. False: it could not be written. */
static bool put(struct evbuffer *out, json_t *o)
{
	bool good = o != NULL && json_dump_callback(o, add, out, JSON_COMPACT | JSON_PRESERVE_ORDER) == 0 &&
		    evbuffer_add(out, "\n", 1) == 0;

	json_decref(o);
	return good;
}

struct listing {
	struct evbuffer *out;
	size_t n;
	bool good;
};

static void list_one(void *arg, const struct front_info *info)
{
	struct listing *l = arg;
	json_t *apps = json_array();

	for (size_t i = 0; apps != NULL && i < info->who->n_apps; i++)
		json_array_append_new(apps, json_string(info->who->apps[i].s));
	l->good =
		l->good && put(l->out, json_pack("{s:I, s:s, s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "association",
						 (json_int_t)info->number, "enroleeId", info->who->enrolee.s, "appIds",
						 apps, "ki", info->who->ki.s, "peer", info->peer, "tls", info->tls,
						 "age", (json_int_t)info->age, "rest", (json_int_t)info->rest, "up",
						 (json_int_t)info->counts.up, "down", (json_int_t)info->counts.down));
	l->n++;
}

/* Carry out one line. False: no memory for what there is to say. */
static bool obey(struct front *front, char *line, struct evbuffer *out)
{
	struct listing l = { .out = out, .good = true };
	struct m2m_err err = { .text = "not a command: list, or close N|KI|KMID" };

	if (strcmp(line, "list") == 0) {
		front_list(front, list_one, &l);
	} else if (strncmp(line, "close ", 6) != 0 || front_close_some(front, line + 6, &l.n, &err) != M2M_OK) {
		return put(out, json_pack("{s:s, s:s}", "status", "refused", "reason", err.text));
	}
	return l.good && put(out, json_pack("{s:s, s:I}", "status", "ok", "count", (json_int_t)l.n));
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev), *out = bufferevent_get_output(bev);
	char *line = NULL;
	bool good = true;

	/* One answer at a time: who does not read does not make the next one. */
	while (good && evbuffer_get_length(out) == 0 && (line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF)) != NULL) {
		good = strlen(line) < LINE_MAX_OCTETS && obey(c->control->front, line, out);
		free(line);
	}
	if (!good || (line == NULL && evbuffer_get_length(in) >= LINE_MAX_OCTETS) ||
	    (c->last && evbuffer_get_length(out) == 0))
		client_free(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	/* It may shut its side and still read. */
	if ((what & BEV_EVENT_EOF) != 0 && (what & BEV_EVENT_READING) != 0) {
		c->last = true;
		bufferevent_disable(bev, EV_READ);
		on_read(bev, c);
		return;
	}
	client_free(c);
}

static void on_accepted(void *arg, int fd)
{
	const struct timeval patience = { PATIENCE_S, 0 };
	struct front_control *control = arg;
	struct client *c = control->n < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (c != NULL)
		c->bev = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c == NULL || c->bev == NULL) {
		free(c);
		close(fd);
		return;
	}
	c->control = control;
	c->at = &control->clients;
	c->next = control->clients;
	if (c->next != NULL)
		c->next->at = &c->next;
	control->clients = c;
	control->n++;
	bufferevent_setcb(c->bev, on_read, on_read, on_event, c);
	bufferevent_set_timeouts(c->bev, &patience, &patience);
	bufferevent_setwatermark(c->bev, EV_READ, 0, 2 * LINE_MAX_OCTETS);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

enum m2m_rc front_control_new(struct event_base *base, const char *path, struct front *front, const struct m2m_env *env,
			      struct front_control **out, struct m2m_err *err)
{
	struct front_control *control = calloc(1, sizeof(*control));
	enum m2m_rc rc = M2M_OK;

	if (control == NULL)
		return m2m_fail(err, M2M_ENOMEM, "out of memory");
	control->base = base;
	control->front = front;
	rc = csf_listen_unix(base, path, env, on_accepted, control, &control->listener, err);
	if (rc == M2M_OK) {
		*out = control;
		control = NULL;
	}
	front_control_free(control);
	return rc;
}

void front_control_free(struct front_control *control)
{
	if (control == NULL)
		return;
	while (control->clients != NULL)
		client_free(control->clients);
	csf_listener_free(control->listener);
	free(control);
}

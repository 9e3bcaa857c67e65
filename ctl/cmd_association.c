/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl association: what runs through an m2m-front, by its operator's socket (csf/front_control.h). */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/ctl.h"

#define PATIENCE_S 30

static const struct ctl_column columns[] = {
	{ "N", "association", false, false }, { "ENROLEE", "enroleeId", false, false },
	{ "APP-IDS", "appIds", false, true }, { "PEER", "peer", false, false },
	{ "TLS", "tls", false, false },	      { "AGE/S", "age", false, false },
	{ "REST/S", "rest", false, false },   { "UP", "up", false, false },
	{ "DOWN", "down", false, false },     { "KI", "ki", false, false },
	{ NULL, NULL, false, false },
};

/* Connect and say one line. out: owned, fclose(). */
static enum m2m_rc ask(const struct ctl_args *args, const char *word, const char *operand, FILE **out,
		       struct m2m_err *err)
{
	const struct timeval patience = { PATIENCE_S, 0 };
	const char *path = ctl_value(args, CTL_FRONT);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	enum m2m_rc rc = M2M_OK;
	int fd = -1;

	if (!path)
		return m2m_fail(err, M2M_EINVAL, "association: name the control socket of m2m-front with --front");
	if (strlen(path) >= sizeof(sa.sun_path))
		return m2m_fail(err, M2M_EINVAL, "%s: longer than a socket's name may be", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0) {
		rc = m2m_fail_errno(err, "%s", path);
		goto out;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (dprintf(fd, "%s%s\n", word, operand) < 0 || shutdown(fd, SHUT_WR) != 0) {
		rc = m2m_fail_errno(err, "%s", path);
		goto out;
	}
	*out = fdopen(fd, "r");
	if (!*out)
		rc = m2m_fail(err, M2M_ENOMEM, "out of memory");
out:
	if (rc != M2M_OK && fd >= 0)
		close(fd);
	return rc;
}

/* Read to the last line, which has a status. l: gets the others; NULL: there must be none. count: out. */
static enum m2m_rc take(FILE *in, struct ctl_list *l, json_int_t *count, struct m2m_err *err)
{
	const char *status = NULL, *reason = NULL;
	enum m2m_rc rc = M2M_OK;
	size_t size = 0;
	char *line = NULL;
	json_t *o = NULL;

	while (!status && getline(&line, &size, in) > 0) {
		json_decref(o);
		o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		status = json_string_value(json_object_get(o, "status"));
		if (status)
			break;
		if (!o || !l || !ctl_list_row(l, json_incref(o)))
			break;
	}
	reason = json_string_value(json_object_get(o, "reason"));
	if (status && strcmp(status, "ok") == 0)
		*count = json_integer_value(json_object_get(o, "count"));
	else if (status)
		rc = m2m_fail(err, M2M_EINVAL, "m2m-front: %s", reason ? reason : "refused");
	else
		rc = m2m_fail(err, M2M_EPEER, "m2m-front: no whole answer");
	json_decref(o);
	free(line);
	return rc;
}

static enum m2m_rc walk(const struct ctl_args *args, struct ctl_list *l, struct m2m_err *err)
{
	json_int_t count = 0;
	FILE *in = NULL;
	enum m2m_rc rc = ask(args, "list", "", &in, err);

	if (rc != M2M_OK)
		return rc;
	rc = take(in, l, &count, err);
	fclose(in);
	return rc;
}

enum m2m_rc ctl_association_list(const struct ctl_args *args, struct m2m_err *err)
{
	return ctl_listing(args, columns, false, walk, err);
}

enum m2m_rc ctl_association_close(const struct ctl_args *args, struct m2m_err *err)
{
	json_int_t count = 0;
	FILE *in = NULL;
	enum m2m_rc rc = M2M_OK;

	if (strpbrk(args->operand, "\r\n"))
		return m2m_fail(err, M2M_EINVAL, "association close: not an association's number, a KI or a KmID");
	rc = ask(args, "close ", args->operand, &in, err);
	if (rc != M2M_OK)
		return rc;
	rc = take(in, NULL, &count, err);
	fclose(in);
	if (rc != M2M_OK)
		return rc;
	if (count == 0)
		return m2m_fail(err, M2M_ENOENT, "no running association is %s", args->operand);
	printf("%" JSON_INTEGER_FORMAT " closed\n", count);
	return ctl_flush(err);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* m2m-front: the association endpoint in front of an IN-CSE's plain port. Owns the command line, the loop, the signals.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/secret.h"
#include "csf/front.h"
#include "csf/front_control.h"
#include "csf/wipejson.h"

#define GRACE_S 5

static const char usage[] =
	"usage: m2m-front --listen HOST:PORT --upstream HOST:PORT --resolver SOCKET [options]\n"
	"Ends security associations (TLS-PSK): takes the key of every psk_identity from the resolver, passes octets to "
	"the upstream.\n"
	"  --listen HOST:PORT       where nodes connect; port 0 takes a free one, told on standard error\n"
	"  --upstream HOST:PORT     the plain port behind\n"
	"  --resolver SOCKET        the resolver's unix socket\n"
	"  --tls1.2                 accept TLS 1.2 too (ECDHE-PSK with extended master secret)\n"
	"  --handshake-timeout S    seconds for a handshake, for the resolver and for the upstream to answer (default "
	"10)\n"
	"  --max N                  connections at once (default 1000)\n"
	"  --control SOCKET         unix socket for m2mctl association (default none)\n"
	"SIGTERM, SIGINT: no new associations, 5 s for those there are, then exit 0. A second one: at once.\n"
	"Exit status: 0 stopped, 2 usage, 3 system.\n";

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)number, (void)what;
	front_stop(arg, GRACE_S);
}

/* A number from 1 to max. */
static bool read_number(const char *text, int64_t max, int64_t *out)
{
	char *end = NULL;
	long long v = strtoll(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || v < 1 || v > max)
		return false;
	*out = v;
	return true;
}

static int complain(const char *text)
{
	fprintf(stderr, "m2m-front: %s (m2m-front --help)\n", text);
	return 2;
}

/* -1 to go on, or an exit status. */
static int read_options(int argc, char **argv, struct front_conf *conf)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "listen", required_argument, NULL, 'l' },
		{ "upstream", required_argument, NULL, 'u' },
		{ "resolver", required_argument, NULL, 'r' },
		{ "tls1.2", no_argument, NULL, '2' },
		{ "handshake-timeout", required_argument, NULL, 't' },
		{ "max", required_argument, NULL, 'm' },
		{ "control", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};

	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (c) {
		case 'h':
			return fputs(usage, stdout) < 0 ? 3 : 0;
		case 'l':
			conf->listen = optarg;
			break;
		case 'u':
			conf->upstream = optarg;
			break;
		case 'r':
			conf->resolver = optarg;
			break;
		case '2':
			conf->tls12 = true;
			break;
		case 't':
			if (!read_number(optarg, 3600, &conf->handshake_timeout))
				return complain("--handshake-timeout is not a number from 1 to 3600");
			break;
		case 'm':
			if (!read_number(optarg, 1000000, &conf->max))
				return complain("--max is not a number from 1 to 1000000");
			break;
		case 'c':
			conf->control = optarg;
			break;
		default:
			return 2; /* getopt told why */
		}
	}
	if (optind != argc)
		return complain("there is a word that is no option");
	if (conf->listen == NULL || conf->upstream == NULL || conf->resolver == NULL)
		return complain("--listen, --upstream and --resolver are needed");
	return -1;
}

/* Two file descriptors a connection, and a few. */
static enum m2m_rc reserve_files(int64_t max, struct m2m_err *err)
{
	struct rlimit limit;
	rlim_t need = 2 * (rlim_t)max + 32;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return m2m_fail_errno(err, "limit of open files");
	if (limit.rlim_cur >= need)
		return M2M_OK;
	if (limit.rlim_max < need)
		return m2m_fail(err, M2M_EINVAL, "--max %lld needs %llu open files, the limit (LimitNOFILE=) is %llu",
				(long long)max, (unsigned long long)need, (unsigned long long)limit.rlim_max);
	limit.rlim_cur = need;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? M2M_OK : m2m_fail_errno(err, "limit of open files");
}

static void tell_address(const char *listen, uint16_t port)
{
	fprintf(stderr, "listening on %.*s:%u\n", (int)(strrchr(listen, ':') - listen), listen, port);
}

static enum m2m_rc run(struct event_base *base, const struct front_conf *conf, struct m2m_err *err)
{
	struct front *front = NULL;
	struct front_control *control = NULL;
	struct event *term = NULL, *interrupt = NULL;
	enum m2m_rc rc = reserve_files(conf->max, err);

	if (rc == M2M_OK)
		rc = front_open(base, conf, &m2m_env_system, &front, err);
	if (rc != M2M_OK)
		return rc;
	if (conf->control != NULL)
		rc = front_control_new(base, conf->control, front, &m2m_env_system, &control, err);
	if (rc != M2M_OK)
		goto out;
	term = evsignal_new(base, SIGTERM, on_signal, front);
	interrupt = evsignal_new(base, SIGINT, on_signal, front);
	if (term == NULL || interrupt == NULL || event_add(term, NULL) != 0 || event_add(interrupt, NULL) != 0) {
		rc = m2m_fail(err, M2M_ENOMEM, "signals cannot be taken");
		goto out;
	}
	tell_address(conf->listen, front_port(front));
	if (event_base_dispatch(base) < 0)
		rc = m2m_fail(err, M2M_EIO, "the event loop failed");
out:
	if (term != NULL)
		event_free(term);
	if (interrupt != NULL)
		event_free(interrupt);
	front_control_free(control);
	front_close(front);
	return rc;
}

int main(int argc, char **argv)
{
	struct front_conf conf = { .handshake_timeout = 10, .max = 1000 };
	struct event_base *base = NULL;
	struct m2m_err err = { 0 };
	enum m2m_rc rc = M2M_OK;
	int status = read_options(argc, argv, &conf);

	if (status >= 0)
		return status;
	signal(SIGPIPE, SIG_IGN);
	csf_wipejson_init();
	rc = m2m_secret_process(&err);
	if (rc == M2M_OK) {
		base = event_base_new();
		rc = base != NULL ? run(base, &conf, &err) : m2m_fail(&err, M2M_ENOMEM, "no event loop");
	}
	if (base != NULL)
		event_base_free(base);
	if (rc != M2M_OK)
		fprintf(stderr, "m2m-front: %s\n", err.text);
	return m2m_rc_exit(rc);
}

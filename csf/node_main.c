/* SPDX-License-Identifier: BSD-2-Clause */
/* m2m-node: the field side's reference client. Owns the command line: verbs, options, exit status. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/conf.h"
#include "common/secret.h"
#include "csf/node.h"
#include "csf/wipejson.h"

static const char usage[] =
	"usage: m2m-node enrol --relay HOST:PORT --keys FILE [--mtf-id FQDN]\n"
	"                      (--psk-identity ID --psk-file FILE | --cert FILE --key FILE) [--ca FILE]\n"
	"                      [--tls1.2] [--timeout SECONDS]\n"
	"       m2m-node renew --relay HOST:PORT --keys FILE [--before TIME] (as enrol)\n"
	"       m2m-node associate HOST:PORT --keys FILE [--target CSE-ID] [--mas-id FQDN]\n"
	"                      [--tls1.2] [--timeout SECONDS] [--renew (as renew)]\n"
	"       m2m-node derive --export HEX --mtf-id FQDN --mas-id FQDN --enrolee-id ID --target-id CSE-ID\n"
	"                      --sequence N --random HEX\n"
	"       m2m-node VERB --help\n";

static const char help_enrol[] =
	"usage: m2m-node enrol --relay HOST:PORT --keys FILE [options]\n"
	"Enrols this node: TLS through the relay to the MTF; the root keys that both ends make of it go to FILE.\n"
	"  --relay HOST:PORT      the relay of the IN-CSE's side\n"
	"  --keys FILE            where the root keys go: 0600, replaced only after success\n"
	"  --mtf-id FQDN          the MTF that it must be; required with a certificate\n"
	"  --psk-identity ID      name of the pre-provisioned key (KpmID)\n"
	"  --psk-file FILE        the pre-provisioned key, 16 to 64 octets in hex; mode 0600 or stricter\n"
	"  --cert FILE            this node's certificate (PEM, with its chain)\n"
	"  --key FILE             its private key (PEM); mode 0600 or stricter\n"
	"  --ca FILE              who may have signed the MTF's certificate (PEM; default: the system's)\n"
	"  --tls1.2               TLS 1.2 instead of 1.3\n"
	"  --timeout SECONDS      for all of it (default 60)\n"
	"Exit status: 0 enrolled, 1 refused, 2 usage or a file that does not do, 3 system or protocol error, 4 try "
	"later.\n";

static const char help_renew[] =
	"usage: m2m-node renew --relay HOST:PORT --keys FILE [options]\n"
	"Enrols this node again if a root key in FILE expires soon; else it does nothing. For a timer.\n"
	"  --before TIME          how soon, as in 12h or 30d (default: 30 days, or a third of its life if that is "
	"less)\n"
	"and the options of enrol. What is in FILE stays as it is until the new keys have come, and behind them until "
	"it\n"
	"expires.\n"
	"Exit status: 0 renewed, or nothing to do; 1 refused; 2 usage or a file that does not do; 3 system or "
	"protocol\n"
	"error; 4 try later.\n";

static const char help_associate[] =
	"usage: m2m-node associate HOST:PORT --keys FILE [options]\n"
	"Sets up one security association with an IN-CSE and copies standard input and output through it.\n"
	"  --keys FILE            the root keys, as enrol wrote them; the sequence used is noted there first\n"
	"  --target CSE-ID        the IN-CSE (default: the only one that the root keys are for)\n"
	"  --mas-id FQDN          the MAS whose root key is used (default: the only one)\n"
	"  --tls1.2               TLS 1.2 (ECDHE-PSK) instead of 1.3\n"
	"  --timeout SECONDS      until the association stands (default 60)\n"
	"  --renew                renew first, with the options of renew (--relay, ...); if that fails, the key that "
	"is\n"
	"                         there is taken all the same\n"
	"Exit status: 0 ended by the other side, 1 refused, 2 usage, 3 system or protocol error, 4 try later.\n";

static const char help_derive[] =
	"usage: m2m-node derive --export HEX --mtf-id FQDN --mas-id FQDN --enrolee-id ID --target-id CSE-ID --sequence "
	"N --random HEX\n"
	"Prints the whole key chain as one JSON object, keys included: for those who build other nodes.\n"
	"  --export HEX           48 octets of the TLS exporter; - reads them from standard input\n"
	"  --mtf-id FQDN          the MTF\n"
	"  --mas-id FQDN          the MAS\n"
	"  --enrolee-id ID        the node, an absolute CSE-ID or AE-ID\n"
	"  --target-id CSE-ID     the IN-CSE of the association\n"
	"  --sequence N           0 to 18446744073709551615\n"
	"  --random HEX           8 octets\n";

/* One option of a verb: where its value goes. */
struct option_place {
	const char *name;
	const char **text; /* takes a value */
	bool *flag;	   /* takes none */
	bool required;
};

#define OPTIONS_MAX 20

static int complain(const char *verb, const char *text, const char *name)
{
	fprintf(stderr, "m2m-node: %s: %s%s (m2m-node %s --help)\n", verb, name, text, verb);
	return 2;
}

/* Read a verb's options. Returns -1 to go on, or an exit status. rest: the words that are no options, exactly n of
 * them. */
static int read_options(int argc, char **argv, const struct option_place *place, const char *help, size_t n,
			char ***rest)
{
	struct option longs[OPTIONS_MAX + 2] = { { "help", no_argument, NULL, 'h' } };
	size_t count = 0;
	int c = 0;

	for (; place[count].name != NULL && count < OPTIONS_MAX; count++)
		longs[count + 1] =
			(struct option){ place[count].name, place[count].text ? required_argument : no_argument, NULL,
					 (int)(256 + count) };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'h')
			return fputs(help, stdout) < 0 ? 3 : 0;
		if (c < 256)
			return 2; /* getopt told why */
		if (place[c - 256].text != NULL)
			*place[c - 256].text = optarg;
		else
			*place[c - 256].flag = true;
	}
	for (size_t i = 0; i < count; i++) {
		if (place[i].required && *place[i].text == NULL)
			return complain(argv[0], " is missing", longs[i + 1].name);
	}
	if ((size_t)(argc - optind) != n)
		return complain(argv[0], n == 0 ? ": not understood" : "HOST:PORT is missing, or too much",
				n == 0 ? argv[optind] : "");
	*rest = argv + optind;
	return -1;
}

/* "" or a number of seconds, 1 to 86400. */
static bool read_timeout(const char *text, int64_t *out)
{
	char *end = NULL;
	long v = 0;

	if (text == NULL)
		return true;
	v = strtol(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || v < 1 || v > 86400)
		return false;
	*out = v;
	return true;
}

static int finish(const char *verb, enum m2m_rc rc, const struct m2m_err *err)
{
	if (rc != M2M_OK)
		fprintf(stderr, "m2m-node: %s: %s\n", verb, err->text[0] != '\0' ? err->text : m2m_rc_text(rc));
	else if (fflush(stdout) != 0)
		return 3;
	return m2m_rc_exit(rc);
}

static const char *enrol_conflict(const struct node_enrol *a)
{
	if ((a->psk_identity == NULL) != (a->psk_file == NULL))
		return "--psk-identity and --psk-file go together";
	if ((a->certificate == NULL) != (a->private_key == NULL))
		return "--cert and --key go together";
	if ((a->psk_file == NULL) == (a->certificate == NULL))
		return "either a pre-provisioned key (--psk-identity, --psk-file) or a certificate (--cert, --key) is "
		       "needed";
	if (a->certificate != NULL && a->mtf_id == NULL)
		return "--mtf-id is required with a certificate";
	return NULL;
}

/* Where the options go that enrol and renew share, and associate with --renew. */
#define ENROL_PLACES(a, timeout, needed)                                                                    \
	{ "relay", &(a).relay, NULL, needed }, { "keys", &(a).keys, NULL, true },                           \
		{ "mtf-id", &(a).mtf_id, NULL, false }, { "psk-identity", &(a).psk_identity, NULL, false }, \
		{ "psk-file", &(a).psk_file, NULL, false }, { "cert", &(a).certificate, NULL, false },      \
		{ "key", &(a).private_key, NULL, false }, { "ca", &(a).ca, NULL, false },                   \
		{ "tls1.2", NULL, &(a).tls12, false },                                                      \
	{                                                                                                   \
		"timeout", &(timeout), NULL, false                                                          \
	}

static int enrol(int argc, char **argv)
{
	struct node_enrol a = { .timeout = 60 };
	const char *timeout = NULL;
	char **rest = NULL;
	struct m2m_err err = { 0 };
	const struct option_place place[] = { ENROL_PLACES(a, timeout, true), { NULL, NULL, NULL, false } };
	int status = read_options(argc, argv, place, help_enrol, 0, &rest);

	if (status >= 0)
		return status;
	if (!read_timeout(timeout, &a.timeout))
		return complain(argv[0], "--timeout is not a number of seconds from 1 to 86400", "");
	if (enrol_conflict(&a) != NULL)
		return complain(argv[0], enrol_conflict(&a), "");
	return finish(argv[0], node_enrol(&a, &err), &err);
}

/* What --before says, in s; -1: it was not given. */
static bool read_before(const char *text, int64_t *out)
{
	*out = -1;
	return text == NULL || m2m_conf_duration(text, out, NULL) == M2M_OK;
}

static int renew(int argc, char **argv)
{
	struct node_enrol a = { .timeout = 60 };
	const char *timeout = NULL, *before = NULL;
	char **rest = NULL;
	struct m2m_err err = { 0 };
	const struct option_place place[] = { ENROL_PLACES(a, timeout, true),
					      { "before", &before, NULL, false },
					      { NULL, NULL, NULL, false } };
	int status = read_options(argc, argv, place, help_renew, 0, &rest);
	int64_t within = 0;

	if (status >= 0)
		return status;
	if (!read_timeout(timeout, &a.timeout))
		return complain(argv[0], "--timeout is not a number of seconds from 1 to 86400", "");
	if (!read_before(before, &within))
		return complain(argv[0], "--before is not a time, as in 12h or 30d", "");
	if (enrol_conflict(&a) != NULL)
		return complain(argv[0], enrol_conflict(&a), "");
	return finish(argv[0], node_renew(&a, within, false, &err), &err);
}

static int associate(int argc, char **argv)
{
	struct node_enrol e = { .timeout = 60 };
	struct node_associate a = { .timeout = 60 };
	const char *timeout = NULL, *before = NULL;
	bool renews = false;
	int64_t within = 0;
	char **rest = NULL;
	struct m2m_err err = { 0 };
	const struct option_place place[] = {
		ENROL_PLACES(e, timeout, false),      { "target", &a.target, NULL, false },
		{ "mas-id", &a.mas_id, NULL, false }, { "renew", NULL, &renews, false },
		{ "before", &before, NULL, false },   { NULL, NULL, NULL, false }
	};
	int status = read_options(argc, argv, place, help_associate, 1, &rest);

	if (status >= 0)
		return status;
	if (!read_timeout(timeout, &a.timeout))
		return complain(argv[0], "--timeout is not a number of seconds from 1 to 86400", "");
	if (!read_before(before, &within))
		return complain(argv[0], "--before is not a time, as in 12h or 30d", "");
	if (renews && e.relay == NULL)
		return complain(argv[0], "--relay is required with --renew", "");
	if (renews && enrol_conflict(&e) != NULL)
		return complain(argv[0], enrol_conflict(&e), "");
	if (!renews && (e.relay || e.psk_identity || e.psk_file || e.certificate || e.private_key || before))
		return complain(argv[0], "--relay and what belongs to it goes with --renew", "");
	e.timeout = a.timeout;
	a.keys = e.keys;
	a.tls12 = e.tls12;
	a.address = rest[0];
	if (renews && node_renew(&e, within, true, &err) != M2M_OK)
		fprintf(stderr, "m2m-node: renew: %s; going on with what there is\n", err.text);
	return finish(argv[0], node_associate(&a, &m2m_env_system, &err), &err);
}

static int derive(int argc, char **argv)
{
	struct node_derive a = { 0 };
	char **rest = NULL;
	struct m2m_err err = { 0 };
	const struct option_place place[] = {
		{ "export", &a.exported, NULL, true },	   { "mtf-id", &a.mtf_id, NULL, true },
		{ "mas-id", &a.mas_id, NULL, true },	   { "enrolee-id", &a.enrolee_id, NULL, true },
		{ "target-id", &a.target_id, NULL, true }, { "sequence", &a.sequence, NULL, true },
		{ "random", &a.random, NULL, true },	   { NULL, NULL, NULL, false },
	};
	int status = read_options(argc, argv, place, help_derive, 0, &rest);

	if (status >= 0)
		return status;
	return finish(argv[0], node_derive(&a, &err), &err);
}

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
} verbs[] = { { "enrol", enrol }, { "renew", renew }, { "associate", associate }, { "derive", derive } };

int main(int argc, char **argv)
{
	struct m2m_err err = { 0 };

	signal(SIGPIPE, SIG_IGN);
	umask(077);
	csf_wipejson_init();
	if (argc >= 2 && strcmp(argv[1], "--help") == 0)
		return fputs(usage, stdout) < 0 ? 3 : 0;
	for (size_t i = 0; argc >= 2 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].name) != 0)
			continue;
		/* A small device may not be able to lock memory; it still can do without core files. */
		if (m2m_secret_process(&err) != M2M_OK)
			fprintf(stderr, "m2m-node: note: %s\n", err.text);
		return verbs[i].run(argc - 1, argv + 1);
	}
	fputs(usage, stderr);
	return 2;
}

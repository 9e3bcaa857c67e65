/* SPDX-License-Identifier: BSD-2-Clause */
/* m2mctl's own contracts: verbs, their arguments, and what a listing looks like. One thread; nothing here outlives
 * main.
 *
 * A verb is a row of ctl_verbs (verbs.c): its name, function, arguments, options and help. Everything else (parsing,
 * help, exit status) follows from the row. Exit status: m2m_rc_exit. */
#ifndef CTL_H
#define CTL_H

#include <jansson.h>
#include <stdio.h>

#include "common/env.h"
#include "common/keyring.h"
#include "common/secret.h"
#include "mas/mas.h"
#include "mtf/mtf.h"

/* --- verbs and their arguments ----------------------------------------------------------------------------------- */

/* One per row of ctl_options: a name may stand there twice, with another meaning in another verb. */
enum ctl_opt {
	CTL_HELP,
	CTL_JSON,
	CTL_MAS,
	CTL_MTF,
	CTL_CSF,
	CTL_IDENTITY,
	CTL_KEY_FILE,
	CTL_CERTIFICATE,
	CTL_CREDENTIAL,
	CTL_APP_ID,
	CTL_FOR_MAS,
	CTL_TARGET,
	CTL_KEY_LIFE,
	CTL_EXPIRES,
	CTL_FREEDIAMETER,
	CTL_WAIT,
	CTL_YES,
	CTL_PASSPHRASE,
	CTL_RECOVERY,
	CTL_NO_RECOVERY,
	CTL_WITH_KEYRING,
	CTL_ROOT,
	CTL_DRY_RUN,
	CTL_FIRST_KEY,
	CTL_QUICK,
	CTL_ENROLEE,
	CTL_FILE,
	CTL_PROVIDER,
	CTL_REASON,
	CTL_REVOKE,
	CTL_FRONT,
	CTL_FROM_MTF,
	CTL_STATUS,
	CTL_STAKEHOLDER,
	CTL_FORMAT,
	CTL_REPORT,
	CTL_ALL_OR_NOTHING,
	CTL_ENROLEE_PATTERN,
	CTL_CREDENTIAL_PATTERN,
	CTL_IGNORE,
	CTL_TRANSPORT_KEY,
	CTL_PASSWORD_FILE,
	CTL_CSV,
	CTL_OPTIONS
};
#define CTL_BIT(opt) (UINT64_C(1) << (opt))

struct ctl_option {
	const char *name;  /* with its dashes */
	const char *value; /* what stands after it, for the help; NULL: a flag */
	bool many;	   /* may be given up to M2M_LIST_MAX times */
	const char *help;
};
extern const struct ctl_option ctl_options[CTL_OPTIONS];

struct ctl_args;
typedef enum m2m_rc ctl_run(const struct ctl_args *args, struct m2m_err *err);

struct ctl_verb {
	const char *path; /* one or two words; NULL ends the table */
	ctl_run *run;
	const char *operands; /* for the help, "" if there are none */
	size_t min, max;      /* how many operands, max 1 */
	uint64_t options;     /* CTL_BITs */
	const char *summary;  /* one line */
	const char *more;     /* further lines, or NULL */
	const char *example;
};
extern const struct ctl_verb ctl_verbs[];

struct ctl_values {
	size_t n;
	const char *v[M2M_LIST_MAX];
};

/* Strings are borrowed from argv. */
struct ctl_args {
	const struct ctl_verb *verb; /* NULL: none was named (help only) */
	const char *group;	     /* with verb NULL and help set: the first word, if one was given ("credential") */
	const char *operand;	     /* NULL: not given */
	struct ctl_values opt[CTL_OPTIONS];
};

/* Options may stand anywhere; "--name value" and "--name=value"; "--" ends them; "help WORDS" is "WORDS --help".
 * M2M_EINVAL: the text says what is wrong, and args->verb is what was recognised so far. */
enum m2m_rc ctl_parse(int argc, char **argv, struct ctl_args *args, struct m2m_err *err);
/* Help on the verb, on a group of verbs, or on all. */
void ctl_help(const struct ctl_args *args, FILE *f);
/* The value of an option, NULL if it was not given. */
static inline const char *ctl_value(const struct ctl_args *args, enum ctl_opt opt)
{
	return args->opt[opt].n ? args->opt[opt].v[0] : NULL;
}

/* --- listings ---------------------------------------------------------------------------------------------------- */

/* Rows are JSON objects. With --json each is one line; else each becomes a row of aligned columns, or (show) a block of
 * lines. Rows are spooled to an unlinked file first: a pager that nobody reads on must not keep a view of the store
 * open. */
struct ctl_column {
	const char *title; /* NULL ends a table */
	const char *key;   /* in the row's object */
	bool time;	   /* a m2m:timestamp: people get it with its punctuation */
	bool show_only;
};
#define CTL_COLUMNS_MAX 12

struct ctl_list {
	const struct ctl_column *columns;
	FILE *spool;
	bool json, show;
	struct m2m_id provider; /* --provider; n == 0: all */
	size_t width[CTL_COLUMNS_MAX];
	size_t rows;
	enum m2m_rc rc; /* of the first row that failed */
	struct m2m_err err;
};

/* Opens what it lists, calls ctl_list_row for each record, closes again. */
typedef enum m2m_rc ctl_walk(const struct ctl_args *args, struct ctl_list *l, struct m2m_err *err);
/* A whole listing (show: of one record). What a walk listed before it failed is printed too. */
enum m2m_rc ctl_listing(const struct ctl_args *args, const struct ctl_column *columns, bool show, ctl_walk *walk,
			struct m2m_err *err);
/* Is what is of this enrolee to be listed? */
bool ctl_list_wants(const struct ctl_list *l, struct m2m_span enrolee);
/* row is taken. False when the listing cannot go on. */
bool ctl_list_row(struct ctl_list *l, json_t *row);

/* Members of a row. An absent value becomes null, so that every row has every member. */
void ctl_put_span(json_t *row, const char *key, struct m2m_span s);
void ctl_put_time(json_t *row, const char *key, int64_t t); /* 0: null */
void ctl_put_list(json_t *row, const char *key, const struct m2m_list *l);

/* Revocation-Reason (doc/protocol.md, AVP 1109) in a word; NULL: 0, which is none. */
const char *ctl_reason_text(uint32_t reason);
/* The other way, by word or number. M2M_EINVAL. */
enum m2m_rc ctl_reason_parse(const char *text, uint32_t *out, struct m2m_err *err);

/* May that be done, which cannot be undone? --yes says so, else whoever sits at the terminal. question: without its
 * mark. M2M_EINVAL: nobody to ask; M2M_EDENIED: the answer was no. */
enum m2m_rc ctl_confirm(const struct ctl_args *args, const char *question, struct m2m_err *err);

/* Of work that takes long: how far it is, on a terminal. Until the end, SIGINT and SIGTERM make the next tell return
 * false instead of ending the process. */
struct ctl_progress {
	const char *what; /* as in "of 300 root keys"; borrowed */
	unsigned percent; /* told last; above 100: none yet */
};
void ctl_progress_begin(struct ctl_progress *p, const char *what);
bool ctl_progress_tell(void *arg, uint64_t done, uint64_t total);
void ctl_progress_end(void);

/* Everything written so far has really been written? */
enum m2m_rc ctl_flush(struct m2m_err *err);

/* --- what the verbs share ---------------------------------------------------------------------------------------- */

/* The configuration file: the option's, or the environment's (M2M_MAS_CONF, M2M_MTF_CONF, M2M_CSF_CONF). NULL: neither.
 */
const char *ctl_conf_path(const struct ctl_args *args, enum ctl_opt opt);

/* --passphrase-file for what opens a store: NULL if it was not given. M2M_EINVAL: standard input (-), which could not
 * be read again when the keyring changes. */
enum m2m_rc ctl_passphrase_file(const struct ctl_args *args, const char **out, struct m2m_err *err);

#define CTL_PATH_MAX 4200 /* a configured path is at most 4096 */

struct ctl_mas {
	struct mas_conf conf;
	struct mas *mas;
};
enum m2m_rc ctl_mas_open(const struct ctl_args *args, struct ctl_mas *out, struct m2m_err *err);
void ctl_mas_close(struct ctl_mas *m);

struct ctl_mtf {
	struct mtf_conf conf;
	struct mtf *mtf;
};
enum m2m_rc ctl_mtf_open(const struct ctl_args *args, struct ctl_mtf *out, struct m2m_err *err);
void ctl_mtf_close(struct ctl_mtf *m);

/* Of a verb that works on either server: which one? By its option, else by the environment. path: its configuration.
 * M2M_EINVAL: neither, or both. */
enum m2m_rc ctl_which(const struct ctl_args *args, bool *is_mas, const char **path, struct m2m_err *err);

/* Either server. */
struct ctl_server {
	bool is_mas;
	struct ctl_mas mas;
	struct ctl_mtf mtf;
	const char *store;	/* its folder */
	char env[CTL_PATH_MAX]; /* the folder of what m2mctl backs up, in it */
};
/* Only the configuration; whatever becomes of it, ctl_server_close. */
enum m2m_rc ctl_server_load(const struct ctl_args *args, struct ctl_server *s, struct m2m_err *err);
/* And the store that it names. */
enum m2m_rc ctl_server_open(const struct ctl_args *args, struct ctl_server *s, struct m2m_err *err);
void ctl_server_close(struct ctl_server *s);

/* Look at every record of an open store; each bad one is told on standard output, progress on a terminal. n: out, how
 * many are good, and bad. Errors: mas_check_store's. */
enum m2m_rc ctl_records_check(const struct ctl_server *s, bool json, uint64_t n[2], struct m2m_err *err);

/* What is lost when `now` becomes `then`, both open: told on standard output. */
enum m2m_rc ctl_loss_tell(const struct ctl_server *now, const struct ctl_server *then, struct m2m_err *err);

/* A keyring beside a store, and what opens it: what the configuration names, and --passphrase-file. */
struct ctl_ring {
	bool is_mas;
	struct mas_conf mas;
	struct mtf_conf mtf;
	char path[4096];
	struct m2m_kek_source src[3];
	size_t n;
	struct m2m_secret passphrase; /* as read from standard input */
};
/* Opens nothing but the configuration. */
enum m2m_rc ctl_ring_open(const struct ctl_args *args, struct ctl_ring *r, struct m2m_err *err);
void ctl_ring_close(struct ctl_ring *r);
/* Add a slot; a key file that is not there yet is made. */
enum m2m_rc ctl_slot_add(const struct ctl_ring *r, const struct m2m_kek_source *src, struct m2m_err *err);

/* Read a device's key, hex in a file that only its owner may read, or in standard input ("-"); out: appended. */
enum m2m_rc ctl_key_read(const char *path, struct m2m_secret *out, struct m2m_err *err);

/* --- the host's configuration (host_conf.c) ---------------------------------------------------------------------- */

typedef void ctl_finding(void *arg, const char *file, unsigned line, const char *text);
/* Read a freeDiameter configuration, with what it includes, and tell each setting that leaks keys or weakens the
 * transport. M2M_EINVAL: there was a finding; M2M_ECONF: a file cannot be read, or does not have the form of one. */
enum m2m_rc ctl_host_conf_check(const char *path, ctl_finding *each, void *arg, struct m2m_err *err);

/* --- the verbs --------------------------------------------------------------------------------------------------- */
/* A ..._list is also the ..._show: it tells the one that is named. */
ctl_run ctl_init, ctl_credential_add, ctl_credential_remove, ctl_credential_list, ctl_enrolee_add, ctl_enrolee_set,
	ctl_enrolee_list, ctl_enrolment_list, ctl_key_list, ctl_check_config, ctl_kek_list, ctl_kek_test, ctl_kek_add,
	ctl_kek_remove, ctl_rotate, ctl_purge, ctl_backup, ctl_restore, ctl_check, ctl_upgrade, ctl_fetch,
	ctl_audit_verify, ctl_audit_name, ctl_revoke, ctl_enrolee_remove, ctl_outbox_list, ctl_fuse_list, ctl_fuse_lift,
	ctl_association_list, ctl_association_close, ctl_import, ctl_export;

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration files by table, with libconfuse as the parser. Owns the values and their errors; the text is made safe
 * for libconfuse in conf_text.c.
 *
 * Values are checked in libconfuse's callbacks, where the line is known, and converted after the whole file was found
 * good.
 *
 * Threading: libconfuse's scanner has globals and its callbacks carry no argument, hence one lock and one pointer. */
#include "config.h"

#include "common/conf.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf_text.h"
#include "common/secret.h"

struct load {
	const char *path;
	char *folder; /* of path, with its last slash; "" if it has none */
	enum m2m_rc rc;
	struct m2m_err *err;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct load *loading; /* under lock */

/* The first failure is the one that is told. line 0: no line to name. */
static void fail(struct load *ld, int line, const char *name, const char *reason)
{
	if (ld->rc != M2M_OK)
		return;
	if (line > 0)
		ld->rc = m2m_fail(ld->err, M2M_ECONF, "%s:%d: %s: %s", ld->path, line, name, reason);
	else
		ld->rc = m2m_fail(ld->err, M2M_ECONF, "%s: %s: %s", ld->path, name, reason);
}

static void fail_nomem(struct load *ld)
{
	if (ld->rc == M2M_OK)
		ld->rc = m2m_fail(ld->err, M2M_ENOMEM, "%s: out of memory", ld->path);
}

/* --- values ------------------------------------------------------------------------------------------------------ */

struct unit {
	char letter;
	int64_t factor;
};
static const struct unit durations[] = { { 's', 1 },	 { 'm', 60 },	       { 'h', 3600 },
					 { 'd', 86400 }, { 'y', 365 * 86400 }, { 0, 0 } };
static const struct unit sizes[] = { { 'K', 1 << 10 }, { 'M', 1 << 20 }, { 'G', 1 << 30 }, { 0, 0 } };
static const struct unit no_units[] = { { 0, 0 } };

static const char *number_form(enum m2m_conf_type type, const struct unit **units)
{
	*units = type == M2M_CONF_DURATION ? durations : type == M2M_CONF_SIZE ? sizes : no_units;
	if (type == M2M_CONF_DURATION)
		return "must be a whole number, of seconds or with s, m, h, d or y behind it";
	if (type == M2M_CONF_SIZE)
		return "must be a whole number, of octets or with K, M or G behind it";
	return "must be a whole number";
}

static const char *range_check(const struct m2m_conf_item *it, int64_t v, char *buf, size_t size)
{
	const char *of = it->type == M2M_CONF_DURATION ? " s" : it->type == M2M_CONF_SIZE ? " octets" : "";
	int64_t max = it->min == 0 && it->max == 0 ? INT64_MAX : it->max;

	if (v >= it->min && v <= max)
		return NULL;
	snprintf(buf, size, "%" PRId64 "%s is out of range, %" PRId64 " to %" PRId64 " are allowed", v, of, it->min,
		 max);
	return buf;
}

static const char *number(const struct m2m_conf_item *it, const char *s, int64_t *out, char *buf, size_t size)
{
	const struct unit *u = NULL;
	const char *form = number_form(it->type, &u), *digits = s + (*s == '-');
	char *end = NULL;
	int64_t v = 0;

	if (*digits < '0' || *digits > '9')
		return form;
	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno == ERANGE)
		return "is too large a number";
	if (*end != '\0') {
		while (u->letter != '\0' && u->letter != *end)
			u++;
		if (u->letter == '\0' || end[1] != '\0')
			return form;
		if (__builtin_mul_overflow(v, u->factor, &v))
			return "is too large a number";
	}
	*out = v;
	return range_check(it, v, buf, size);
}

enum m2m_rc m2m_conf_duration(const char *text, int64_t *seconds, struct m2m_err *err)
{
	static const struct m2m_conf_item any = { .type = M2M_CONF_DURATION };
	char buf[128];
	const char *reason = number(&any, text, seconds, buf, sizeof(buf));

	return reason ? m2m_fail(err, M2M_EINVAL, "'%.40s' %s", text, reason) : M2M_OK;
}

static const char *word(const struct m2m_conf_item *it, const char *s, unsigned *out, char *buf, size_t size)
{
	int used = 0;

	for (unsigned i = 0; it->words[i] != NULL; i++) {
		if (strcmp(it->words[i], s) == 0) {
			*out |= 1U << i;
			return NULL;
		}
	}
	used = snprintf(buf, size, "'%.40s' is not one of", s);
	for (unsigned i = 0; it->words[i] != NULL && used > 0 && (size_t)used < size; i++)
		used += snprintf(buf + used, size - (size_t)used, "%s %s", i > 0 ? "," : "", it->words[i]);
	return buf;
}

/* A file's name as this process can open it; NULL: out of memory. */
static char *resolve(const struct load *ld, const char *name)
{
	const char *folder = name[0] == '/' ? "" : ld->folder;
	size_t n = strlen(folder) + strlen(name) + 1;
	char *out = malloc(n);

	if (out != NULL)
		snprintf(out, n, "%s%s", folder, name);
	return out;
}

static const char *file_check(const struct load *ld, const char *name, char *buf, size_t size)
{
	struct stat sb = { 0 };
	char *path = resolve(ld, name);
	const char *reason = NULL;
	int fd = -1;

	if (path == NULL)
		return "out of memory";
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &sb) != 0) {
		snprintf(buf, size, "%s: %s", path, strerror(errno));
		reason = buf;
	} else if (!S_ISREG(sb.st_mode)) {
		snprintf(buf, size, "%s: not a regular file", path);
		reason = buf;
	}
	if (fd >= 0)
		close(fd);
	free(path);
	return reason;
}

/* Check one value (of a list: one element). NULL or what is wrong. */
static const char *value_check(const struct load *ld, const struct m2m_conf_item *it, const char *s, char *buf,
			       size_t size)
{
	const char *reason = NULL;
	int64_t ignored = 0;
	unsigned bits = 0;

	switch (it->type) {
	case M2M_CONF_INT:
	case M2M_CONF_DURATION:
	case M2M_CONF_SIZE:
		return number(it, s, &ignored, buf, size);
	case M2M_CONF_BOOL:
		return cfg_parse_boolean(s) < 0 ? "must be true or false (or yes, no, on, off)" : NULL;
	case M2M_CONF_WORDS:
		return word(it, s, &bits, buf, size);
	case M2M_CONF_STRING:
	case M2M_CONF_LIST:
	case M2M_CONF_SECTIONS: /* the title */
		if (it->check != NULL)
			reason = it->check(s, buf, size);
		if (reason == NULL && it->file && it->type == M2M_CONF_STRING)
			reason = file_check(ld, s, buf, size);
		return reason;
	}
	return "has no type";
}

/* Store one checked value in the member; a list grows by it. */
static enum m2m_rc value_set(const struct load *ld, const struct m2m_conf_item *it, const char *s, void *member)
{
	struct m2m_conf_strings *list = member;
	char ignored[8], **grown = NULL;

	switch (it->type) {
	case M2M_CONF_INT:
	case M2M_CONF_DURATION:
	case M2M_CONF_SIZE:
		number(it, s, member, ignored, sizeof(ignored));
		return M2M_OK;
	case M2M_CONF_BOOL:
		*(bool *)member = cfg_parse_boolean(s) == cfg_true;
		return M2M_OK;
	case M2M_CONF_WORDS:
		word(it, s, member, ignored, sizeof(ignored));
		return M2M_OK;
	case M2M_CONF_STRING:
	case M2M_CONF_SECTIONS:
		*(char **)member = it->file ? resolve(ld, s) : strdup(s);
		return *(char **)member != NULL ? M2M_OK : M2M_ENOMEM;
	case M2M_CONF_LIST:
		grown = realloc(list->v, (list->n + 1) * sizeof(*grown));
		if (grown == NULL)
			return M2M_ENOMEM;
		list->v = grown;
		list->v[list->n] = strdup(s);
		return list->v[list->n] != NULL ? (list->n++, M2M_OK) : M2M_ENOMEM;
	}
	return M2M_EINVAL;
}

/* --- libconfuse -------------------------------------------------------------------------------------------------- */

/* Options and items correspond by index; the callbacks find the item in the default number, which no string uses. */
_Static_assert(sizeof(long) >= sizeof(void *), "a pointer fits in libconfuse's default number");

static const struct m2m_conf_item *item_of(const cfg_opt_t *opt)
{
	return (const struct m2m_conf_item *)opt->def.number;
}

/* libconfuse's texts, which have the name or token as their only argument, and ours. */
static const struct {
	const char *theirs, *ours;
} texts[] = {
	{ "no such option '%s'", "unknown name" },
	{ "found duplicate title '%s'", "a second section with this title" },
	{ "missing equal sign after option '%s'", "'=' is missing behind it" },
	{ "missing title for section '%s'", "is a section, it needs a title: NAME \"TITLE\" { … }" },
	{ "missing opening brace for section '%s'", "'{' is missing behind its title" },
	{ "unexpected token '%s'", "unexpected here" },
};

static void on_error(cfg_t *cfg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[M2M_ERR_TEXT];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (strcmp(texts[i].theirs, fmt) == 0) {
			fail(loading, cfg->line, va_arg(ap, const char *), texts[i].ours);
			return;
		}
	}
	vsnprintf(text, sizeof(text), fmt, ap);
	fail(loading, cfg->line, "syntax", text);
}

static const char *count_check(const struct m2m_conf_item *it, unsigned n, char *buf, size_t size)
{
	bool counted = it->type == M2M_CONF_LIST || it->type == M2M_CONF_SECTIONS;

	if (!counted || it->max == 0 || n <= it->max)
		return NULL;
	snprintf(buf, size, "more than %" PRId64, it->max);
	return buf;
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const struct m2m_conf_item *it = item_of(opt);
	const char *reason = NULL;
	char buf[M2M_ERR_TEXT];

	/* nvalues counts this one: the first of a list, or a scalar. The default boolean is ours: seen before? */
	if (opt->nvalues == 1 && opt->def.boolean == cfg_true)
		reason = "is given twice";
	opt->def.boolean = cfg_true;
	if (reason == NULL)
		reason = count_check(it, opt->nvalues, buf, sizeof(buf));
	if (reason == NULL)
		reason = value_check(loading, it, value, buf, sizeof(buf));
	if (reason != NULL) {
		fail(loading, cfg->line, opt->name, reason);
		return -1;
	}
	*(const char **)result = value;
	return 0;
}

/* What a file or section must have. */
static void check_complete(struct load *ld, const cfg_t *cfg, const struct m2m_conf_item *items, int line)
{
	char buf[M2M_ERR_TEXT];

	for (size_t i = 0; items[i].name != NULL; i++) {
		const struct m2m_conf_item *it = &items[i];
		bool counted = it->type == M2M_CONF_LIST || it->type == M2M_CONF_SECTIONS;
		unsigned n = cfg->opts[i].nvalues;

		if (n == 0 && it->required) {
			snprintf(buf, sizeof(buf), cfg->title != NULL ? "is missing in %s \"%s\"" : "is missing",
				 cfg->name, cfg->title);
			fail(ld, line, it->name, buf);
		} else if (counted && n < it->min && (n > 0 || it->def == NULL)) {
			snprintf(buf, sizeof(buf), "at least %" PRId64 " are needed", it->min);
			fail(ld, line, it->name, buf);
		}
	}
}

/* After a section's closing brace. */
static int on_section(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct m2m_conf_item *it = item_of(opt);
	const cfg_t *sec = opt->values[opt->nvalues - 1]->section;
	char buf[M2M_ERR_TEXT], name[M2M_ERR_TEXT];
	const char *reason = count_check(it, opt->nvalues, buf, sizeof(buf));

	if (reason == NULL)
		reason = value_check(loading, it, sec->title, buf, sizeof(buf));
	if (reason != NULL) {
		snprintf(name, sizeof(name), "%s \"%.200s\"", it->name, sec->title);
		fail(loading, cfg->line, name, reason);
	} else {
		check_complete(loading, sec, it->sub, cfg->line);
	}
	return loading->rc == M2M_OK ? 0 : -1;
}

static void options_free(cfg_opt_t *opts)
{
	for (size_t i = 0; opts != NULL && opts[i].name != NULL; i++)
		options_free(opts[i].subopts);
	free(opts);
}

static cfg_opt_t *options(const struct m2m_conf_item *items)
{
	cfg_opt_t *opts = NULL;
	size_t n = 0;

	while (items[n].name != NULL)
		n++;
	opts = calloc(n + 1, sizeof(*opts));
	for (size_t i = 0; opts != NULL && i < n; i++) {
		opts[i].name = items[i].name;
		opts[i].def.number = (long)&items[i];
		opts[i].type = CFGT_STR;
		opts[i].flags = CFGF_NODEFAULT;
		opts[i].parsecb = on_value;
		if (items[i].type == M2M_CONF_LIST || items[i].type == M2M_CONF_WORDS)
			opts[i].flags |= CFGF_LIST;
		if (items[i].type != M2M_CONF_SECTIONS)
			continue;
		opts[i].type = CFGT_SEC;
		opts[i].flags = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
		opts[i].parsecb = NULL;
		opts[i].validcb = on_section;
		opts[i].subopts = options(items[i].sub);
		if (opts[i].subopts == NULL) {
			options_free(opts);
			return NULL;
		}
	}
	return opts;
}

static cfg_t *parse(struct load *ld, const struct m2m_conf_item *items, char *text, size_t n)
{
	cfg_opt_t *opts = options(items);
	cfg_t *cfg = opts != NULL ? cfg_init(opts, CFGF_NONE) : NULL;
	FILE *f = fmemopen(text, n, "r");

	options_free(opts);
	if (cfg == NULL || f == NULL) {
		fail_nomem(ld);
	} else {
		cfg_set_error_function(cfg, on_error);
		if (cfg_parse_fp(cfg, f) != CFG_SUCCESS) {
			fail(ld, cfg->line, "syntax", "not understood");
		}
		check_complete(ld, cfg, items, 0);
	}
	if (f != NULL)
		fclose(f);
	return cfg;
}

/* --- filling ----------------------------------------------------------------------------------------------------- */

/* The default of a list stands as in the file, { "a", "b" } or a; its elements hold no comma and no quote. */
static enum m2m_rc default_list(struct load *ld, const struct m2m_conf_item *it, void *member)
{
	char buf[M2M_ERR_TEXT], *save = NULL, *text = strdup(it->def);
	const char *reason = NULL;
	enum m2m_rc rc = text != NULL ? M2M_OK : M2M_ENOMEM;

	for (char *s = text != NULL ? strtok_r(text, "{}, \"", &save) : NULL; s != NULL && rc == M2M_OK;
	     s = strtok_r(NULL, "{}, \"", &save)) {
		reason = value_check(ld, it, s, buf, sizeof(buf));
		if (reason != NULL)
			fail(ld, 0, it->name, reason);
		rc = reason == NULL ? value_set(ld, it, s, member) : M2M_ECONF;
	}
	free(text);
	return rc;
}

static enum m2m_rc default_set(struct load *ld, const struct m2m_conf_item *it, void *member)
{
	char buf[M2M_ERR_TEXT];
	const char *reason = NULL;

	if (it->def == NULL || it->type == M2M_CONF_SECTIONS)
		return M2M_OK;
	if (it->type == M2M_CONF_LIST || it->type == M2M_CONF_WORDS)
		return default_list(ld, it, member);
	reason = value_check(ld, it, it->def, buf, sizeof(buf));
	if (reason != NULL) {
		fail(ld, 0, it->name, reason);
		return M2M_ECONF;
	}
	return value_set(ld, it, it->def, member);
}

static enum m2m_rc fill(struct load *ld, const cfg_t *cfg, const struct m2m_conf_item *items, char *out);

static enum m2m_rc fill_sections(struct load *ld, const cfg_opt_t *opt, const struct m2m_conf_item *it, char *member)
{
	struct m2m_conf_sections *secs = (struct m2m_conf_sections *)member;
	enum m2m_rc rc = M2M_OK;

	if (opt->nvalues == 0)
		return M2M_OK;
	secs->v = calloc(opt->nvalues, it->sub_size);
	if (secs->v == NULL)
		return M2M_ENOMEM;
	secs->n = opt->nvalues;
	for (size_t i = 0; i < secs->n && rc == M2M_OK; i++) {
		char *sub = (char *)secs->v + i * it->sub_size;

		rc = value_set(ld, it, opt->values[i]->section->title, sub);
		if (rc == M2M_OK)
			rc = fill(ld, opt->values[i]->section, it->sub, sub);
	}
	return rc;
}

static enum m2m_rc fill(struct load *ld, const cfg_t *cfg, const struct m2m_conf_item *items, char *out)
{
	enum m2m_rc rc = M2M_OK;

	for (size_t i = 0; items[i].name != NULL && rc == M2M_OK; i++) {
		const cfg_opt_t *opt = &cfg->opts[i];
		char *member = out + items[i].offset;

		if (items[i].type == M2M_CONF_SECTIONS)
			rc = fill_sections(ld, opt, &items[i], member);
		else if (opt->nvalues == 0)
			rc = default_set(ld, &items[i], member);
		else
			for (unsigned k = 0; k < opt->nvalues && rc == M2M_OK; k++)
				rc = value_set(ld, &items[i], opt->values[k]->string, member);
	}
	if (rc == M2M_ENOMEM)
		fail_nomem(ld);
	return rc;
}

/* The struct's size is not known: zero the members one by one. */
static void zero(const struct m2m_conf_item *items, char *out)
{
	static const size_t sizes_of[] = {
		[M2M_CONF_STRING] = sizeof(char *),    [M2M_CONF_INT] = sizeof(int64_t),
		[M2M_CONF_DURATION] = sizeof(int64_t), [M2M_CONF_SIZE] = sizeof(int64_t),
		[M2M_CONF_BOOL] = sizeof(bool),	       [M2M_CONF_LIST] = sizeof(struct m2m_conf_strings),
		[M2M_CONF_WORDS] = sizeof(unsigned),   [M2M_CONF_SECTIONS] = sizeof(struct m2m_conf_sections),
	};

	for (; items->name != NULL; items++)
		memset(out + items->offset, 0, sizes_of[items->type]);
}

static void load_locked(struct load *ld, const struct m2m_conf_item *items, void *out)
{
	size_t n = 0;
	char *text = NULL;
	cfg_t *cfg = NULL;

	ld->rc = m2m_conf_text(ld->path, &text, &n, ld->err);
	if (ld->rc == M2M_OK)
		cfg = parse(ld, items, text, n);
	if (ld->rc == M2M_OK)
		fill(ld, cfg, items, out);
	if (cfg != NULL)
		cfg_free(cfg);
	m2m_wipe(text, n);
	free(text);
}

enum m2m_rc m2m_conf_load(const char *path, const struct m2m_conf_item *items, void *out, struct m2m_err *err)
{
	const char *slash = strrchr(path, '/');
	struct load ld = { .path = path, .err = err };

	zero(items, out);
	ld.folder = strndup(path, slash != NULL ? (size_t)(slash - path) + 1 : 0);
	if (ld.folder == NULL) {
		fail_nomem(&ld);
		return ld.rc;
	}
	pthread_mutex_lock(&lock);
	loading = &ld;
	load_locked(&ld, items, out);
	loading = NULL;
	pthread_mutex_unlock(&lock);
	if (ld.rc != M2M_OK)
		m2m_conf_free(items, out);
	free(ld.folder);
	return ld.rc;
}

static void string_free(const struct m2m_conf_item *it, char *s)
{
	if (it->secret && s != NULL)
		m2m_wipe(s, strlen(s));
	free(s);
}

void m2m_conf_free(const struct m2m_conf_item *items, void *out)
{
	for (const struct m2m_conf_item *it = items; it->name != NULL; it++) {
		void *member = (char *)out + it->offset;
		struct m2m_conf_strings *list = member;
		struct m2m_conf_sections *secs = member;

		if (it->type == M2M_CONF_STRING) {
			string_free(it, *(char **)member);
		} else if (it->type == M2M_CONF_LIST) {
			for (size_t i = 0; i < list->n; i++)
				string_free(it, list->v[i]);
			free(list->v);
		} else if (it->type == M2M_CONF_SECTIONS) {
			for (size_t i = 0; i < secs->n; i++) {
				char *sub = (char *)secs->v + i * it->sub_size;

				free(*(char **)sub);
				m2m_conf_free(it->sub, sub);
			}
			free(secs->v);
		}
	}
	zero(items, out);
}

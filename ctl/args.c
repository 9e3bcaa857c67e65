/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line, read by the tables of verbs.c; the help, written from them. */
#include "config.h"

#include <unistd.h>

#include "ctl/ctl.h"

/* Does `arg` (up to its '=') name this option? eq: out, what stands after the '=', or NULL. */
static bool option_is(const struct ctl_option *o, const char *arg, const char **eq)
{
	size_t n = strlen(o->name);

	if (strncmp(arg, o->name, n) != 0 || (arg[n] != '\0' && arg[n] != '='))
		return false;
	*eq = arg[n] == '=' ? arg + n + 1 : NULL;
	return true;
}

/* The option among those of `allowed`; CTL_OPTIONS if there is none. */
static enum ctl_opt option_find(const char *arg, uint64_t allowed, const char **eq)
{
	unsigned i = 0;

	if (strcmp(arg, "-h") == 0)
		arg = ctl_options[CTL_HELP].name;
	while (i < CTL_OPTIONS && !((allowed & CTL_BIT(i)) && option_is(&ctl_options[i], arg, eq)))
		i++;
	return (enum ctl_opt)i;
}

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1] != '\0';
}

/* The words that are no options and no option's value. An option's name takes a value in every verb or in none, so this
 * needs no verb. */
static size_t words_collect(int argc, char **argv, const char *words[], size_t max)
{
	const char *eq = NULL;
	bool plain = false;
	size_t n = 0;

	for (int i = 1; i < argc; i++) {
		if (!plain && strcmp(argv[i], "--") == 0) {
			plain = true;
		} else if (!plain && is_option(argv[i])) {
			enum ctl_opt opt = option_find(argv[i], UINT64_MAX, &eq);

			if (opt != CTL_OPTIONS && ctl_options[opt].value && !eq)
				i++;
		} else if (n++ < max) {
			words[n - 1] = argv[i];
		}
	}
	return n;
}

/* The verb that words[0..n) start with; used: out, how many of them are its name. NULL: none. */
static const struct ctl_verb *verb_find(const char *const words[], size_t n, size_t *used)
{
	for (const struct ctl_verb *v = ctl_verbs; v->path; v++) {
		const char *space = strchr(v->path, ' ');
		size_t first = space ? (size_t)(space - v->path) : strlen(v->path);

		*used = space ? 2 : 1;
		if (n >= *used && strlen(words[0]) == first && strncmp(words[0], v->path, first) == 0 &&
		    (!space || strcmp(words[1], space + 1) == 0))
			return v;
	}
	return NULL;
}

static bool is_group(const char *word)
{
	size_t n = strlen(word);

	for (const struct ctl_verb *v = ctl_verbs; v->path; v++)
		if (strncmp(v->path, word, n) == 0 && v->path[n] == ' ')
			return true;
	return false;
}

static enum m2m_rc option_take(struct ctl_args *args, uint64_t allowed, int argc, char **argv, int *i,
			       struct m2m_err *err)
{
	const char *eq = NULL, *value = NULL;
	enum ctl_opt opt = option_find(argv[*i], allowed, &eq);
	const struct ctl_option *o = &ctl_options[opt];
	struct ctl_values *values = &args->opt[opt];
	int named = (int)strcspn(argv[*i], "=");

	if (opt == CTL_OPTIONS && option_find(argv[*i], UINT64_MAX, &eq) != CTL_OPTIONS && args->verb)
		return m2m_fail(err, M2M_EINVAL, "%s does not take %.*s", args->verb->path, named, argv[*i]);
	if (opt == CTL_OPTIONS)
		return m2m_fail(err, M2M_EINVAL, "there is no option %.*s", named, argv[*i]);
	if (!o->value && eq)
		return m2m_fail(err, M2M_EINVAL, "%s takes no value", o->name);
	if (o->value && !eq && *i + 1 == argc)
		return m2m_fail(err, M2M_EINVAL, "%s needs a value (%s)", o->name, o->value);
	if (o->value)
		value = eq ? eq : argv[++*i];
	if (value && *value == '\0')
		return m2m_fail(err, M2M_EINVAL, "%s: the value (%s) is empty", o->name, o->value);
	if (values->n == (o->many ? M2M_LIST_MAX : 1))
		return m2m_fail(err, M2M_EINVAL, "%s: given more than %d times", o->name, o->many ? M2M_LIST_MAX : 1);
	values->v[values->n++] = value;
	return M2M_OK;
}

static enum m2m_rc options_take(struct ctl_args *args, int argc, char **argv, struct m2m_err *err)
{
	/* Without a verb, only a call for help makes sense; the other options are read so that it is found. */
	uint64_t allowed = args->verb ? args->verb->options : UINT64_MAX;

	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (is_option(argv[i]) && option_take(args, allowed, argc, argv, &i, err) != M2M_OK)
			return M2M_EINVAL;
	}
	return M2M_OK;
}

/* What the words leave open once the options are known. */
static enum m2m_rc words_check(struct ctl_args *args, const char *const words[], size_t n, size_t used,
			       struct m2m_err *err)
{
	const struct ctl_verb *v = args->verb;

	if (args->opt[CTL_HELP].n)
		return M2M_OK;
	if (n == 0)
		return m2m_fail(err, M2M_EINVAL, "say what to do");
	if (!v && args->group && n == 1)
		return m2m_fail(err, M2M_EINVAL, "%s: say what to do with it", words[0]);
	if (!v && args->group)
		return m2m_fail(err, M2M_EINVAL, "there is no %s %s", words[0], words[1]);
	if (!v)
		return m2m_fail(err, M2M_EINVAL, "there is no command %s", words[0]);
	if (n - used > v->max)
		return m2m_fail(err, M2M_EINVAL, "%s: %s is too much", v->path, words[used + v->max]);
	if (n - used < v->min)
		return m2m_fail(err, M2M_EINVAL, "%s: %s is missing", v->path, v->operands);
	args->operand = n > used ? words[used] : NULL;
	return M2M_OK;
}

enum m2m_rc ctl_parse(int argc, char **argv, struct ctl_args *args, struct m2m_err *err)
{
	const char *words[5] = { NULL };
	size_t n = words_collect(argc, argv, words, 5), used = 0;
	const char *const *w = words;
	bool help = n > 0 && strcmp(words[0], "help") == 0;

	*args = (struct ctl_args){ 0 };
	if (n > 5)
		n = 5;
	if (help) {
		w++;
		n--;
	}
	args->verb = verb_find(w, n, &used);
	if (!args->verb && n > 0 && is_group(w[0]))
		args->group = w[0];
	if (options_take(args, argc, argv, err) != M2M_OK)
		return M2M_EINVAL;
	if (help)
		args->opt[CTL_HELP].n = 1;
	return words_check(args, w, n, used, err);
}

enum m2m_rc ctl_confirm(const struct ctl_args *args, const char *question, struct m2m_err *err)
{
	char answer[8] = "";

	if (args->opt[CTL_YES].n)
		return M2M_OK;
	if (!isatty(STDIN_FILENO))
		return m2m_fail(err, M2M_EINVAL, "%s: cannot be undone; say --yes", args->verb->path);
	fprintf(stderr, "%s? [y/N] ", question);
	if (!fgets(answer, sizeof(answer), stdin) || (strcmp(answer, "y\n") != 0 && strcmp(answer, "yes\n") != 0))
		return m2m_fail(err, M2M_EDENIED, "nothing was done");
	return M2M_OK;
}

/* --- help -------------------------------------------------------------------------------------------------------- */

static void help_verb(const struct ctl_verb *v, FILE *f)
{
	fprintf(f, "usage: m2mctl %s%s%s [OPTION]...\n\n%s.\n", v->path, *v->operands ? " " : "", v->operands,
		v->summary);
	if (v->more)
		fprintf(f, "%s\n", v->more);
	fprintf(f, "\nOptions:\n");
	for (unsigned i = 0; i < CTL_OPTIONS; i++) {
		const struct ctl_option *o = &ctl_options[i];
		int room = 22 - (int)strlen(o->name);

		if (v->options & CTL_BIT(i))
			fprintf(f, "  %s %-*s %s\n", o->name, room, o->value ? o->value : "", o->help);
	}
	fprintf(f, "\nExample:\n  %s\n", v->example);
}

static void help_all(const char *group, FILE *f)
{
	size_t n = group ? strlen(group) : 0;

	fprintf(f, "usage: m2mctl %s%sCOMMAND [OPTION]...\n\n", group ? group : "", group ? " " : "");
	for (const struct ctl_verb *v = ctl_verbs; v->path; v++)
		if (!group || (strncmp(v->path, group, n) == 0 && v->path[n] == ' '))
			fprintf(f, "  %-18s %s\n", v->path, v->summary);
	fprintf(f, "\n\"m2mctl COMMAND --help\" explains a command and gives an example. Configuration files may come "
		   "from the\n"
		   "environment: M2M_MAS_CONF, M2M_MTF_CONF, M2M_CSF_CONF.\n\n"
		   "Exit status: 0 done; 1 refused (not found, exists, expired, revoked); 2 bad usage, input or "
		   "configuration;\n"
		   "3 the store or the system failed; 4 try later.\n\nExamples:\n");
	for (const struct ctl_verb *v = ctl_verbs; v->path; v++)
		if (!group || (strncmp(v->path, group, n) == 0 && v->path[n] == ' '))
			fprintf(f, "  %s\n", v->example);
}

void ctl_help(const struct ctl_args *args, FILE *f)
{
	if (args->verb)
		help_verb(args->verb, f);
	else
		help_all(args->group, f);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's logger: called for each of its lines, under its lock, so one at a time; it may not write through the host
 * itself. Kinds are told apart by the format, which is the host's own text. Lines of this project's servers (format
 * "%s") are limited where they are made, by whom they are about. */
#include "config.h"

#include "dict/host_log.h"

#include "common/log_limit.h"

#include <freeDiameter/extension.h>
#include <stdio.h>

static struct m2m_log_limit limit; /* the host gives its logger no argument */
static bool is_open;

static const char *level_text(int level)
{
	switch (level) {
	case FD_LOG_ANNOYING:
		return "A   ";
	case FD_LOG_DEBUG:
		return "DBG   ";
	case FD_LOG_NOTICE:
		return "NOTI   ";
	case FD_LOG_ERROR:
		return "ERROR  ";
	case FD_LOG_FATAL:
		return "FATAL! ";
	default:
		return "???   ";
	}
}

static void begin(int level)
{
	char when[25];

	printf("%s  %s", fd_log_time(NULL, when, sizeof(when), 0, 0), level_text(level));
}

static void on_line(int level, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void on_line(int level, const char *format, va_list args)
{
	struct m2m_log_left left = { 0 };
	bool may = true;

	if (level < fd_g_debug_lvl)
		return;
	if (strcmp(format, "%s") != 0 && level < FD_LOG_FATAL)
		may = m2m_log_limit_take(&limit, format, NULL, m2m_env_system.now_us(NULL), &left);
	if (left.n > 0) {
		begin(FD_LOG_NOTICE);
		printf("%llu lines were left out: \"%s\"\n", (unsigned long long)left.n, left.what);
	}
	if (may) {
		begin(level);
		vprintf(format, args);
		printf("\n");
	}
	if (may || left.n > 0)
		fflush(stdout);
}

void host_log_open(void)
{
	m2m_log_limit_init(&limit, HOST_LOG_MANY, HOST_LOG_FEW);
	is_open = fd_log_handler_register(on_line) == 0;
	if (!is_open)
		fd_log(FD_LOG_NOTICE, "dict_m2m: another extension writes the log: its lines are not limited");
}

void host_log_close(void)
{
	if (is_open)
		fd_log_handler_unregister();
	is_open = false;
}

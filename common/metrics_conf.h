/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of each server's configuration that says where its metrics are shown. No state: thread-safe. */
#ifndef M2M_METRICS_CONF_H
#define M2M_METRICS_CONF_H

#include "common/conf.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

struct m2m_metrics_conf {
	char *listen;	  /* NULL: no listener */
	bool anywhere;	  /* it need not be a loopback address */
	char *file;	  /* NULL: no file */
	int64_t interval; /* s between two writings of the file */
};

/* Items of a table; member: the struct m2m_metrics_conf in the struct that the table fills. */
#define M2M_METRICS_CONF_ITEMS(conf_struct, member)                                                                \
	{ .name = "metrics-listen",                                                                                \
	  .type = M2M_CONF_STRING,                                                                                 \
	  .offset = offsetof(struct conf_struct, member.listen),                                                   \
	  .check = m2m_conf_is_host_port,                                                                          \
	  .help = "Address and port, as 127.0.0.1:9141, where GET /metrics shows what the server counts "          \
		  "(OpenMetrics). "                                                                                \
		  "No name, and a loopback address: there is neither a password nor TLS. Default: none." },        \
		{ .name = "metrics-anywhere",                                                                      \
		  .type = M2M_CONF_BOOL,                                                                           \
		  .offset = offsetof(struct conf_struct, member.anywhere),                                         \
		  .def = "no",                                                                                     \
		  .help = "metrics-listen may be an address that other machines reach. No key is ever in what it " \
			  "shows, but "                                                                            \
			  "how busy the server is, and with what, is." },                                          \
		{ .name = "metrics-file",                                                                          \
		  .type = M2M_CONF_STRING,                                                                         \
		  .offset = offsetof(struct conf_struct, member.file),                                             \
		  .help = "A file whose name ends in .prom, by its absolute path, that gets the same again and "   \
			  "again, for the "                                                                        \
			  "textfile collector of Prometheus' node_exporter. Default: none." },                     \
	{                                                                                                          \
		.name = "metrics-interval", .type = M2M_CONF_DURATION,                                             \
		.offset = offsetof(struct conf_struct, member.interval), .def = "15s", .min = 1, .max = 3600,      \
		.help = "How often metrics-file is written."                                                       \
	}

/* An address as metrics-listen has it; port 0 is taken too. out: zeroed first. M2M_EINVAL says what is wrong. */
enum m2m_rc m2m_metrics_address(const char *text, struct sockaddr_storage *out, struct m2m_err *err);
/* What no single item can see. path: of the configuration file, for the text. M2M_ECONF. */
enum m2m_rc m2m_metrics_conf_check(const char *path, const struct m2m_metrics_conf *conf, struct m2m_err *err);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* dict_m2m.fdx: the dictionary of the M2M applications, as an extension. It also guards the host's input and log
 * (hooks.c), once per process. Linked with -z nodelete: the host unloads extensions while dictionary objects, which
 * hold our dump function, still live. */
#include "config.h"

#include "dict/entry.h"
#include "dict/fd_dict.h"
#include "dict/hooks.h"
#include "dict/host_log.h"

static struct m2m_hooks *hooks;

static int dict_m2m_entry(char *conffile)
{
	struct m2m_err err = { 0 };

	(void)conffile;
	if (m2m_fd_dict_define(fd_g_config->cnf_dict, &err) || m2m_hooks_open(fd_g_config->cnf_dict, &hooks, &err)) {
		fd_log(FD_LOG_ERROR, "dict_m2m: %s", err.text);
		return EINVAL;
	}
	host_log_open();
	if (M2M_VENDOR_ID == 32473U)
		fd_log(FD_LOG_NOTICE, "dict_m2m: built with Vendor-Id 32473, IANA's documentation number (RFC 5612): "
				      "good for trials, not for a network of several parties");
	return 0;
}

EXTENSION_ENTRY("dict_m2m", dict_m2m_entry);

void fd_ext_fini(void)
{
	host_log_close();
	m2m_hooks_close(hooks);
	hooks = NULL;
}

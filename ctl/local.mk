# SPDX-License-Identifier: BSD-2-Clause
# ctl: m2mctl, the operator's command.
bin_PROGRAMS += ctl/m2mctl
ctl_m2mctl_SOURCES = \
	ctl/cmd_association.c \
	ctl/args.c ctl/cmd_audit.c ctl/backup.h ctl/cmd_backup.c ctl/cmd_check.c ctl/cmd_check_store.c ctl/cmd_credential.c ctl/cmd_enrolee.c ctl/cmd_export.c ctl/cmd_fetch.c ctl/cmd_fuse.c ctl/cmd_import.c ctl/cmd_init.c ctl/cmd_kek.c ctl/cmd_key.c ctl/cmd_outbox.c ctl/cmd_restore.c ctl/cmd_revoke.c ctl/cmd_rotate.c ctl/cmd_upgrade.c ctl/ctl.h ctl/host_conf.c \
	ctl/import.h ctl/import_csv.c ctl/import_input.c ctl/import_keys.c ctl/import_keys.h ctl/import_memory.c ctl/import_ndjson.c ctl/import_pskc.c ctl/import_pskc.h \
	ctl/import_pskc_parts.c ctl/import_row.c ctl/import_take.c ctl/import_take.h \
	ctl/key_file.c ctl/list.c ctl/loss.c ctl/m2mctl.c ctl/open.c ctl/pick.c ctl/pick.h ctl/progress.c ctl/verbs.c
ctl_m2mctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(XML_CFLAGS) $(CRYPTO_CFLAGS)
ctl_m2mctl_LDADD = csf/libcsf.la csf/libnode.la mtf/libmtf.la mas/libmas.la store/libstore.la common/libcommon.la \
	$(JANSSON_LIBS) $(XML_LIBS) $(CRYPTO_LIBS)

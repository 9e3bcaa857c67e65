/* SPDX-License-Identifier: BSD-2-Clause */
/* Audit logs: a line has one form, and a log that is found good was counted right. */
#include "config.h"

#include "common/audit.h"

#include "common/audit_line.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct m2m_audit_report report;
	char text[AUDIT_LINE_MAX + 1];
	struct audit_line line;
	FILE *f = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;

	if (!f)
		return 0;
	if (m2m_audit_verify(f, "log", NULL, m2m_span(NULL, 0), &report, NULL) == M2M_OK)
		assert(report.lines == report.records + report.checkpoints + report.opened && report.opened > 0);
	fclose(f);
	if (audit_line_parse(m2m_span(data, size), &line, NULL) == M2M_OK)
		assert(audit_line_print(&line, false, text) == size + (data[size - 1] != '\n'));
	return 0;
}

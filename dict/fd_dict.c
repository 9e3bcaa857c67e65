/* SPDX-License-Identifier: BSD-2-Clause */
/* Defining and finding our dictionary objects.
 *
 * No rules are given to the host for our commands and groups: its answers to a broken rule lack the Failed-AVP that RFC
 * 6733 7.5 asks for (and for answers it drops the message silently), so the codec checks them all. */
#include "config.h"

#include "dict/fd_dict.h"

#define SECRET_TYPE "M2M-Secret"

/* What dumps and logs show of a key: how long it is. */
static DECLARE_FD_DUMP_PROTOTYPE(secret_dump, union avp_value *value)
{
	FD_DUMP_HANDLE_OFFSET();
	CHECK_MALLOC_DO(fd_dump_extend(FD_DUMP_STD_PARAMS, "<%zu octets, not shown>", value->os.len), return NULL);
	return *buf;
}

static enum m2m_rc refused(struct m2m_err *err, const char *what, const char *name, int ret)
{
	if (ret == ENOMEM)
		return m2m_fail(err, M2M_ENOMEM, "dictionary: out of memory for %s %s", what, name);
	return m2m_fail(err, M2M_EEXIST, "dictionary: %s %s is defined otherwise by another extension (%s)", what, name,
			strerror(ret));
}

static enum dict_avp_basetype base_type(enum m2m_avp_type type)
{
	switch (type) {
	case M2M_T_OCTETS:
	case M2M_T_UTF8:
	case M2M_T_IDENTITY:
	case M2M_T_TIME:
		return AVP_TYPE_OCTETSTRING;
	case M2M_T_U32:
		return AVP_TYPE_UNSIGNED32;
	case M2M_T_U64:
		return AVP_TYPE_UNSIGNED64;
	case M2M_T_ENUM:
		return AVP_TYPE_INTEGER32;
	case M2M_T_GROUP:
		return AVP_TYPE_GROUPED;
	}
	return AVP_TYPE_OCTETSTRING;
}

static const char *derived_type(const struct m2m_avp_def *def)
{
	if (def->secret)
		return SECRET_TYPE;
	if (def->type == M2M_T_UTF8 || def->text)
		return "UTF8String";
	if (def->type == M2M_T_IDENTITY)
		return "DiameterIdentity";
	return def->type == M2M_T_TIME ? "Time" : NULL;
}

/* NULL if there is none. */
static struct dict_object *find_avp(struct dictionary *dict, const struct m2m_avp_def *def)
{
	struct dict_object *avp = NULL;
	avp_code_t code = def->code;

	if (def->vendor) {
		struct dict_avp_request by = { .avp_vendor = def->vendor, .avp_code = code };

		(void)fd_dict_search(dict, DICT_AVP, AVP_BY_CODE_AND_VENDOR, &by, &avp, 0);
	} else {
		(void)fd_dict_search(dict, DICT_AVP, AVP_BY_CODE, &code, &avp, 0);
	}
	return avp;
}

static enum m2m_rc define_avp(struct dictionary *dict, const struct m2m_avp_def *def, struct m2m_err *err)
{
	const char *type_name = derived_type(def);
	struct dict_object *avp = find_avp(dict, def), *type = NULL;
	struct dict_avp_data data = {
		.avp_code = def->code,
		.avp_vendor = def->vendor,
		.avp_name = (char *)(uintptr_t)def->name,
		.avp_flag_mask = AVP_FLAG_VENDOR | AVP_FLAG_MANDATORY,
		.avp_flag_val = (def->vendor ? AVP_FLAG_VENDOR : 0) | (def->mandatory ? AVP_FLAG_MANDATORY : 0),
		.avp_basetype = base_type(def->type),
	};
	int ret;

	if (avp) {
		struct dict_avp_data there;

		if (fd_dict_getval(avp, &there) == 0 && there.avp_basetype == data.avp_basetype)
			return M2M_OK;
		return refused(err, "AVP", def->name, EEXIST);
	}
	if (type_name)
		(void)fd_dict_search(dict, DICT_TYPE, TYPE_BY_NAME, type_name, &type, 0);
	ret = fd_dict_new(dict, DICT_AVP, &data, type, NULL);
	return ret ? refused(err, "AVP", def->name, ret) : M2M_OK;
}

static enum m2m_rc define_vendors(struct dictionary *dict, struct m2m_err *err)
{
	struct dict_vendor_data v[] = {
		{ M2M_VENDOR_ID, (char *)(uintptr_t) "M2M" },
		{ M2M_VENDOR_3GPP, (char *)(uintptr_t) "3GPP" },
	};

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct dict_object *vendor = NULL;
		int ret = 0;

		if (fd_dict_search(dict, DICT_VENDOR, VENDOR_BY_ID, &v[i].vendor_id, &vendor, 0) || !vendor)
			ret = fd_dict_new(dict, DICT_VENDOR, &v[i], NULL, NULL);
		if (ret)
			return refused(err, "vendor", v[i].vendor_name, ret);
	}
	return M2M_OK;
}

static enum m2m_rc define_type(struct dictionary *dict, struct m2m_err *err)
{
	struct dict_type_data data = { .type_base = AVP_TYPE_OCTETSTRING,
				       .type_name = (char *)(uintptr_t)SECRET_TYPE,
				       .type_dump = secret_dump };
	int ret = fd_dict_new(dict, DICT_TYPE, &data, NULL, NULL);

	return ret ? refused(err, "type", SECRET_TYPE, ret) : M2M_OK;
}

static enum m2m_rc define_command(struct dictionary *dict, const struct m2m_cmd_def *def, bool request,
				  struct m2m_err *err)
{
	char name[64];
	struct dict_cmd_data data = {
		.cmd_code = def->code,
		.cmd_name = name,
		.cmd_flag_mask = CMD_FLAG_REQUEST | CMD_FLAG_PROXIABLE,
		.cmd_flag_val = (request ? CMD_FLAG_REQUEST : 0) | CMD_FLAG_PROXIABLE,
	};
	application_id_t id = def->app;
	struct dict_object *app = NULL;
	int ret;

	snprintf(name, sizeof(name), "%s-%s", def->name, request ? "Request" : "Answer");
	ret = fd_dict_search(dict, DICT_APPLICATION, APPLICATION_BY_ID, &id, &app, ENOENT);
	if (ret == 0)
		ret = fd_dict_new(dict, DICT_COMMAND, &data, app, NULL);
	return ret ? refused(err, "command", name, ret) : M2M_OK;
}

enum m2m_rc m2m_fd_dict_define(struct dictionary *dict, struct m2m_err *err)
{
	vendor_id_t id = M2M_VENDOR_ID;
	struct dict_object *vendor = NULL;
	enum m2m_rc rc = define_vendors(dict, err);

	if (!rc)
		rc = define_type(dict, err);
	for (size_t i = 0; !rc && i < M2M_AVPS; i++)
		rc = define_avp(dict, &m2m_avps[i], err);
	if (!rc)
		(void)fd_dict_search(dict, DICT_VENDOR, VENDOR_BY_ID, &id, &vendor, 0);
	for (size_t i = 0; !rc && i < M2M_APPS; i++) {
		struct dict_application_data data = { m2m_apps[i].id, (char *)(uintptr_t)m2m_apps[i].name };
		int ret = fd_dict_new(dict, DICT_APPLICATION, &data, vendor, NULL);

		if (ret)
			rc = refused(err, "application", m2m_apps[i].name, ret);
	}
	for (size_t i = 0; !rc && i < M2M_CMDS; i++) {
		rc = define_command(dict, &m2m_cmds[i], true, err);
		if (!rc)
			rc = define_command(dict, &m2m_cmds[i], false, err);
	}
	return rc;
}

static enum m2m_rc missing(struct m2m_err *err, const char *name)
{
	return m2m_fail(err, M2M_ECONF, "dictionary: %s is not defined: load dict_m2m.fdx before this extension", name);
}

enum m2m_rc m2m_fd_dict_find(struct dictionary *dict, struct m2m_fd_dict *out, struct m2m_err *err)
{
	vendor_id_t vendor = M2M_VENDOR_ID;

	memset(out, 0, sizeof(*out));
	if (fd_dict_search(dict, DICT_VENDOR, VENDOR_BY_ID, &vendor, &out->vendor, 0) || !out->vendor)
		return missing(err, "our vendor");
	for (size_t i = 0; i < M2M_AVPS; i++) {
		out->avp[i] = find_avp(dict, &m2m_avps[i]);
		if (!out->avp[i])
			return missing(err, m2m_avps[i].name);
	}
	for (size_t i = 0; i < M2M_APPS; i++) {
		application_id_t id = m2m_apps[i].id;

		if (fd_dict_search(dict, DICT_APPLICATION, APPLICATION_BY_ID, &id, &out->app[i], 0) || !out->app[i])
			return missing(err, m2m_apps[i].name);
	}
	for (size_t i = 0; i < M2M_CMDS; i++) {
		command_code_t code = m2m_cmds[i].code;

		if (fd_dict_search(dict, DICT_COMMAND, CMD_BY_CODE_R, &code, &out->request[i], 0) || !out->request[i] ||
		    fd_dict_search(dict, DICT_COMMAND, CMD_BY_CODE_A, &code, &out->answer[i], 0) || !out->answer[i])
			return missing(err, m2m_cmds[i].name);
	}
	return M2M_OK;
}

/* --- for the guard ---------------------------------------------------------------------------------------------- */

static enum m2m_guard_kind kind_of_base(enum dict_avp_basetype type)
{
	switch (type) {
	case AVP_TYPE_GROUPED:
		return M2M_GUARD_GROUP;
	case AVP_TYPE_OCTETSTRING:
		return M2M_GUARD_OCTETS;
	case AVP_TYPE_INTEGER32:
	case AVP_TYPE_UNSIGNED32:
	case AVP_TYPE_FLOAT32:
		return M2M_GUARD_4;
	case AVP_TYPE_INTEGER64:
	case AVP_TYPE_UNSIGNED64:
	case AVP_TYPE_FLOAT64:
		return M2M_GUARD_8;
	}
	return M2M_GUARD_UNKNOWN;
}

static enum m2m_guard_kind kind_of_ours(enum m2m_avp_type type)
{
	switch (type) {
	case M2M_T_GROUP:
		return M2M_GUARD_GROUP;
	case M2M_T_U32:
	case M2M_T_ENUM:
		return M2M_GUARD_4;
	case M2M_T_U64:
		return M2M_GUARD_8;
	case M2M_T_OCTETS:
	case M2M_T_UTF8:
	case M2M_T_IDENTITY:
	case M2M_T_TIME:
		break;
	}
	return M2M_GUARD_OCTETS;
}

/* Our table first: the host's dictionary is a list to walk. */
enum m2m_guard_kind m2m_fd_kind(void *arg, uint32_t code, uint32_t vendor)
{
	struct dictionary *dict = arg;
	struct dict_avp_request by = { .avp_vendor = vendor, .avp_code = code };
	avp_code_t plain = code;
	struct dict_object *avp = NULL;
	struct dict_avp_data data;

	for (size_t i = 0; i < M2M_AVPS; i++) {
		if (m2m_avps[i].code == code && m2m_avps[i].vendor == vendor)
			return kind_of_ours(m2m_avps[i].type);
	}
	if (vendor)
		(void)fd_dict_search(dict, DICT_AVP, AVP_BY_CODE_AND_VENDOR, &by, &avp, 0);
	else
		(void)fd_dict_search(dict, DICT_AVP, AVP_BY_CODE, &plain, &avp, 0);
	return avp && fd_dict_getval(avp, &data) == 0 ? kind_of_base(data.avp_basetype) : M2M_GUARD_UNKNOWN;
}

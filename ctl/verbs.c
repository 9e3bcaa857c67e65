/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of verbs and the table of options: all that m2mctl can do, and its help. Constant data. */
#include "ctl/ctl.h"

const struct ctl_option ctl_options[CTL_OPTIONS] = {
	[CTL_HELP] = { "--help", NULL, true, "show help and examples" },
	[CTL_JSON] = { "--json", NULL, true, "one JSON object a line" },
	[CTL_MAS] = { "--mas", "FILE", false, "configuration of mas.fdx (else $M2M_MAS_CONF)" },
	[CTL_MTF] = { "--mtf", "FILE", false, "configuration of mtf.fdx (else $M2M_MTF_CONF)" },
	[CTL_CSF] = { "--csf", "FILE", false, "configuration of csf.fdx (else $M2M_CSF_CONF)" },
	[CTL_IDENTITY] = { "--identity", "FQDN", false,
			   "Diameter identity of the server; needed only before its first start, where its "
			   "configuration names none" },
	[CTL_KEY_FILE] = { "--key-file", "FILE", false,
			   "the key in hex (16 to 64 octets), in a file that only its owner may read; - reads standard "
			   "input" },
	[CTL_CERTIFICATE] = { "--certificate", "FILE", false,
			      "name the credential by the fingerprint of this PEM certificate" },
	[CTL_CREDENTIAL] = { "--credential", "NAME", true, "a credential that the node may enrol with" },
	[CTL_APP_ID] = { "--app-id", "APP-ID", true, "an App-ID of the node" },
	[CTL_FOR_MAS] = { "--mas", "MAS-ID", true, "a MAS that gets a root key for the node" },
	[CTL_TARGET] = { "--target", "CSE-ID", true, "an IN-CSE that the node may associate with" },
	[CTL_KEY_LIFE] = { "--key-life", "TIME", false,
			   "how long its root keys live, as in 90d or 2y (else root-key-life of the configuration)" },
	[CTL_EXPIRES] = { "--expires", "TIME", false,
			  "when the enrolment ends, as in 20271124T000000 (UTC); no root key outlives it" },
	[CTL_YES] = { "--yes", NULL, true, "do not ask first" },
	[CTL_PASSPHRASE] = { "--passphrase-file", "FILE", false,
			     "open the keyring by the passphrase in this file too, which only its owner may read; - "
			     "reads standard input (kek only)" },
	[CTL_RECOVERY] = { "--recovery-file", "FILE", false,
			   "make a recovery passphrase and write it to this new file, to be printed and put away" },
	[CTL_NO_RECOVERY] = { "--no-recovery", NULL, true,
			      "make none: if the key encryption key is lost, so is everything in the store" },
	[CTL_WITH_KEYRING] = { "--with-keyring", NULL, true,
			       "the keyring too: with the key encryption key, which is never in a backup, it opens "
			       "all" },
	[CTL_ROOT] = { "--root", NULL, true,
		       "a new root master key too, under every slot: each slot's key has to be at hand" },
	[CTL_DRY_RUN] = { "--dry-run", NULL, true, "tell what would be done, and whether it could be; change nothing" },
	[CTL_FIRST_KEY] = { "--first-key", "HEX", false,
			    "the key that signs the first checkpoint, as it was noted when the log was new" },
	[CTL_QUICK] = { "--quick", NULL, true, "look at the pages and one record only, not at every record" },
	[CTL_ENROLEE] = { "--enrolee", "ENROLEE-ID", true, "all keys of this node" },
	[CTL_FILE] = { "--file", "LIST", false,
		       "what this file names: a key or an Enrolee-Id a line, # begins a comment" },
	[CTL_PROVIDER] = { "--provider", "FQDN", false,
			   "all that is of this service provider's nodes, and nothing else" },
	[CTL_FRONT] = { "--front", "SOCKET", false, "the control socket of m2m-front" },
	[CTL_FROM_MTF] = { "--mtf", "HOST", false, "only from this MTF (else from all)" },
	[CTL_STATUS] = { "--status", NULL, true, "tell how far it is, instead" },
	[CTL_STAKEHOLDER] = { "--stakeholder", "FQDN", false,
			      "the M2M Administrating Stakeholder of its root keys (else its service provider)" },
	[CTL_REASON] = { "--reason", "REASON", false,
			 "unspecified (without it; a MAS keeps it as policy), compromise, superseded, decommissioned, "
			 "policy; or 1 to 5" },
	[CTL_REVOKE] = { "--revoke", NULL, true, "revoke all that it was given first" },
	[CTL_FORMAT] = { "--format", "FORMAT", false, "csv, ndjson, pskc (else by the file's name)" },
	[CTL_REPORT] = { "--report", "FILE", false,
			 "write each refused row to this new file, one JSON object a line, not to standard error" },
	[CTL_ALL_OR_NOTHING] = { "--all-or-nothing", NULL, true,
				 "read the file twice, and store nothing if a row would be refused" },
	[CTL_ENROLEE_PATTERN] = { "--enrolee", "PATTERN", false,
				  "the Enrolee-Id of a row that has none, with {serial} or {key-id} for what the row "
				  "has there" },
	[CTL_CREDENTIAL_PATTERN] = { "--credential", "PATTERN", false,
				     "likewise the credential (else psk:{key-id}, or psk:{serial})" },
	[CTL_IGNORE] = { "--ignore", "NAME", true, "a column or member of the file that is of no use" },
	[CTL_TRANSPORT_KEY] = { "--transport-key", "NAME=FILE", true,
				"the AES key of that name, in hex in a file that only its owner may read: what keys "
				"are wrapped or a container is encrypted under" },
	[CTL_PASSWORD_FILE] = { "--password-file", "FILE", false,
				"the password of a PSKC file, in a file that only its owner may read" },
	[CTL_CSV] = { "--csv", NULL, true, "CSV, the first line names the columns" },
	[CTL_FREEDIAMETER] = { "--freediameter", "FILE", false, "the host's own configuration" },
	[CTL_WAIT] = { "--wait", "TIME", false,
		       "first have the running server try at once whoever it waits for, and wait until nothing is due, "
		       "this long at most, as in 30s" },
};

#define MAS_OPTIONS (CTL_BIT(CTL_HELP) | CTL_BIT(CTL_MAS) | CTL_BIT(CTL_IDENTITY) | CTL_BIT(CTL_PASSPHRASE))
#define RING_OPTIONS (CTL_BIT(CTL_HELP) | CTL_BIT(CTL_MAS) | CTL_BIT(CTL_MTF) | CTL_BIT(CTL_PASSPHRASE))
#define MTF_OPTIONS (CTL_BIT(CTL_HELP) | CTL_BIT(CTL_MTF) | CTL_BIT(CTL_IDENTITY) | CTL_BIT(CTL_PASSPHRASE))
/* Of either server, opened. */
#define OPEN_OPTIONS (RING_OPTIONS | CTL_BIT(CTL_IDENTITY))

#define IMPORT_OPTIONS                                                                                            \
	(MTF_OPTIONS | CTL_BIT(CTL_FORMAT) | CTL_BIT(CTL_FOR_MAS) | CTL_BIT(CTL_TARGET) | CTL_BIT(CTL_APP_ID) |   \
	 CTL_BIT(CTL_STAKEHOLDER) | CTL_BIT(CTL_KEY_LIFE) | CTL_BIT(CTL_EXPIRES) | CTL_BIT(CTL_ENROLEE_PATTERN) | \
	 CTL_BIT(CTL_CREDENTIAL_PATTERN) | CTL_BIT(CTL_IGNORE) | CTL_BIT(CTL_TRANSPORT_KEY) |                     \
	 CTL_BIT(CTL_PASSWORD_FILE) | CTL_BIT(CTL_DRY_RUN) | CTL_BIT(CTL_ALL_OR_NOTHING) | CTL_BIT(CTL_REPORT))

const struct ctl_verb ctl_verbs[] = {
	{ "init", ctl_init, "", 0, 0,
	  CTL_BIT(CTL_HELP) | CTL_BIT(CTL_MAS) | CTL_BIT(CTL_MTF) | CTL_BIT(CTL_RECOVERY) | CTL_BIT(CTL_NO_RECOVERY),
	  "make the store, the keyring and the key encryption key that a configuration names",
	  "What exists already is never touched. Run it as the user that the server runs as.",
	  "m2mctl init --mas /etc/m2m/mas.conf --recovery-file /root/mas.recovery" },
	{ "check-config", ctl_check_config, "", 0, 0,
	  CTL_BIT(CTL_HELP) | CTL_BIT(CTL_JSON) | CTL_BIT(CTL_MAS) | CTL_BIT(CTL_MTF) | CTL_BIT(CTL_CSF) |
		  CTL_BIT(CTL_FREEDIAMETER),
	  "check configuration files as the servers do at their start, without opening anything",
	  "Of the host's configuration it tells what would log keys or weaken the transport.",
	  "m2mctl check-config --mas /etc/m2m/mas.conf --freediameter /etc/m2m/mas-freediameter.conf" },
	{ "backup", ctl_backup, "DIR", 1, 1, OPEN_OPTIONS | CTL_BIT(CTL_WITH_KEYRING),
	  "copy a server's store to a new folder, beside the running server",
	  "The copy is of one moment, on stable storage when the command ends, with a manifest (SHA-256, epoch).",
	  "m2mctl backup /backup/mas-20271124 --mas /etc/m2m/mas.conf" },
	{ "check", ctl_check, "", 0, 0, OPEN_OPTIONS | CTL_BIT(CTL_JSON),
	  "check every page, record and index of a server's store",
	  "Beside the running server. Names the first bad page, or every bad record; exit status 3 then.",
	  "m2mctl check --mas /etc/m2m/mas.conf" },
	{ "restore", ctl_restore, "DIR", 1, 1, OPEN_OPTIONS | CTL_BIT(CTL_YES) | CTL_BIT(CTL_QUICK),
	  "put a backup in the place of a stopped server's store",
	  "The backup is shown to be good first: hashes, pages, server, every record. Then it tells what will be lost, "
	  "and asks.\n"
	  "The data file that was there is kept. A keyring that is there stays; a missing one comes from the backup.",
	  "m2mctl restore /backup/mas-20271124 --mas /etc/m2m/mas.conf" },
	{ "outbox", ctl_outbox_list, "", 0, 0, OPEN_OPTIONS | CTL_BIT(CTL_JSON) | CTL_BIT(CTL_WAIT),
	  "list what a server owes its peers: revocations and notifications that were not answered yet",
	  "Beside the running server, which goes on trying. Why a peer has not taken them, and how often, is in each "
	  "row.\n"
	  "With --wait, to be used before a server is stopped: exit status 4 and the rows if something is due still.",
	  "m2mctl outbox --mas /etc/m2m/mas.conf" },
	{ "audit verify", ctl_audit_verify, "[FILE]", 0, 1,
	  CTL_BIT(CTL_HELP) | CTL_BIT(CTL_JSON) | CTL_BIT(CTL_MAS) | CTL_BIT(CTL_MTF) | CTL_BIT(CTL_IDENTITY) |
		  CTL_BIT(CTL_FIRST_KEY),
	  "check that a server's audit log is whole, beside the running server",
	  "Names the first line that is not as the server wrote it; exit status 3 then. With --mas or --mtf the log "
	  "must "
	  "reach\n"
	  "as far as the store says; FILE is another place of it. A FILE alone is checked in itself.",
	  "m2mctl audit verify --mas /etc/m2m/mas.conf" },
	{ "audit name", ctl_audit_name, "NAME", 1, 1,
	  CTL_BIT(CTL_HELP) | CTL_BIT(CTL_MAS) | CTL_BIT(CTL_MTF) | CTL_BIT(CTL_IDENTITY),
	  "tell under which name a key stands in the audit log", "NAME is a KmID, a KeID or an association key's KI.",
	  "m2mctl audit name 000102030405060708090a0b0c0d0e0f@mas.example.com --mas /etc/m2m/mas.conf" },
	{ "credential add", ctl_credential_add, "[NAME]", 0, 1,
	  MTF_OPTIONS | CTL_BIT(CTL_KEY_FILE) | CTL_BIT(CTL_CERTIFICATE), "store what a node enrols with",
	  "NAME says the kind: psk:IDENTITY (with --key-file), uri:URI or dns:NAME (a subjectAltName of the node's "
	  "certificate),\n"
	  "sha256:HEX (its fingerprint, which --certificate computes).",
	  "m2mctl credential add psk:node-7 --key-file node-7.key --mtf /etc/m2m/mtf.conf" },
	{ "credential list", ctl_credential_list, "", 0, 0, MTF_OPTIONS | CTL_BIT(CTL_JSON),
	  "list the credentials (never their keys)", NULL, "m2mctl credential list --json" },
	{ "credential show", ctl_credential_list, "NAME", 1, 1, MTF_OPTIONS | CTL_BIT(CTL_JSON),
	  "show one credential (never its key)", NULL, "m2mctl credential show psk:node-7" },
	{ "credential remove", ctl_credential_remove, "NAME", 1, 1, MTF_OPTIONS | CTL_BIT(CTL_YES),
	  "remove a credential", "Its key cannot be had back. Root keys that were issued with it live on.",
	  "m2mctl credential remove psk:node-7 --yes" },
	{ "enrolee add", ctl_enrolee_add, "ENROLEE-ID", 1, 1,
	  MTF_OPTIONS | CTL_BIT(CTL_CREDENTIAL) | CTL_BIT(CTL_APP_ID) | CTL_BIT(CTL_FOR_MAS) | CTL_BIT(CTL_TARGET) |
		  CTL_BIT(CTL_KEY_LIFE) | CTL_BIT(CTL_EXPIRES) | CTL_BIT(CTL_STAKEHOLDER),
	  "tell the MTF what a node becomes when it enrols",
	  "ENROLEE-ID is an absolute CSE-ID or AE-ID. At least one --credential, --mas and --target; each may be "
	  "repeated.",
	  "m2mctl enrolee add //sp.example.com/node-7 --credential psk:node-7 --mas mas.example.com \\\n"
	  "      --target //sp.example.com/in-cse --key-life 365d" },
	{ "enrolee set", ctl_enrolee_set, "ENROLEE-ID", 1, 1,
	  MTF_OPTIONS | CTL_BIT(CTL_APP_ID) | CTL_BIT(CTL_FOR_MAS) | CTL_BIT(CTL_TARGET) | CTL_BIT(CTL_KEY_LIFE) |
		  CTL_BIT(CTL_EXPIRES),
	  "change what a node becomes when it enrols next",
	  "What is named takes the place of all that was there of its kind (each --mas, not one more); the rest stays. "
	  "--expires never, --key-life default. Keys that it has, and an enrolment under way, stay as they are.",
	  "m2mctl enrolee set //sp.example.com/node-7 --mas mas.example.com --mas mas2.example.net" },
	{ "enrolee list", ctl_enrolee_list, "", 0, 0, MTF_OPTIONS | CTL_BIT(CTL_JSON) | CTL_BIT(CTL_PROVIDER),
	  "list the nodes that may enrol", NULL, "m2mctl enrolee list" },
	{ "enrolee show", ctl_enrolee_list, "ENROLEE-ID", 1, 1, MTF_OPTIONS | CTL_BIT(CTL_JSON),
	  "show one node, with its latest enrolment", NULL, "m2mctl enrolee show //sp.example.com/node-7" },
	{ "enrolee remove", ctl_enrolee_remove, "ENROLEE-ID", 1, 1,
	  MTF_OPTIONS | CTL_BIT(CTL_YES) | CTL_BIT(CTL_REVOKE) | CTL_BIT(CTL_REASON),
	  "a node may not enrol any more; its credentials are nobody's",
	  "While its latest enrolment is good it is refused, unless --revoke ends it first (reason: decommissioned).",
	  "m2mctl enrolee remove //sp.example.com/node-7 --revoke --reason compromise --yes" },
	{ "enrolment list", ctl_enrolment_list, "", 0, 0, MTF_OPTIONS | CTL_BIT(CTL_JSON) | CTL_BIT(CTL_PROVIDER),
	  "list the enrolments that the MTF has recorded", NULL, "m2mctl enrolment list --mtf /etc/m2m/mtf.conf" },
	{ "import", ctl_import, "FILE", 1, 1, IMPORT_OPTIONS,
	  "store credentials and instructions from a file, beside the running server",
	  "FILE is CSV whose first line names the columns, or a JSON object a line, or a PSKC container (RFC 6030); - "
	  "reads\n"
	  "standard input. Columns and members:\n"
	  "  serial, key-id, credential, key (hex), or wrapped-key (hex) and transport-key (a name),\n"
	  "  enrolee, app-id, mas, target, stakeholder, key-life, expires\n"
	  "credential, app-id, mas and target may have several values: in CSV each in a column, or in a line of a "
	  "quoted field.\n"
	  "Options say what a row does not. A row without enrolee is a credential only. A row is stored whole or not "
	  "at "
	  "all:\n"
	  "refused ones are told and left out (exit status 1). What is there already, the same, stays as it is: an "
	  "import that\n"
	  "was cut short is completed by running it again.",
	  "m2mctl import devices.csv --enrolee '//sp.example.com/{serial}' --mas mas.example.com \\\n"
	  "      --target //sp.example.com/in-cse" },
	{ "export", ctl_export, "", 0, 0, MTF_OPTIONS | CTL_BIT(CTL_JSON) | CTL_BIT(CTL_CSV),
	  "write all credentials (never their keys), instructions and enrolments",
	  "A JSON object a line, or CSV, as import reads it: of a psk: credential the key has to be there already.",
	  "m2mctl export --csv >devices.csv" },
	{ "key list", ctl_key_list, "", 0, 0, MAS_OPTIONS | CTL_BIT(CTL_JSON) | CTL_BIT(CTL_PROVIDER),
	  "list the root keys of a MAS (never the keys themselves)", NULL,
	  "m2mctl key list --json | jq -r 'select(.state == \"active\") | .kmId'" },
	{ "key show", ctl_key_list, "KMID", 1, 1, MAS_OPTIONS | CTL_BIT(CTL_JSON),
	  "show one root key (never the key itself)", NULL,
	  "m2mctl key show 000102030405060708090a0b0c0d0e0f@mas.example.com" },
	{ "revoke", ctl_revoke, "[KEY]", 0, 1,
	  OPEN_OPTIONS | CTL_BIT(CTL_ENROLEE) | CTL_BIT(CTL_FILE) | CTL_BIT(CTL_PROVIDER) | CTL_BIT(CTL_REASON) |
		  CTL_BIT(CTL_YES) | CTL_BIT(CTL_DRY_RUN),
	  "revoke keys for good: one, a node's, those of a list, or all of a service provider",
	  "KEY is a KmID; at an MTF a KeID, which stands for the root keys at all of its MASs, and the server tells "
	  "them. "
	  "The\n"
	  "server may run. A file with a bad line changes nothing; what it names that is not here is told, the rest is "
	  "revoked,\n"
	  "and the exit status is 1. At an MTF the node may enrol again: enrolee remove ends that.",
	  "m2mctl revoke --enrolee //sp.example.com/node-7 --reason compromise --mas /etc/m2m/mas.conf" },
	{ "fetch", ctl_fetch, "", 0, 0, MAS_OPTIONS | CTL_BIT(CTL_FROM_MTF) | CTL_BIT(CTL_STATUS) | CTL_BIT(CTL_JSON),
	  "have a MAS ask its MTFs for all of its root keys",
	  "The running server sees to it within a second, or the next one when it starts; it serves meanwhile.\n"
	  "What is revoked at either side is revoked at this one in the end.",
	  "m2mctl fetch --mas /etc/m2m/mas.conf && m2mctl fetch --status --mas /etc/m2m/mas.conf" },
	{ "fuse list", ctl_fuse_list, "", 0, 0, CTL_BIT(CTL_HELP) | CTL_BIT(CTL_MAS) | CTL_BIT(CTL_JSON),
	  "list the CSEs with a fuse (fuse-keys), and whose has blown",
	  "One that has blown gets no association key, after a restart neither.",
	  "m2mctl fuse list --mas /etc/m2m/mas.conf" },
	{ "fuse lift", ctl_fuse_lift, "PEER", 1, 1, CTL_BIT(CTL_HELP) | CTL_BIT(CTL_MAS) | CTL_BIT(CTL_YES),
	  "give association keys again to a CSE whose fuse has blown",
	  "The server may run; it writes this to its audit log, and begins to count anew.",
	  "m2mctl fuse lift csf.example.com --mas /etc/m2m/mas.conf" },
	{ "kek list", ctl_kek_list, "", 0, 0, RING_OPTIONS | CTL_BIT(CTL_JSON),
	  "list the slots of a keyring: which key encryption keys open it", "Needs none of them, and so proves none.",
	  "m2mctl kek list --mas /etc/m2m/mas.conf" },
	{ "kek test", ctl_kek_test, "[SOURCE]", 0, 1, RING_OPTIONS, "show that a key encryption key opens its slot",
	  "SOURCE as for kek add; without it, each one that the configuration names is tried.",
	  "m2mctl kek test passphrase:/media/usb/mas.recovery --mas /etc/m2m/mas.conf" },
	{ "kek add", ctl_kek_add, "SOURCE", 1, 1, RING_OPTIONS, "add a slot, once it was shown to open the keyring",
	  "SOURCE is file:PATH (made if it is not there), credential:NAME (of the unit), or passphrase:FILE (- reads "
	  "standard\n"
	  "input). The daemon may run; it needs no restart.",
	  "m2mctl kek add file:/etc/m2m/mas2.kek --mas /etc/m2m/mas.conf" },
	{ "kek remove", ctl_kek_remove, "SLOT", 1, 1, RING_OPTIONS | CTL_BIT(CTL_YES), "remove a slot",
	  "The last one that works stays. --yes takes it that only one is left.",
	  "m2mctl kek remove 1 --mas /etc/m2m/mas.conf" },
	{ "rotate", ctl_rotate, "", 0, 0, OPEN_OPTIONS | CTL_BIT(CTL_ROOT) | CTL_BIT(CTL_DRY_RUN),
	  "seal every record under a new data key, and destroy the older ones",
	  "The daemon may run. Stopped or killed at any point, it goes on when it is run again.",
	  "m2mctl rotate --mas /etc/m2m/mas.conf" },
	{ "purge", ctl_purge, "", 0, 0, OPEN_OPTIONS | CTL_BIT(CTL_DRY_RUN),
	  "rotate with --root, and take what was deleted out of the store's file",
	  "The server has to be stopped. The key of every slot has to be at hand, as for rotate --root.",
	  "m2mctl purge --mas /etc/m2m/mas.conf --passphrase-file /media/usb/mas.recovery" },
	{ "upgrade", ctl_upgrade, "", 0, 0, RING_OPTIONS | CTL_BIT(CTL_DRY_RUN),
	  "bring the store of a stopped server up to this version's schema, as its start does too",
	  "By copy: the old file is kept beside the new one until you remove it.",
	  "m2mctl upgrade --mas /etc/m2m/mas.conf --dry-run" },
	{ "association list", ctl_association_list, "", 0, 0,
	  CTL_BIT(CTL_HELP) | CTL_BIT(CTL_JSON) | CTL_BIT(CTL_FRONT),
	  "list the associations that run through an m2m-front", NULL,
	  "m2mctl association list --front /run/m2m/front" },
	{ "association close", ctl_association_close, "N|KI|KMID", 1, 1, CTL_BIT(CTL_HELP) | CTL_BIT(CTL_FRONT),
	  "close a running association, or all of a key",
	  "Its key stays good: the node may come again. To end that, revoke the root key.",
	  "m2mctl association close 17 --front /run/m2m/front" },
	{ NULL, NULL, NULL, 0, 0, 0, NULL, NULL, NULL },
};

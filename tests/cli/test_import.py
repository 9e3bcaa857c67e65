#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""m2mctl import from outside: what an operator gives it, what it says, what is there afterwards, and that no key octet is printed."""
import base64
import json
import os
import pty
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True  # make check leaves nothing in the source tree
from test_m2mctl import MAS_ID, M2MCTL, OK, REFUSED, SEED_MTF, SP, SYSTEM, TARGET, TOP, USAGE, Case, LastOfAll, keys, new_key, outputs, run  # noqa: E402

INSTRUCT = ("--enrolee", f"//{SP}/{{serial}}", "--mas", MAS_ID, "--target", TARGET)


class ImportCase(Case):
    def setUp(self):
        super().setUp()
        self.env = {"M2M_MTF_CONF": self.mtf}
        self.good("init", "--no-recovery", env=self.env)

    def imp(self, *args, **kw):
        return run("import", *args, env=self.env, **kw)

    def stored(self, new, there, refused, *args, status=None, **kw):
        """An import that says just these counts."""
        p = self.imp(*args, **kw)
        self.assertEqual(p.returncode, status if status is not None else REFUSED if refused else OK, p.stderr)
        self.assertRegex(p.stdout, rf"^(would store|stored) {new} rows?, {there} (was|were) there already, {refused} refused")
        return p

    @staticmethod
    def lines(n, start=0):
        """Keys with one beginning, so that one search finds whichever was printed."""
        half = new_key()[:16].hex()
        return "".join(f"sn-{i},{half}{os.urandom(16).hex()}\r\n" for i in range(start, start + n))

    def vendor(self, n, name="devices.csv"):
        return self.write(name, "serial,key\r\n" + self.lines(n))

    def names(self):
        return sorted(c["name"] for c in self.rows("credential", "list", "--mtf", self.mtf))

    def enrolees(self):
        return self.rows("enrolee", "list", "--mtf", self.mtf)


class Csv(ImportCase):
    def test_a_vendors_file_of_serial_and_key_is_enough(self):
        path = self.vendor(3)
        p = self.stored(3, 0, 0, path, *INSTRUCT, "--app-id", "Nmeter", "--key-life", "90d", "--expires", "20991231T000000",
                        "--stakeholder", "owner.example.com")
        self.assertEqual(p.stderr, "")
        self.assertRegex(p.stdout, r"refused(; \d+ rows/s)?\n$")
        self.assertEqual(self.names(), ["psk:sn-0", "psk:sn-1", "psk:sn-2"])
        e = self.enrolees()[1]
        e.pop("created")
        self.assertEqual(e, {"enroleeId": f"//{SP}/sn-1", "credentials": ["psk:sn-1"], "appIds": ["Nmeter"], "masIds": [MAS_ID],
                             "associationTargets": [TARGET], "administratingStakeholderId": "owner.example.com", "keyLife": 90 * 86400,
                             "expires": "20991231T000000", "enrolled": None, "keId": None})

    def test_again(self):
        path = self.vendor(3)
        self.stored(3, 0, 0, path, *INSTRUCT)
        self.stored(0, 3, 0, path, *INSTRUCT)
        self.stored(0, 3, 0, path)
        self.stored(0, 0, 3, path, *INSTRUCT, "--app-id", "Nother")

    def test_each_column(self):
        key = new_key(16).hex()
        path = self.write("all.csv", "credential,key,enrolee,mas,mas,target,app-id,stakeholder,key-life,expires,imei\n"
                          f'psk:a,{key},//{SP}/a,{MAS_ID},mas2.example.com,{TARGET},"Na\nNb",o.example.com,1d,2099-12-31T00:00:00Z,1\n'
                          f"uri:urn:b,,//{SP}/b,,,,,,,,2\n"
                          "dns:c.example.com,,,,,,,,,,3\n")
        self.stored(3, 0, 0, path, "--ignore", "imei", "--mas", MAS_ID, "--target", TARGET)
        a, b = self.enrolees()
        self.assertEqual((a["masIds"], a["appIds"], a["keyLife"], a["expires"]),
                         ([MAS_ID, "mas2.example.com"], ["Na", "Nb"], 86400, "20991231T000000"))
        self.assertEqual((b["credentials"], b["masIds"]), (["uri:urn:b"], [MAS_ID]))
        self.assertEqual(self.names(), ["dns:c.example.com", "psk:a", "uri:urn:b"])

    def test_patterns(self):
        path = self.write("d.csv", f"serial,key-id,key\n1,k1,{new_key().hex()}\n2,,{new_key().hex()}\n,k3,{new_key().hex()}\n")
        p = self.stored(2, 0, 1, path, "--enrolee", f"//{SP}/n-{{serial}}", "--mas", MAS_ID, "--target", TARGET)
        self.assertIn("line 4: serial: missing, and a pattern needs it", p.stderr)
        self.assertEqual(self.names(), ["psk:2", "psk:k1"])
        path = self.write("e.csv", f"serial,key-id,key\n1,k1,{new_key().hex()}\n")
        self.stored(1, 0, 0, path, "--credential", "psk:{serial}/{key-id}")
        self.assertIn("psk:1/k1", self.names())

    def test_bad_rows_are_told_and_the_good_ones_stored(self):
        good, other, short = new_key().hex(), new_key().hex(), new_key(8).hex()
        path = self.write("d.csv", "serial,key,enrolee,mas,target,key-life\n"
                          f"a,{good},,,,\n"            # 2
                          f"b,{short},,,,\n"           # 3
                          f"c,{good}0,,,,\n"           # 4
                          f"{good},{good}x,,,,\n"      # 5
                          f"a,{other},,,,\n"           # 6
                          "d,,,,,\n"                   # 7
                          f"e,{good},//{SP}/e,{good},{TARGET},\n"      # 8: a key in another column
                          f"f,{good},{good},{MAS_ID},{TARGET},\n"      # 9
                          f"g,{good},,{MAS_ID},,\n"    # 10
                          f"h,{good},//{SP}/h,{MAS_ID},{TARGET},{good}\n"  # 11
                          f"i,\"{good},,,,\"\n"        # 12
                          f"j,{good},,,,\n")           # 13
        p = self.stored(2, 0, 10, path)
        self.assertEqual(self.names(), ["psk:a", "psk:j"])
        told = dict(re.findall(rf"^{re.escape(path)}: line (\d+): ([a-z-]+): ", p.stderr, re.M))
        self.assertEqual(told, {"3": "key", "4": "key", "5": "key", "6": "key", "7": "key", "8": "mas", "9": "enrolee", "10": "enrolee",
                                "11": "key-life"})
        self.assertIn("line 12: 2 fields, where the first line names 6", p.stderr)
        self.assertIn("m2mctl: " + path + ": 10 rows were refused", p.stderr)

    def test_report(self):
        path = self.write("d.csv", f"serial,key\na,{new_key().hex()}\nb,00\nc\n")
        report = os.path.join(self.dir, "refused")
        p = self.stored(1, 0, 2, path, "--report", report)
        self.assertEqual(p.stderr, f"m2mctl: {path}: 2 rows were refused\n")
        self.assertEqual([json.loads(line) for line in self.text_of(report).splitlines()],
                         [{"line": 3, "field": "key", "reason": "not of 16 to 64 octets"},
                          {"line": 4, "field": None, "reason": "1 fields, where the first line names 2"}])
        self.bad(SYSTEM, "refused: File exists", "import", path, "--report", report, env=self.env)

    def test_dry_run(self):
        path = self.write("d.csv", f"credential,key,enrolee\npsk:a,{new_key().hex()},\npsk:a,,//{SP}/a\npsk:a,,//{SP}/b\npsk:b,,//{SP}/c\n")
        args = (path, "--mas", MAS_ID, "--target", TARGET)
        p = self.stored(2, 0, 2, *args, "--dry-run")
        self.assertIn("nothing was changed", p.stdout)
        self.assertEqual(self.names(), [])
        self.assertEqual(self.stored(2, 0, 2, *args).stderr, p.stderr)

    def test_all_or_nothing(self):
        path = self.vendor(5)
        with open(path, "a") as f:
            f.write("sn-9,00\r\n")
        p = self.stored(5, 0, 1, path, *INSTRUCT, "--all-or-nothing")
        self.assertRegex(p.stderr, r"line 7: key: not of 16 to 64 octets\nm2mctl: \S+: nothing was stored: 1 row is refused")
        self.assertEqual(self.names(), [])
        path = self.vendor(5, "good.csv")
        self.stored(5, 0, 0, path, *INSTRUCT, "--all-or-nothing")
        self.assertEqual(len(self.enrolees()), 5)
        with open(path) as f:
            self.bad(USAGE, "reads it twice: give it as a file, not a pipe", "import", "-", "--format", "csv", "--all-or-nothing",
                     env=self.env, data=f.read())

    def test_a_file_that_cannot_be_read_on(self):
        good = new_key().hex()
        for text, reason in (("", "empty: the first line has to name the columns"),
                             (f"a,{good}\n", "line 1: column 1: the first line has to name the columns"),
                             (f"serial,key\na,{good}\nb,\"{good}\n", "line 3: a quote does not end")):
            with self.subTest(reason):
                p = self.imp(self.write("d.csv", text))
                self.assertEqual(p.returncode, USAGE)
                self.assertIn(reason, p.stderr)
        self.assertEqual(self.names(), ["psk:a"])

    def test_usage(self):
        path, good = self.vendor(1), ["--mas", MAS_ID]
        for args, reason in (((), "FILE is missing"),
                             ((path, "x"), "x is too much"),
                             ((self.write("devices", ""),), "what format"),
                             ((path, "--format", "xls"), "what format"),
                             ((path, "--enrolee", f"//{SP}/a"), r"--enrolee: without \{serial\}"),
                             ((path, "--enrolee", f"//{SP}/{{imei}}"), r"--enrolee: only \{serial\}"),
                             ((path, "--credential", "psk:{serial"), r"--credential: only \{serial\}"),
                             ((path, "--key-life", "soon"), "--key-life: is no time"),
                             ((path, "--key-life", "0"), "--key-life: is no time"),
                             ((path, "--expires", "soon"), "--expires: is no time"),
                             ((self.dir, "--format", "csv"), "is a folder")):
            with self.subTest(args=args):
                self.bad(USAGE, reason, "import", *args, *good, env=self.env)
        self.bad(REFUSED, "No such file", "import", path + "x.csv", env=self.env)
        self.bad(USAGE, "which MTF", "import", path)
        self.assertEqual(self.names(), [])

    def test_a_file_that_others_can_read(self):
        path = self.vendor(1)
        os.chmod(path, 0o644)
        p = self.stored(1, 0, 0, path)
        self.assertEqual(p.stderr, f"m2mctl: {path}: others can get at its keys (mode 0644); it should be 0600, and deleted afterwards\n")


class Ndjson(ImportCase):
    def test_members(self):
        key = new_key().hex()
        rows = [{"serial": "a", "key": key}, {"credential": ["uri:urn:b", "dns:b.example.com"], "enrolee": f"//{SP}/b", "mas": [MAS_ID],
                                              "target": TARGET, "app-id": ["N1", "N2"], "key-life": 60, "expires": None},
                {"credential": "psk:a", "enrolee": f"//{SP}/a", "mas": MAS_ID, "target": [TARGET], "key-life": "1h"}]
        text = "".join(json.dumps(r) + "\n" for r in rows)
        for new, there in ((3, 0), (0, 3)):
            self.stored(new, there, 0, self.write("d.ndjson", text))
        self.assertEqual([(e["enroleeId"], e["keyLife"]) for e in self.enrolees()], [(f"//{SP}/a", 3600), (f"//{SP}/b", 60)])

    def test_from_a_pipe(self):
        text = json.dumps({"serial": "a", "key": new_key().hex()})
        self.stored(1, 0, 0, "-", "--format", "ndjson", data=text)
        p = self.stored(0, 0, 1, "-", "--format", "ndjson", data="{}")
        self.assertIn("standard input: line 1: serial: missing", p.stderr)

    def test_refused(self):
        key = new_key().hex()
        for row, reason in (("[]", "line 1: is JSON, but no object"),
                            (f'{{"key":"{key}"', "line 1: is no JSON object"),
                            (f'{{"{key}":1}}', "line 1: member 1 has no name that import knows"),
                            (f'{{"serial":"a","key":"{key}","record":"{key}"}}', "line 1: record: is none of"),
                            (f'{{"serial":"a","key":["{key}"]}}', "line 1: key: is no string"),
                            (f'{{"serial":"a","key":"{key}","mas":"{MAS_ID}"}}', "line 1: enrolee: missing"),
                            (f'{{"serial":"{key * 4}","key":"{key}"}}', "line 1: credential: longer than 255"),
                            ('{"serial":"a","key":"' + "0" * 70000 + '"}', "longer than 65536 octets")):
            with self.subTest(reason):
                p = self.imp(self.write("d.jsonl", row + "\n"))
                self.assertIn(reason, p.stderr)
                self.assertIn(p.returncode, (REFUSED, USAGE))
        self.assertEqual(self.names(), [])


NS = 'xmlns="urn:ietf:params:xml:ns:keyprov:pskc"'


class Pskc(ImportCase):
    """pskctool, of others, reads what we read: its keys are already there when they come again as CSV."""

    def containers(self, n):
        packages = "".join(f"<KeyPackage><DeviceInfo><Manufacturer>M</Manufacturer><SerialNo>sn-{i}</SerialNo></DeviceInfo><Key Id=\"{i}\" Algorithm=\""
                           f"urn:ietf:params:xml:ns:keyprov:pskc:hotp\"><Data><Secret><PlainValue>{base64.b64encode(new_key()).decode()}"
                           "</PlainValue></Secret></Data></Key></KeyPackage>" for i in range(n))
        return self.write("devices.pskc", f'<?xml version="1.0"?><KeyContainer Version="1.0" {NS}>{packages}</KeyContainer>')

    def pskctool(self, *args):
        return subprocess.run(["pskctool", *args], capture_output=True, text=True, check=True, timeout=60, cwd=self.dir).stdout

    def as_csv(self, path):
        rows, fields = [], {}
        for name, value in re.findall(r"^\s*(SerialNo|Id|Key Secret \(base64\)): (\S+)$", self.pskctool("--info", path), re.M):
            fields[name.split()[0]] = value
            if name.startswith("Key Secret"):
                rows.append(f"{fields['SerialNo']},{fields['Id']},{base64.b64decode(value).hex()}")
        return self.write("same.csv", "serial,key-id,key\n" + "\n".join(rows) + "\n"), len(rows)

    def test_what_pskctool_reads(self):
        path = self.containers(50)
        self.assertEqual(self.pskctool("--validate", path).strip(), "OK")
        self.stored(50, 0, 0, path, *INSTRUCT)
        csv, n = self.as_csv(path)
        self.assertEqual(n, 50)
        self.stored(0, 50, 0, csv, *INSTRUCT)

    def test_what_pskctool_signs(self):
        path = self.containers(3)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "key.pem", "-out", "crt.pem"],
                       cwd=self.dir, capture_output=True, check=True)
        signed = self.write("signed.xml", self.pskctool("--sign", "--sign-key", "key.pem", "--sign-crt", "crt.pem", path))
        self.stored(3, 0, 0, signed)
        self.stored(0, 3, 0, path)

    def test_the_rfcs_containers(self):
        psk = self.write("psk", "12345678901234567890123456789012\n")  # RFC 6030, figures 6 and 7
        password = self.write("password", "qwerty\n")
        csv = self.write("same.csv", "serial,key-id,key\n" + "".join(
            f"{s},{k},3132333435363738393031323334353637383930\n" for s, k in
            (("987654321", "12345678"), ("987654321", "123456"), ("0755225266", "123"), ("654321", "1"), ("123456", "2"), ("9999999", "3"),
             ("9999999", "4"))))
        for figure, new, there, refused in ((3, 1, 0, 0), (6, 0, 1, 0), (7, 1, 0, 0), (9, 1, 0, 0), (10, 4, 0, 0), (2, 0, 0, 1), (4, 0, 0, 1),
                                            (5, 0, 0, 2)):
            path = self.write("figure.xml", self.text_of(os.path.join(TOP, f"tests/data/pskc/rfc6030-figure{figure}.xml")))
            with self.subTest(figure=figure):
                self.stored(new, there, refused, path, "--transport-key", f"Pre-shared-key={psk}", "--password-file", password)
        self.stored(0, 7, 0, csv)

    def test_without_their_keys(self):
        key = self.key_file(n=16)
        for figure, args, reason in ((6, (), "EncryptionKey: no --transport-key has its KeyName"),
                                     (6, ("--transport-key", f"Pre-shared-key={key}"), "does not"),
                                     (7, (), "say --password-file"),
                                     (7, ("--password-file", self.write("password", "querty\n")), "does not")):
            path = self.write("figure.xml", self.text_of(os.path.join(TOP, f"tests/data/pskc/rfc6030-figure{figure}.xml")))
            p = self.imp(path, *args)
            self.assertIn(p.returncode, (REFUSED, USAGE))
            self.assertIn(reason, p.stderr)
        self.bad(USAGE, "say NAME=FILE", "import", path, "--transport-key", key, env=self.env)
        self.bad(USAGE, "given twice", "import", path, "--transport-key", f"a={key}", "--transport-key", f"a={key}", env=self.env)
        os.chmod(key, 0o644)
        self.bad(REFUSED, "lets others at a secret", "import", path, "--transport-key", f"a={key}", env=self.env)
        self.assertEqual(self.names(), [])

    def test_report(self):
        path = self.write("d.xml", f'<KeyContainer Version="1.0" {NS}><KeyPackage/></KeyContainer>')
        report = os.path.join(self.dir, "refused")
        self.stored(0, 0, 1, path, "--report", report)
        self.assertEqual(json.loads(self.text_of(report)), {"package": 1, "field": "key", "reason": "Key: there is no Secret in it"})


class Wrapped(ImportCase):
    # RFC 3394, 4.6, and RFC 5649, 6: published keys
    KEK, KEK_PAD = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8"
    ROWS = (("a", "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21", "sim",
             "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f"),
            ("b", "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a", "module", "c37b7e6492584340bed12207808941155068f738"))

    def setUp(self):
        super().setUp()
        self.given = []
        for name, kek in (("sim", self.KEK), ("module", self.KEK_PAD)):
            self.given += ["--transport-key", f"{name}={self.write(name, kek)}"]

    def test_csv_and_ndjson(self):
        csv = self.write("d.csv", "serial,wrapped-key,transport-key\n" + "".join(f"{s},{w},{t}\n" for s, w, t, _ in self.ROWS))
        ndjson = self.write("d.ndjson", "".join(json.dumps({"serial": s, "wrapped-key": w, "transport-key": t}) + "\n" for s, w, t, _ in self.ROWS))
        plain = self.write("e.csv", "serial,key\n" + "".join(f"{s},{k}\n" for s, _, _, k in self.ROWS))
        self.stored(2, 0, 0, csv, *self.given)
        self.stored(0, 2, 0, ndjson, *self.given)
        self.stored(0, 2, 0, plain)

    def test_refused(self):
        serial, wrapped, name, key = self.ROWS[0]
        rows = ((f"{wrapped},{name},{key}", "wrapped-key: stands beside a key"), (f"{wrapped},,", "transport-key: missing"),
                (f"{wrapped},other,", "transport-key: no --transport-key has this name"),
                (f"{wrapped},module,", "wrapped-key: does not open: another key, or damaged"),
                (f"{wrapped[:-2]},{name},", "wrapped-key: has a length that no wrapped key has"),
                (f"{wrapped}0,{name},", "wrapped-key: is not an even number of hex digits"),
                (f"0{wrapped[1:]},{name},", "wrapped-key: does not open"),
                ("afbeb0f07dfbf5419200f2ccb50bb24f,module,", "key: not of 16 to 64 octets"))
        p = self.stored(0, 0, len(rows), self.write("d.csv", "serial,wrapped-key,transport-key,key\n" + "".join(f"{serial},{r}\n" for r, _ in rows)),
                        *self.given)
        for i, (_, reason) in enumerate(rows):
            self.assertIn(f"line {i + 2}: {reason}", p.stderr)
        self.assertNotIn(wrapped[:32], p.stderr)


class Export(ImportCase):
    def fill(self):
        self.key_csv = self.vendor(2)
        self.stored(2, 0, 0, self.key_csv, *INSTRUCT, "--key-life", "1d")
        rows = [{"credential": ["uri:urn:b,\"c\"", "dns:b.example.com"], "enrolee": f"//{SP}/b", "mas": [MAS_ID, "mas2.example.com"], "target": TARGET,
                 "app-id": ["N1 ", "N,2"], "expires": "20991231T000000", "stakeholder": "o.example.com"}, {"credential": "dns:free.example.com"}]
        self.stored(2, 0, 0, self.write("d.ndjson", "".join(json.dumps(r) + "\n" for r in rows)))

    def export(self, *args):
        return self.good("export", *args, env=self.env)

    def timeless(self, text):
        return [{k: v for k, v in json.loads(line).items() if k != "created"} for line in text.splitlines()]

    def test_json(self):
        self.fill()
        text = self.export()
        self.assertEqual(text, self.export("--json"))
        rows = self.timeless(text)
        self.assertEqual([(r["record"], r.get("enrolee"), r["credential"]) for r in rows],
                         [("credential", None, c) for c in ("dns:b.example.com", "dns:free.example.com", "psk:sn-0", "psk:sn-1", "uri:urn:b,\"c\"")] +
                         [("enrolee", f"//{SP}/b", ["uri:urn:b,\"c\"", "dns:b.example.com"])] +
                         [("enrolee", f"//{SP}/sn-{i}", [f"psk:sn-{i}"]) for i in range(2)])
        self.assertEqual(rows[5], {"record": "enrolee", "credential": ["uri:urn:b,\"c\"", "dns:b.example.com"], "enrolee": f"//{SP}/b",
                                   "app-id": ["N1 ", "N,2"], "mas": [MAS_ID, "mas2.example.com"], "target": [TARGET], "stakeholder": "o.example.com",
                                   "key-life": None, "expires": "20991231T000000", "enrolled": None, "ke-id": None})

    def test_comes_back(self):
        self.fill()
        before = self.export()
        for name, args in (("e.ndjson", ()), ("e.csv", ("--csv",))):
            with self.subTest(name):
                path = self.write(name, self.export(*args))
                self.stored(0, 8, 0, path)
                with tempfile.TemporaryDirectory(dir=self.dir) as folder:
                    conf = self.write("other.conf", self.text_of(self.mtf).replace(f"{self.dir}/mtf", f"{folder}/mtf"))
                    self.env = {"M2M_MTF_CONF": conf}
                    self.good("init", "--no-recovery", env=self.env)
                    p = self.stored(4, 0, 4, path)  # all but the two with keys, and their instructions
                    self.assertEqual(p.stderr.count("key: missing, and the credential is not there yet"), 4)
                    self.stored(2, 0, 0, self.key_csv)
                    self.stored(2, 6, 0, path)
                    self.assertEqual(self.timeless(self.export()), self.timeless(before))
                    self.env = {"M2M_MTF_CONF": self.mtf}

    def test_enrolments(self):
        made = subprocess.run([SEED_MTF], capture_output=True, text=True, check=True).stdout.split()
        self.addCleanup(shutil.rmtree, made[0])
        keys.extend(bytes.fromhex(k) for k in made[3:5])
        conf = self.write("seed.conf", self.text_of(self.mtf).replace(f"{self.dir}/mtf.kek", made[0] + "/kek").replace(f"{self.dir}/mtf", made[0] + "/store")
                          .replace("mas2.example.com", "mas-2.example.net"))
        self.env = {"M2M_MTF_CONF": conf}
        rows = [json.loads(line) for line in self.export().splitlines()]
        self.assertEqual([r["record"] for r in rows], ["credential", "enrolee", "enrolment"])
        self.assertEqual((rows[1]["ke-id"], rows[2]["state"], rows[2]["credential"]), (made[2], "active", made[1]))
        p = self.stored(0, 2, 0, self.write("e.csv", self.export("--csv")))
        self.assertIn("1 of enrolments left out", p.stdout)

    def test_empty_and_refused(self):
        self.assertEqual(self.export(), "")
        self.assertEqual(self.export("--csv"), "record,credential,enrolee,app-id,mas,target,stakeholder,key-life,expires,created,enrolled,ke-id,"
                         "state,ended,reason\n")
        self.bad(USAGE, "either --csv or --json", "export", "--csv", "--json", env=self.env)
        self.fill()
        with open("/dev/full", "w") as full:
            p = run("export", env=self.env, stdout=full)
        self.assertEqual(p.returncode, SYSTEM)
        self.assertIn("standard output", p.stderr)


class Documented(ImportCase):
    def test_the_guides_examples(self):
        """Each command of the guide, with the files it names."""
        text = self.text_of(os.path.join(TOP, "doc/operating.md"))
        block = re.search(r"^```import\n(.*?)^```", text, re.M | re.S)[1].replace("\\\n", "")
        for name in os.listdir(os.path.join(TOP, "doc/examples")):
            self.write(name, self.text_of(os.path.join(TOP, "doc/examples", name)))
        commands = [shlex.split(line) for line in block.splitlines()]
        self.assertGreater(len(commands), 5)
        stored = 0
        for command in commands:
            with self.subTest(command=command):
                self.assertEqual(command[:2], ["m2mctl", "import"])
                p = run(*command[1:], env=self.env, cwd=self.dir)
                self.assertEqual((p.returncode, p.stderr), (OK, ""))
                stored += int(re.match(r"stored (\d+) rows?, 0 were there already, 0 refused", p.stdout)[1])
        self.assertEqual(stored, 11)
        self.assertEqual(len(self.enrolees()), 8)

    def test_the_guide_has_each_column(self):
        text = self.text_of(os.path.join(TOP, "doc/operating.md"))
        with open(os.path.join(TOP, "ctl/import_row.c")) as f:
            names = re.findall(r'^\t\[IMPORT_\w+\] = \{ "([a-z-]+)"', f.read(), re.M)
        self.assertEqual(len(names), 14)
        for name in names:
            if name != "record":  # an export's
                self.assertIn(f"`{name}`", text)
                self.assertIn(name, self.good("import", "--help"))


class Work(ImportCase):
    def test_ten_thousand_in_bounded_memory(self):
        path = self.vendor(10000)
        self.stored(10000, 0, 0, path, *INSTRUCT)
        self.assertEqual(len(self.enrolees()), 10000)
        self.assertIn("records: 30001 good, 0 bad", self.good("check", env=self.env))
        p = subprocess.run([sys.executable, "-c", "import resource, subprocess, sys\nsubprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
                            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)", M2MCTL, "import", path, *INSTRUCT],
                           env=dict(os.environ, **self.env), capture_output=True, text=True, check=True)
        if "asan" not in os.environ.get("ASAN_OPTIONS", "") and resource.getpagesize() == 4096:
            self.assertLess(int(p.stdout), 400 * 1024)

    def test_killed_and_run_again(self):
        path = self.vendor(5000)
        p = subprocess.Popen([M2MCTL, "import", path, *INSTRUCT], env=dict(os.environ, **self.env), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while p.poll() is None and not self.names() and time.monotonic() < deadline:
            pass
        p.send_signal(signal.SIGKILL)
        p.wait()
        before = len(self.enrolees())
        self.stored(5000 - before, before, 0, path, *INSTRUCT)
        self.assertEqual(len(self.enrolees()), 5000)
        self.assertIn(" 0 bad", self.good("check", env=self.env))

    def test_asked_to_stop(self):
        r, w = os.pipe()
        p = subprocess.Popen([M2MCTL, "import", "-", "--format", "csv", *INSTRUCT], env=dict(os.environ, **self.env), stdin=r, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.close(r)
        self.addCleanup(p.kill)
        with os.fdopen(w, "w") as f:  # stays open: it ends by the signal alone
            f.write("serial,key\r\n" + self.lines(2500))
            f.flush()
            deadline = time.monotonic() + 30
            while not self.names() and time.monotonic() < deadline:
                pass
            p.send_signal(signal.SIGTERM)
            out, err = p.communicate(timeout=60)
        outputs.append(out + err)
        self.assertEqual((p.returncode, err), (4, "m2mctl: standard input: stopped; run it again to go on\n"))
        n = int(re.match(r"stored (\d+) rows", out)[1])
        self.assertEqual(len(self.enrolees()), n)

    def test_progress_on_a_terminal_only(self):
        path = self.vendor(2000)
        master, slave = pty.openpty()
        p = subprocess.run([M2MCTL, "import", path], env=dict(os.environ, **self.env), stderr=slave, stdout=subprocess.DEVNULL, timeout=60)
        os.close(slave)
        text = os.read(master, 100000).decode()
        os.close(master)
        outputs.append(text)
        self.assertEqual(p.returncode, OK)
        self.assertRegex(text, r"100 %, \d+ of \d+ octets")
        self.assertEqual(self.stored(0, 2000, 0, path).stderr, "")


def load_tests(loader, tests, pattern):
    del tests, pattern
    suite = unittest.TestSuite()
    for case in (Csv, Ndjson, Pskc, Wrapped, Export, Documented, Work, LastOfAll):
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False).result.wasSuccessful() else 1)

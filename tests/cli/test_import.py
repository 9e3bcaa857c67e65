#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""m2mctl import from outside: what an operator gives it, what it says, what is there afterwards, and that no key octet is printed."""
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
import unittest

from test_m2mctl import MAS_ID, M2MCTL, OK, REFUSED, SP, SYSTEM, TARGET, USAGE, Case, LastOfAll, new_key, outputs, run

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
    for case in (Csv, Ndjson, Work, LastOfAll):
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False).result.wasSuccessful() else 1)

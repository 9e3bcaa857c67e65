#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""m2m-node enrol and associate against peers that behave, and that do not. Python's standard library and openssl only."""
import hashlib
import hmac
import json
import os
import secrets
import stat
import subprocess
import sys
import tempfile
import unittest

TOP = os.environ.get("top_builddir", ".")
NODE = os.path.join(TOP, "csf", "m2m-node")
FAKE = os.path.join(TOP, "tests", "cli", "fake_mtf")

MTF, MAS = "mtf.example.com", "mas.example.com"
TARGET = "//sp.example.com/in-cse"
LABEL = b"oneM2M Enrolment Key to Master Credential derivation"


def result(**change):
    key = {"masId": MAS, "kmId": "REL@" + MAS, "suid": 21, "expires": "20991124T000000", "associationTargets": [TARGET]}
    key.update(change.pop("key", {}))
    out = {"version": 1, "status": "enrolled", "keId": "REL@" + MTF, "enroleeId": "//sp.example.com/node-7",
           "appIds": ["Nthermometer"], "keys": [key]}
    out.update(change)
    return json.dumps({k: v for k, v in out.items() if v is not None}) + "\n"


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


class Folder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory()
        cls.dir = cls.tmp.name
        cls.psk = secrets.token_hex(32)
        cls.write("psk", cls.psk + "\n")
        for ca in ("ca", "other"):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", f"/CN={ca}", "-keyout", cls.path(ca + ".key"), "-out", cls.path(ca + ".pem"))
        cls.certificate("mtf", "DNS:" + MTF)
        cls.certificate("wild", "DNS:*.example.com")
        cls.certificate("named", "DNS:elsewhere.example.com")
        cls.certificate("old", "DNS:" + MTF, days="-1")
        cls.certificate("node", "URI:urn:node:7")

    @classmethod
    def tearDownClass(cls):
        cls.tmp.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.dir, name)

    @classmethod
    def write(cls, name, text, mode=0o600):
        with open(cls.path(name), "w") as f:
            f.write(text)
        os.chmod(cls.path(name), mode)
        return cls.path(name)

    @classmethod
    def certificate(cls, name, san, days="30"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={MTF}",
                "-keyout", cls.path(name + ".key"), "-out", cls.path(name + ".csr"))
        cls.write(name + ".ext", f"subjectAltName={san}\n")
        openssl("x509", "-req", "-in", cls.path(name + ".csr"), "-CA", cls.path("ca.pem"), "-CAkey",
                cls.path("ca.key"), "-CAcreateserial", "-days", days, "-extfile", cls.path(name + ".ext"),
                "-out", cls.path(name + ".pem"))


class Enrol(Folder):
    def setUp(self):
        self.keys = self.path("keys")
        if os.path.exists(self.keys):
            os.unlink(self.keys)

    def serve(self, template, *options):
        with open(self.write("template", template)) as stdin:
            fake = subprocess.Popen([FAKE, *options], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, fake)
        return fake, "127.0.0.1:" + fake.stdout.readline().split()[1]

    @staticmethod
    def end(fake):
        if fake.poll() is None:
            fake.kill()
        fake.communicate()

    def enrol(self, relay, *options, mtf=MTF):
        cmd = [NODE, "enrol", "--relay", relay, "--keys", self.keys, *options]
        if mtf:
            cmd += ["--mtf-id", mtf]
        return subprocess.run(cmd, capture_output=True, text=True, timeout=60)

    def psk_options(self):
        return ["--psk-identity", "kpm-7", "--psk-file", self.path("psk")]

    def cert_options(self, ca="ca"):
        return ["--cert", self.path("node.pem"), "--key", self.path("node.key"), "--ca", self.path(ca + ".pem")]

    def by_psk(self, template, *server, client=(), mtf=MTF):
        fake, relay = self.serve(template, "--psk-identity", "kpm-7", "--psk", self.psk, *server)
        return fake, self.enrol(relay, *self.psk_options(), *client, mtf=mtf)

    def by_cert(self, name="mtf", ca="ca", mtf=MTF, client=()):
        fake, relay = self.serve(result(), "--cert", self.path(name + ".pem"), "--key", self.path(name + ".key"), "--ca",
                                 self.path("ca.pem"))
        return fake, self.enrol(relay, *self.cert_options(ca), *client, mtf=mtf)

    def assert_enrolled(self, fake, run):
        self.assertEqual(run.returncode, 0, run.stderr)
        exported = bytes.fromhex(fake.communicate()[0].split()[-1])
        with open(self.keys) as f:
            kept = json.load(f)
        self.assertEqual(stat.S_IMODE(os.stat(self.keys).st_mode), 0o600)
        self.assertEqual(kept["keId"], exported[:16].hex() + "@" + MTF)
        self.assertEqual(kept["enroleeId"], "//sp.example.com/node-7")
        for key in kept["keys"]:
            km = hmac.new(exported[16:], LABEL + key["masId"].encode(), hashlib.sha256).hexdigest()
            self.assertEqual(key["km"], km)
            self.assertEqual(key["kmId"], exported[:16].hex() + "@" + key["masId"])
            self.assertEqual(key["lastSequence"], {TARGET: 0})
            self.assertNotIn(km, run.stdout + run.stderr)
        return kept

    def assert_refused(self, run, status, word):
        """Nothing is stored, also nothing half-written, and what was there is untouched."""
        self.assertEqual(run.returncode, status, run.stderr)
        self.assertIn(word, run.stderr)
        self.assertFalse(os.path.exists(self.keys))
        self.assertEqual([n for n in os.listdir(self.dir) if n.startswith("keys")], [])

    # --- what goes well

    def test_psk(self):
        for options in ((), ("--tls1.2",)):
            fake, run = self.by_psk(result(), *options, client=options)
            self.assert_enrolled(fake, run)

    def test_psk_without_mtf_id(self):
        self.assert_enrolled(*self.by_psk(result(), mtf=None))

    def test_mtf_id_of_other_case(self):
        self.assert_enrolled(*self.by_psk(result(), mtf="MTF.Example.com"))

    def test_two_mas(self):
        both = json.loads(result())["keys"]
        both.append(dict(both[0], masId="mas-2.example.com", kmId="REL@mas-2.example.com"))
        kept = self.assert_enrolled(*self.by_psk(result(keys=both)))
        self.assertEqual(len(kept["keys"]), 2)

    def test_certificate(self):
        self.assert_enrolled(*self.by_cert())

    def test_replaces_after_success(self):
        self.write("keys", "old")
        self.assert_enrolled(*self.by_psk(result()))

    # --- results that are refused

    def test_result_refused(self):
        for reason, status in (("not-authorised", 1), ("no-mas", 1), ("internal", 1), ("try-later", 4)):
            _, run = self.by_psk(json.dumps({"version": 1, "status": "refused", "reason": reason}) + "\n")
            self.assert_refused(run, status, reason)

    def test_result_wrong_names(self):
        other = "00" * 16
        for template, word in ((result(keId=other + "@" + MTF), "keId"), (result(keId="REL@other.example.com"), "keId"),
                               (result(key={"kmId": other + "@" + MAS}), "kmId"),
                               (result(key={"kmId": "REL@other.example.com"}), "kmId"),
                               (result(key={"masId": "other.example.com"}), "kmId")):
            _, run = self.by_psk(template)
            self.assert_refused(run, 3, word)

    def test_result_wrong_domain_without_mtf_id(self):
        _, run = self.by_psk(result(key={"kmId": "REL@other.example.com"}), mtf=None)
        self.assert_refused(run, 3, "kmId")

    def test_result_malformed(self):
        for template in ("", "\n", "{}\n", "[]\n", "nonsense\n", result().rstrip("\n"), result() + result(), result(status="maybe"),
                         result(keId=None), result(keys=[]), result(key={"suid": 32}), result(key={"expires": "soon"}),
                         result(key={"associationTargets": ["in-cse"]}), result(enroleeId="node"), result(appIds=["bad"]),
                         result(keys=json.loads(result())["keys"] * 2), result(pad="x" * 65536),
                         result().replace('"version": 1', '"version": 1, "version": 1')):
            _, run = self.by_psk(template)
            self.assert_refused(run, 3, "result")

    def test_result_newer(self):
        _, run = self.by_psk(result(version=2))
        self.assert_refused(run, 3, "version 2")

    def test_truncated(self):
        for template in (result(), result()[:40], ""):
            _, run = self.by_psk(template, "--cut")
            self.assert_refused(run, 4, "too early")

    # --- peers that are not who they should be

    def test_wrong_psk(self):
        fake, relay = self.serve(result(), "--psk-identity", "kpm-7", "--psk", secrets.token_hex(32))
        self.assert_refused(self.enrol(relay, *self.psk_options()), 1, "alert")

    def test_unknown_identity(self):
        fake, relay = self.serve(result(), "--psk-identity", "kpm-8", "--psk", self.psk)
        self.assert_refused(self.enrol(relay, *self.psk_options()), 1, "alert")

    def test_certificate_in_place_of_psk(self):
        fake, relay = self.serve(result(), "--cert", self.path("mtf.pem"), "--key", self.path("mtf.key"))
        self.assert_refused(self.enrol(relay, *self.psk_options(), "--ca", self.path("ca.pem")), 1, "certificate")

    def test_other_ca(self):
        self.assert_refused(self.by_cert(ca="other")[1], 1, "certificate")

    def test_expired_certificate(self):
        self.assert_refused(self.by_cert("old")[1], 1, "expired")

    def test_wrong_name(self):
        self.assert_refused(self.by_cert("named")[1], 1, "mismatch")
        self.assert_refused(self.by_cert("wild")[1], 1, "mismatch")

    def test_expired_ca(self):
        openssl("x509", "-in", self.path("ca.pem"), "-signkey", self.path("ca.key"), "-days", "-1", "-out",
                self.path("ca-old.pem"))
        self.assert_refused(self.by_cert(ca="ca-old")[1], 1, "expired")

    def test_no_extended_master_secret(self):
        _, run = self.by_psk(result(), "--tls1.2", "--no-ems", client=("--tls1.2",))
        self.assert_refused(run, 1, "extended master secret")

    def test_older_tls(self):
        _, run = self.by_psk(result(), "--tls1.2")
        self.assert_refused(run, 1, "alert")

    def test_nobody_there(self):
        self.assert_refused(self.enrol("127.0.0.1:1", *self.psk_options()), 4, "127.0.0.1:1")

    def test_closed_at_once(self):
        fake, relay = self.serve(result(), "--silent")
        self.assert_refused(self.enrol(relay, *self.psk_options()), 4, relay)

    # --- files

    def test_keys_untouched_by_failure(self):
        self.write("keys", "precious")
        for run in (self.by_psk(result(keId="00" * 16 + "@" + MTF))[1], self.by_psk(result(), "--cut")[1],
                    self.by_cert("old")[1]):
            self.assertNotEqual(run.returncode, 0)
            with open(self.keys) as f:
                self.assertEqual(f.read(), "precious")

    def test_loose_files(self):
        loose = self.write("loose", self.psk, 0o640)
        run = self.enrol("127.0.0.1:1", "--psk-identity", "x", "--psk-file", loose)
        self.assert_refused(run, 1, "0600")
        os.mkfifo(self.path("fifo"), 0o600)
        run = self.enrol("127.0.0.1:1", "--psk-identity", "x", "--psk-file", self.path("fifo"))
        self.assert_refused(run, 1, "regular")
        self.write("keys", "x", 0o644)
        self.assertEqual(self.enrol("127.0.0.1:1", *self.psk_options()).returncode, 1)

    def test_bad_psk_file(self):
        for text in ("", "00" * 15, "00" * 65, "zz" * 32, self.psk + "\n\n", self.psk + " ", self.psk[1:]):
            run = self.enrol("127.0.0.1:1", "--psk-identity", "x", "--psk-file", self.write("bad", text))
            self.assert_refused(run, 2, "bad")
            self.assertNotIn(self.psk[:16], run.stderr)
        run = self.enrol("127.0.0.1:1", "--psk-identity", "x", "--psk-file", self.path("absent"))
        self.assert_refused(run, 1, "absent")

    def test_bad_certificate_files(self):
        for options in (["--cert", self.path("psk"), "--key", self.path("node.key")],
                        ["--cert", self.path("node.pem"), "--key", self.path("mtf.key")],
                        [*self.cert_options()[:4], "--ca", self.path("absent")]):
            self.assert_refused(self.enrol("127.0.0.1:1", *options), 2, self.dir)

    def test_no_folder_for_keys(self):
        self.keys = self.path("nowhere/keys")
        run = self.enrol("127.0.0.1:1", *self.psk_options())
        self.assertEqual(run.returncode, 1)
        self.assertIn("nowhere/keys", run.stderr)

    def test_bad_relay(self):
        for relay in ("127.0.0.1", "127.0.0.1:x", ":1", "::1:4444", "127.0.0.1:65536"):
            self.assert_refused(self.enrol(relay, *self.psk_options()), 2, relay)


if __name__ == "__main__":
    unittest.main(verbosity=1)

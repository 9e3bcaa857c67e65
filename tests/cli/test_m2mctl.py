#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""m2mctl from outside: every verb, what it refuses, its exit status, and that no key octet is ever printed."""
import base64
import hashlib
import json
import os
import pty
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = os.environ.get("top_builddir", os.getcwd())
TOP = os.environ.get("top_srcdir", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
M2MCTL = os.path.join(BUILD, "ctl/m2mctl")
SEED = os.path.join(BUILD, "tests/cli/seed")
SEED_MTF = os.path.join(BUILD, "tests/cli/seed_mtf")
MAS_ID, MTF_ID, SP = "mas.example.com", "mtf.example.com", "sp.example.com"
TARGET = f"//{SP}/in-cse"
OK, REFUSED, USAGE, SYSTEM, LATER = 0, 1, 2, 3, 4

outputs = []  # everything that any command of this run has printed
keys = []     # every key that was handed to it


def run(*args, env=None, data=None, stdout=subprocess.PIPE, cwd=None):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("M2M_")}
    p = subprocess.run([M2MCTL, *args], input=data, stdout=stdout, stderr=subprocess.PIPE, env={**clean, **(env or {})},
                       stdin=None if data is not None else subprocess.DEVNULL, timeout=60, text=True, errors="replace", cwd=cwd)
    outputs.append((p.stdout or "") + p.stderr)
    return p


def new_key(n=32):
    key = secrets.token_bytes(n)
    keys.append(key)
    return key


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="m2mctl.")
        self.addCleanup(shutil.rmtree, self.dir)
        self.mas = self.write("mas.conf", f'''mas-id = "{MAS_ID}"
store = "{self.dir}/mas"
kek-file = "{self.dir}/mas.kek"
map-size = 16M
peer "{MTF_ID}" {{ roles = {{ mtf }} service-providers = {{ "{SP}" }} }}
''')
        self.mtf = self.write("mtf.conf", f'''mtf-id = "{MTF_ID}"
store = "{self.dir}/mtf"
kek-file = "{self.dir}/mtf.kek"
map-size = 16M
mas "{MAS_ID}" {{ realm = "example.com" }}
mas "mas2.example.com" {{ realm = "example.com" }}
peer "{MAS_ID}" {{ roles = {{ mas }} }}
peer "mas2.example.com" {{ roles = {{ mas }} }}
peer "csf.example.com" {{ roles = {{ csf }} }}
''')

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    @staticmethod
    def text_of(path):
        with open(path) as f:
            return f.read()

    def key_file(self, name="key", n=32, mode=0o600, key=None):
        return self.write(name, (key or new_key(n)).hex() + "\n", mode)

    def good(self, *args, **kw):
        p = run(*args, **kw)
        self.assertEqual((p.returncode, p.stderr), (OK, ""), args)
        return p.stdout

    def bad(self, status, reason, *args, **kw):
        """Refused with that status, on standard error, with that text in it; nothing on standard output."""
        p = run(*args, **kw)
        self.assertEqual(p.returncode, status, (args, p.stderr))
        self.assertTrue(p.stderr.startswith("m2mctl: "), p.stderr)
        self.assertRegex(p.stderr, reason)
        if p.stdout is not None:
            self.assertEqual(p.stdout, "")
        return p.stderr

    def rows(self, *args):
        return [json.loads(line) for line in self.good(*args, "--json").splitlines()]

    def add(self, name="psk:node-1", **kw):
        self.good("credential", "add", name, "--key-file", self.key_file(**kw), "--mtf", self.mtf)

    def instruct(self, enrolee=f"//{SP}/node-1", credential="psk:node-1", *more):
        return ("enrolee", "add", enrolee, "--credential", credential, "--mas", MAS_ID, "--target", TARGET, "--mtf", self.mtf, *more)


class CommandLine(Case):
    def test_help(self):
        for args in (["--help"], ["help"], ["-h"]):
            text = self.good(*args)
            for verb in ("init", "credential add", "enrolee show", "enrolment list", "key list", "check-config"):
                self.assertIn(verb, text)
        self.assertIn("Exit status", text)

    def test_every_verb_has_help_with_an_example(self):
        verbs = re.findall(r"^  ([a-z-]+(?: [a-z]+)?)  ", self.good("--help"), re.M)
        self.assertGreater(len(verbs), 20)
        for verb in verbs:
            text = self.good(*verb.split(), "--help")
            self.assertIn(f"usage: m2mctl {verb}", text)
            self.assertIn("Example:\n  m2mctl ", text)
            self.assertEqual(text, self.good("help", *verb.split()))

    def test_group_help(self):
        text = self.good("credential", "--help")
        self.assertIn("credential remove", text)
        self.assertNotIn("enrolee", text)

    def test_usage_errors_suggest_help(self):
        for args, reason, hint in (
                ([], "say what to do", "m2mctl --help"),
                (["frob"], "no command frob", "m2mctl --help"),
                (["credential"], "credential: say what", "m2mctl credential --help"),
                (["credential", "frob"], "no credential frob", "m2mctl credential --help"),
                (["key", "list", "--frob"], "no option --frob", "m2mctl key list --help"),
                (["key", "list", "--frob=1"], "no option --frob$", "m2mctl key list --help"),
                (["key", "list", "--csf", "x"], "key list does not take --csf", "m2mctl key list --help"),
                (["key", "list", "--mas"], r"--mas needs a value \(FILE\)", "m2mctl key list --help"),
                (["key", "list", "--mas="], "is empty", "m2mctl key list --help"),
                (["key", "list", "--json=1"], "--json takes no value", "m2mctl key list --help"),
                (["key", "list", "--mas", "a", "--mas", "b"], "--mas: given more than 1 times", "m2mctl key list --help"),
                (["key", "list", "x"], "x is too much", "m2mctl key list --help"),
                (["key", "show"], "KMID is missing", "m2mctl key show --help"),
                (["key", "show", "a", "b"], "b is too much", "m2mctl key show --help"),
                (["-x"], "no option -x", "m2mctl --help"),
                (["enrolee", "add", "//a/b", *["--app-id", "Nx"] * 33], "--app-id: given more than 32 times", "--help")):
            with self.subTest(args=args):
                self.assertIn(f'Try "m2mctl', self.bad(USAGE, "(?m)" + reason, *args))
                self.assertIn(hint, outputs[-1])

    def test_options_stand_anywhere(self):
        self.good("init", "--mtf", self.mtf, "--no-recovery")
        for args in (["--mtf", self.mtf, "credential", "list"], ["credential", "--mtf", self.mtf, "list"],
                     [f"--mtf={self.mtf}", "credential", "list", "--json"]):
            self.good(*args)

    def test_configuration_from_the_environment(self):
        self.good("init", "--no-recovery", env={"M2M_MTF_CONF": self.mtf})
        self.good("credential", "list", env={"M2M_MTF_CONF": self.mtf})
        self.bad(USAGE, "which MTF.*M2M_MTF_CONF", "credential", "list")
        self.bad(USAGE, "which MTF", "credential", "list", env={"M2M_MTF_CONF": ""})
        self.bad(USAGE, "which MAS", "key", "list")
        self.good("credential", "list", "--mtf", self.mtf, env={"M2M_MTF_CONF": "/nowhere"})

    def test_write_errors_are_errors(self):
        self.good("init", "--mtf", self.mtf, "--no-recovery")
        with open("/dev/full", "w") as full:
            self.bad(SYSTEM, "standard output: No space left", "--help", stdout=full)
            self.bad(SYSTEM, "standard output: No space left", "credential", "list", "--mtf", self.mtf, stdout=full)
        r, w = os.pipe()
        os.close(r)
        with os.fdopen(w, "w") as gone:
            self.bad(SYSTEM, "standard output: Broken pipe", "credential", "list", "--mtf", self.mtf, stdout=gone)

    def test_closed_stdout_harms_no_file(self):
        self.good("init", "--mtf", self.mtf, "--no-recovery")
        p = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", M2MCTL, "credential", "list", "--mtf", self.mtf],
                           stderr=subprocess.PIPE, text=True)
        self.assertEqual(p.returncode, SYSTEM, p.stderr)
        self.good("credential", "list", "--mtf", self.mtf)


class Init(Case):
    def test_makes_store_and_kek(self):
        for what, conf in (("mas", self.mas), ("mtf", self.mtf)):
            text = self.good("init", "--" + what, conf, "--no-recovery")
            self.assertIn(f"{self.dir}/{what}", text)
            self.assertIn(f"made the key encryption key in {self.dir}/{what}.kek", text)
            self.assertRegex(text, "Back up .*apart from the store")
            self.assertEqual(os.stat(f"{self.dir}/{what}.kek").st_mode & 0o7777, 0o600)
            with open(f"{self.dir}/{what}.kek", "rb") as f:
                kek = f.read()
            keys.append(kek if len(kek) == 32 else bytes.fromhex(kek.decode()))

    def test_uses_a_kek_that_is_there(self):
        kek = self.key_file("mas.kek")
        with open(kek) as f:
            before = f.read()
        self.assertIn("used the key encryption key", self.good("init", "--mas", self.mas, "--no-recovery"))
        with open(kek) as f:
            self.assertEqual(f.read(), before)

    def test_refuses_a_second_time(self):
        self.good("init", "--mas", self.mas, "--no-recovery")
        before = {name: os.stat(os.path.join(base, name)).st_mtime_ns for base, _, names in os.walk(self.dir) for name in names}
        self.bad(REFUSED, f"{self.dir}/mas", "init", "--mas", self.mas, "--no-recovery")
        after = {name: os.stat(os.path.join(base, name)).st_mtime_ns for base, _, names in os.walk(self.dir) for name in names}
        self.assertEqual(before, after)

    def test_refusals(self):
        self.bad(USAGE, "either --mas FILE or --mtf FILE", "init")
        self.bad(USAGE, "either --mas FILE or --mtf FILE", "init", "--mas", self.mas, "--mtf", self.mtf)
        self.bad(USAGE, "either", "init", env={"M2M_MAS_CONF": self.mas, "M2M_MTF_CONF": self.mtf})
        self.bad(USAGE, "nowhere", "init", "--mas", f"{self.dir}/nowhere", "--no-recovery")

    def test_loose_kek_file(self):
        self.key_file("mas.kek", mode=0o644)
        self.bad(REFUSED, "mas.kek", "init", "--mas", self.mas, "--no-recovery")
        self.assertFalse(os.path.exists(f"{self.dir}/mas/keyring"))


    def test_recovery_is_said(self):
        self.bad(USAGE, "--recovery-file", "init", "--mas", self.mas)
        self.bad(USAGE, "--recovery-file", "init", "--mas", self.mas, "--recovery-file", "x", "--no-recovery")
        there = self.write("there", "x")
        self.bad(REFUSED, "there", "init", "--mas", self.mas, "--recovery-file", there)
        self.assertFalse(os.path.exists(f"{self.dir}/mas"))


class Keys(Case):
    """Slots and terms of a keyring."""

    def setUp(self):
        super().setUp()
        self.recovery = f"{self.dir}/recovery"
        self.good("init", "--mas", self.mas, "--recovery-file", self.recovery)
        self.on = ("--mas", self.mas)
        self.all = (*self.on, "--passphrase-file", self.recovery)  # what opens all slots

    def slots(self):
        return [r["kind"] for r in self.rows("kek", "list", *self.on)]

    def test_init_makes_two(self):
        self.assertEqual(os.stat(self.recovery).st_mode & 0o7777, 0o600)
        self.assertEqual(self.slots(), ["file", "passphrase"])
        self.assertIn("opens slot 1", self.good("kek", "test", *self.on))
        self.assertIn("opens slot 2", self.good("kek", "test", "passphrase:" + self.recovery, *self.on))
        self.assertIn("opens slot 2", self.good("kek", "test", "passphrase:-", *self.on, data=self.text_of(self.recovery)))
        self.assertIn("mas.kek", self.good("kek", "list", *self.on))

    def test_wrong_passphrase(self):
        self.bad(SYSTEM, "does not fit", "kek", "test", "passphrase:-", *self.on, data="not the passphrase\n")
        self.bad(SYSTEM, "12 to 1024", "kek", "test", "passphrase:-", *self.on, data="short\n")

    def test_lost_kek(self):
        os.remove(f"{self.dir}/mas.kek")
        self.bad(SYSTEM, "No such file", "key", "list", *self.on)
        new = f"{self.dir}/new.kek"
        self.bad(SYSTEM, "sealed", "kek", "add", "file:" + new, *self.on)
        self.assertFalse(os.path.exists(new))
        self.good("kek", "add", "file:" + new, *self.on, "--passphrase-file", self.recovery)
        self.write("mas.conf", self.text_of(self.mas).replace("mas.kek", "new.kek"))
        self.good("kek", "remove", "1", *self.on)
        self.assertEqual(self.slots(), ["passphrase", "file"])
        self.good("kek", "test", *self.on)

    def test_lost_kek_opens_by_passphrase(self):
        by = (*self.on, "--identity", "mas.example.com", "--passphrase-file", self.recovery)
        os.remove(f"{self.dir}/mas.kek")
        for verb in (("key", "list"), ("backup", f"{self.dir}/backup"), ("rotate",)):
            self.bad(SYSTEM, "No such file", *verb, *by[:-2])
            shutil.rmtree(f"{self.dir}/backup", ignore_errors=True)
            self.good(*verb, *by)
        self.good("check", *by)
        self.bad(SYSTEM, "slot 1 .file, .*put it back.*kek remove 1", "purge", *by)
        self.good("kek", "remove", "1", "--yes", *self.on, "--passphrase-file", self.recovery)
        self.good("purge", *by)
        self.bad(USAGE, "in a file", "key", "list", *by[:-1], "-", data="not the passphrase\n")
        self.write("wrong", "not the passphrase\n", 0o600)
        self.bad(SYSTEM, "does not fit", "key", "list", *by[:-1], f"{self.dir}/wrong")

    def test_last_slot_stays(self):
        self.bad(REFUSED, "only one slot", "kek", "remove", "2", *self.on)
        self.bad(REFUSED, "no other was shown to work", "kek", "remove", "1", "--yes", *self.on)
        self.good("kek", "remove", "2", "--yes", *self.on)
        self.bad(REFUSED, "the last one", "kek", "remove", "1", "--yes", *self.on)
        self.bad(REFUSED, "no slot 2", "kek", "remove", "2", "--yes", *self.on)
        self.bad(USAGE, "not a slot's number", "kek", "remove", "0", *self.on)
        self.bad(USAGE, "not file:PATH", "kek", "add", "/etc/kek", *self.on)

    def sealed_under(self, term):
        head = bytes([1, 1, 1, 0]) + term.to_bytes(4, "big")
        found = 0
        for base, _, names in os.walk(f"{self.dir}/mas"):
            for name in names:
                with open(os.path.join(base, name), "rb") as f:
                    found += f.read().count(head)
        return found

    def test_rotate_and_purge(self):
        p = subprocess.run([SEED, self.mas, "3"], capture_output=True, text=True, check=True)
        keys.extend(bytes.fromhex(w) for w in p.stdout.split() if "@" not in w)
        before = self.rows("key", "list", *self.on)
        self.assertIn("re-sealed 4 records", self.good("rotate", *self.on))
        self.assertEqual(self.rows("key", "list", *self.on), before)
        self.assertGreater(self.sealed_under(1) + self.sealed_under(2), 0)
        self.good("purge", *self.all)
        self.assertEqual(self.rows("key", "list", *self.on), before)
        self.assertEqual((self.sealed_under(1), self.sealed_under(2), self.sealed_under(3)), (0, 0, 3))

    def ring(self):
        with open(f"{self.dir}/mas/keyring", "rb") as f:
            return f.read()

    def test_dry_run(self):
        subprocess.run([SEED, self.mas, "3"], capture_output=True, text=True, check=True)
        ring, rows = self.ring(), self.rows("key", "list", *self.on)
        for verb in (["rotate"], ["rotate", "--root"], ["purge"]):
            out = self.good(*verb, "--dry-run", *self.all)
            self.assertRegex(out, "would seal [0-9]+ records.*nothing was changed")
        self.assertEqual(self.ring(), ring)
        self.assertEqual(self.rows("key", "list", *self.on), rows)
        self.assertGreater(self.sealed_under(1), 0)

    def test_purge_needs_every_slot(self):
        subprocess.run([SEED, self.mas, "2"], capture_output=True, text=True, check=True)
        phrase, away = self.recovery, f"{self.dir}/away"
        self.good("kek", "add", f"file:{self.dir}/kek2", *self.on)
        ring = self.ring()
        for verb in (["purge"], ["rotate", "--root"], ["purge", "--dry-run"]):
            self.bad(SYSTEM, "slot 2 .passphrase, passphrase.: its key is not at hand; give it with --passphrase-file", *verb, *self.on)
        os.rename(f"{self.dir}/kek2", away)
        self.bad(SYSTEM, "slot 3 .file, ", "purge", *self.on, "--passphrase-file", phrase)
        self.assertEqual(self.ring(), ring)
        self.assertGreater(self.sealed_under(1), 0)
        self.good("kek", "remove", "3", *self.on)
        self.good("purge", *self.on, "--passphrase-file", phrase)
        self.assertIn("slot 2", self.good("kek", "test", f"passphrase:{phrase}", *self.on))
        self.good("kek", "test", *self.on)
        self.assertEqual(len(self.rows("key", "list", *self.on)), 2)
        self.assertEqual(self.sealed_under(1), 0)
        self.good("purge", *self.on, "--passphrase-file", phrase)  # nothing to purge is no error
        self.good("rotate", *self.on)  # needs one slot only

    def test_beside_a_daemon(self):
        with subprocess.Popen([SEED, self.mas, "2", "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
            words = [w for _ in range(2) for w in p.stdout.readline().split()]
            keys.extend(bytes.fromhex(w) for w in words if "@" not in w)
            self.assertIn("re-sealed 4 records", self.good("rotate", *self.on))
            self.assertIn("under a new root key", self.good("rotate", "--root", *self.all))  # the daemon follows
            ring = self.ring()
            self.bad(LATER, "nothing was changed: stop the server first", "purge", *self.all)
            self.assertEqual(self.ring(), ring)
            p.stdin.close()
            p.wait(60)
        self.good("purge", *self.all)


class Credential(Case):
    def setUp(self):
        super().setUp()
        self.good("init", "--mtf", self.mtf, "--no-recovery")

    def test_add_list_show_remove(self):
        cert = os.path.join(self.dir, "cert.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
                        "-keyout", os.devnull, "-out", cert], check=True, capture_output=True)
        digest = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256"], check=True, capture_output=True,
                                text=True).stdout.split("=")[1].strip().replace(":", "").lower()
        self.add("psk:node-1")
        for name in ("uri:urn:example:node-2", "dns:node-3.example.com", "sha256:" + "ab" * 32):
            self.assertEqual(self.good("credential", "add", name, "--mtf", self.mtf), f"stored {name}\n")
        self.assertEqual(self.good("credential", "add", "--certificate", cert, "--mtf", self.mtf), f"stored sha256:{digest}\n")
        rows = self.rows("credential", "list", "--mtf", self.mtf)
        self.assertEqual({r["name"]: r["kind"] for r in rows},
                         {"psk:node-1": "psk", "uri:urn:example:node-2": "uri", "dns:node-3.example.com": "dns",
                          "sha256:" + "ab" * 32: "sha256", "sha256:" + digest: "sha256"})
        for r in rows:
            self.assertEqual(set(r), {"name", "kind", "enroleeId", "created"})
            self.assertRegex(r["created"], r"^\d{8}T\d{6}$")
        self.assertEqual(self.rows("credential", "show", "psk:node-1", "--mtf", self.mtf),
                         [r for r in rows if r["name"] == "psk:node-1"])
        self.assertRegex(self.good("credential", "show", "psk:node-1", "--mtf", self.mtf),
                         r"NAME +psk:node-1\nKIND +psk\nENROLEE +-\nCREATED +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n")
        self.bad(USAGE, "say --yes", "credential", "remove", "psk:node-1", "--mtf", self.mtf)
        self.assertEqual(self.good("credential", "remove", "psk:node-1", "--yes", "--mtf", self.mtf), "removed psk:node-1\n")
        self.bad(REFUSED, "psk:node-1", "credential", "show", "psk:node-1", "--mtf", self.mtf)
        self.bad(REFUSED, "psk:node-1", "credential", "remove", "psk:node-1", "--yes", "--mtf", self.mtf)

    def test_key_from_standard_input(self):
        self.good("credential", "add", "psk:a", "--key-file", "-", "--mtf", self.mtf, data=new_key().hex())
        self.good("credential", "add", "psk:b", "--key-file=-", "--mtf", self.mtf, data=f"\n {new_key(64).hex().upper()} \r\n")
        self.bad(USAGE, "standard input: a key has 16 to 64", "credential", "add", "psk:c", "--key-file", "-", "--mtf", self.mtf, data="")

    def test_key_lengths(self):
        for n, good in ((15, False), (16, True), (64, True), (65, False)):
            p = run("credential", "add", f"psk:n{n}", "--key-file", self.key_file(n=n), "--mtf", self.mtf)
            self.assertEqual(p.returncode, OK if good else USAGE, (n, p.stderr))

    def test_key_files_refused(self):
        add = ("credential", "add", "psk:x", "--mtf", self.mtf, "--key-file")
        for mode in (0o640, 0o604, 0o660, 0o602, 0o777):
            self.bad(REFUSED, f"key: mode {mode:04o} lets others at", *add, self.key_file(mode=mode))
        self.bad(REFUSED, "nowhere: No such file", *add, f"{self.dir}/nowhere")
        os.symlink(self.key_file("real", mode=0o644), f"{self.dir}/link")
        self.bad(REFUSED, "link: mode 0644", *add, f"{self.dir}/link")
        os.mkfifo(f"{self.dir}/fifo", 0o600)
        self.bad(REFUSED, "not a regular file", *add, f"{self.dir}/fifo")
        self.bad(REFUSED, "not a regular file", *add, self.dir)
        for text in ("zz" * 32, new_key().hex()[:-1], new_key().hex() + "\0", "ab cd" * 10):
            self.bad(USAGE, "hex digits", *add, self.write("odd", text))
        self.bad(USAGE, "more than 256", *add, self.write("long", "ab" * 200))
        self.bad(USAGE, "a key has 16 to 64", *add, self.write("empty", ""))
        self.assertEqual(self.rows("credential", "list", "--mtf", self.mtf), [])

    def test_refusals(self):
        self.add("psk:node-1")
        self.bad(REFUSED, "psk:node-1", "credential", "add", "psk:node-1", "--key-file", self.key_file(), "--mtf", self.mtf)
        self.bad(USAGE, "needs its key", "credential", "add", "psk:x", "--mtf", self.mtf)
        self.bad(USAGE, "only a psk:", "credential", "add", "dns:x.example.com", "--key-file", self.key_file(), "--mtf", self.mtf)
        self.bad(USAGE, "either NAME or --certificate", "credential", "add", "--mtf", self.mtf)
        self.bad(USAGE, "either NAME or --certificate", "credential", "add", "dns:x", "--certificate", "y", "--mtf", self.mtf)
        self.bad(USAGE, "no certificate", "credential", "add", "--certificate", self.mtf, "--mtf", self.mtf)
        self.bad(REFUSED, "nowhere", "credential", "add", "--certificate", f"{self.dir}/nowhere", "--mtf", self.mtf)
        self.bad(USAGE, "takes no --key-file", "credential", "add", "--certificate", "x", "--key-file", "y", "--mtf", self.mtf)
        for name in ("node-1", "frob:x", "psk:", "uri:", "dns:", "sha256:abcd", "sha256:" + "zz" * 32, "dns:a..b", "uri:\x01",
                     "dns:" + "a" * 300, "uri:\udcff"):
            with self.subTest(name=name):
                more = ["--key-file", self.key_file()] if name.startswith("psk:") else []
                self.bad(USAGE, ".", "credential", "add", name, *more, "--mtf", self.mtf)

    def test_loose_kek_file(self):
        os.chmod(f"{self.dir}/mtf.kek", 0o640)
        self.bad(REFUSED, "mtf.kek", "credential", "list", "--mtf", self.mtf)
        os.unlink(f"{self.dir}/mtf.kek")
        p = run("credential", "list", "--mtf", self.mtf)
        self.assertIn(p.returncode, (REFUSED, SYSTEM))
        self.assertIn("mtf.kek", p.stderr)

    def test_no_store(self):
        self.bad(REFUSED, f"{self.dir}/mas", "key", "list", "--mas", self.mas)

    def test_columns_are_aligned_everywhere(self):
        for name in ("dns:a.example.com", "dns:much-longer.example.com"):
            self.good("credential", "add", name, "--mtf", self.mtf)
        lines = self.good("credential", "list", "--mtf", self.mtf).splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(len({line.index("dns", 4) if "dns:" in line else line.index("KIND") for line in lines}), 1)
        self.assertNotIn("\033", "".join(lines))
        on_tty = self.on_terminal("credential", "list", "--mtf", self.mtf)
        self.assertIn("\033[1m", on_tty)
        self.assertEqual(re.sub(r"\033\[\d*m", "", on_tty).replace("\r\n", "\n").splitlines(), lines)
        self.assertNotIn("\033", self.on_terminal("credential", "list", "--mtf", self.mtf, "--json"))

    def on_terminal(self, *args):
        main, side = pty.openpty()
        p = subprocess.Popen([M2MCTL, *args], stdout=side, stdin=subprocess.DEVNULL)
        os.close(side)
        text = b""
        while True:
            try:
                part = os.read(main, 4096)
            except OSError:
                break
            if not part:
                break
            text += part
        os.close(main)
        self.assertEqual(p.wait(), OK)
        return text.decode()

    def test_remove_asks_on_a_terminal(self):
        self.add("psk:node-1")
        for answer, status in ((b"n\n", REFUSED), (b"\n", REFUSED), (b"\x04", REFUSED), (b"yesterday\n", REFUSED), (b"y\n", OK)):
            main, side = pty.openpty()
            p = subprocess.Popen([M2MCTL, "credential", "remove", "psk:node-1", "--mtf", self.mtf], stdin=side, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True)
            os.write(main, answer)
            text = p.communicate(timeout=60)[1]
            os.close(main)
            os.close(side)
            self.assertIn("for good? [y/N]", text)
            self.assertEqual(p.returncode, status, answer)
            self.assertEqual(len(self.rows("credential", "list", "--mtf", self.mtf)), 1 if status else 0)

    def test_nothing_listed(self):
        self.assertRegex(self.good("credential", "list", "--mtf", self.mtf), r"^NAME .*\n$")
        self.assertEqual(self.good("credential", "list", "--json", "--mtf", self.mtf), "")


class Enrolee(Case):
    def setUp(self):
        super().setUp()
        self.good("init", "--mtf", self.mtf, "--no-recovery")
        self.add("psk:node-1")

    def test_add_list_show(self):
        enrolee = f"//{SP}/node-1"
        self.good("credential", "add", "dns:node-1.example.com", "--mtf", self.mtf)
        self.assertEqual(self.good(*self.instruct(enrolee, "psk:node-1", "--credential", "dns:node-1.example.com", "--mas",
                                                  "mas2.example.com", "--app-id", "Nmetering", "--target", f"//{SP}/in-cse-2",
                                                  "--key-life", "365d", "--expires", "20371124T000000")), f"{enrolee} may enrol\n")
        row, = self.rows("enrolee", "list", "--mtf", self.mtf)
        created = row.pop("created")
        self.assertRegex(created, r"^\d{8}T\d{6}$")
        self.assertEqual(row, {"enroleeId": enrolee, "credentials": ["psk:node-1", "dns:node-1.example.com"], "appIds": ["Nmetering"],
                               "masIds": [MAS_ID, "mas2.example.com"], "associationTargets": [TARGET, f"//{SP}/in-cse-2"],
                               "keyLife": 365 * 86400, "expires": "20371124T000000", "enrolled": None, "keId": None,
                               "administratingStakeholderId": SP})
        self.assertEqual(self.rows("enrolee", "list", "--provider", SP.upper(), "--mtf", self.mtf), [{**row, "created": created}])
        self.assertEqual(self.rows("enrolee", "list", "--provider", "other.example.com", "--mtf", self.mtf), [])
        self.bad(USAGE, "--provider: FQDN", "enrolee", "list", "--provider", "no fqdn", "--mtf", self.mtf)
        self.assertEqual(self.rows("enrolee", "show", enrolee, "--mtf", self.mtf), [{**row, "created": created}])
        text = self.good("enrolee", "show", enrolee, "--mtf", self.mtf)
        self.assertIn("EXPIRES      2037-11-24T00:00:00Z\n", text)
        self.assertIn(f"MAS          {MAS_ID},mas2.example.com\n", text)
        cred, = self.rows("credential", "show", "psk:node-1", "--mtf", self.mtf)
        self.assertEqual(cred["enroleeId"], enrolee)
        self.assertEqual(self.rows("enrolment", "list", "--mtf", self.mtf), [])

    def test_stakeholder(self):
        self.bad(USAGE, "Administrating-Stakeholder-Id: FQDN", *self.instruct(), "--stakeholder", "no fqdn")
        self.good(*self.instruct(), "--stakeholder", "Owner.example.com")
        row, = self.rows("enrolee", "list", "--mtf", self.mtf)
        self.assertEqual(row["administratingStakeholderId"], "owner.example.com")

    def test_refusals(self):
        good = self.instruct()
        for at in ("--credential", "--mas", "--target"):
            i = good.index(at)
            self.bad(USAGE, f"at least one {at}", *good[:i], *good[i + 2:])
        self.bad(REFUSED, "psk:nobody", *self.instruct(credential="psk:nobody"))
        self.bad(USAGE, "mas9.example.com", *self.instruct(), "--mas", "mas9.example.com")
        for enrolee in ("/node-1", "node-1", f"//{SP}", f"//{SP}/", f"//{SP}/a b", "//" + "a" * 300 + "/b", f"//{SP}/x/Fa"):
            with self.subTest(enrolee=enrolee):
                self.bad(USAGE, ".", *self.instruct(enrolee))
        self.bad(USAGE, ".", *self.instruct(), "--target", "/in-cse")
        self.bad(USAGE, ".", *self.instruct(), "--app-id", "metering")
        self.bad(USAGE, "--key-life: '2w' must be", *self.instruct(), "--key-life", "2w")
        self.bad(USAGE, "of 0 makes no sense", *self.instruct(), "--key-life", "0")
        self.bad(USAGE, "--expires: ", *self.instruct(), "--expires", "tomorrow")
        self.bad(USAGE, "--expires: ", *self.instruct(), "--expires", "20270230T000000")
        self.bad(REFUSED, "node-9", "enrolee", "show", f"//{SP}/node-9", "--mtf", self.mtf)
        self.assertEqual(self.rows("enrolee", "list", "--mtf", self.mtf), [])
        self.good(*good)
        self.bad(REFUSED, "node-1", *good)
        self.bad(REFUSED, "psk:node-1", *self.instruct(f"//{SP}/node-2"))


class EnroleeSet(Case):
    def setUp(self):
        super().setUp()
        self.good("init", "--mtf", self.mtf, "--no-recovery")

    def test_set(self):
        name = f"//{SP}/node-1"

        def change(*more):
            return ("enrolee", "set", name, "--mtf", self.mtf, *more)
        self.bad(REFUSED, "there is none", *change("--app-id", "Nnew"))
        self.add()
        self.good(*self.instruct(name, "psk:node-1", "--app-id", "Nold"))
        self.assertIn("from its next enrolment on", self.good(*change("--app-id", "Nnew", "--app-id", "Nother", "--expires", "20991231T000000")))
        row = self.rows("enrolee", "show", name, "--mtf", self.mtf)[0]
        self.assertEqual((row["appIds"], row["expires"], row["masIds"]), (["Nnew", "Nother"], "20991231T000000", [MAS_ID]))
        self.assertIn("m2mctl fetch", self.good(*change("--mas", MAS_ID)))
        self.good(*change("--expires", "never"))
        for more, why in (((), "nothing to change"), (("--mas", "mas9.example.com"), "mas9.example.com"), (("--expires", "soon"), "--expires"),
                          (("--expires", "20200101T000000"), "past"), (("--key-life", "0"), "--key-life"), (("--target", "in-cse"), "."),
                          (("--credential", "psk:node-1"), "--credential")):
            with self.subTest(more):
                self.bad(USAGE, why, *change(*more))
        row = self.rows("enrolee", "show", name, "--mtf", self.mtf)[0]
        self.assertEqual((row["appIds"], row["expires"], row["keyLife"]), (["Nnew", "Nother"], None, None))
        self.good("check", "--mtf", self.mtf)


class Enrolment(Case):
    def test_list(self):
        folder, credential, ke_id, *secret = subprocess.run([SEED_MTF], check=True, capture_output=True, text=True).stdout.split()
        self.addCleanup(shutil.rmtree, folder)
        keys.extend(bytes.fromhex(hexa) for hexa in secret)
        # No mtf-id: the store has recorded the one that the server opened it with.
        text = re.sub("mtf-id.*\n", "", self.text_of(self.mtf))
        conf = self.write("seeded.conf", text.replace(f"{self.dir}/mtf.kek", f"{folder}/kek").replace(f"{self.dir}/mtf", f"{folder}/store"))
        row, = self.rows("enrolment", "list", "--mtf", conf)
        created = row.pop("created")
        self.assertRegex(created, r"^\d{8}T\d{6}$")
        self.assertGreater(row.pop("expires"), created)
        self.assertEqual(row, {"keId": ke_id, "enroleeId": f"//{SP}/node-7", "credential": credential,
                               "masIds": [MAS_ID, "mas-2.example.net"], "associationTargets": [TARGET], "state": "active", "ended": None,
                               "reason": None})
        self.assertIn(ke_id, self.good("enrolment", "list", "--mtf", conf))
        shown, = self.rows("enrolee", "show", f"//{SP}/node-7", "--mtf", conf)
        self.assertEqual((shown["keId"], shown["enrolled"]), (ke_id, created))
        self.bad(USAGE, "other.example.com", "enrolment", "list", "--mtf", conf, "--identity", "other.example.com")


class Key(Case):
    def setUp(self):
        super().setUp()
        self.good("init", "--mas", self.mas, "--no-recovery")

    def seed(self, n):
        """Push n root keys as an MTF would; their KmIDs."""
        out = subprocess.run([SEED, self.mas, str(n)], check=True, capture_output=True, text=True).stdout.split()
        names = [name for name in out if "@" in name]
        keys.extend(bytes.fromhex(hexa) for hexa in out if "@" not in hexa)
        self.assertEqual(len(names), n)
        return names

    def test_list_and_show(self):
        names = self.seed(3)
        rows = self.rows("key", "list", "--mas", self.mas)
        self.assertEqual([r["kmId"] for r in rows], sorted(names))
        for r in rows:
            i = names.index(r["kmId"])
            self.assertEqual(r["state"], "active")
            self.assertEqual(r["enroleeId"], f"//{SP}/node-{i}")
            self.assertEqual(r["associationTargets"], [TARGET])
            self.assertEqual(r["appIds"], ["Nseed"])
            self.assertEqual(r["keId"], r["kmId"].split("@")[0] + "@" + MTF_ID)
            self.assertEqual(r["mtfId"], MTF_ID)
            self.assertEqual(r["administratingStakeholderId"], SP)
            self.assertRegex(r["expires"], r"^\d{8}T\d{6}$")
            self.assertEqual((r["ended"], r["reason"]), (None, None))
        self.assertEqual(self.rows("key", "show", names[0], "--mas", self.mas), [r for r in rows if r["kmId"] == names[0]])
        self.assertIn(f"KMID         {names[0]}\nSTATE        active\n", self.good("key", "show", names[0], "--mas", self.mas))
        self.assertEqual(self.rows("key", "list", "--provider", SP, "--mas", self.mas), rows)
        self.assertEqual(self.rows("key", "list", "--provider", "other.example.com", "--mas", self.mas), [])
        self.assertEqual(len(self.good("key", "list", "--mas", self.mas).splitlines()), 4)

    def test_beside_a_daemon(self):
        daemon = subprocess.Popen([SEED, self.mas, "2", "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        names = [daemon.stdout.readline().split()[0] for _ in range(2)]
        self.assertEqual({r["kmId"] for r in self.rows("key", "list", "--mas", self.mas)}, set(names))
        self.assertIsNone(daemon.poll())
        daemon.communicate(timeout=60)
        self.assertEqual(daemon.returncode, 0)

    def test_superseded(self):
        old, = self.seed(1)
        new, = self.seed(1)
        states = {r["kmId"]: (r["state"], r["reason"]) for r in self.rows("key", "list", "--mas", self.mas)}
        self.assertEqual(states, {old: ("superseded", "superseded"), new: ("active", None)})
        row, = self.rows("key", "show", old, "--mas", self.mas)
        self.assertRegex(row["ended"], r"^\d{8}T\d{6}$")

    def test_refusals(self):
        self.bad(REFUSED, "ab" * 16, "key", "show", "ab" * 16 + "@" + MAS_ID, "--mas", self.mas)
        for name in ("x", "ab" * 16, "ab" * 16 + "@", "zz" * 16 + "@" + MAS_ID):
            self.bad(USAGE, ".", "key", "show", name, "--mas", self.mas)
        self.assertEqual(self.rows("key", "list", "--mas", self.mas), [])

    def test_identity(self):
        nameless = self.write("nameless.conf", re.sub("mas-id.*\n", "", self.text_of(self.mas)))
        self.bad(USAGE, ".", "key", "list", "--mas", self.mas, "--identity", "other.example.com")
        self.good("key", "list", "--mas", self.mas, "--identity", MAS_ID)
        self.good("key", "list", "--mas", nameless)
        shutil.rmtree(f"{self.dir}/mas")
        os.unlink(f"{self.dir}/mas.kek")
        self.good("init", "--mas", nameless, "--no-recovery")
        self.bad(USAGE, "has not recorded", "key", "list", "--mas", nameless)
        self.good("key", "list", "--mas", nameless, "--identity", MAS_ID)


class Upgrade(Case):
    """Stores of older schemas, from the tree."""

    def put(self, side, schema):
        """The fixture in the place of the server's store; self.file is then its data file."""
        data = os.path.join(TOP, f"tests/data/{side}-schema-{schema}")
        folder = f"{self.dir}/{side}/" + ("keys" if side == "mas" else "enrolments")
        os.makedirs(folder, mode=0o700)
        self.file = f"{folder}/data.mdb"
        for name, to in (("keyring", f"{side}/keyring"), ("epoch", f"{side}/epoch"), ("public-test.kek", f"{side}.kek"),
                         ("data.mdb", os.path.relpath(self.file, self.dir))):
            shutil.copyfile(f"{data}/{name}", f"{self.dir}/{to}")
            os.chmod(f"{self.dir}/{to}", 0o600)
        os.chmod(f"{self.dir}/{side}", 0o700)

    def data(self, more=""):
        with open(self.file + more, "rb") as f:
            return f.read()

    def upgraded(self, side, schema, now, what):
        """what: the listing of what is counted, and its text."""
        self.put(side, schema)
        on, old = (f"--{side}", getattr(self, side)), self.data()
        for verb in (what[0], ["rotate"], ["backup", f"{self.dir}/backup"]):
            self.bad(SYSTEM, f"has schema {schema}, this program uses {now}; `m2mctl upgrade`", *verb, *on)
        self.assertIn(f"schema {schema}, to be upgraded to {now}: {what[1]}", self.good("upgrade", *on, "--dry-run"))
        self.assertEqual(self.data(), old)
        self.assertIn(f"upgraded from schema {schema} to {now}: {what[1]}", self.good("upgrade", *on))
        self.assertEqual(self.data(f".schema-{schema}"), old)
        self.assertEqual(len(self.rows(*what[0], *on)), int(what[1].split()[0]))
        self.good("check", *on)
        for args in ([], ["--dry-run"]):
            self.assertIn(f"has schema {now}, nothing to do ({what[1]})", self.good("upgrade", *on, *args))

    def test_mas_schema_1(self):
        self.upgraded("mas", 1, 3, (["key", "list"], "24 root keys"))

    def test_mas_schema_2(self):
        self.upgraded("mas", 2, 3, (["key", "list"], "24 root keys"))

    def test_mtf_schema_1(self):
        self.upgraded("mtf", 1, 2, (["enrolment", "list"], "6 enrolments"))
        rows = self.rows("enrolment", "list", "--mtf", self.mtf)
        active = [r["enroleeId"] for r in rows if r["state"] == "active"]
        self.assertEqual(sorted(active), [f"//sp.example.com/node-{i}" for i in (1, 2, 3)])
        for row in rows:
            self.assertEqual((row["state"] == "active", row["ended"] is None), (row["reason"] is None,) * 2)

    def test_restored_backup_of_an_older_one(self):
        """m2mctl restore upgrades what it puts in place."""
        self.put("mtf", 1)
        kept = f"{self.dir}/kept"
        os.mkdir(kept, 0o700)
        uuid, epoch = self.text_of(f"{self.dir}/mtf/epoch").split()[2:4]
        shutil.copy(self.file, f"{kept}/data.mdb")
        with open(f"{kept}/manifest.json", "w") as f:
            json.dump({"format": 1, "server": "mtf", "schema": 1, "store": uuid, "epoch": int(epoch), "created": "20261124T000000",
                       "sha256": {"data.mdb": hashlib.sha256(self.data()).hexdigest()}}, f)
        self.good("upgrade", "--mtf", self.mtf)
        self.assertIn("the backup has schema 1, and will have schema 2", self.good("restore", kept, "--mtf", self.mtf, "--yes"))
        self.assertEqual(len(self.rows("enrolment", "list", "--mtf", self.mtf)), 6)

    def test_refused(self):
        self.put("mas", 1)
        self.bad(USAGE, "give either --mas FILE or --mtf FILE", "upgrade")
        self.bad(USAGE, "upgrade", "upgrade", "now", "--mas", self.mas)
        old = self.data()
        with open(self.file, "r+b") as f:
            f.seek(len(old) - 2 * 4096)
            f.write(bytes(4096))
        self.bad(SYSTEM, "damaged: page [0-9]+", "upgrade", "--mas", self.mas)
        self.assertEqual(os.listdir(os.path.dirname(self.file)).count("upgrade"), 0)
        os.unlink(self.file)
        self.bad(REFUSED, "there is no store", "upgrade", "--mas", self.mas)


class CheckConfig(Case):
    def host(self, text):
        return self.write("fd.conf", text)

    def refused(self, *args):
        p = run("check-config", *args)
        self.assertEqual(p.returncode, USAGE, (p.stdout, p.stderr))
        return p.stdout

    def test_good(self):
        csf = self.write("csf.conf", f'''relay-listen = "127.0.0.1:4444"
mtf-realm = "example.com"
resolver-socket = "{self.dir}/resolver"
cse-id = "{TARGET}"
mas "{MAS_ID}" {{ realm = "example.com" }}
peer "{MAS_ID}" {{ roles = {{ mas }} }}
peer "{MTF_ID}" {{ roles = {{ mtf }} }}
''')
        host = self.host('# comment\nIdentity = "a.example.com"; PORT = 0;\nConnectPeer = "b" { Port = 5868; No_SCTP; };\n'
                         'LoadExtension = "mas.fdx" : "x";\n')
        self.assertEqual(self.good("check-config", "--mas", self.mas, "--mtf", self.mtf, "--csf", csf, "--freediameter", host),
                         "".join(f"{f}: good\n" for f in (self.mas, self.mtf, csf, host)))
        self.assertEqual(self.good("check-config", "--json", "--mas", self.mas), "")
        self.assertEqual(self.good("check-config", env={"M2M_CSF_CONF": csf}), f"{csf}: good\n")

    def test_nothing_named(self):
        self.bad(USAGE, "name a file", "check-config")

    def pair(self, name, days=9, use="keyAgreement"):
        """NAME.pem and NAME.key for key packages; days: below 0, it is over."""
        path = {end: os.path.join(self.dir, f"{name}.{end}") for end in ("key", "csr", "ext", "pem")}
        self.write(f"{name}.ext", f"keyUsage=critical,{use}\n")
        for argv in (["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", path["key"],
                      "-out", path["csr"]],
                     ["x509", "-req", "-in", path["csr"], "-signkey", path["key"], "-days", str(days), "-extfile", path["ext"], "-out", path["pem"]]):
            subprocess.run(["openssl", *argv], check=True, capture_output=True, stdin=subprocess.DEVNULL)
        os.chmod(path["key"], 0o600)
        return path

    def test_certificates_of_packages(self):
        good, other, old, signer = (self.pair(n, *how) for n, *how in (("good",), ("other",), ("old", -1), ("signer", 9, "digitalSignature")))
        mas, mtf = self.text_of(self.mas), self.text_of(self.mtf)

        def of_mas(cert, key, by=signer, top=""):
            peer = mas.replace("roles = { mtf }", f'roles = {{ mtf }} package-signer = {{ "{by["pem"]}" }}')
            return self.write("mas.conf", f'package-certificate = "{cert["pem"]}"\npackage-private-key = "{key["key"]}"\n{top}{peer}')

        def of_mtf(cert, to):
            text = mtf.replace(f'mas "{MAS_ID}" {{', f'mas "{MAS_ID}" {{ package-recipient = "{to["pem"]}"')
            return self.write("mtf.conf", f'package-certificate = "{cert["pem"]}"\npackage-private-key = "{cert["key"]}"\n{text}')
        former = f'former-package-certificate = "{other["pem"]}"\nformer-package-private-key = "{other["key"]}"\n'
        for text in ("", former):
            self.assertIn(": good\n", self.good("check-config", "--mas", of_mas(good, good, top=text)))
        self.assertIn(": good\n", self.good("check-config", "--mtf", of_mtf(signer, good)))
        for side, conf, why in (("--mas", lambda: of_mas(good, other), "package-certificate: .*not the private key"),
                                ("--mas", lambda: of_mas(old, old), "old.pem: the certificate has expired"),
                                ("--mas", lambda: of_mas(signer, signer), "package-certificate: .*key usage"),
                                ("--mas", lambda: of_mas(good, good, old), "package-signer: .*key usage"),
                                ("--mas", lambda: of_mas(good, good, top=former.replace(other["key"], good["key"])), "former-package-certificate: .*not the private"),
                                ("--mtf", lambda: of_mtf(good, good), "package-certificate: .*key usage"),
                                ("--mtf", lambda: of_mtf(signer, signer), "package-recipient: .*key usage"),
                                ("--mtf", lambda: of_mtf(signer, old), "old.pem: the certificate has expired")):
            self.assertRegex(self.refused(side, conf()), why)

    def test_file_and_line(self):
        for what, conf in (("mas", self.mas), ("mtf", self.mtf)):
            with open(conf) as f:
                lines = f.read().splitlines()
            lines.insert(2, "frobnicate = 7")
            bad = self.write("bad.conf", "\n".join(lines) + "\n")
            self.assertIn(f"{bad}:3: frobnicate", self.refused(f"--{what}", bad))
            row, = [json.loads(x) for x in self.refused(f"--{what}", bad, "--json").splitlines()]
            self.assertEqual((row["file"], row["line"]), (bad, 3))
            self.bad(USAGE, f"{bad}:3: frobnicate", "init", f"--{what}", bad, "--no-recovery")
            self.assertFalse(os.path.exists(f"{self.dir}/{what}"))

    def test_both_files_are_told(self):
        bad = self.write("bad.conf", 'x = 1\n')
        text = self.refused("--mas", bad, "--mtf", bad, "--freediameter", self.host("Port = 1;\n"))
        self.assertEqual(len(text.splitlines()), 3)

    def test_missing_file(self):
        self.assertIn("nowhere", self.refused("--mas", f"{self.dir}/nowhere"))
        self.assertIn("nowhere", self.refused("--freediameter", f"{self.dir}/nowhere"))

    def test_host_findings(self):
        acl = self.write("acl.conf", "# ALLOW_IPSEC in a comment\ngood.example.com\nALLOW_IPSEC bad.example.com\n")
        part = self.write("part.conf", "\nno_tls_is_not_this = 1;\nloadextension = \"dbg_interactive.fdx\" : \"x.py\";\n")
        host = self.host('Identity = "No_TLS; Port = 1;";\n# Port = 3868;\nport\n= 3868 ;\n'
                         'LoadExtension = "/usr/lib/freeDiameter/dbg_msg_dumps.fdx" : "0x0080";\n'
                         f'LoadExtension = "acl_wl.fdx" : "{acl}";\n'
                         'LoadExtension = "acl_wl.fdx" : "nowhere.conf";\n'
                         'ConnectPeer = "p.example.com" { Port = 3868; no_tls; ConnectTo = "192.0.2.1"; };\n'
                         f'include "{self.dir}/pa*.conf"\nRealm = "example.com";\n')
        found = [tuple(line.split(": ", 1)) for line in self.refused("--freediameter", host).splitlines()]
        self.assertEqual([at for at, _ in found],
                         [f"{host}:3", f"{host}:5", f"{acl}:3", f"{host}:7", f"{host}:8", f"{part}:3"])
        for (_, text), word in zip(found, ("Port = 3868", "dbg_msg_dumps", "ALLOW_IPSEC", "nowhere.conf", "p.example.com", "dbg_interactive")):
            self.assertIn(word, text)
        rows = [json.loads(x) for x in self.refused("--freediameter", host, "--json").splitlines()]
        self.assertEqual([f"{r['file']}:{r['line']}" for r in rows], [at for at, _ in found])

    def test_host_port_missing(self):
        self.assertIn(":1: Port is not set", self.refused("--freediameter", self.host('Identity = "a.example.com";\n')))

    def test_host_not_a_configuration(self):
        for text in ("Port = 0", "Port = 0;\nConnectPeer = \"a\" { No_SCTP;\n", "Port = 0;\0"):
            self.refused("--freediameter", self.host(text))
        loop = self.host("")
        self.host(f'Port = 0;\ninclude "{loop}"\n')
        self.assertIn("nested too deep", self.refused("--freediameter", loop))

    def test_the_guides_samples(self):
        with open(os.path.join(TOP, "doc/operating.md")) as f:
            guide = f.read()
        shell = re.findall(r"```sh\n(.*?)```", guide, re.S)
        self.assertTrue(shell)
        subprocess.run(["sh", "-ec", "".join(shell)], cwd=self.dir, check=True, capture_output=True)
        for name, of in (("mtf-node.pem", "mtf.pem"), ("mtf-node.key", "mtf.key"), ("device-ca.pem", "diameter-ca.pem")):
            shutil.copy(os.path.join(self.dir, of), os.path.join(self.dir, name))
        blocks = re.findall(r"```(conf|fd) (\w+)\n(.*?)```", guide, re.S)
        self.assertEqual(sorted((kind, name) for kind, name, _ in blocks),
                         sorted((kind, name) for kind in ("conf", "fd") for name in ("mas", "mtf", "csf")))
        for kind, name, text in blocks:
            path = self.write(f"{name}.{kind}", text.replace("/etc/m2m/", self.dir + "/"))
            self.good("check-config", "--freediameter" if kind == "fd" else f"--{name}", path)


class LastOfAll(unittest.TestCase):
    def test_no_key_was_printed(self):
        text = "\n".join(outputs)
        squeezed = re.sub(r"[\s:]", "", text).lower()
        self.assertGreater(len(keys), 20)
        self.assertGreater(len(text), 5000)
        for key in keys:
            self.assertNotIn(key.hex(), squeezed)
            self.assertNotIn(base64.b64encode(key).decode().rstrip("="), text)
            self.assertNotIn(key[:16].hex(), squeezed)
            self.assertNotIn(key[-16:].hex(), squeezed)


def load_tests(loader, tests, pattern):
    del tests, pattern
    suite = unittest.TestSuite()
    for case in (CommandLine, Init, Keys, Credential, Enrolee, Enrolment, Key, Upgrade, CheckConfig, LastOfAll):
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False).result.wasSuccessful() else 1)

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""m2mctl backup, restore, check and an init that was interrupted: what is shown to be good, what is refused, and that a refusal leaves
the store as it was."""
import glob
import hashlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_m2mctl as cli  # noqa: E402
from test_m2mctl import LATER, M2MCTL, MAS_ID, MTF_ID, OK, REFUSED, SEED, SEED_MTF, SP, SYSTEM, TOP, USAGE  # noqa: E402

SEALED = bytes([1, 1, 1, 0]) + (1).to_bytes(4, "big")  # how a record of the first term begins


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Store(cli.Case):
    """A MAS with three keys, and how to make backups and damage them."""

    def setUp(self):
        super().setUp()
        self.data = f"{self.dir}/mas/keys/data.mdb"
        self.on = ("--mas", self.mas)
        self.kept = f"{self.dir}/backup"
        self.good("init", *self.on, "--no-recovery")
        self.names = self.seed(3)

    def seed(self, n, conf=None):
        out = subprocess.run([SEED, conf or self.mas, str(n)], check=True, capture_output=True, text=True).stdout.split()
        cli.keys.extend(bytes.fromhex(w) for w in out if "@" not in w)
        return [w for w in out if "@" in w]

    def revoke(self, name):
        subprocess.run([SEED, self.mas, "revoke", name], check=True, capture_output=True)

    def backup(self, *more):
        self.good("backup", self.kept, *self.on, *more)

    def manifest(self, **changes):
        """Its contents, after changes. None: take it out."""
        path = f"{self.kept}/manifest.json"
        m = {**json.loads(read(path)), **changes}
        m = {k: v for k, v in m.items() if v is not None}
        self.write("backup/manifest.json", json.dumps(m))
        return m

    def rehash(self):
        """Make the manifest fit the files that are there: the damage was there before the backup."""
        self.manifest(sha256={n: hashlib.sha256(read(f"{self.kept}/{n}")).hexdigest() for n in ("data.mdb", "keyring")
                              if os.path.exists(f"{self.kept}/{n}")})

    def states(self):
        return {r["kmId"]: r["state"] for r in self.rows("key", "list", *self.on)}

    def restored(self, *more):
        out = self.good("restore", self.kept, *self.on, "--yes", *more)
        self.good("check", *self.on)
        self.assertFalse(os.path.exists(f"{self.dir}/mas/restore"))
        return out

    def refused(self, status, reason, *more, side=None, out=r"\A\Z"):
        """Nothing changes, not an octet: what is there is not even opened."""
        before = read(self.data), read(f"{self.dir}/mas/keyring"), sorted(os.listdir(f"{self.dir}/mas"))
        p = cli.run("restore", self.kept, *(side or self.on), "--yes", *more)
        self.assertEqual(p.returncode, status, p.stdout + p.stderr)
        self.assertRegex(p.stderr, "m2mctl: nothing was changed: .*" + reason)
        self.assertRegex(p.stdout, out)
        self.assertEqual((read(self.data), read(f"{self.dir}/mas/keyring"), sorted(os.listdir(f"{self.dir}/mas"))), before)
        self.good("check", *self.on)


class Restore(Store):
    def test_round(self):
        self.backup()
        self.assertEqual(sorted(os.listdir(self.kept)), ["data.mdb", "manifest.json"])
        before = self.states()
        self.seed(2)
        self.revoke(self.names[2])
        now = self.states()
        self.assertEqual([now[n] for n in self.names], ["superseded", "superseded", "revoked"])
        out = self.restored()
        self.assertRegex(out, r"the backup is good: made at \d{8}T\d{6}")
        self.assertRegex(out, r"older than what is there by [1-9]\d* epochs")
        self.assertIn("there now: 5 root keys, 1 of them revoked; of these the backup has 0 as revoked\n", out)
        self.assertIn("lost: 2 root keys", out)
        self.assertIn("ATTENTION: 1 root keys that were revoked since will work again", out)
        self.assertEqual(self.states(), before)
        was, = glob.glob(self.data + ".before-*")
        self.assertIn(was, out)
        self.assertEqual(os.stat(was).st_nlink, 1)
        os.remove(was)
        self.assertEqual(self.states(), before)
        for _ in range(3):  # once more does no harm, in the same second neither
            self.assertIn("lost: 0 root keys", self.restored())
        self.assertEqual(len(glob.glob(self.data + ".before-*")), 3)

    def test_the_old_one_is_older_now(self):
        self.backup()
        self.seed(1)
        self.restored()
        was, = glob.glob(self.data + ".before-*")
        os.replace(was, self.data)
        self.bad(SYSTEM, "an older copy", "key", "list", *self.on)
        self.restored()

    def test_put_back_by_hand(self):
        self.backup()
        self.seed(1)
        shutil.copy(f"{self.kept}/data.mdb", self.data)
        self.bad(SYSTEM, "an older copy.*m2mctl restore", "key", "list", *self.on)
        self.assertIn("what is there cannot be told", self.restored())
        self.assertEqual(len(self.states()), 3)

    def test_asks(self):
        self.backup()
        self.seed(1)
        p = cli.run("restore", self.kept, *self.on)
        self.assertEqual(p.returncode, USAGE)
        self.assertRegex(p.stderr, "nothing was changed: .*--yes")
        for answer, status in ((b"n\n", REFUSED), (b"y\n", OK)):
            main, side = pty.openpty()
            p = subprocess.Popen([M2MCTL, "restore", self.kept, *self.on], stdin=side, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            os.write(main, answer)
            out, err = p.communicate(timeout=60)
            os.close(main)
            os.close(side)
            self.assertEqual(p.returncode, status, err)
            self.assertIn("lost: 1 root keys", out)
            self.assertIn("[y/N]", err)
            self.assertEqual(len(self.states()), 3 if status == OK else 4)

    def test_quick(self):
        self.backup()
        self.assertNotIn("there now", self.restored("--quick"))

    def test_damaged_manifest(self):
        self.backup()
        whole = read(f"{self.kept}/manifest.json")
        for text in (b"", b"{}", whole[:-3], whole.replace(b'"epoch"', b'"epok"'), whole.replace(b'"format": 1', b'"format": "1"'),
                     whole.replace(b'"format"', b'"server": "mas", "format"')):
            self.write("backup/manifest.json", text.decode())
            self.refused(SYSTEM, "not the manifest of a backup")
        self.write("backup/manifest.json", whole.replace(b'"format": 1', b'"format": 2').decode())
        self.refused(SYSTEM, "format 2, this program knows 1")
        os.remove(f"{self.kept}/manifest.json")
        self.refused(REFUSED, "manifest.json: No such file")

    def test_manifest_of_something_else(self):
        self.backup("--with-keyring")
        m = self.manifest()
        for changes in ({"epoch": m["epoch"] + 1}, {"epoch": m["epoch"] - 1}, {"epoch": -1}, {"store": "00" * 16}, {"store": ""}):
            self.manifest(**{**m, **changes})
            self.refused(SYSTEM, "store and epoch are not those of")
        for name in ("data.mdb", "keyring"):
            self.manifest(sha256={**m["sha256"], name: hashlib.sha256(b"").hexdigest()})
            self.refused(SYSTEM, f"{name}: is not what the manifest says .SHA-256.")
        self.manifest(sha256=m["sha256"])
        os.remove(f"{self.kept}/keyring")
        self.refused(REFUSED, "keyring: No such file")

    def test_epoch_is_the_copys_own(self):
        self.backup()
        self.assertEqual(read(f"{self.dir}/mas/epoch").split()[2].decode(), self.manifest()["store"])
        self.assertGreater(int(read(f"{self.dir}/mas/epoch").split()[3]), self.manifest()["epoch"])

    def test_damaged_data(self):
        self.backup()
        data = read(f"{self.kept}/data.mdb")
        self.write_data(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
        self.refused(SYSTEM, "SHA-256")
        for octets in (data[:-4096], data[:2 * 4096] + bytes(len(data) - 2 * 4096), b"", b"\0" * 8192, os.urandom(40960)):
            self.write_data(octets)
            self.rehash()
            self.refused(SYSTEM if octets else REFUSED, ".")

    def write_data(self, octets):
        with open(f"{self.kept}/data.mdb", "wb") as f:
            f.write(octets)

    def test_bad_record(self):
        self.backup()
        data = bytearray(read(f"{self.kept}/data.mdb"))
        self.assertEqual(data.count(SEALED), 3)
        at = [m.start() for m in re.finditer(re.escape(SEALED), bytes(data))]
        ids = {n.split("@")[0] for n in self.names}
        for i in at:  # that of a root key stands right behind its name
            if bytes(data[i - 16:i]).hex() in ids:
                data[i + 60] ^= 1
                name = bytes(data[i - 16:i]).hex()
                break
        self.write_data(data)
        self.rehash()
        self.refused(SYSTEM, "3 bad records; --quick", out=f"(?s)\\A.*bad: rootkey {name}@.*\\Z")

    def test_newer_schema(self):
        self.backup()
        data = read(f"{self.kept}/data.mdb")
        self.assertEqual(data.count(b"M2MS\0\0\0\3"), 1)
        self.write_data(data.replace(b"M2MS\0\0\0\3", b"M2MS\0\0\0\4"))
        self.rehash()
        self.refused(SYSTEM, "has schema 4, this program knows 3")

    def test_older_schema(self):
        old = os.path.join(TOP, "tests/data/mas-schema-1")
        os.mkdir(self.kept)
        for name in ("data.mdb", "keyring"):
            shutil.copyfile(f"{old}/{name}", f"{self.kept}/{name}")
        shutil.rmtree(f"{self.dir}/mas")
        os.remove(f"{self.dir}/mas.kek")
        shutil.copyfile(f"{old}/public-test.kek", f"{self.dir}/mas.kek")
        os.chmod(f"{self.dir}/mas.kek", 0o600)
        _, _, uuid, epoch = read(f"{old}/epoch").split()
        self.write("backup/manifest.json", "{}")
        self.manifest(format=1, server="mas", store=uuid.decode(), epoch=int(epoch), created="20260101T000000")
        self.rehash()
        self.assertIn("has schema 1, and will have schema 3", self.restored())
        self.assertEqual(len(self.states()), 24)

    def other(self, name, mas_id):
        """Another MAS, with another store."""
        conf = self.write(name + ".conf", self.text_of(self.mas).replace(f"{self.dir}/mas\"", f"{self.dir}/{name}\"").replace(MAS_ID, mas_id))
        self.good("init", "--mas", conf, "--no-recovery")
        self.seed(1, conf)
        return conf

    def test_another_server(self):
        for name, mas_id in (("same", MAS_ID), ("other", "mas2.example.com")):
            conf = self.other(name, mas_id)
            shutil.rmtree(self.kept, ignore_errors=True)
            self.good("backup", self.kept, "--mas", conf, "--with-keyring")
            self.refused(USAGE, "is of another store than the one in")
        shutil.rmtree(f"{self.dir}/mas")
        self.bad(USAGE, "nothing was changed: .*was made for mas2.example.com, not for mas.example.com", "restore", self.kept, *self.on, "--yes")
        self.assertFalse(os.path.exists(f"{self.dir}/mas"))

    def test_another_keyring(self):
        conf = self.other("other", MAS_ID)
        self.backup()
        shutil.copy(f"{self.dir}/other/keyring", f"{self.dir}/mas/keyring")
        p = cli.run("restore", self.kept, *self.on, "--yes")
        self.assertEqual(p.returncode, SYSTEM)
        self.assertRegex(p.stderr, "nothing was changed: .*is this the keyring of this store")
        self.assertNotEqual(self.rows("key", "list", "--mas", conf), [])

    def test_backup_of_an_mtf(self):
        self.good("init", "--mtf", self.mtf, "--no-recovery")
        self.add()
        self.good("backup", self.kept, "--mtf", self.mtf)
        self.refused(USAGE, "is of another server .mtf.")
        self.manifest(server="mas")
        self.refused(USAGE, "is of another store")
        shutil.rmtree(self.kept)
        self.backup()
        self.refused(USAGE, "is of another server .mas.", side=("--mtf", self.mtf))

    def test_new_machine(self):
        before = self.states()
        self.backup()
        os.rename(f"{self.dir}/mas", f"{self.dir}/lost")
        self.bad(REFUSED, "nothing was changed: .*keyring: missing, and not in the backup", "restore", self.kept, *self.on, "--yes")
        self.assertFalse(os.path.exists(f"{self.dir}/mas"))
        os.rename(f"{self.dir}/lost", f"{self.dir}/mas")
        shutil.rmtree(self.kept)
        self.backup("--with-keyring")
        shutil.rmtree(f"{self.dir}/mas")
        os.mkdir(f"{self.dir}/mas", 0o700)
        self.assertIn("there is no store yet", self.restored())
        self.assertEqual(self.states(), before)
        shutil.rmtree(f"{self.dir}/mas")
        os.rename(f"{self.dir}/mas.kek", f"{self.dir}/away")
        self.bad(SYSTEM, "nothing was changed: .*mas.kek", "restore", self.kept, *self.on, "--yes")
        self.assertFalse(os.path.exists(f"{self.dir}/mas"))

    def test_running_server(self):
        self.backup()
        with subprocess.Popen([SEED, self.mas, "1", "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
            p.stdout.readline()
            self.bad(LATER, "nothing was changed: stop the server first", "restore", self.kept, *self.on, "--yes")
            p.stdin.close()
            p.wait(60)
        self.restored()

    def test_keyring_was_rotated(self):
        self.backup("--with-keyring")
        before = self.states()
        self.good("rotate", *self.on)
        self.refused(SYSTEM, "the backup has another keyring than .*move this away")
        os.rename(f"{self.dir}/mas/keyring", f"{self.dir}/away")
        self.restored()
        self.assertEqual(self.states(), before)

    def test_after_a_kill(self):
        self.backup()
        os.makedirs(f"{self.dir}/mas/restore/new/keys/upgrade", mode=0o700)
        for name in ("data.mdb", "upgrade/data.mdb", "upgrade/lock.mdb"):
            self.write(f"mas/restore/new/keys/{name}", "half")
        os.link(self.data, self.data + ".before-20200101T000000")
        self.restored()
        was, = glob.glob(self.data + ".before-*")
        self.assertNotIn("2020", was)

    def test_two_at_once(self):
        self.backup()
        main, side = pty.openpty()
        p = subprocess.Popen([M2MCTL, "restore", self.kept, *self.on], stdin=side, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            while b"[" not in p.stderr.read(1):
                pass
            self.bad(LATER, "another restore is under way", "restore", self.kept, *self.on, "--yes")
        finally:
            os.write(main, b"y\n")
            p.communicate(timeout=60)
            os.close(main)
            os.close(side)
        self.assertEqual(p.returncode, OK)


class RestoreMtf(cli.Case):
    def setUp(self):
        super().setUp()
        self.on = ("--mtf", self.mtf)
        self.kept = f"{self.dir}/backup"
        folder, _, _, *secret = subprocess.run([SEED_MTF], check=True, capture_output=True, text=True).stdout.split()
        cli.keys.extend(bytes.fromhex(hexa) for hexa in secret)
        shutil.move(f"{folder}/store", f"{self.dir}/mtf")
        shutil.move(f"{folder}/kek", f"{self.dir}/mtf.kek")
        shutil.rmtree(folder)

    def all(self):
        return [self.rows(what, "list", *self.on) for what in ("credential", "enrolee", "enrolment")]

    def test_round(self):
        before = self.all()
        self.good("backup", self.kept, *self.on)
        self.add("psk:later")
        self.good("credential", "remove", "psk:node-7", "--yes", *self.on)
        out = self.good("restore", self.kept, *self.on, "--yes")
        self.assertIn("there now: 1 credentials and 1 enrolments; the backup has 1 enrolments\nlost: 1 credentials", out)
        self.assertIn("ATTENTION: 1 credentials that were removed since will work again", out)
        self.assertEqual(self.all(), before)
        self.good("check", *self.on)

    def test_new_machine(self):
        before = self.all()
        self.good("backup", self.kept, *self.on, "--with-keyring")
        shutil.rmtree(f"{self.dir}/mtf")
        self.good("restore", self.kept, *self.on, "--yes")
        self.assertEqual(self.all(), before)
        self.good("check", *self.on)


class Check(Store):
    """Of a store where all is good, and of one where something is not."""

    def bad_record(self):
        data, head = read(self.data), bytes.fromhex(self.names[0].split("@")[0]) + SEALED
        with open(self.data, "r+b") as f:
            for m in re.finditer(re.escape(head), data):  # in pages that are free by now too
                f.seek(m.end() + 60)
                f.write(bytes([data[m.end() + 60] ^ 1]))

    def test_good(self):
        self.good("init", "--mtf", self.mtf, "--no-recovery")
        self.add()
        self.good(*self.instruct())
        for on in (self.on, ("--mtf", self.mtf)):
            self.assertRegex(self.good("check", *on), r"^pages: good\nrecords: [1-9]\d* good, 0 bad\n$")
            row, = self.rows("check", *on)
            self.assertEqual((row["pages"], row["bad"]), ("good", 0))
            self.assertEqual(set(row), {"store", "pages", "good", "bad"})

    def test_bad(self):
        self.bad_record()
        p = cli.run("check", *self.on)
        self.assertEqual(p.returncode, SYSTEM)
        self.assertRegex(p.stdout, r"(?m)^bad: rootkey [0-9a-f]{32}@mas.example.com: .*")
        self.assertRegex(p.stdout, r"(?m)^records: \d+ good, 3 bad$")
        self.assertIn("3 bad records", p.stderr)
        p = cli.run("check", *self.on, "--json")
        self.assertEqual(p.returncode, SYSTEM)
        *rows, last = [json.loads(line) for line in p.stdout.splitlines()]
        self.assertEqual([r["table"] for r in rows], ["rootkey", "enrolee", "expiry"])
        self.assertEqual(last["bad"], 3)

    def test_progress_on_a_terminal_only(self):
        self.assertEqual(cli.run("check", *self.on).stderr, "")
        main, side = pty.openpty()
        p = subprocess.Popen([M2MCTL, "check", *self.on], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=side, text=True)
        out = p.communicate(timeout=60)[0]
        os.close(side)
        self.assertRegex(os.read(main, 4096).decode(), r"\r *100 %, \d+ records/s, 0 s left")
        os.close(main)
        self.assertNotIn("%", out)

    def test_beside_a_rotation(self):
        self.seed(150)
        rotation = subprocess.Popen(["sh", "-ec", 'for i in 1 2 3 4 5; do "$0" rotate --mas "$1"; done', M2MCTL, self.mas],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        checks = 0
        while rotation.poll() is None or not checks:
            self.assertRegex(self.good("check", *self.on), ", 0 bad\n")
            checks += 1
        self.assertEqual((rotation.returncode, rotation.communicate()[1]), (0, ""))


class InitAgain(cli.Case):
    """An init that was killed before the keyring, which comes last, was in its place."""

    def test_half_done(self):
        for what, conf in (("mas", self.mas), ("mtf", self.mtf)):
            recovery, on = f"{self.dir}/{what}.recovery", (f"--{what}", conf)
            init = ("init", *on, "--recovery-file", recovery)
            self.good(*init)
            phrase, kek = self.text_of(recovery), read(f"{self.dir}/{what}.kek")
            os.remove(f"{self.dir}/{what}/keyring")
            self.good(*init)
            self.assertEqual((self.text_of(recovery), read(f"{self.dir}/{what}.kek")), (phrase, kek))
            self.assertEqual([r["kind"] for r in self.rows("kek", "list", *on)], ["file", "passphrase"])
            self.good("kek", "test", "passphrase:" + recovery, *on)
            self.good("kek", "test", *on)
            self.bad(REFUSED, "exists already", *init)
            os.remove(recovery)
            self.bad(REFUSED, "keyring", *init)
            self.assertFalse(os.path.exists(recovery))

    def test_records_without_a_keyring(self):
        self.good("init", "--mtf", self.mtf, "--no-recovery")
        self.add()
        os.remove(f"{self.dir}/mtf/keyring")
        self.bad(REFUSED, "there are records already, but no keyring", "init", "--mtf", self.mtf, "--no-recovery")


def load_tests(loader, tests, pattern):
    del tests, pattern
    suite = unittest.TestSuite()
    for case in (Restore, RestoreMtf, Check, InitAgain, cli.LastOfAll):
        suite.addTests(loader.loadTestsFromTestCase(case))
    return suite


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False).result.wasSuccessful() else 1)

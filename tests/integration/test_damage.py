# SPDX-License-Identifier: BSD-2-Clause
"""Stores that a server must not use as they are: damaged ones are refused with page and reason, every time, and the server
ends cleanly; one of an older schema is upgraded at the start."""
import os
import re
import shutil
import unittest

from case import LabCase, lablib

SCHEMA_1 = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "mas-schema-1")
PAGE = 4096


class Damage(LabCase):
    def refused(self, d, reason):
        """The daemon ends by itself, with a status and not by a signal; its log says why."""
        since = d.mark()
        d.start(wait=False)
        lablib.wait_for("the daemon to say why", lambda: d.logged(f"does not start: .*{reason}.*", since))
        self.assertIn(d.wait_end(), d.ENDED)
        self.assertFalse(d.logged("Sanitizer|SIGSEGV|SIGABRT|Aborted", since), d.tail())
        d.stop()

    def damage(self, d, data, octets):
        """Zero a leaf with these octets that is in use: an older version of one harms nobody. Its number."""
        with open(data, "rb") as f:
            pages = [f.read(PAGE) for _ in range(64)]
        for n, page in enumerate(pages):
            if n < 2 or page[10:12] != b"\2\0" or octets not in page:
                continue
            with open(data, "r+b") as f:
                f.seek(n * PAGE)
                f.write(bytes(PAGE))
            p = self.lab.ctl("check", f"--{d.name}", d.conf, check=False)
            if p.returncode == 3 and f"page {n}: " in p.stdout + p.stderr:
                return n
            with open(data, "r+b") as f:
                f.seek(n * PAGE)
                f.write(page)
        raise AssertionError("no such page")

    def test_damaged_page(self):
        self.new_node("node")
        self.enrol("node")
        for d, env, octets in ((self.lab.mas, "keys", b"node"), (self.lab.mtf, "enrolments", b"psk:")):
            with self.subTest(server=d.name):
                d.stop()
                data = os.path.join(d.path("store"), env, "data.mdb")
                shutil.copy(data, self.path("whole"))
                page = self.damage(d, data, octets)
                for _ in range(2):
                    self.refused(d, f"damaged: page {page}: ")
                shutil.copy(self.path("whole"), data)
                self.lab.own()
                d.start()
        lablib.wait_for("it enrols again", lambda: self.enrol("node", check=False).returncode == 0, 30)

    def test_older_schema(self):
        d = self.lab.mas
        conf, store = d.conf, d.path("store")
        d.stop()
        shutil.move(store, self.path("kept"))
        with open(conf) as f:
            kek = re.search(r'kek-file = "([^"]+)"', f.read()).group(1)
        shutil.move(kek, self.path("kept.kek"))
        os.makedirs(os.path.join(store, "keys"), mode=0o700)
        for name, to in (("keyring", os.path.join(store, "keyring")), ("epoch", os.path.join(store, "epoch")),
                         ("data.mdb", os.path.join(store, "keys", "data.mdb")), ("public-test.kek", kek)):
            shutil.copyfile(os.path.join(SCHEMA_1, name), to)
            os.chmod(to, 0o600)
        os.chmod(store, 0o700)
        self.lab.own()
        p = self.lab.ctl("key", "list", "--mas", conf, check=False)
        self.assertEqual(p.returncode, 3)
        self.assertIn("m2mctl upgrade", p.stderr)
        for upgraded in (True, False):
            since = d.mark()
            d.start()
            found = d.logged("upgraded from schema 1 to 3, 24 root keys in [0-9]+ ms", since)
            self.assertEqual(bool(found), upgraded, d.tail())
            self.assertEqual(len(self.lab.ctl("key", "list", "--json", "--mas", conf).stdout.splitlines()), 24)
            self.lab.ctl("check", "--mas", conf)
            d.stop()
        with open(os.path.join(store, "keys", "data.mdb.schema-1"), "rb") as f, open(os.path.join(SCHEMA_1, "data.mdb"), "rb") as g:
            self.assertEqual(f.read(), g.read())
        shutil.rmtree(store)
        shutil.move(self.path("kept"), store)
        shutil.move(self.path("kept.kek"), kek)
        d.start()


if __name__ == "__main__":
    unittest.main()

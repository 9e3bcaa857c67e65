# SPDX-License-Identifier: BSD-2-Clause
"""The restore drill of doc/operating.md: a backup beside a busy server, an older copy that is refused, a restore."""
import json
import os
import shutil
import unittest

from case import LabCase, lablib


class Backup(LabCase):
    def test_drill(self):
        conf = self.lab.mas.conf
        store = self.store_of(conf)
        self.new_node("before")
        self.enrol("before")
        out = self.path("backup")
        self.lab.ctl("check", "--mas", conf)
        self.lab.ctl("check", "--mtf", self.lab.mtf.conf)
        self.lab.ctl("backup", out, "--mas", conf)
        again = self.lab.ctl("backup", out, "--mas", conf, check=False)
        self.assertEqual(again.returncode, 1, "a backup is never written over")
        self.new_node("after")
        self.enrol("after")
        self.assertEqual(os.stat(os.path.join(out, "data.mdb")).st_mode & 0o777, 0o600)
        with open(os.path.join(out, "manifest.json")) as f:
            self.assertEqual(json.load(f)["server"], "mas")
        busy = self.lab.ctl("restore", out, "--mas", conf, "--yes", check=False)
        self.assertEqual(busy.returncode, 4, busy.stdout + busy.stderr)
        self.lab.mas.stop()
        # Put back by hand: refused, and the store says why.
        data = os.path.join(store, "keys", "data.mdb")
        shutil.copy(data, self.path("newest"))
        shutil.copy(os.path.join(out, "data.mdb"), data)
        p = self.lab.ctl("key", "list", "--mas", conf, check=False)
        self.assertEqual(p.returncode, 3)
        self.assertIn("older copy", p.stderr)
        shutil.copy(self.path("newest"), data)
        self.lab.ctl("restore", out, "--mas", conf, "--yes")
        self.lab.restart_mas()
        ki, kc = self.derive("before")
        lablib.wait_for("the restored key to serve", lambda: self.resolve(ki).get("key") == kc.hex(), 30)
        ki, _ = self.derive("after")
        self.assertNotIn("key", self.resolve(ki))
        lablib.wait_for("it enrols again", lambda: self.enrol("after", check=False).returncode == 0, 30)
        self.lab.mas.stop()
        with open(data, "r+b") as f:
            for page in range(2, 64):
                f.seek(page * 4096 + 10)
                f.write(b"\x77")  # its kind
        p = self.lab.ctl("check", "--mas", conf, check=False)
        self.assertEqual(p.returncode, 3, p.stdout + p.stderr)
        self.lab.ctl("restore", out, "--mas", conf, "--yes")
        self.lab.ctl("check", "--mas", conf)
        # A damaged backup changes nothing.
        with open(os.path.join(out, "data.mdb"), "r+b") as f:
            f.seek(100)
            f.write(b"x")
        p = self.lab.ctl("restore", out, "--mas", conf, "--yes", check=False)
        self.assertEqual(p.returncode, 3)
        self.assertIn("SHA-256", p.stderr)

    @staticmethod
    def store_of(conf):
        with open(conf) as f:
            return next(line.split('"')[1] for line in f if line.startswith("store"))


if __name__ == "__main__":
    unittest.main()

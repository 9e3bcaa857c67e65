# SPDX-License-Identifier: BSD-2-Clause
"""The restore drill of doc/operating.md: a backup beside a busy server, an older copy that is refused, a restore."""
import json
import os
import pty
import re
import shutil
import threading
import unittest

from case import LabCase, lablib


GUIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc", "operating.md")


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
        ki, kc = self.derive("after")  # by a fetch, without the node
        lablib.wait_for("what came after the backup to serve", lambda: self.resolve(ki).get("key") == kc.hex(), 30)
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

    def test_the_guides_drill(self):
        """The commands of the guide, as they stand there, by an operator who answers y."""
        with open(GUIDE) as f:
            drill, = re.findall(r"```restore\n(.*?)```", f.read(), re.S)
        lines = [line.split(" #")[0].split() for line in drill.splitlines()]
        self.assertEqual([line[0] for line in lines], ["systemctl", "m2mctl", "m2mctl", "systemctl"])
        self.lab.restart_mas()
        self.new_node("drilled")
        lablib.wait_for("it enrols", lambda: self.enrol("drilled", check=False).returncode == 0, 30)
        kept = self.path("of-the-guide")
        self.lab.ctl("backup", kept, "--mas", self.lab.mas.conf)
        places = {"/backup/mas-20271124": kept, "/etc/m2m/mas.conf": self.lab.mas.conf}
        for line in lines:
            if line == ["systemctl", "stop", "m2m-mas"]:
                self.lab.mas.stop()
            elif line == ["systemctl", "start", "m2m-mas"]:
                self.lab.restart_mas()
            else:
                self.assertEqual(self.answered([places.get(word, word) for word in line]), 0, line)
        ki, kc = self.derive("drilled")
        lablib.wait_for("the restored key to serve", lambda: self.resolve(ki).get("key") == kc.hex(), 30)

    def answered(self, argv):
        """Exit status of a command at whose terminal somebody says y."""
        main, side = pty.openpty()
        os.write(main, b"y\n")
        try:
            return self.lab.run(argv, check=False, stdin=side).returncode
        finally:
            os.close(main)
            os.close(side)

    def test_beside_a_busy_server(self):
        """Backups while nodes enrol: each is good, and has every key that was acknowledged before the command began."""
        for i in range(8):
            self.new_node(f"busy-{i}")
        acknowledged, stop, failed = [], threading.Event(), []

        def enrol():
            i = 0
            while not stop.is_set():
                name = f"busy-{i % 8}"
                if self.enrol(name, check=False).returncode == 0:
                    acknowledged.extend(k["kmId"] for k in self.node_keys(name)["keys"])
                    os.remove(self.path(f"{name}.keys"))
                i += 1

        worker = threading.Thread(target=enrol)
        worker.start()
        try:
            for i in range(3):
                lablib.wait_for("enrolments", lambda i=i: len(acknowledged) > 2 * i + 1, 60)
                before, out = list(acknowledged), self.path(f"busy-backup-{i}")
                self.lab.ctl("backup", out, "--mas", self.lab.mas.conf, "--with-keyring")
                inside = self.inside(out)
                failed += [k for k in before if k not in inside]
        finally:
            stop.set()
            worker.join()
        self.assertEqual(failed, [])
        self.assertGreater(len(acknowledged), 5)

    def inside(self, out):
        """The KmIDs of a backup, restored as on a new machine with the key encryption key only, and checked."""
        where = out + ".new"
        with open(self.lab.mas.conf) as f:
            text = f.read().replace(f'store = "{self.store_of(self.lab.mas.conf)}"', f'store = "{where}"')
        conf = self.write(os.path.basename(out) + ".conf", text)
        os.mkdir(where, 0o700)
        self.lab.own()
        self.lab.ctl("restore", out, "--mas", conf, "--yes")
        self.lab.ctl("check", "--mas", conf)
        return {json.loads(line)["kmId"] for line in self.lab.ctl("key", "list", "--json", "--mas", conf).stdout.splitlines()}

    @staticmethod
    def store_of(conf):
        with open(conf) as f:
            return next(line.split('"')[1] for line in f if line.startswith("store"))


if __name__ == "__main__":
    unittest.main()

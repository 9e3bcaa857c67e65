# SPDX-License-Identifier: BSD-2-Clause
"""A peer that empties the MAS is cut off, stays so over a restart, and is let in again by the operator."""
import json
import os
import unittest

from case import LabCase, lablib


class Fuse(LabCase):
    @classmethod
    def prepare(cls):
        conf = cls.lab._mas_conf

        def with_fuse():
            conf()
            with open(cls.lab.mas.conf) as f:
                text = f.read()
            with open(cls.lab.mas.conf, "w") as f:
                f.write(text.replace("cse-ids", "fuse-keys = 2\n\tcse-ids", 1))
        cls.lab._mas_conf = with_fuse

    def ask(self, name):
        ki, kc = self.derive(name)
        got = self.resolve(ki)
        if got["status"] == "ok":
            self.assertEqual(got["key"], kc.hex())
        return got.get("reason", "ok")

    def test_sweep(self):
        for name in ("n1", "n2", "n3"):
            self.new_node(name)
            self.enrol(name)
        self.assertEqual([self.ask(n) for n in ("n1", "n2", "n1")], ["ok"] * 3)
        self.assertEqual(self.resolve("00" * 16 + "." + "00" * 16 + "@" + lablib.MAS)["reason"], "unknown")
        self.assertEqual([self.ask(n) for n in ("n3", "n1", "n2")], ["denied"] * 3)
        barred = self.lab.mas.path("store", f"barred-{lablib.CSF}")
        self.lab.mas.wait_log(f"peer {lablib.CSF} asked for association keys under more than 2 root keys within an hour.*{barred}")
        self.new_node("n4")
        self.enrol("n4")  # others are served
        self.lab.restart_mas()
        lablib.wait_for("the CSF to reach the MAS again", lambda: self.ask("n1") == "denied", 30)
        self.lift(barred)
        lablib.wait_for("the MAS to see it", lambda: self.ask("n1") == "ok")
        self.lab.mas.wait_log(f"peer {lablib.CSF} gets association keys again")
        self.assertEqual([self.ask(n) for n in ("n2", "n3")], ["ok", "denied"])
        os.unlink(barred)  # by hand works too
        lablib.wait_for("the MAS to see it", lambda: self.ask("n1") == "ok")
        lablib.wait_for("the audit log to have both", lambda: self.audited() == 2)

    def fuses(self):
        lines = self.lab.ctl("fuse", "list", "--json", "--mas", self.lab.mas.conf).stdout.splitlines()
        return {row["peer"]: (row["fuseKeys"], row["state"]) for row in map(json.loads, lines)}

    def audited(self):
        """Lines about a fuse in the MAS's audit log, and it is whole."""
        with open(self.lab.mas.path("store", "audit.log")) as f:
            rows = [row for row in map(json.loads, f) if row.get("command") == "FUSE"]
        self.assertTrue(all(row["peer"] == lablib.CSF and row["result"] == 2001 for row in rows))
        self.lab.ctl("audit", "verify", "--mas", self.lab.mas.conf)
        return len(rows)

    def lift(self, barred):
        """By the operator, beside the server."""
        def lift(*more, check=True):
            return self.lab.ctl("fuse", "lift", *more, "--mas", self.lab.mas.conf, check=check)
        self.assertEqual(self.fuses(), {lablib.CSF: (2, "blown")})
        self.assertEqual(lift(lablib.CSF, check=False).returncode, 2)  # nobody to ask, and no --yes
        self.assertEqual(lift("other.example.com", "--yes", check=False).returncode, 1)
        self.assertTrue(os.path.exists(barred))
        self.assertEqual(self.audited(), 0)
        lift(lablib.CSF, "--yes")
        self.assertEqual(self.fuses(), {lablib.CSF: (2, "good")})
        self.assertEqual(lift(lablib.CSF, "--yes", check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()

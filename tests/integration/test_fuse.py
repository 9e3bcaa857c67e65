# SPDX-License-Identifier: BSD-2-Clause
"""A peer that empties the MAS is cut off, stays so over a restart, and is let in again by the operator."""
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
        os.unlink(barred)
        lablib.wait_for("the MAS to see it", lambda: self.ask("n1") == "ok")
        self.lab.mas.wait_log(f"peer {lablib.CSF} gets association keys again")
        self.assertEqual([self.ask(n) for n in ("n2", "n3")], ["ok", "denied"])


if __name__ == "__main__":
    unittest.main()

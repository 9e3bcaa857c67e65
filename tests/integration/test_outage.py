# SPDX-License-Identifier: BSD-2-Clause
"""A MAS that is down, killed or full: the node is told to try later, nothing is half-stored, the next try works."""
import signal
import unittest

from case import LabCase, lablib


class Outage(LabCase):
    def test_mas_down_then_up(self):
        self.new_node("out-1")
        before = self.stored()
        self.lab.mas.stop()
        p = self.enrol("out-1", check=False)
        self.assertEqual(p.returncode, 4, p.stdout + p.stderr)
        self.assertIn("try-later", p.stdout + p.stderr)
        self.assertEqual(self.stored(), before)
        self.lab.restart_mas()
        lablib.wait_for("the next try to work", lambda: self.enrol("out-1", check=False).returncode == 0, 30)
        ki, kc = self.derive("out-1")
        lablib.wait_for("the resolver to answer", lambda: self.resolve(ki).get("key") == kc.hex(), 30)

    def test_killed_mas_keeps_what_it_acknowledged(self):
        self.new_node("out-2")
        self.enrol("out-2")
        self.lab.restart_mas(signal.SIGKILL)
        ki, kc = self.derive("out-2")
        lablib.wait_for("the root key to serve again", lambda: self.resolve(ki).get("key") == kc.hex(), 30)


class Full(LabCase):
    @classmethod
    def prepare(cls):
        make = cls.lab._mas_conf

        def small():
            make()
            with open(cls.lab.mas.conf) as f:
                text = f.read().replace("map-size = 64M", "map-size = 256K")
            with open(cls.lab.mas.conf, "w") as f:
                f.write(text)
        cls.lab._mas_conf = small

    def test_full_mas(self):
        self.new_node("full")
        keys = 0
        for keys in range(2000):
            p = self.enrol("full", check=False)
            if p.returncode != 0:
                break
        self.assertEqual(p.returncode, 4, p.stdout + p.stderr)
        self.assertIn("try-later", p.stdout + p.stderr)
        self.assertEqual(self.stored(), (keys, keys))
        ki, kc = self.derive("full")
        self.assertEqual(self.resolve(ki).get("key"), kc.hex(), "what was stored before still serves")


if __name__ == "__main__":
    unittest.main()

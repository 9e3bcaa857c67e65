# SPDX-License-Identifier: BSD-2-Clause
"""A configuration error: file, line and reason, in the daemon's log and from check-config alike, before anything opens."""
import os
import unittest

from case import LabCase, lablib


class Config(LabCase):
    def refuse(self, side, old, new, reason, of_line=True):
        """The daemon does not start with old replaced by new, and says why; check-config says the same. What is wrong with two
        settings together is not of one line."""
        d = getattr(self.lab, side)
        with open(d.conf) as f:
            good = f.read()
        self.assertIn(old, good)
        line = (good[:good.index(old)] + new).count("\n") + 1  # the last line of what is new
        said_where = rf"{d.conf}:{line}: .*{reason}" if of_line else rf"{d.conf}: {reason}"
        before = self.files(d)
        try:
            with open(d.conf, "w") as f:
                f.write(good.replace(old, new, 1))
            said = self.lab.ctl("check-config", f"--{side}", d.conf, check=False)
            self.assertEqual(said.returncode, 2, said.stdout + said.stderr)
            self.assertRegex(said.stdout, said_where)
            mark = d.mark()
            d.start(wait=False)
            lablib.wait_for("the daemon to say why", lambda: d.logged(said_where, mark))
            self.assertNotEqual(d.wait_end(), 0, "the daemon started")
            self.assertEqual(self.files(d), before, "something was opened")
        finally:
            with open(d.conf, "w") as f:
                f.write(good)

    @staticmethod
    def files(d):
        return sorted((root, name, os.stat(os.path.join(root, name)).st_mtime_ns)
                      for root, _, names in os.walk(d.path("store")) for name in names)

    def test_bad_lines(self):
        for d in self.lab.daemons:
            d.stop()
        for side, old, new, reason in (
                ("mas", "map-size = 64M", "map-sise = 64M", "map-sise"),
                ("mas", "map-size = 64M", "map-size = 1", "map-size.*out of range"),
                ("mas", "roles = { mtf }", "roles = { mft }", "mft"),
                ("mtf", "push-timeout = 5s", "push-timeout = 5parsecs", "push-timeout"),
                ("mtf", "map-size = 64M", "map-size = 64M\nmap-size = 64M", "map-size"),
                ("mas", "map-size = 64M", "store-alarm = 5", "store-alarm.*out of range"),
                ("csf", f'cse-id = "{lablib.CSE_ID}"', 'cse-id = "in-cse"', "cse-id")):
            with self.subTest(f"{side}: {new}"):
                self.refuse(side, old, new, reason)
        for side, new, reason in (
                ("mas", "store-alarm = 90", "store-alarm: 90 is above store-reserve, 85"),
                ("mtf", "store-reserve = 60", "store-alarm: 70 is above store-reserve, 60")):
            with self.subTest(f"{side}: {new}"):
                self.refuse(side, "map-size = 64M", new, reason, of_line=False)
        self.lab.start()


if __name__ == "__main__":
    unittest.main()

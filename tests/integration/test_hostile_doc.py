# SPDX-License-Identifier: BSD-2-Clause
"""doc/hostile.md names tests that exist."""
import glob
import os
import re
import unittest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Doc(unittest.TestCase):
    def test_every_test_exists(self):
        known = set()
        for path in glob.glob(os.path.join(TOP, "tests", "integration", "test_*.py")):
            name = None
            with open(path) as f:
                for line in f:
                    if m := re.match(r"class (\w+)\(", line):
                        name = m.group(1)
                    elif m := re.match(r"    def (test_\w+)\(", line):
                        known.add(f"{name}.{m.group(1)}")
        with open(os.path.join(TOP, "doc", "hostile.md")) as f:
            text = f.read()
        named = set(re.findall(r"\b[A-Z]\w+\.test_\w+", text))
        self.assertGreater(len(named), 50)
        self.assertEqual(named - known, set())
        for row in re.findall(r"^\|.*\|$", text, re.M):
            self.assertTrue(re.match(r"\| input \||\|---", row) or re.search(r"test_\w+ \|$|check_\w+( \([\w, ]+\))? \|$", row), row)
        units = ""
        for path in glob.glob(os.path.join(TOP, "tests", "unit", "check_*.c")):
            with open(path) as f:
                units += f.read()
        in_units = set(re.findall(r"\btest_\w+", " ".join(re.findall(r"\bcheck_\w+ \(([^)]*)\)", text))))
        self.assertEqual({name for name in in_units if f"START_TEST({name})" not in units}, set())


if __name__ == "__main__":
    unittest.main()

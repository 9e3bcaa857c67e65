# SPDX-License-Identifier: BSD-2-Clause
"""The audit logs of MAS and MTF: every key that was asked for is in them, changes are found, and a server that cannot
write its log gives out no key until it can."""
import json
import os
import signal
import unittest

from case import LabCase, lablib


class Audit(LabCase):
    def log(self, daemon):
        return os.path.join(daemon.path("store"), "audit.log")

    def lines(self, daemon):
        with open(self.log(daemon)) as f:
            return [json.loads(line) for line in f]

    def verify(self, side, *more, check=True):
        d = getattr(self.lab, side)
        return self.lab.ctl("audit", "verify", "--json", f"--{side}", d.conf, *more, check=check)

    def name(self, side, key):
        d = getattr(self.lab, side)
        return self.lab.ctl("audit", "name", key, f"--{side}", d.conf).stdout.strip()

    def of(self, daemon, **want):
        return [r for r in self.lines(daemon) if all(r.get(k) == v for k, v in want.items())]

    def test_who_got_which_key(self):
        self.new_node("audit-1")
        self.enrol("audit-1")
        km = self.node_keys("audit-1")["keys"][0]["kmId"]
        ki, _ = self.derive("audit-1")
        self.assertIn("key", self.resolve(ki))
        pushed = self.of(self.lab.mtf, command="KPR", name=self.name("mtf", km))
        self.assertEqual([(r["peer"], r["result"]) for r in pushed], [(lablib.MAS, 0)], "noted before it is sent")
        self.assertTrue(self.of(self.lab.mtf, command="RPR", peer=lablib.CSF, result=2001))
        stored = self.of(self.lab.mas, command="KPR", name=self.name("mas", km))
        self.assertEqual([(r["peer"], r["suid"], r["result"]) for r in stored], [(lablib.MTF, 21, 2001)])
        given = self.of(self.lab.mas, command="SKR", name=self.name("mas", ki))
        self.assertEqual([(r["peer"], r["suid"], r["result"]) for r in given], [(lablib.CSF, 32, 2001)])
        for side in ("mas", "mtf"):
            report = json.loads(self.verify(side).stdout)
            self.assertEqual(report["gaps"], 0)
            self.assertGreaterEqual(report["records"], 2)
            with open(self.log(getattr(self.lab, side))) as f:
                text = f.read()
            self.assertNotIn(km.split("@")[0], text, "no name of a key")

    def test_a_change_is_found_and_named(self):
        self.new_node("audit-2")
        self.enrol("audit-2")
        self.enrol("audit-2")
        with open(self.log(self.lab.mas)) as f:
            lines = f.readlines()
        bad = next(i for i, line in enumerate(lines) if '"KPR"' in line)
        lines[bad] = lines[bad].replace(lablib.MTF, "mtf.example.org")
        path = self.write("changed.audit", "".join(lines))
        out = self.lab.ctl("audit", "verify", path, check=False)
        self.assertEqual(out.returncode, 3)
        self.assertIn(f"{path}:{bad + 2}: ", out.stderr, "the first line that does not follow")
        self.assertEqual(self.verify("mas", "--first-key", "00" * 32, check=False).returncode, 3)

    def test_a_restart_goes_on(self):
        self.lab.restart_mas(signal.SIGKILL)
        self.new_node("audit-3")
        self.enrol("audit-3")
        report = json.loads(self.verify("mas").stdout)
        self.assertGreaterEqual(report["openings"], 2)
        self.assertEqual(report["gaps"], 0)

    def test_without_its_log_a_server_gives_no_key(self):
        self.new_node("audit-4")
        self.enrol("audit-4")
        self.new_node("audit-5")
        before = self.stored()
        for daemon in (self.lab.mtf, self.lab.mas):
            log = self.log(daemon)
            os.rename(log, log + ".1")
            os.mkdir(log)
            if daemon is self.lab.mas:
                ki, _ = self.derive("audit-4")
                self.assertNotIn("key", self.resolve(ki))
            refused = self.enrol("audit-5", check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("try-later", refused.stdout + refused.stderr)
            self.assertEqual(self.stored(), before)
            os.rmdir(log)
            lablib.wait_for("the log to be written again", lambda: os.path.exists(log))
        self.enrol("audit-5")
        ki, _ = self.derive("audit-4")
        self.assertIn("key", self.resolve(ki))


if __name__ == "__main__":
    unittest.main()

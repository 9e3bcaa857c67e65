# SPDX-License-Identifier: BSD-2-Clause
"""MTF hosted in the MAS: both are extensions of one freeDiameterd, which routes nothing to itself. The whole chain works as with two, no connection is
between them, and the process may end at any moment."""
import json
import threading
import unittest

import test_chain
from case import LabCase, lablib


class Colocated(test_chain.Chain):
    """Every test of the chain, in this form."""
    COLOCATED = True

    def test_the_push_is_in_both_audit_logs(self):
        self.new_node("co-audit")
        self.enrol("co-audit")
        km = self.node_keys("co-audit")["keys"][0]["kmId"]
        for side, result in (("mtf", 0), ("mas", 2001)):
            d = getattr(self.lab, side)
            name = self.lab.ctl("audit", "name", km, f"--{side}", d.conf).stdout.strip()
            with open(d.path("store", "audit.log")) as f:
                lines = [r for r in map(json.loads, f) if (r.get("command"), r.get("name")) == ("KPR", name)]
            self.assertEqual([(r["peer"], r["result"]) for r in lines], [(lablib.MAS, result)], side)

    def test_there_is_one_process_and_no_connection_to_itself(self):
        self.assertIsNone(self.lab.mtf.proc)
        self.assertFalse(self.lab.mas.logged(rf"peer {lablib.MAS} connected"))

    def test_both_configurations_pass_the_check(self):
        for side in ("mas", "mtf"):
            d = getattr(self.lab, side)
            self.lab.ctl("check-config", f"--{side}", d.conf, "--freediameter", self.lab.mas.path("freeDiameter.conf"))


class Ends(LabCase):
    """The process is stopped, or killed, while nodes enrol."""
    COLOCATED = True

    def enrol_all(self, names):
        """Each until it is enrolled, or the process is gone; the names of those that were told that they are."""
        good = []

        def one(name):
            while self.enrol(name, check=False).returncode == 0:
                good.append((name, self.node_keys(name)["keys"][0]["kmId"]))
        threads = [threading.Thread(target=one, args=(n,)) for n in names]
        for t in threads:
            t.start()
        return threads, good

    def end_and_look(self, end):
        names = [f"{end.__name__}-{i}" for i in range(4)]
        for n in names:
            self.new_node(n)
        threads, good = self.enrol_all(names)
        lablib.wait_for("enrolments", lambda: len(good) >= 8, 30)
        end()
        for t in threads:
            t.join()
        self.lab.restart_mas()
        at_mas = {k["kmId"] for k in self.listing("key", "mas")}
        at_mtf = {e["keId"] for e in self.listing("enrolment", "mtf")}  # MAS-ID and MTF-ID are one: so are the names
        for name, km_id in good:
            self.assertIn(km_id, at_mas, name)
            self.assertIn(km_id, at_mtf, name)
        for n in names:
            lablib.wait_for("the next enrolment", lambda: self.enrol(n, check=False).returncode == 0, 30)

    def stopped(self):
        self.lab.mas.proc.terminate()
        self.lab.mas.wait_end()
        self.assertFalse(self.lab.mas.logged(r"Sanitizer|runtime error"), self.lab.mas.tail())

    def killed(self):
        self.lab.mas.proc.kill()
        self.lab.mas.proc.wait()

    def test_stop(self):
        self.end_and_look(self.stopped)

    def test_kill(self):
        self.end_and_look(self.killed)


class NotAllowed(LabCase):
    """Default deny holds inside too: the MAS's section of its own name has another role than mtf."""
    COLOCATED = True

    @classmethod
    def prepare(cls):
        make = cls.lab._mas_conf

        def without_role():
            make()
            with open(cls.lab.mas.conf) as f:
                text = f.read().replace("roles = { mtf }", "roles = { mas }")
            with open(cls.lab.mas.conf, "w") as f:
                f.write(text)
        cls.lab._mas_conf = without_role

    def test_push_is_refused(self):
        self.new_node("denied")
        p = self.enrol("denied", check=False)
        self.assertEqual(p.returncode, 1, p.stdout + p.stderr)
        self.assertIn("refused-by-mas", p.stdout + p.stderr)
        self.assertEqual(self.stored(), (0, 0))
        self.lab.mas.wait_log(r"Root-Key-Push-Request from this host itself refused with 5003")


if __name__ == "__main__":
    unittest.main()

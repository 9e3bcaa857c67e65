# SPDX-License-Identifier: BSD-2-Clause
"""What servers owe their peers reaches them, whoever was down or killed in between: a MAS's notifications (KNR) get to each CSF that is a
target of the key, and to no other; m2mctl outbox shows what is owed meanwhile, and to whom."""
import json
import signal
import time
import unittest

from case import LabCase, lablib

import rawdia as dia

TWIN, OTHER = "twin.example.com", "other.example.com"  # a second CSF of the IN-CSE; a CSF of another one
WAIT = 30


class Owed(LabCase):
    """The lab, and two CSFs that are played by hand."""

    @classmethod
    def prepare(cls):
        for host, cse in ((TWIN, lablib.CSE_ID), (OTHER, f"//{lablib.SP}/other-cse")):
            cls.lab.clients.append((host, f'peer "{host}" {{\n\troles = {{ cse }}\n\tcse-ids = {{ "{cse}" }}\n}}\n', ""))
        make = cls.lab._make_pki

        def pki():
            make()
            for host in (TWIN, OTHER):
                cls.lab.pki.cert(host, "diameter-ca", f"DNS:{host}", cn=host)
        cls.lab._make_pki = pki

    def owed(self):
        """(peer, event, key) of what the MAS owes, in the listing's order."""
        out = self.lab.ctl("outbox", "--json", "--mas", self.lab.mas.conf).stdout
        return [(r["peer"], r["event"], r["keyName"]) for r in map(json.loads, out.splitlines())]

    def rows(self):
        return [json.loads(line) for line in self.lab.ctl("outbox", "--json", "--mas", self.lab.mas.conf).stdout.splitlines()]

    def wait_owed(self, *want):
        lablib.wait_for(f"{want} to be owed: {self.owed()}", lambda: sorted(self.owed()) == sorted(want), WAIT)

    def dial(self, host):
        link = dia.Client(self.lab, self.lab.mas.port, host, host, apps=(dia.SAK,))
        self.addCleanup(link.close)
        return link

    def told(self, link, seconds=WAIT):
        """The next KNR, answered with 2001: (event, reason, names)."""
        while True:
            m = link.receive(seconds)
            if m.code == dia.KNR and m.flags & dia.REQUEST:
                break
        self.assertEqual(m.get(dia.DEST_HOST).decode(), link.host)
        link.send(m.answer([dia.avp(dia.SESSION_ID, m.get(dia.SESSION_ID)), dia.avp(dia.AUTH_APP, dia.SAK), dia.avp(dia.AUTH_STATE, 1),
                            dia.avp(dia.RESULT, 2001), *link.me]))
        return m.number(dia.EVENT), m.number(dia.REASON), [d.decode() for c, _, d in m.avps if c == dia.KEY_NAME]

    def nothing(self, link):
        with self.assertRaises(TimeoutError):
            self.told(link, 1.5)

    def km_id(self, name):
        return self.node_keys(name)["keys"][0]["kmId"]

    def revoke(self, km_id):
        self.lab.ctl("revoke", km_id, "--reason", "compromise", "--yes", "--mas", self.lab.mas.conf)

    def test_told_and_only_who_may_hold_it(self):
        twin, other = self.dial(TWIN), self.dial(OTHER)
        self.new_node("n1")
        self.enrol("n1")
        km_id = self.km_id("n1")
        ki, _ = self.derive("n1")
        self.assertEqual(self.resolve(ki)["status"], "ok")
        began = time.monotonic()
        self.revoke(km_id)
        self.assertEqual(self.told(twin), (1, 2, [km_id]))
        took = time.monotonic() - began
        self.wait_owed()  # the CSF has answered too
        self.nothing(other)
        self.assertNotEqual(self.resolve(self.derive("n1")[0])["status"], "ok")
        print(f"m2mctl revoke, from its start to the KNR: {took:.3f} s")

    def test_superseded(self):
        twin = self.dial(TWIN)
        self.new_node("n2")
        self.enrol("n2")
        first = self.km_id("n2")
        self.enrol("n2")
        self.assertNotEqual(first, self.km_id("n2"))
        self.assertEqual(self.told(twin), (2, 3, [first]))
        self.wait_owed()
        states = sorted(e["state"] for e in self.listing("enrolment", "mtf") if e["enroleeId"].endswith("/n2"))
        self.assertEqual(states, ["active", "superseded"])

    def test_down_and_killed_in_between(self):
        """Nobody is there when it is owed; the MAS is killed, twice; each CSF is told when it comes, in order."""
        self.new_node("n3")
        self.enrol("n3")
        km_id = self.km_id("n3")
        self.lab.csf.stop()
        self.revoke(km_id)
        want = [(TWIN, "revoked", km_id), (lablib.CSF, "revoked", km_id)]
        self.wait_owed(*want)
        lablib.wait_for("a failed try", lambda: all(r["tries"] > 0 and r["failure"] for r in self.rows()), WAIT)
        for _ in range(2):
            self.lab.mas.proc.send_signal(signal.SIGKILL)
            self.lab.mas.wait_end()
            self.assertEqual(sorted(self.owed()), sorted(want))
            since = self.lab.mtf.mark()
            self.lab.mas.start()
        twin = self.dial(TWIN)
        began = time.monotonic()
        self.assertEqual(self.told(twin), (1, 2, [km_id]))
        self.assertLess(time.monotonic() - began, 10)
        self.wait_owed((lablib.CSF, "revoked", km_id))
        mark = self.lab.csf.mark()
        self.lab.csf.start()
        self.lab.csf.wait_log(rf"peer {lablib.MAS} connected", 30, since=mark)
        began = time.monotonic()
        self.wait_owed()
        print(f"a CSF that came back was told {time.monotonic() - began:.3f} s after it was connected")
        self.lab.mtf.wait_log(rf"peer {lablib.MAS} connected", 30, since=since)
        self.lab.csf.wait_log(rf"peer {lablib.MTF} connected", 30, since=mark)

    def test_many_at_once(self):
        """Those in a row share messages."""
        names = []
        for i in range(6):
            self.new_node(f"m{i}")
            self.enrol(f"m{i}")
            names.append(self.km_id(f"m{i}"))
        path = self.write("list", "".join(n + "\n" for n in names))
        self.lab.ctl("revoke", "--file", path, "--reason", "policy", "--yes", "--mas", self.lab.mas.conf)
        twin = self.dial(TWIN)
        event, reason, told = self.told(twin)
        self.assertEqual((event, reason, sorted(told)), (1, 5, sorted(names)))
        self.wait_owed()

    def test_one_that_takes_only_some(self):
        twin = self.dial(TWIN)
        for name in ("p1", "p2"):
            self.new_node(name)
            self.enrol(name)
        first, second = self.km_id("p1"), self.km_id("p2")
        path = self.write("list2", f"{first}\n{second}\n")
        self.lab.ctl("revoke", "--file", path, "--yes", "--reason", "5", "--mas", self.lab.mas.conf)
        m = twin.receive(WAIT)
        self.assertEqual(m.code, dia.KNR)
        status = dia.avp(dia.STATUS, [dia.avp(dia.KEY_NAME, first), dia.avp(dia.EXPERIMENTAL, [dia.avp(266, dia.VENDOR), dia.avp(298, 4181)])])
        twin.send(m.answer([dia.avp(dia.SESSION_ID, m.get(dia.SESSION_ID)), dia.avp(dia.AUTH_APP, dia.SAK), dia.avp(dia.AUTH_STATE, 1),
                            dia.avp(dia.RESULT, 2002), status, *twin.me]))
        self.wait_owed((TWIN, "revoked", first))
        self.assertIn("4181", self.rows()[0]["failure"])
        self.assertEqual(self.told(twin), (1, 5, [first]))
        self.wait_owed()


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-2-Clause
"""What servers owe their peers reaches them, whoever was down or killed in between: a MAS's notifications (KNR) get to each CSF that is a
target of the key, and to no other; an MTF takes back the key of an enrolment that it was killed in. m2mctl outbox shows what is owed
meanwhile, and to whom."""
import json
import signal
import threading
import time
import unittest

from case import LabCase, lablib
from test_false_mas import FalseMasCase, Raw

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


class Slow(Raw):
    """A MAS that keeps pushes to itself for as long as it is told to; what it was asked for is kept."""

    def __init__(self, lab):
        self.seen, self.changed, self.holds = [], threading.Condition(), False
        super().__init__(lab)
        self.way = self.slow
        self.held = []

    def slow(self, link, m, avps):
        self.note("KPR", m)
        if self.holds:
            self.held.append((link, m, avps))
        else:
            link.send(m.answer(avps))

    def good(self, link, m, avps):
        if m.code == dia.KRR:
            self.note("KRR", m)
        super().good(link, m, avps)

    def note(self, command, m):
        group = m.get(dia.KEY)
        names = [d for c, _, d in (dia.parse(group) if group else m.avps) if c == dia.KEY_NAME]
        with self.changed:
            self.seen += [(command, n.decode(), m.number(dia.REASON)) for n in names]
            self.changed.notify_all()

    def wait(self, command, seconds=WAIT):
        """The next of that command since the last call; what came before it is forgotten."""
        with self.changed:
            if not self.changed.wait_for(lambda: any(c == command for c, _, _ in self.seen), seconds):
                raise AssertionError(f"no {command}: {self.seen}")
            i = [c for c, _, _ in self.seen].index(command)
            found, self.seen = self.seen[i], self.seen[i + 1:]
            return found

    def all(self, command):
        with self.changed:
            return [n for c, n, _ in self.seen if c == command]


class TakenBack(FalseMasCase):
    """An MTF before a MAS that is slow."""

    @classmethod
    def start_mas(cls):
        cls.mas = Slow(cls.lab)
        cls.addClassCleanup(cls.mas.end)

    def setUp(self):
        self.mas.seen, self.mas.holds = [], False

    def owed(self):
        out = self.lab.ctl("outbox", "--json", "--mtf", self.lab.mtf.conf).stdout
        return [(r["command"], r["state"], r["keyName"], r["reason"]) for r in map(json.loads, out.splitlines())]

    def enrolments(self, name):
        return len([e for e in self.listing("enrolment", "mtf") if e["enroleeId"].endswith("/" + name)])

    def in_background(self, name):
        t = threading.Thread(target=self.enrol, args=(name,), kwargs={"check": False})
        t.start()
        self.addCleanup(t.join)

    def kill_and_start(self):
        self.lab.mtf.proc.send_signal(signal.SIGKILL)
        self.lab.mtf.wait_end()
        since = self.lab.mtf.mark()
        mark = self.lab.csf.mark()
        self.lab.mtf.start()
        return since, mark

    def connected(self, since, mark):
        self.lab.mtf.wait_log(rf"peer {lablib.MAS} connected", 40, since=since)
        self.lab.csf.wait_log(rf"peer {lablib.MTF} connected", 40, since=mark)

    def test_killed_between_push_and_answer(self):
        """The MAS has the key, the node and the MTF do not: it is revoked when the MTF is back."""
        self.new_node("slow")
        self.mas.holds = True
        self.in_background("slow")
        name = self.mas.wait("KPR")[1]
        self.assertEqual(self.owed(), [("KRR", "held", name, "unspecified")])
        marks = self.kill_and_start()
        began = time.monotonic()
        self.assertEqual(self.mas.wait("KRR"), ("KRR", name, 1))
        took = time.monotonic() - began
        self.connected(*marks)
        lablib.wait_for("nothing to be owed", lambda: not self.owed(), WAIT)
        self.assertEqual(self.enrolments("slow"), 0)
        self.mas.holds = False
        print(f"a root key of a killed enrolment was taken back {took:.1f} s after the MTF began to listen again")
        self.enrol("slow")
        self.assertEqual(self.enrolments("slow"), 1)
        self.assertEqual(self.mas.all("KRR"), [])
        self.assertEqual(self.owed(), [])

    def test_mas_is_away_when_the_mtf_is_back(self):
        """Owed across another restart, until the MAS takes it."""
        self.new_node("away")
        self.mas.holds = True
        self.in_background("away")
        name = self.mas.wait("KPR")[1]
        self.mas.end()
        self.kill_and_start()
        lablib.wait_for("it to be due", lambda: self.owed() == [("KRR", "due", name, "unspecified")], WAIT)
        since, mark = self.kill_and_start()
        self.assertEqual(self.owed(), [("KRR", "due", name, "unspecified")])
        p = self.lab.ctl("outbox", "--wait", "1s", "--mtf", self.lab.mtf.conf, check=False)
        self.assertEqual(p.returncode, 4)
        self.assertIn(name, p.stdout)
        self.assertIn("after 1 s 1 are due still, to 1 peers", p.stderr)
        type(self).start_mas()
        self.assertEqual(self.mas.wait("KRR", 60), ("KRR", name, 1))
        self.connected(since, mark)
        p = self.lab.ctl("outbox", "--wait", f"{WAIT}s", "--mtf", self.lab.mtf.conf)
        self.assertEqual(self.owed(), [])
        self.assertIn("KEY", p.stdout)
        self.lab.csf.wait_log(rf"peer {lablib.MAS} connected", 40, since=mark)

    def test_an_enrolment_that_works_leaves_nothing(self):
        self.new_node("fine")
        self.enrol("fine")
        self.assertEqual(self.owed(), [])
        self.assertEqual(self.mas.all("KRR"), [])


if __name__ == "__main__":
    unittest.main()

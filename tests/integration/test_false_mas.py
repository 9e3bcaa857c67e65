# SPDX-License-Identifier: BSD-2-Clause
"""A MAS that answers late, wrong, twice, never: what the node and the IN-CSE are told, and that nothing is half-stored.

The MAS is the strict Erlang peer (tests/peer/m2m_false_mas.erl), and once a peer that writes octets by hand.
"""
import hashlib
import os
import queue
import subprocess
import threading
import time
import unittest

from case import LabCase, lablib
from test_peer import build

import rawdia as dia

WAIT = 60  # s, for what takes moments


class Erlang:
    """m2m_false_mas under our hands, in the place of the MAS or, host, the MTF."""

    def __init__(self, lab, folder, host=lablib.MAS, port=None):
        self.proc = subprocess.Popen(["erl", "-noshell", "-pa", folder, "-run", "m2m_false_mas", "main", host, str(port or lab.mas.port),
                                      lablib.REALM, lab.pki.folder, lablib.CSF], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT)
        self.lines = queue.Queue()
        self.seen = []
        threading.Thread(target=lambda: [self.lines.put(line) for line in self.proc.stdout], daemon=True).start()
        self.wait("ready")

    def tell(self, line):
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()

    def answers(self, way):
        self.tell(way)
        self.wait("way")

    def wait(self, *begin):
        """The next line that begins with these words; lines before it are passed over. One of a request that strict reading refused fails."""
        deadline = time.monotonic() + WAIT
        while True:
            words = self.lines.get(timeout=max(0.01, deadline - time.monotonic())).split()
            self.seen.append(" ".join(words))
            if words[:1] == ["bad"]:
                raise AssertionError(" ".join(words))
            if words[:len(begin)] == list(begin):
                return words

    def requests(self):
        """COMMAND and name of all requests since the last call or wait."""
        out = []
        while not self.lines.empty():
            words = self.lines.get().split()
            self.seen.append(" ".join(words))
            if words[:1] == ["bad"]:
                raise AssertionError(" ".join(words))
            if words[:1] == ["request"]:
                out.append((words[1], words[2]))
        return out

    def end(self):
        self.proc.stdin.close()
        self.proc.wait(20)


class FalseMasCase(LabCase):
    """The lab without its MAS. Time-outs are short where the answer never comes, and the watchdogs too."""

    @classmethod
    def prepare(cls):
        cls.lab.start = cls.start
        mtf, csf = cls.lab._mtf_conf, cls.lab._csf_conf

        def change(daemon, make, *lines):
            make()
            with open(daemon.conf) as f:
                text = f.read().replace("push-timeout = 5s\n", "")
            with open(daemon.conf, "w") as f:
                f.write("".join(line + "\n" for line in lines) + text)
        cls.lab._mtf_conf = lambda: change(cls.lab.mtf, mtf, "push-timeout = 3s")
        cls.lab._csf_conf = lambda: change(cls.lab.csf, csf, "key-timeout = 3s")

    @classmethod
    def start(cls):
        cls.start_mas()
        cls.lab.mtf.start()
        cls.lab.csf.start()
        cls.lab.wait_connected()


TRY_LATER, REFUSED = "try-later", "refused-by-mas"


class FalseMas(FalseMasCase):
    @classmethod
    def start_mas(cls):
        cls.mas = Erlang(cls.lab, build(cls.path("erl")))
        cls.addClassCleanup(cls.mas.end)

    def enrolments(self):
        return len(self.listing("enrolment", "mtf"))

    def enrol_ok(self, name):
        """An enrolment that works, and is stored."""
        before = self.enrolments()
        self.enrol(name)
        self.assertEqual(self.enrolments(), before + 1)

    def pushed(self, told, is_taken_back):
        """One enrolment at a MAS that does not say that it has the key."""
        before = self.enrolments()
        p = self.enrol("node", check=False)
        self.assertNotEqual(p.returncode, 0)
        self.assertIn(told, p.stdout + p.stderr)
        self.assertEqual(self.enrolments(), before, "the MTF stored an enrolment whose root key no MAS has")
        name = self.mas.wait("request", "KPR")[2]
        if is_taken_back:
            self.assertEqual(self.mas.wait("request", "KRR")[2], name)

    def test_pushes(self):
        self.new_node("node")
        self.enrol_ok("node")
        self.mas.wait("request", "KPR")
        for way, told, is_taken_back in (
                ("other-session", TRY_LATER, True), ("error-bit", TRY_LATER, True), ("both-results", TRY_LATER, True),
                ("no-result", TRY_LATER, True), ("other-origin", TRY_LATER, True), ("other-application", TRY_LATER, True),
                ("session-state", TRY_LATER, True), ("2002-and-nothing", TRY_LATER, True), ("2002-status-of-another", TRY_LATER, True),
                ("2001-but-status-failed", TRY_LATER, True), ("1001", TRY_LATER, True), ("other-vendor-2001", TRY_LATER, True),
                ("unknown-mandatory-avp", TRY_LATER, True), ("3002", TRY_LATER, True), ("3004", TRY_LATER, True),
                ("4181", TRY_LATER, False), ("4182", TRY_LATER, False), ("4183", TRY_LATER, False),
                ("5504", REFUSED, False), ("5003", REFUSED, False), ("5012", REFUSED, True), ("failed-but-status-2001", REFUSED, True),
                ("never", TRY_LATER, True), ("late", TRY_LATER, True)):
            with self.subTest(way):
                self.mas.answers(way)
                self.pushed(told, is_taken_back)
                self.mas.answers("good")
                self.enrol_ok("node")
                self.mas.wait("request", "KPR")
                before = self.enrolments()
                self.mas.tell("release")  # the late answer, and what it may do now: nothing
                self.enrol_ok("node")
                self.assertEqual(self.enrolments(), before + 1)
                self.assertEqual([c for c, _ in self.mas.requests()], ["KPR"])
        self.mas.answers("unknown-avp")
        self.enrol_ok("node")

    def ask(self, way, **expected):
        """One question of the IN-CSE while the MAS answers in that way; then one where it is good."""
        ki = f"{os.urandom(16).hex()}.{time.time_ns() // 1000:016x}{os.urandom(8).hex()}@{lablib.MAS}"
        with self.subTest(way):
            self.mas.answers(way)
            got = self.resolve(ki)
            key = got.get("key")
            self.assertEqual({n: got.get(n) for n in expected}, expected)
            self.assertEqual(key, hashlib.sha256(ki.encode()).hexdigest() if expected["status"] == "ok" else None)
            self.mas.answers("good")
            self.mas.tell("release")
            self.assertEqual(self.resolve(ki)["status"], "ok", "the next try")
        return ki

    def test_association_keys(self):
        for way in ("good", "unknown-avp"):
            self.ask(way, status="ok")
        for way in ("other-session", "error-bit", "both-results", "no-result", "other-origin", "other-application", "session-state",
                    "2002-and-nothing", "other-vendor-2001", "unknown-mandatory-avp", "no-key", "two-keys", "other-key", "short-key", "no-lifetime",
                    "root-key", "failed-but-status-2001", "3002", "3004", "4181", "4183", "5012", "never", "late"):
            self.ask(way, status="refused", reason="unavailable")
        for way, reason in (("5501", "unknown"), ("5502", "revoked"), ("5503", "expired"), ("5003", "denied"), ("5507", "denied")):
            self.ask(way, status="refused", reason=reason)

    def test_notifications(self):
        ki = self.ask("good", status="ok")
        self.resolve(ki)
        self.mas.requests()
        self.resolve(ki)
        self.assertEqual(self.mas.requests(), [], "the key was held")
        self.mas.tell(f"notify {ki}")
        self.assertEqual(self.mas.wait("done")[1], "0", "\n".join(self.mas.seen))
        self.resolve(ki)
        self.assertEqual(self.mas.wait("request")[2], ki, "the key was forgotten")


class Raw:
    """A MAS of octets by hand: answers as way() says, which gets the link, the request and the AVPs of a good answer."""

    def __init__(self, lab):
        self.server = dia.Server(lab, lab.mas.port, "mas", lablib.MAS)
        self.way = self.good
        self.links = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                link = self.server.accept(seconds=3600)
            except dia.Closed:
                continue
            except OSError:
                return
            self.links.append(link)
            threading.Thread(target=self.serve, args=(link,), daemon=True).start()

    def serve(self, link):
        try:
            while True:
                m = link.receive(3600)
                if m.flags & dia.REQUEST:
                    (self.good if m.code in (dia.KRR, dia.DPR) else self.way)(link, m, self.avps(m))
        except (dia.Closed, OSError):
            link.close()

    @staticmethod
    def avps(m, **other):
        values = {"SESSION_ID": m.get(dia.SESSION_ID), "AUTH_APP": m.app, "AUTH_STATE": 1, "ORIGIN_HOST": lablib.MAS, "ORIGIN_REALM": lablib.REALM,
                  "RESULT": 2001, **other}
        avps = [dia.avp(getattr(dia, n), v) for n, v in values.items() if v is not None]
        ki = m.get(dia.KEY_NAME)
        if m.code == dia.SKR and values["RESULT"] == 2001:
            avps.append(dia.avp(dia.KEY, [dia.avp(dia.KEY_NAME, ki), dia.avp(dia.SUID, 32), dia.avp(dia.KEYING_MATERIAL, hashlib.sha256(ki).digest()),
                                          dia.avp(584, 600), dia.avp(dia.ENROLEE, f"//{lablib.SP}/raw")]))
        return avps

    def good(self, link, m, avps):
        link.send(m.answer(avps))

    # --- ways ----------------------------------------------------------------------------------------------------------

    def twice(self, link, m, avps):
        link.send(m.answer(avps) * 2)

    def then_refused(self, link, m, avps):
        link.send(m.answer(avps) + m.answer(self.avps(m, RESULT=5012)))

    def refused_then_not(self, link, m, avps):
        link.send(m.answer(self.avps(m, RESULT=5012)) + m.answer(avps))

    def unasked(self, link, m, avps):
        link.send(dia.message(m.code, m.app, avps, dia.PROXIABLE, m.hbh ^ 0x5a5a5a5a, m.ete) + m.answer(avps))

    def lenient(self, link, m, _):
        avps = [*self.avps(m, ORIGIN_HOST=lablib.MAS.upper(), ORIGIN_REALM=lablib.REALM.upper()), dia.avp(9999, b"abc", flags=0),
                dia.avp(278, 1), dia.avp(301, 5, flags=0), dia.avp(55, b"\xee\0\0\0"), dia.avp(650, b"", flags=0),
                dia.avp(623, dia.avp(627, 100, flags=0), flags=0)][::-1]
        link.send(m.answer([a[:int.from_bytes(a[5:8], "big")].ljust(len(a), b"\xa5") for a in avps], 0))

    def result_twice(self, link, m, avps):
        link.send(m.answer([*avps, dia.avp(dia.RESULT, 2001)]))

    def no_session(self, link, m, avps):
        link.send(m.answer(avps[1:]))

    def other_command(self, link, m, avps):
        link.send(dia.message(dia.SKR, dia.SAK, self.avps(m, AUTH_APP=dia.SAK), dia.PROXIABLE, m.hbh, m.ete))

    def broken(self, link, m, avps):
        link.send(m.answer([*avps, dia.avp(dia.STATUS, b"abcd", length=999)]))

    def half(self, link, m, avps):
        link.send(m.answer(avps)[:50])
        link.close()

    def closed(self, link, m, avps):
        link.close()

    def end(self):
        self.server.close()
        for link in self.links:
            link.close()


class RawMas(FalseMasCase):
    @classmethod
    def start_mas(cls):
        cls.mas = Raw(cls.lab)
        cls.addClassCleanup(cls.mas.end)

    def enrolments(self):
        return len(self.listing("enrolment", "mtf"))

    def consistent(self, name="raw"):
        """An enrolment: the node has a key exactly if the MTF has it. What the node was told."""
        before = self.enrolments()
        p = self.enrol(name, check=False)
        self.assertEqual(self.enrolments() - before, int(p.returncode == 0))
        return "enrolled" if p.returncode == 0 else p.stdout + p.stderr

    def test_answers(self):
        self.new_node("raw")
        self.assertEqual(self.consistent(), "enrolled")
        for way, told in ((self.mas.twice, "enrolled"), (self.mas.then_refused, "enrolled"), (self.mas.refused_then_not, REFUSED),
                          (self.mas.unasked, "enrolled"), (self.mas.lenient, "enrolled"), (self.mas.result_twice, TRY_LATER),
                          (self.mas.no_session, TRY_LATER), (self.mas.other_command, TRY_LATER)):
            with self.subTest(way.__name__):
                self.mas.way = way
                self.assertIn(told, self.consistent())
                self.mas.way = self.mas.good
                self.assertEqual(self.consistent(), "enrolled")

    def ask(self):
        """The IN-CSE's question for a new KI: ok with the MAS's key, or why not."""
        ki = f"{os.urandom(16).hex()}.{time.time_ns() // 1000:016x}{os.urandom(8).hex()}@{lablib.MAS}"
        got = self.resolve(ki)
        self.assertEqual(got.get("key"), hashlib.sha256(ki.encode()).hexdigest() if got["status"] == "ok" else None)
        return got.get("reason", "ok")

    def test_association_keys(self):
        for way, told in ((self.mas.good, "ok"), (self.mas.twice, "ok"), (self.mas.then_refused, "ok"), (self.mas.refused_then_not, "unavailable"),
                          (self.mas.unasked, "ok"), (self.mas.lenient, "ok"), (self.mas.result_twice, "unavailable"),
                          (self.mas.no_session, "unavailable"), (self.mas.closed, "unavailable")):
            with self.subTest(way.__name__):
                self.mas.way = way
                self.assertEqual(self.ask(), told)
                self.mas.way = self.mas.good
                lablib.wait_for("the next key", lambda: self.ask() == "ok", WAIT)

    def test_lost_connections(self):
        """Also where the host sends the push again over the next connection."""
        self.new_node("lost")
        for way in (self.mas.closed, self.mas.half, self.mas.broken):
            with self.subTest(way.__name__):
                self.mas.way = way
                self.assertIn(TRY_LATER, self.consistent("lost"))
                self.mas.way = self.mas.good
                lablib.wait_for("the next enrolment", lambda: self.consistent("lost") == "enrolled", WAIT)


if __name__ == "__main__":
    unittest.main()

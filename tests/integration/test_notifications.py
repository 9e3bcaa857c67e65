# SPDX-License-Identifier: BSD-2-Clause
"""What a CSF makes of its MAS's notifications (KNR), good and hostile, and when the associations of m2m-front end by them.

MAS and MTF are peers that write octets by hand.
"""
import hashlib
import os
import queue
import re
import select
import socket
import subprocess
import threading
import time
import unittest

from case import lablib
from test_false_mas import FalseMasCase, Raw

import good
import rawdia as dia

REVOKED, SUPERSEDED, EXPIRING, RESYNC = 1, 2, 3, 4
WAIT = 30


class Peer(Raw):
    """A server that also asks; asked: the names of the association keys that it was asked for."""

    def __init__(self, lab, port, cert, host):
        self.server = dia.Server(lab, port, cert, host)
        self.links, self.asked, self.answers = [], [], queue.Queue()
        self.way, self.reply = self.note, self.good
        threading.Thread(target=self.accept, daemon=True).start()

    @staticmethod
    def receive(link):
        """The next message; whoever sends has its turn while there is none. None: a watchdog's."""
        def waiting():
            with link.lock:
                return link.sock.pending()
        while not waiting() and not select.select([link.sock], [], [], 3600)[0]:
            pass
        with link.lock:
            link.sock.settimeout(WAIT)
            head = link._read(20)
            m = dia.Message(head + link._read(int.from_bytes(head[1:4], "big") - 20))
            if m.code != dia.DWR or not m.flags & dia.REQUEST:
                return m
            link.send(m.answer([dia.avp(dia.RESULT, 2001), *link.me]))
            return None

    def serve(self, link):
        send = link.send

        def locked(octets):
            with link.lock:
                send(octets)
        link.lock, link.send = threading.RLock(), locked  # a TLS connection is one thread's at a time
        try:
            while True:
                m = self.receive(link)
                if m is None:
                    continue
                if not m.flags & dia.REQUEST:
                    self.answers.put(m)
                else:
                    (self.good if m.code == dia.DPR else self.way)(link, m, self.avps(m))
        except (dia.Closed, OSError):
            link.close()

    def note(self, link, m, avps):
        self.asked.append((m.get(dia.KEY_NAME) or b"").decode())
        self.reply(link, m, avps)

    def revoked(self, link, m, _):
        """KEY_REVOKED."""
        avps = [a for a in self.avps(m, RESULT=None)]
        link.send(m.answer([*avps, dia.avp(dia.EXPERIMENTAL, [dia.avp(266, dia.VENDOR), dia.avp(298, 5502)])]))

    def csf(self):
        return lablib.wait_for("the CSF", lambda: next((k for k in self.links[::-1] if getattr(k, "peer", "") == lablib.CSF and hasattr(k, "lock")), None))

    def ask(self, octets, link=None):
        (link or self.csf()).send(octets)
        while True:
            m = self.answers.get(timeout=WAIT)
            if m.octets[12:16] == octets[12:16]:
                return m


class Echo:
    """An IN-CSE: says again what it hears."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.echo, args=(s,), daemon=True).start()

    @staticmethod
    def echo(s):
        with s:
            try:
                while data := s.recv(4096):
                    s.sendall(data)
            except OSError:
                pass


class Notifications(FalseMasCase):
    @classmethod
    def start(cls):
        cls.mas = Peer(cls.lab, cls.lab.mas.port, "mas", lablib.MAS)
        cls.mtf = Peer(cls.lab, cls.lab.mtf.port, "mtf", lablib.MTF)
        cls.addClassCleanup(cls.mas.end)
        cls.addClassCleanup(cls.mtf.end)
        cls.lab.csf.start()
        for host in (lablib.MAS, lablib.MTF):
            cls.lab.csf.wait_log(rf"peer {host} connected")
        cls.echo = Echo()
        cls.addClassCleanup(cls.echo.server.close)
        cls.front_process, cls.front_port = cls.front(cls.echo.port)

    def setUp(self):
        self.mas.reply = self.mas.good
        self.clients = []
        self.addCleanup(lambda: [(p.kill(), p.communicate()) for p in self.clients])

    def tearDown(self):
        """Every test: the same CSF and m2m-front serve."""
        self.mas.reply = self.mas.good
        self.lab.csf.check_alive()
        self.assertIsNone(self.front_process.poll())
        self.echoes(self.associate(self.new_ki()))

    # --- words --------------------------------------------------------------------------------------------------------

    def new_ki(self, rel=None):
        ki = f"{rel or os.urandom(16).hex()}.{time.time_ns() // 1000:016x}{os.urandom(8).hex()}@{lablib.MAS}"
        self.secrets.append(hashlib.sha256(ki.encode()).digest())
        return ki

    @staticmethod
    def root(ki):
        return ki[:32] + "@" + lablib.MAS

    def knr(self, *avps, link=None, flags=dia.REQUEST | dia.PROXIABLE, ete=None, **other):
        link = link or self.mas.csf()
        return dia.message(dia.KNR, dia.SAK, [*good.head(link, dia.SAK, **{"dest": lablib.CSF, **other}), *avps], flags, ete=ete)

    def notify(self, event, *names, reason=None):
        avps = [dia.avp(dia.EVENT, event), *([dia.avp(dia.REASON, reason)] if reason is not None else []), *[dia.avp(dia.KEY_NAME, n) for n in names]]
        return self.mas.ask(self.knr(*avps)).result

    def is_held(self, ki):
        """Does the CSF answer without asking the MAS?"""
        before = self.mas.asked.count(ki)
        self.resolve(ki)
        return self.mas.asked.count(ki) == before

    def hold(self, ki):
        self.assertEqual(self.resolve(ki)["status"], "ok")
        self.assertTrue(self.is_held(ki))

    def associate(self, ki):
        p = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{self.front_port}", "-psk", hashlib.sha256(ki.encode()).hexdigest(),
                              "-psk_identity", ki, "-quiet", "-tls1_3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.clients.append(p)
        return p

    def echoes(self, p):
        p.stdin.write(b"hello\n")
        p.stdin.flush()
        self.assertEqual(p.stdout.readline(), b"hello\n")

    def told(self, pattern):
        """A line of m2m-front's log."""
        def look():
            with open(self.path("front.log")) as f:
                return re.search(pattern, f.read())
        return lablib.wait_for(f"'{pattern}' of m2m-front", look, WAIT)

    def is_closed(self, p, ki, why):
        self.assertNotEqual(p.wait(WAIT), 0, "it looks like an orderly end")
        self.told(rf"association \d+ closed: {why}, enroleeId=//{re.escape(lablib.SP)}/raw ki={re.escape(ki)};")

    # --- good ones ----------------------------------------------------------------------------------------------------

    def test_events(self):
        """Each event, with and without a reason, by KI and by KmID; an event of a later version is the worst."""
        for event, reason, forgets in ((REVOKED, None, True), (REVOKED, 2, True), (REVOKED, 99, True), (SUPERSEDED, 3, True), (EXPIRING, None, False),
                                       (RESYNC, None, True), (5, None, True), (0xffffffff, 0xffffffff, True)):
            for name in (str, self.root, lambda ki: self.root(ki).upper()):
                with self.subTest(event=event, reason=reason):
                    ki = self.new_ki()
                    self.hold(ki)
                    self.assertEqual(self.notify(event, name(ki), reason=reason), 2001)
                    self.assertEqual(self.is_held(ki), not forgets)

    def test_many_names(self):
        """256, among them what nobody has, and one that is held."""
        ki, other = self.new_ki(), self.new_ki()
        self.hold(ki)
        self.hold(other)
        self.assertEqual(self.notify(REVOKED, *[f"{n:032x}@{lablib.MAS}" for n in range(255)], self.root(ki)), 2001)
        self.assertFalse(self.is_held(ki))
        self.assertTrue(self.is_held(other))

    def test_sent_again(self):
        """The same notification, marked T or not, has one effect, and the same answer; a new one has its own."""
        ki = self.new_ki()
        self.hold(ki)
        octets = self.knr(dia.avp(dia.EVENT, REVOKED), dia.avp(dia.KEY_NAME, ki), ete=int.from_bytes(os.urandom(4), "big"))
        self.assertEqual(self.mas.ask(octets).result, 2001)
        self.hold(ki)
        for flags in (dia.REQUEST | dia.PROXIABLE, dia.REQUEST | dia.PROXIABLE | dia.AGAIN):
            again = bytearray(octets)
            again[4] = flags
            again[12:16] = os.urandom(4)
            self.assertEqual(self.mas.ask(bytes(again)).result, 2001)
            self.assertTrue(self.is_held(ki))
        self.assertEqual(self.notify(REVOKED, ki), 2001)
        self.assertFalse(self.is_held(ki))

    def test_answer_under_way(self):
        """The MAS's answer leaves before the notification, and arrives after it."""
        for event, word in ((REVOKED, "revoked"), (SUPERSEDED, "unavailable"), (RESYNC, "unavailable")):
            ki, gate, told = self.new_ki(), threading.Event(), []

            def late(link, m, avps, gate=gate):
                gate.wait(WAIT)
                self.mas.good(link, m, avps)
            with self.subTest(word):
                self.mas.reply = lambda *a: threading.Thread(target=late, args=a, daemon=True).start()
                asking = threading.Thread(target=lambda ki=ki, told=told: told.append(self.resolve(ki)))
                asking.start()
                lablib.wait_for("the question", lambda ki=ki: ki in self.mas.asked)
                self.assertEqual(self.notify(event, self.root(ki)), 2001)
                self.mas.reply = self.mas.good
                gate.set()
                asking.join(WAIT)
                self.assertEqual([t.get("reason") for t in told], [word])
                self.assertFalse(self.is_held(ki))
                self.assertTrue(self.is_held(ki))

    # --- hostile ones -------------------------------------------------------------------------------------------------

    def test_hostile(self):
        """Refused, with no effect on what is held, though one name in it is good."""
        ki = self.new_ki()
        name, event = dia.avp(dia.KEY_NAME, ki), dia.avp(dia.EVENT, REVOKED)
        rel = ki[:32]
        self.hold(ki)

        def names(*more):
            return [event, name, *[dia.avp(dia.KEY_NAME, n) for n in more]]
        rows = [(f"{n!r}", names(n), code) for n, code in (
            (f"{rel}@mas.other.example", 5003), (ki.replace(lablib.MAS, "mas.other.example"), 5003), (f"{rel}@{lablib.MAS}.other.example", 5003),
            (f"{rel}@{lablib.MTF}", 5003), (f"{rel}@", 5004), (f"@{lablib.MAS}", 5004), (rel, 5004), ("*", 5004), (f"*@{lablib.MAS}", 5004),
            (f"{rel[:-1]}g@{lablib.MAS}", 5004), (f"{rel}0@{lablib.MAS}", 5004), (f"{rel}@{lablib.MAS}.", 5004), (f"{ki}\n", 5004), (f"{ki}\0", 5004),
            (f'{ki}"}}', 5004), (b"\xff" * 32 + b"@" + lablib.MAS.encode(), 5004), (f"{rel}@{'a.' * 100}example", 5003), (f"{rel}@{'a' * 250}", 5004),
            ("x" * 60000, 5004), ("", 5004))]
        rows += [
            ("257 names", names(*[ki] * 256), 5009), ("no name", [event], 5005), ("no event", [name], 5005), ("event 0", [dia.avp(dia.EVENT, 0), name], 5004),
            ("two events", [event, event, name], 5009), ("event of 2 octets", [dia.avp(dia.EVENT, b"\0\1"), name], 5014),
            ("reason 0", [event, dia.avp(dia.REASON, 0), name], 5004), ("two reasons", [event, dia.avp(dia.REASON, 1), dia.avp(dia.REASON, 1), name], 5009),
            ("a key", [event, name, dia.avp(dia.KEYING_MATERIAL, good.KM)], 5001), ("unknown, mandatory", [event, name, dia.avp(9999, b"x")], 5001),
            ("a relay's", [event, name, dia.avp(dia.ROUTE_RECORD, "relay.example.com")], 5003)]
        self.secrets.append(good.KM)
        for what, avps, code in rows:
            with self.subTest(what[:80]):
                answer = self.mas.ask(self.knr(*avps))
                self.assertEqual(answer.result, code)
                self.assertNotIn(good.KM, answer.octets)
                self.assertTrue(self.is_held(ki))
        for what, other, code in (("realm", {"ORIGIN_REALM": "other.example"}, 5003), ("host", {"ORIGIN_HOST": "mas.other.example"}, 5003),
                                  ("another MAS", {"ORIGIN_HOST": lablib.MTF}, 5003), ("session state", {"AUTH_STATE": 0}, 5004),
                                  ("application", {"AUTH_APP": dia.RKM}, 5004), ("destination", {"dest": "elsewhere.example"}, 3002)):
            with self.subTest(what):
                self.assertEqual(self.mas.ask(self.knr(event, name, **other)).result, code)
                self.assertTrue(self.is_held(ki))

    def test_peer_that_is_no_mas(self):
        """The MTF tells, of itself and in the MAS's name."""
        ki = self.new_ki()
        self.hold(ki)
        link = self.mtf.csf()
        for what, name, other in (("the MAS's key", ki, {}), ("its own name", f"{ki[:32]}@{lablib.MTF}", {}), ("claims to be the MAS", ki, {"ORIGIN_HOST": lablib.MAS})):
            with self.subTest(what):
                octets = self.knr(dia.avp(dia.EVENT, REVOKED), dia.avp(dia.KEY_NAME, name), link=link, **other)
                self.assertEqual(self.mtf.ask(octets, link).result, 5003)
                self.assertTrue(self.is_held(ki))

    # --- associations -------------------------------------------------------------------------------------------------

    def test_association_ends(self):
        """At once; that of another root key goes on; a new one is refused as the MAS refuses it."""
        ki, other = self.new_ki(), self.new_ki()
        p, bystander = self.associate(ki), self.associate(other)
        self.echoes(p)
        self.echoes(bystander)
        began = time.monotonic()
        self.assertEqual(self.notify(REVOKED, self.root(ki), reason=2), 2001)
        self.is_closed(p, ki, "root key revoked")
        took = time.monotonic() - began
        print(f"from the notification to the association's end: {took * 1000:.0f} ms")
        self.assertLess(took, 2)
        self.echoes(bystander)
        self.mas.reply = self.mas.revoked
        self.assertNotEqual(self.associate(ki).wait(WAIT), 0)
        self.told(rf"refused: .*{re.escape(ki)}, revoked")
        self.assertEqual(self.notify(REVOKED, other), 2001)
        self.is_closed(bystander, other, "association key revoked")

    def test_association_is_asked_for_again(self):
        """Superseded, resync: as the MAS says."""
        ki = self.new_ki()
        p = self.associate(ki)
        self.echoes(p)
        for n, event in enumerate((SUPERSEDED, RESYNC)):
            self.assertEqual(self.notify(event, self.root(ki)), 2001)
            lablib.wait_for("the question", lambda n=n: self.mas.asked.count(ki) == n + 2, WAIT)
            self.echoes(p)
        self.assertEqual(self.notify(EXPIRING, self.root(ki)), 2001)
        self.told(rf"its root key expires soon, .*{re.escape(ki)}")
        self.echoes(p)
        self.mas.reply = self.mas.revoked
        self.assertEqual(self.notify(RESYNC, self.root(ki)), 2001)
        self.is_closed(p, ki, "the MAS refuses its key: revoked")

    def test_ten_thousand(self):
        """10,000 root keys at once, as a provider that leaves would have them revoked; one of them is in use."""
        ki = self.new_ki()
        p = self.associate(ki)
        self.echoes(p)
        names = [f"{os.urandom(16).hex()}@{lablib.MAS}" for _ in range(9999)] + [self.root(ki)]
        began = time.monotonic()
        for at in range(0, 10000, 250):
            self.assertEqual(self.notify(REVOKED, *names[at:at + 250]), 2001)
        answered = time.monotonic() - began
        self.is_closed(p, ki, "root key revoked")
        self.assertLess(time.monotonic() - began, 5)
        print(f"10,000 revocations notified: the last answer after {answered * 1000:.0f} ms, the association's end after {(time.monotonic() - began) * 1000:.0f} ms")

    def test_zz_csf_restarts(self):
        """What was missed meanwhile is asked for: running associations go on, those that the MAS refuses end."""
        ki, revoked = self.new_ki(), self.new_ki()
        p, q = self.associate(ki), self.associate(revoked)
        self.echoes(p)
        self.echoes(q)
        mark = self.lab.csf.mark()
        self.lab.csf.stop()
        self.echoes(p)
        self.echoes(q)
        self.mas.reply = lambda link, m, avps: (self.mas.revoked if m.get(dia.KEY_NAME) == revoked.encode() else self.mas.good)(link, m, avps)
        self.lab.csf.start()
        self.lab.csf.wait_log(rf"peer {lablib.MAS} connected", 30, since=mark)
        self.is_closed(q, revoked, "the MAS refuses its key: revoked")
        lablib.wait_for("the question", lambda: self.mas.asked.count(ki) >= 2, WAIT)
        self.echoes(p)


if __name__ == "__main__":
    unittest.main()

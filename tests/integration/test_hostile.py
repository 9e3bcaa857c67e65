# SPDX-License-Identifier: BSD-2-Clause
"""Hostile peers, nodes and clients. Each test sends what must do no harm, and ends with proof that the daemons still serve."""
import json
import os
import socket
import time
import unittest

from case import LabCase, lablib
from hostile import SP, HostileCase

import rawdia as dia
from good import client_hello
from test_false_mas import Erlang
from test_peer import build

ROGUE = "rogue.example.com"  # a certificate of the right CA, and a role


class Impersonation(LabCase):
    """The MAS is down; its name, or its place, is taken by a peer with a good certificate."""

    @classmethod
    def prepare(cls):
        cls.lab.clients = [(ROGUE, f'peer "{ROGUE}" {{\n\troles = {{ cse }}\n\tcse-ids = {{ "//{lablib.SP}/rogue" }}\n}}\n',
                            f'peer "{ROGUE}" {{\n\troles = {{ csf }}\n}}\n')]

    def assert_sees_no_key(self, link):
        try:
            while True:
                m = link.receive(0.5)
                self.assertNotEqual(m.code, dia.KPR, "a root key was sent to another than its MAS")
        except (TimeoutError, dia.Closed):
            pass

    def test_root_keys_go_to_their_mas_only(self):
        self.lab.pki.cert("rogue", "diameter-ca", f"DNS:{ROGUE}", cn=ROGUE)
        self.new_node("victim")
        with self.subTest("another peer of the realm that knows the application"):
            mark = self.lab.mtf.mark()
            self.lab.mas.stop()
            self.lab.mtf.wait_log(r"STATE_OPEN'.*'mas\.example", since=mark)
            link = dia.Client(self.lab, self.lab.mtf.port, "rogue", ROGUE)
            self.assertEqual(link.cea.result, 2001)
            self.assertEqual(self.enrol("victim", check=False).returncode, 4)
            self.assert_sees_no_key(link)
        with self.subTest("one that claims the name of the MAS"):
            thief = lablib.wait_for("the name to be free", self.claim)
            self.assertEqual(self.enrol("victim", check=False).returncode, 4)
            self.assert_sees_no_key(thief)
        link.close()
        thief.close()
        self.lab.restart_mas()
        self.enrol("victim")

    def claim(self):
        """A connection under the name of the MAS; None while the MTF is dialling it."""
        try:
            thief = dia.Client(self.lab, self.lab.mtf.port, "rogue", lablib.MAS)
        except (dia.Closed, TimeoutError):
            return None
        if thief.cea.result == 2001:
            return thief
        thief.close()
        return None


class FalseMtf(LabCase):
    """An MTF with the right certificate and the wrong answers: the CSF hangs up on the node, and goes on."""

    def test_answers(self):
        self.new_node("patient")
        port, mark = self.lab.mtf.port, self.lab.csf.mark()
        self.lab.mtf.stop()
        server = dia.Server(self.lab, port, "mtf", lablib.MTF)
        link = server.accept()

        def routes():
            try:
                link.receive(0.1)  # answers watchdogs
            except TimeoutError:
                pass
            return self.lab.csf.logged(rf"-> 'STATE_OPEN'\s+'{lablib.MTF}'", mark)
        lablib.wait_for("the CSF to use the false MTF", routes)
        good = {"RESULT": 1001, "ROUND": 1, "STATE": bytes(16), "TLS_PAYLOAD": b"\x16\3\3\0\0"}
        for name, other in (("no State", {"STATE": None}), ("a giant State", {"STATE": bytes(60000)}), ("another round", {"ROUND": 7}),
                            ("no round", {"ROUND": None}), ("a giant payload", {"TLS_PAYLOAD": bytes(60000)}), ("no result", {"RESULT": None}),
                            ("two results", {"RESULT": [2001, 1001]}), ("another host", {"ORIGIN_HOST": lablib.MAS}),
                            ("a protocol error", {"RESULT": 3004}), ("an AVP twice", {"AUTH_APP": [dia.RP, dia.RP]})):
            with self.subTest(name), socket.create_connection(("127.0.0.1", self.lab.relay_port), timeout=20) as node:
                node.sendall(client_hello())
                m = link.receive()
                self.assertEqual(m.code, dia.RPR)
                avps = {"SESSION_ID": m.get(dia.SESSION_ID), "AUTH_APP": dia.RP, "AUTH_STATE": 1, "ORIGIN_HOST": lablib.MTF,
                        "ORIGIN_REALM": "example.com", **good, **other}
                octets = m.answer([dia.avp(getattr(dia, n), v) for n, value in avps.items() if value is not None
                                   for v in (value if isinstance(value, list) else [value])])
                link.send(octets)
                link.send(octets)  # and once more
                got = b""
                while more := node.recv(65536):
                    got += more
                self.assertLess(len(got), 32769)
        link.close()
        server.close()
        self.strict_answers(port)
        mark = self.lab.csf.mark()
        self.lab.mtf.start()
        self.lab.csf.wait_log(f"peer {lablib.MTF} connected", 30, since=mark)
        lablib.wait_for("the next enrolment", lambda: self.enrol("patient", check=False).returncode == 0, 30)


    def strict_answers(self, port):
        """The strict Erlang peer as the MTF: what it finds in the rounds of the CSF, and what each result does to the node."""
        mtf = Erlang(self.lab, build(self.path("erl")), lablib.MTF, port)
        self.addCleanup(mtf.end)
        lablib.wait_for("the CSF to use the Erlang MTF", lambda: self.two_rounds(mtf), 60)
        for way in ("4001", "4181", "4182", "4183", "5001", "5002", "5003", "5004", "5005", "5007", "5009", "5012", "5014", "5508", "3001", "3002", "3004", "3007",
                    "2002", "other-session", "other-origin", "other-application", "session-state", "error-bit", "both-results", "no-result", "other-vendor-2001",
                    "unknown-mandatory-avp", "no-state", "other-round"):
            with self.subTest(way):
                mtf.answers(way)
                self.assertNotIn(b"last", self.rounds(mtf))
                mtf.answers("good")
                lablib.wait_for("the next node", lambda: self.two_rounds(mtf), 30)
        mtf.end()

    def rounds(self, mtf):
        """What a node gets that says something twice, until it is hung up on."""
        with socket.create_connection(("127.0.0.1", self.lab.relay_port), timeout=30) as node:
            node.sendall(client_hello())
            got = b""
            while more := node.recv(65536):
                got += more
                if got.endswith(b"first"):
                    node.sendall(b"\x16\3\3\0\1x")
        return got

    def two_rounds(self, mtf):
        """A node that is served; what the peer prints of it comes when it comes."""
        good = self.rounds(mtf) == b"\x16\3\3\0\5first\x17\3\3\0\4last"
        if good:
            asked, last = [], ["2", "6", "S" + b"false mtf's state".hex().upper()]

            def printed():
                asked.extend(name.split("/") for command, name in mtf.requests() if command == "RPR")
                return last in asked
            lablib.wait_for("both rounds", printed, 20)
            self.assertEqual([number for number, _, _ in asked][-2:], ["1", "2"])
        return good


class Hostile(HostileCase):
    def test_push(self):
        m = self.link("mtf2")
        there = os.urandom(16)

        def push(result, **other):
            return str(other)[:60], self.kpr(m, self.key(m, **other)), result
        self.each(m, [
            push(2001, rel=there), push(2001, rel=there), push(5504, rel=there, EXPIRY=0xf0000001),
            push(5003, ENROLEE="//other.example.net/n"), push(5004, ENROLEE=b"//sp.example.com/n\0"),
            push(5004, ENROLEE="//sp.example.com/n\nforged"), push(5004, ENROLEE="//sp.example.com/../../etc"),
            push(5004, ENROLEE="//sp.example.com/" + "n" * 60000), push(5004, ENROLEE=b"//sp.example.com/\xff"), push(5004, ENROLEE="n"),
            push(5003, KE_NAME="00" * 16 + "@mtf.example.com"), push(5003, KE_NAME=there.hex() + "@mtf2.example.com"),
            push(5508, KEY_NAME="00" * 16 + "@other.example.com"), push(5004, KEY_NAME='"}{"'),
            push(5004, KEYING_MATERIAL=b"x" * 31), push(5004, KEYING_MATERIAL=b"x" * 33), push(5004, KEYING_MATERIAL=b"x" * 60000),
            push(5005, KEYING_MATERIAL=None), push(5007, PACKAGE=b"x"), push(5506, KEYING_MATERIAL=None, PACKAGE=b"x" * 999),
            push(5004, EXPIRY=2208988801), push(5507, SUID=32), push(5005, TARGET=None), push(5004, TARGET="in-cse"),
            push(5009, TARGET=[f"//{SP}/t{i}" for i in range(300)]), push(5004, APP_ID="N\x1b[2J"),
            push(5009, KEY_NAME=["00" * 16 + "@mas.example.com"] * 2),
            ("33 keys", self.kpr(m, *[self.key(m)] * 33), 5009), ("no key", self.kpr(m), 5005),
            ("one KmID twice in a request", self.kpr(m, *[self.key(m, rel=b"twice" * 3 + b"!", EXPIRY=e) for e in (0xf0000000, 0xf0000001)]),
             2002),
        ])
        self.assertTrue(self.lab.mas.logged("root key from mtf2.*5003: Enrolee-Id is of another service provider"))
        self.assertFalse(self.lab.mas.logged(r"\nforged|\x1b|0123456789abcdef"))

    def test_heads(self):
        m = self.link("mtf2")

        def push(result, *avps, **other):
            return str(other or avps)[:60], self.kpr(m, self.key(m), *avps, **other), result
        self.each(m, [
            push(5003, ORIGIN_HOST="mtf.example.com"), push(5004, ORIGIN_HOST=b"mtf2.example.com\0"), push(5004, ORIGIN_HOST="../../etc"),
            push(5004, ORIGIN_HOST=""), push(5003, ORIGIN_REALM="example.net"), push(5004, DEST_REALM="elsewhere.example"),
            push(3002, dest="other.example.com"), push(5005, dest=None), push(5004, AUTH_APP=dia.SAK), push(5004, AUTH_STATE=0),
            push(5004, SESSION_ID=b""), push(5004, SESSION_ID=b"a\0b"), push(5004, SESSION_ID="x" * 30000), push(5004, SESSION_ID="a\nb"),
            push(5009, dia.avp(dia.SESSION_ID, "second")), push(5003, dia.avp(dia.ROUTE_RECORD, "relay.example.com")),
            push(3005, dia.avp(dia.ROUTE_RECORD, lablib.MAS)), push(5001, dia.avp(9999, "x")), push(5001, dia.avp(9, "x", 77)),
            push(2001, dia.avp(9999, "x", flags=0)), push(2001, *[dia.avp(9999, flags=0)] * 5000), push(3008, flags=0xe0),
            push(2001, flags=0xcf), push(2001, flags=0xd0), push(5014, dia.avp(0, "x")), push(5014, dia.avp(dia.PROXY_INFO, b"123456")),
            push(5014, dia.avp(dia.KEY, dia.avp(dia.SUID, b"abcd", length=4))),
            push(5014, dia.avp(dia.KEY, dia.avp(dia.SUID, b"abcd", length=9999))), push(5014, dia.avp(dia.REASON, b"abc")),
            ("unknown application", dia.message(dia.KPR, 999, self.head(m, 999)), 3007),
            ("unknown command", dia.message(16776799, dia.RKM, self.head(m, dia.RKM)), 3001),
            ("command of another application", dia.message(dia.KPR, dia.SAK, [*self.head(m, dia.SAK, lablib.MAS), self.key(m)]), 3001),
        ])

    def test_failed_avp(self):
        """RFC 6733 7.5: the AVP itself, alone in its group; nothing but zeros of a key."""
        m = self.link("mtf2")
        unknown, short, vendors = dia.avp(9999, "what is this?"), dia.avp(dia.REASON, b"abc"), dia.avp(9, "x", 77)
        zeros = dia.avp(dia.KEYING_MATERIAL, bytes(32))
        twice = [dia.avp(dia.KE_NAME, f"{i:032}@mtf.example.com") for i in (1, 2)]
        key = self.key(m)[12:]
        for name, avps, result, failed in (
                ("unknown", [unknown], 5001, unknown), ("unknown, of a vendor", [vendors, unknown], 5001, vendors),
                ("unknown, in the key", [dia.avp(dia.KEY, [key, unknown])], 5001, dia.avp(dia.KEY, unknown)),
                ("unknown, behind one in a group that may be ignored", [dia.avp(dia.KEY, [key, unknown], flags=0x80), unknown], 5001, unknown),
                ("wrong length", [short], 5014, short),
                ("wrong length, in the key", [dia.avp(dia.KEY, [dia.avp(dia.SUID, b"abcde"), key])], 5014, dia.avp(dia.KEY, dia.avp(dia.SUID, b"abcde"))),
                ("twice in the key", [dia.avp(dia.KEY, [*twice, dia.avp(dia.KEY_NAME, b"x" * 32 + b"@a")])], 5009, dia.avp(dia.KEY, twice[1])),
                ("missing in the key", [dia.avp(dia.KEY, dia.avp(dia.KEY_NAME, b"0" * 32 + b"@a.b"))], 5005, dia.avp(dia.KEY, dia.avp(dia.SUID, 0))),
                ("no key at all", [], 5005, dia.avp(dia.KEY)),
                ("a key of zeros", [self.key(m, KEYING_MATERIAL=bytes(32))], 5004, dia.avp(dia.KEY, zeros)),
                ("a short key", [self.key(m, KEYING_MATERIAL=b"x" * 31)], 5004, None)):
            with self.subTest(name):
                answer = m.ask(self.kpr(m, *avps))
                self.assertEqual(answer.result, result)
                self.assertEqual([v for c, _, v in answer.avps if c == dia.FAILED_AVP], [failed] if failed else [answer.get(dia.FAILED_AVP)])
                self.assertNotIn(b"x" * 31, answer.octets)
                self.assertNotIn(b"0123456789abcdef", answer.octets)

    def test_roles(self):
        m, m3, c, km = self.link("mtf2"), self.link("mtf3"), self.link("cse2"), self.node_keys("honest")["keys"][0]["kmId"]
        ki, _ = self.derive("honest")
        in_cse, nonsense = lablib.CSE_ID, "00" * 16 + "." + "00" * 16 + "@" + lablib.MAS
        self.each(m, [
            ("an MTF asks for an association key", self.skr(m, [ki], in_cse), 5003),
            ("an MTF revokes another's key, and learns nothing", self.krr(m, [km]), 2001),
            ("257 names", self.krr(m, [km] * 257), 5009), ("a wildcard", self.krr(m, ["*@" + lablib.MAS]), 5004),
            ("no such reason", self.krr(m, [km], 9), 5004),
        ])
        self.each(m3, [
            ("an MTF pushes for another's service provider", self.kpr(m3, self.key(m3)), 5003),
            ("an MTF pushes under another's KmID", self.kpr(m3, self.key(m3, bytes.fromhex(km[:32]), ENROLEE="//other.example.net/n")), 5504),
        ])
        self.each(c, [
            ("a CSE asks for another's key", self.skr(c, [ki]), 5501), ("a key that is not there: the same", self.skr(c, [nonsense]), 5501),
            ("a CSE asks as another", self.skr(c, [ki], in_cse), 5003), ("in another spelling", self.skr(c, [ki], f"//{SP}/CSE2"), 5003),
            ("with a NUL", self.skr(c, [ki], f"//{SP}/cse2\0"), 5004), ("a root key's usage", self.skr(c, [ki], suid=21), 5507),
            ("33 names", self.skr(c, [ki] * 33), 5009), ("no name", self.skr(c, []), 5005), ("a KmID", self.skr(c, [km]), 5004),
            ("a CSE pushes", self.kpr(c, self.key(c)), 5003), ("a CSE revokes", self.krr(c, [km]), 5003),
        ])
        self.assertTrue(self.lab.mas.logged("association key refused to cse2.*5003"))

    def test_revocation_overtakes_pushes(self):
        m, rel = self.link("mtf2"), os.urandom(16)
        for push in (1, 0, 1, 0, 1):
            m.send(self.kpr(m, self.key(m, rel)) if push else self.krr(m, [f"{rel.hex()}@{lablib.MAS}"]))
        # The host's threads may take what comes at once in any order. What was answered counts from then on; a revocation that is taken
        # first keeps out all three pushes.
        results = [m.receive().result for _ in range(5)]
        self.assertLessEqual(set(results), {2001, 5504})
        self.assertGreaterEqual(results.count(2001), 2)
        self.assertEqual(m.ask(self.krr(m, [f"{rel.hex()}@{lablib.MAS}"])).result, 2001)
        self.assertEqual(m.ask(self.kpr(m, self.key(m, rel))).result, 5504)

    def test_resent_requests(self):
        """Same Origin-Host and End-to-End-Id, with the T flag and without, one by one and at once: same answer, no second effect."""
        m, c, rel = self.link("mtf2"), self.link("cse2"), os.urandom(16)

        def again(link, octets):
            retransmitted = octets[:4] + bytes([octets[4] | dia.AGAIN]) + octets[5:]
            answers = [link.ask(o) for o in (octets, octets, retransmitted)]
            for o in (octets, retransmitted, octets):
                link.send(o)
            answers += [link.receive() for _ in range(3)]
            self.assertEqual({a.result for a in answers}, {2001})
            return answers

        def keys():
            return sum(rel.hex() in json.dumps(k) for k in self.listing("key", "mas"))
        def audited():
            with open(os.path.join(self.lab.mas.path("store"), "audit.log")) as f:
                return sum('"KPR"' in line and m.host in line for line in f)
        push, mark = self.kpr(m, self.key(m, rel, TARGET=f"//{SP}/cse2")), audited()
        self.assertEqual(len({a.octets[:4] + a.octets[20:] for a in again(m, push)}), 1)
        self.assertEqual(keys(), 1)
        self.assertEqual(audited(), mark + 1, "what was done once is told once")
        ki = f"{rel.hex()}.{time.time_ns() // 1000:016x}{os.urandom(8).hex()}@{lablib.MAS}"
        answers = again(c, self.skr(c, [ki]))
        self.assertEqual(len({dict((code, data) for code, _, data in dia.parse(a.get(dia.KEY)))[dia.KEYING_MATERIAL] for a in answers}), 1)
        again(m, self.krr(m, [f"{rel.hex()}@{lablib.MAS}"]))
        self.assertEqual(c.ask(self.skr(c, [ki])).result, 5502)
        self.assertEqual(m.ask(push).result, 2001, "the answer to that request, though the key was revoked since")
        self.assertEqual(c.ask(self.skr(c, [ki])).result, 5502)
        self.assertEqual(m.ask(self.kpr(m, self.key(m, rel, TARGET=f"//{SP}/cse2"))).result, 5504)

    def test_resent_over_another_connection(self):
        rel = os.urandom(16)
        link = lablib.wait_for("a connection", lambda: self.connect("mtf4"))
        push, revoke = self.kpr(link, self.key(link, rel)), self.krr(link, [f"{rel.hex()}@{lablib.MAS}"])
        self.assertEqual(link.settle(lambda: push).result, 2001)
        link.close()
        link = lablib.wait_for("another connection", lambda: self.connect("mtf4"))
        self.assertEqual(link.settle(lambda: revoke).result, 2001)
        self.assertEqual(link.ask(push).result, 2001)
        self.assertEqual(link.ask(self.kpr(link, self.key(link, rel))).result, 5504)
        link.close()

    def test_rounds(self):
        c, c3, hello = self.link("csf2"), self.link("csf3"), client_hello()
        first = c.ask(self.rpr(c, 1, hello, "csf2;1"))
        self.assertEqual(first.result, 1001)
        state = first.get(dia.STATE)
        for link, rows in ((c3, [("another CSF goes on", self.rpr(c3, 2, b"x", "csf2;1", state), 5002),
                                 ("another CSF repeats", self.rpr(c3, 1, hello, "csf2;1", state), 5002)]),
                           (c, [("another session", self.rpr(c, 2, b"x", "csf2;2", state), 5002),
                                ("a round left out", self.rpr(c, 3, b"x", "csf2;1", state), 5002),
                                ("round 0", self.rpr(c, 0, b"x", "csf2;1", state), 5004),
                                ("no State", self.rpr(c, 2, b"x", "csf2;1"), 5002),
                                ("half of a State", self.rpr(c, 2, b"x", "csf2;1", state[:8]), 5002),
                                ("a giant State", self.rpr(c, 2, b"x", "csf2;1", bytes(60000)), 5004),
                                ("a giant payload", self.rpr(c, 1, bytes(60000)), 5004),
                                ("no TLS", self.rpr(c, 1, b"GET / HTTP/1.1\r\n\r\n"), 4001),
                                ("an alert", self.rpr(c, 1, b"\x15\3\1\0\2\2\x28"), 4001)])):
            self.each(link, rows)
        for _ in range(12):  # one State, many times at once: one answer for all
            c.send(self.rpr(c, 2, b"\x16\3\3\0\1\x0b", "csf2;1", state))
        self.assertEqual(len({(a.result, a.get(dia.TLS_PAYLOAD)) for a in (c.receive() for _ in range(12))}), 1)

    def test_rounds_without_end(self):
        c = self.link("csf2")
        a = c.ask(self.rpr(c, 1, b"\x16", "csf2;long"))
        for number in range(2, 9):
            self.assertEqual(a.result, 1001)
            a = c.ask(self.rpr(c, number, b"", "csf2;long", a.get(dia.STATE)))
        self.assertEqual(c.ask(self.rpr(c, 9, b"", "csf2;long", a.get(dia.STATE))).result, 5012)

    def test_half_open_enrolments(self):
        c, c3, hello = self.link("csf3"), self.link("csf2"), client_hello()
        results = [c.ask(self.rpr(c, 1, hello)).result for _ in range(8)]
        self.assertEqual(results, [1001] * 4 + [4182] * 4)
        self.assertEqual(c3.ask(self.rpr(c3, 1, b"no TLS")).result, 4001, "another CSF has its own limit")

    def test_broken_frames(self):
        good = self.kpr(self.link("mtf2"))
        for name, octets in (("AVP length 0", good[:24] + bytes(4) + good[28:]), ("AVP beyond the message", good[:25] + b"\xff" + good[26:]),
                             ("version 2", b"\2" + good[1:]), ("message length 0", b"\1\0\0\0" + bytes(16)),
                             ("message length 22", b"\1\0\0\x16" + bytes(18)), ("16 MB announced", b"\1\xff\xff\xfc" + bytes(70000))):
            with self.subTest(name):
                link = lablib.wait_for("a connection", lambda: self.connect("mtf4"))
                with self.assertRaises(dia.Closed):
                    link.send(octets)
                    link.receive()
                link.close()

    def test_names_that_are_not_the_certificate_s(self):
        for claim in (lablib.CSF, "mtf9.example.com", "nobody.example.com.", "x\nforged", "../../etc", "a" * 5000, "a\0b"):
            with self.subTest(claim[:40]):
                try:
                    link = self.dial("nobody", "mas", claims=claim)
                except dia.Closed:
                    continue
                self.assertNotEqual(link.cea.result, 2001)
                link.close()
        self.assertFalse(self.lab.mas.logged(r"\nforged"))

    def test_peer_without_a_section(self):
        try:
            link = self.dial("nobody", "mas")
        except dia.Closed:
            return
        self.assertEqual(link.cea.result, 3010)
        link.close()

    def test_idle_connections(self):
        idle = [socket.create_connection(("127.0.0.1", port)) for port in (self.lab.mas.port, self.lab.mtf.port, self.lab.relay_port)
                for _ in range(10)]
        try:
            began = time.monotonic()
            self.enrol("honest")
            lablib.wait_for("a new peer among idle connections", lambda: self.connect("cse3")).close()
            self.assertLess(time.monotonic() - began, 10)
        finally:
            for s in idle:
                s.close()

    def test_flood_of_nodes(self):
        for octets in (b"\x16\3\1\0\5hello", b"GET / HTTP/1.1\r\n\r\n", b"\x16\3\1\xff\xff" + bytes(1000)):
            for _ in range(60):
                with socket.create_connection(("127.0.0.1", self.lab.relay_port), timeout=10) as s:
                    s.sendall(octets)

    def test_resolver_clients(self):
        for line in (b"\n", b"{}\n", b"[" * 900 + b"\n", b"\0" * 100 + b"\n", b'{"pskIdentity":1}\n', b'{"pskIdentity":"a\\u0000b"}\n',
                     b'{"pskIdentity":"a","pskIdentity":"b"}\n', b'{"pskIdentity":"\\"},{\\"status\\":\\"ok"}\n', b"x" * 100000):
            with self.subTest(line[:40]), socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10)
                s.connect(self.lab.resolver)
                try:
                    s.sendall(line)
                    answer = s.makefile().readline()
                except (BrokenPipeError, ConnectionResetError):
                    continue
                if answer:
                    self.assertEqual(json.loads(answer)["status"], "refused")


if __name__ == "__main__":
    unittest.main()

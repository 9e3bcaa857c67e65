# SPDX-License-Identifier: BSD-2-Clause
"""Root keys in protected key packages: from MTF to MAS directly, and through a stock Diameter relay agent, which passes them and can read none. What policy
wants protected does not come in clear (5505), and what does not open is refused with one code and one text whatever the reason (5506)."""
import os
import time
import unittest

from case import LabCase, lablib
from test_fetch import FetchCase
from test_relay import RelayCase

import good
import packages
import rawdia as dia



class Packages:
    """Mixed into a lab: certificates for packages at MTF and MAS, and raw MTFs that make their own: mtf2 has to, the others may. Each test has its own."""
    RAW = ("mtf2", "mtf3")

    @classmethod
    def prepare(cls):
        super().prepare()
        packages.prepare(cls.lab, cls.RAW, (lablib.MTF, "mtf2.example.com"))

    def push(self, link, make=packages.key, session=None, name=None, **other):
        """One KPR with a package; the answer. session: of the message, if it is not the package's."""
        inside = session or f"{link.host};7;{os.urandom(4).hex()}"
        return link.ask(good.kpr(link, make(self.lab, link, inside, **other), session=name or inside))

    def states(self):
        return {k["kmId"]: k["state"] for k in self.listing("key", "mas")}

    def test_1_a_node_enrols(self):
        self.new_node("packed")
        self.enrol("packed")
        ki, kc = self.derive("packed")
        self.assertEqual(self.resolve(ki).get("key"), kc.hex())
        self.assertIn(self.node_keys("packed")["keys"][0]["kmId"], self.states())


class Direct(Packages, LabCase):
    """Without an agent in between: policy alone asks for packages."""
    RAW = ("mtf2", "mtf3", "mtf4", "mtf5", "mtf6", "mtf7")

    @classmethod
    def prepare(cls):
        for name in cls.RAW:
            host = f"{name}.example.com"
            cls.lab.clients.append((host, f'peer "{host}" {{\n\troles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}\n}}\n', ""))
        super().prepare()
        pki = cls.lab._make_pki

        def make_pki():
            pki()
            for name in cls.RAW:
                cls.lab.pki.cert(name, "diameter-ca", f"DNS:{name}.example.com")
        cls.lab._make_pki = make_pki

    def link(self, name):
        link = dia.Client(self.lab, self.lab.mas.port, name, f"{name}.example.com")
        self.addCleanup(link.close)
        return link

    def test_2_packages_of_another_maker(self):
        link, rel = self.link("mtf4"), os.urandom(16)
        session = f"{link.host};7;again"
        first = good.kpr(link, packages.key(self.lab, link, session, rel), session=session)
        self.assertEqual(link.ask(first).result, 2001)
        # what is only inside counts; the same content again, in another package of another session, changes nothing
        m = self.push(link, rel=rel, ENROLEE=None, TARGET=None, KE_NAME=None, EXPIRY=None)
        self.assertEqual(m.result, 2001)
        self.assertEqual(self.push(link, rel=rel, inside={"KEYING_MATERIAL": bytes(range(32))}).result, 5504)
        self.assertEqual(link.ask(good.kpr(link, good.key(link, rel))).result, 2001)  # this peer may send it in clear
        self.assertEqual(self.states()[f"{rel.hex()}@{lablib.MAS}"], "active")

    def test_3_what_does_not_open(self):
        link = self.link("mtf3")
        lab, good_one = self.lab, dict(inside={})
        bad = {
            "another session": dict(good_one, name=f"{link.host};7;other"),
            "another signer": dict(good_one, signer="stranger"),
            "another peer's signer": dict(good_one, signer="mtf2-package"),
            "not signed": dict(how={}, make=lambda lab, link, session, **_: good.key(link, os.urandom(16), KEYING_MATERIAL=None, PACKAGE=packages.seal(
                lab, None, packages.content(link, session, os.urandom(16))))),
            "another recipient": dict(how={"recipient": "stranger"}),
            "AES-128-GCM": dict(how={"encrypt": [*packages.ENCRYPT[:3], "-aes-128-gcm", *packages.ENCRYPT[4:]]}),
            "AES-256-CBC, EnvelopedData": dict(how={"encrypt": [*packages.ENCRYPT[:3], "-aes-256-cbc", *packages.ENCRYPT[4:]]}),
            "SHA-1 in the key agreement": dict(how={"agree": ["-keyopt", "ecdh_kdf_md:sha1", "-aes256-wrap"]}),
            "SHA-1 in the signature": dict(how={"sign": [*packages.SIGN[:4], "-md", "sha1", *packages.SIGN[6:]]}),
            "Origin-Host": dict(inside={"ORIGIN_HOST": "mtf2.example.com"}),
            "Destination-Host": dict(inside={"DEST_HOST": "mas2.example.com"}),
            "too old": dict(inside={"TIME": -302}),
            "of the future": dict(inside={"TIME": 310}),
            "no time": dict(inside={"TIME": None}),
            "no session": dict(inside={"SESSION_ID": None}),
            "no key": dict(inside={"KEYING_MATERIAL": None}),
            "half a key": dict(inside={"KEYING_MATERIAL": bytes(range(16))}),
            "zeros": dict(inside={"KEYING_MATERIAL": bytes(32)}),
            "Enrolee-Id": dict(ENROLEE=f"//{lablib.SP}/another"),
            "Security-Usage-Id": dict(SUID=32),
            "Key-ExpiryTime": dict(EXPIRY=0xf0000001),
            "only in clear": dict(inside={"TARGET": None}),
            "App-Id beside it": dict(APP_ID="Nmeter"),
            "octets": dict(make=lambda lab, link, session, **_: good.key(link, os.urandom(16), KEYING_MATERIAL=None, PACKAGE=os.urandom(1000))),
            "an empty SEQUENCE": dict(make=lambda lab, link, session, **_: good.key(link, os.urandom(16), KEYING_MATERIAL=None, PACKAGE=b"\x30\x00")),
            "deep": dict(make=lambda lab, link, session, **_: good.key(link, os.urandom(16), KEYING_MATERIAL=None, PACKAGE=b"".join(
                b"\x30\x82" + (24576 - 4 * i - 4).to_bytes(2, "big") for i in range(6144)))),
        }
        before, texts = self.states(), set()
        for what, args in bad.items():
            with self.subTest(what):
                m = self.push(link, **args)
                self.assertEqual(m.result, 5506, what)
                self.assertIsNone(m.get(dia.FAILED_AVP))
                texts.add(m.get(dia.ERROR_MESSAGE))
        self.assertEqual(len(texts), 1, "one text whatever the reason")
        self.assertEqual(self.states(), before)
        lab.mas.wait_log(r"root key from mtf3\.example\.com: key package: its time is (30[2-9]|31\d) s off this clock", 10)
        self.assertEqual(self.push(link).result, 2001)  # and it still serves

    def test_4_other_refusals(self):
        must, may = self.link("mtf2"), self.link("mtf5")
        before = self.states()
        self.assertEqual(must.ask(good.kpr(must, good.key(must))).result, 5505)
        self.assertEqual(must.ask(good.kpr(must, good.key(must, KEYING_MATERIAL=None))).result, 5005)
        self.assertEqual(self.push(must, KEYING_MATERIAL=good.KM).result, 5007)
        self.assertEqual(self.push(may, ENROLEE="//other.example.com/x", inside={"ENROLEE": "//other.example.com/x"}).result, 5003)
        self.assertEqual(may.ask(good.kpr(may, good.key(may, KEYING_MATERIAL=None, PACKAGE=bytes(24577)))).result, 5004)  # too long for the AVP
        self.assertEqual(self.states(), before)
        # the message's own time is the package's
        self.assertEqual(self.timed(must, 100).result, 5506)
        lablib.wait_for("both to be of one second", lambda: self.timed(must, 0).result == 2001)
        before = self.states()
        # one of two
        session = f"{must.host};7;two"
        m = must.ask(good.kpr(must, good.key(must), packages.key(self.lab, must, session), session=session))
        self.assertEqual(m.result, 2002)
        self.assertEqual(len(self.states()), len(before) + 1)

    def timed(self, link, off):
        """A package, and in clear an Event-Timestamp that is off by so much."""
        session, now = f"{link.host};9;{os.urandom(4).hex()}", int(time.time())
        return link.ask(good.kpr(link, packages.key(self.lab, link, session), dia.avp(55, (now + off + packages.NTP) & 0xffffffff), session=session))

    def test_5_packages_that_are_work(self):
        """32 packages in a message are the work of 32 requests, and count so against kpr-per-second (500)."""
        may, other = self.link("mtf6"), self.link("mtf7")
        n, began = 64, time.monotonic()
        for _ in range(n):
            session = f"{may.host};8;{os.urandom(4).hex()}"
            may.send(good.kpr(may, *[good.key(may, KEYING_MATERIAL=None, PACKAGE=bytes(300)) for _ in range(32)], session=session))
        results = [may.receive().result for _ in range(n)]
        self.assertEqual(set(results), {5506, 4183})
        self.assertLess(32 * results.count(5506), 500 * (2 + time.monotonic() - began))
        self.assertEqual(self.push(other).result, 2001)  # it is this peer's limit alone
        lablib.wait_for("the limit to be over", lambda: self.push(may).result == 2001)


class Fetched(Packages, FetchCase):
    """What a MAS that lost its store gets back comes in packages too: it would take nothing in clear."""
    RAW = ()

    def test_2_a_lost_store(self):
        self.new_node("lost")
        self.enrol("lost")
        self.lose_store()
        self.lab.restart_mas()
        status = self.wait_done()
        self.assertGreaterEqual(status["entered"], 2)
        self.assertEqual(status["refused"], 0)
        self.wait_serves("lost")


class ThroughRelay(Packages, RelayCase):
    """Between MTF and MAS there is nothing but the relay."""
    DIRECT = False

    def test_2_a_push_of_another_maker(self):
        link = self.raw("mtf3")
        m = self.push(link)
        self.expect(m, (2001,), lablib.MAS)
        self.expect(link.ask(good.kpr(link, good.key(link))), (5505,), lablib.MAS)  # policy lets it send keys in clear, but not this way
        self.expect(self.push(link, signer="mtf2-package"), (5506,), lablib.MAS)
        # whoever has no section as an MTF, whatever it signs with
        self.expect(self.push(link, inside={"ORIGIN_HOST": "mtf2.example.com"}), (5506,), lablib.MAS)

    def test_3_a_revocation_does_not_pass(self):
        link = self.raw("mtf2")
        m = self.push(link)
        self.expect(m, (2001,), lablib.MAS)
        self.expect(link.ask(good.krr(link, ["00" * 16 + "@" + lablib.MAS])), (5003,), lablib.MAS)


if __name__ == "__main__":
    unittest.main()

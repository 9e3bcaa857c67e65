# SPDX-License-Identifier: BSD-2-Clause
"""Capabilities exchanges that are wrong, over a good certificate: refused or closed, never 2001."""
import unittest

from case import lablib
from hostile import HostileCase

import rawdia as dia

ME = "mtf4.example.com"


class Capabilities(HostileCase):
    def cer(self, *more, flags=dia.REQUEST, code=dia.CER, app=0, **other):
        """A good CER but for what is said."""
        avps = {"ORIGIN_HOST": dia.avp(dia.ORIGIN_HOST, ME), "ORIGIN_REALM": dia.avp(dia.ORIGIN_REALM, "example.com"),
                "ADDRESS": dia.avp(257, b"\0\1\x7f\0\0\1"), "VENDOR": dia.avp(266, dia.VENDOR), "PRODUCT": dia.avp(269, "raw", flags=0),
                "APP": dia.avp(dia.AUTH_APP, dia.RKM), **other}
        return dia.message(code, app, [a for a in avps.values() if a is not None] + list(more), flags)

    def exchange(self, octets, seconds=3):
        """Result of the answer; "closed"."""
        try:
            link = self.dial("mtf4", "mas", cer=octets, seconds=seconds)
        except dia.Closed:
            return "closed"
        link.close()
        return link.cea.result

    def rows(self, rows):
        for name, octets, *allowed in rows:
            with self.subTest(name):
                self.assertIn(self.exchange(octets), allowed)

    def test_frames(self):
        good = self.cer()
        self.rows([
            ("length 0", b"\1\0\0\0" + good[4:], "closed"), ("length 3", b"\1\0\0\3" + good[4:], "closed"),
            ("length 19", b"\1\0\0\x13" + good[4:], "closed"), ("a header only", b"\1\0\0\x14" + good[4:20], "closed", 5005),
            ("length not a multiple of 4", b"\1" + (len(good) - 2).to_bytes(3, "big") + good[4:], "closed"),
            ("version 2", b"\2" + good[1:], "closed"), ("version 0", b"\0" + good[1:], "closed"),
            ("AVP length 0", self.cer(dia.avp(9999, b"", flags=0, length=0)), "closed"),
            ("AVP length 7", self.cer(dia.avp(9999, b"", flags=0, length=7)), "closed"),
            ("AVP of 16 MB", self.cer(dia.avp(9999, b"", flags=0, length=0xffffff)), "closed"),
            ("AVP with a vendor, length 8", self.cer(dia.avp(9999, b"", 77, length=8)), "closed"),
        ])

    def test_avps(self):
        self.rows([
            ("two Origin-Host", self.cer(dia.avp(dia.ORIGIN_HOST, ME)), "closed", 5009), ("no Origin-Host", self.cer(ORIGIN_HOST=None), "closed", 5005),
            ("no Origin-Realm", self.cer(ORIGIN_REALM=None), "closed", 5005), ("unknown AVP with M", self.cer(dia.avp(9999, "x")), "closed", 5001),
            ("Vendor-Id of 3 octets", self.cer(VENDOR=dia.avp(266, b"abc")), "closed", 5014, 5004),
            ("an address of one octet", self.cer(ADDRESS=dia.avp(257, b"a")), "closed", 5004, 5014),
            ("no common application", self.cer(APP=dia.avp(dia.AUTH_APP, 4)), "closed", 5010),
            ("empty Origin-Host", self.cer(ORIGIN_HOST=dia.avp(dia.ORIGIN_HOST, b"")), "closed", 3010, 5004),
            ("NUL", self.cer(ORIGIN_HOST=dia.avp(dia.ORIGIN_HOST, b"mtf4.example.com\0")), "closed", 3010, 5004),
            ("NUL first", self.cer(ORIGIN_HOST=dia.avp(dia.ORIGIN_HOST, b"\0mtf4.example.com")), "closed", 3010, 5004),
            ("60,000 octets", self.cer(ORIGIN_HOST=dia.avp(dia.ORIGIN_HOST, b"a" * 60000)), "closed", 3010, 5004),
            ("a path", self.cer(ORIGIN_HOST=dia.avp(dia.ORIGIN_HOST, "../../etc/passwd")), "closed", 3010, 5004),
            ("our own name", self.cer(ORIGIN_HOST=dia.avp(dia.ORIGIN_HOST, lablib.MAS)), "closed", 3010, 5004),
            ("another realm", self.cer(ORIGIN_REALM=dia.avp(dia.ORIGIN_REALM, b"\xff\0")), "closed", 2001, 3010, 5004),
        ])

    def test_first_message_is_no_cer(self):
        link = self.link("mtf2")
        self.rows([("a push", self.kpr(link, self.key(link)), "closed"), ("an answer", self.cer(flags=0), "closed"),
                   ("a watchdog", self.cer(code=dia.DWR), "closed"), ("another application", self.cer(app=dia.RKM), "closed", 3007, 5004, 3001)])

    def test_second_exchange_on_a_connection(self):
        m = self.link("mtf2")
        cer = dia.message(dia.CER, 0, m.capabilities((dia.RKM,)), dia.REQUEST)
        self.assertEqual(m.ask(cer).result, 5012)
        self.assertEqual(m.ask(self.kpr(m, self.key(m))).result, 2001, "the connection stays")

    def test_second_connection_of_a_peer(self):
        m = self.link("mtf2")
        try:
            second = self.dial("mtf2", "mas", seconds=3)
            self.assertNotEqual(second.cea.result, 2001)
            second.close()
        except dia.Closed:
            pass
        self.assertEqual(m.ask(self.kpr(m, self.key(m))).result, 2001, "the first one is unharmed")

    def test_same_peer_at_once(self):
        """Good ones in a row: one is open at a time, and the last word is a good one."""
        for _ in range(5):
            self.exchange(self.cer())
        lablib.wait_for("the peer", lambda: self.connect("mtf4"), 30).close()


if __name__ == "__main__":
    unittest.main()

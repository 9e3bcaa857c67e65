# SPDX-License-Identifier: BSD-2-Clause
"""AVPs and messages of the base protocol, malformed in ways that the host does not bear by itself; stray ones, and ones of the connection."""
import os
import socket
import struct
import unittest

from case import lablib
from hostile import HostileCase

import rawdia as dia

RESETS = int(os.environ.get("M2M_RESETS") or 25)
SID = dia.avp(dia.SESSION_ID, "x;1;2")


class Base(HostileCase):
    def still(self, link):
        """The connection is there, and its peer is served."""
        self.assertEqual(link.ask(self.kpr(link, self.key(link))).result, 2001)

    def test_session_ids(self):
        m = self.link("mtf2")
        self.each(m, [
            ("NUL first", self.kpr(m, self.key(m), SESSION_ID=b"\0abc"), 5004), ("NUL in the middle", self.kpr(m, self.key(m), SESSION_ID=b"a;\0;c"), 5004),
            ("NUL only", self.kpr(m, self.key(m), SESSION_ID=b"\0"), 5004), ("empty", self.kpr(m, self.key(m), SESSION_ID=b""), 5004),
            ("twice", self.kpr(m, self.key(m), SID, SID), 5009),
        ])
        for name, octets in (("missing", dia.message(dia.KPR, dia.RKM, [*self.head(m, dia.RKM, lablib.MAS)[1:], self.key(m)])),
                             ("of a vendor that is none", self.kpr(m, dia.avp(dia.SESSION_ID, "x", 0, 0xc0), self.key(m))),
                             ("first, of a vendor that is none", dia.message(dia.KPR, dia.RKM, [dia.avp(dia.SESSION_ID, "x", 0, 0xc0),
                                                                                               *self.head(m, dia.RKM, lablib.MAS)[1:], self.key(m)]))):
            with self.subTest(name):
                self.assertIn(m.ask(octets).result, (5004, 5005, 5014, 3009, 5009))
        self.still(m)

    def test_proxy_info(self):
        """In requests that are answered by the host itself."""
        m = self.link("mtf2")
        bad = (b"", b"abc", b"12345678", dia.avp(280, "x", length=7), dia.avp(280, "x", length=9999), dia.avp(33, b"", 0, 0xc0),
               dia.avp(dia.PROXY_INFO, dia.avp(dia.PROXY_INFO, dia.avp(33, "x", length=3))))
        for i, inner in enumerate(bad):
            proxy = dia.avp(dia.PROXY_INFO, inner)
            head = self.head(m, dia.RKM, lablib.MAS)
            for name, octets, results in (
                    ("application 0", dia.message(dia.KPR, 0, [*head, proxy]), (3007, 3001)),
                    ("unknown application", dia.message(dia.KPR, 999, [*head, proxy]), (3007,)),
                    ("R and E", self.kpr(m, proxy, flags=0xe0), (3008,)),
                    ("no realm", self.kpr(m, proxy, DEST_REALM=None), (3001, 5005)),
                    ("another host", self.kpr(m, proxy, dest="other.example.com"), (3002,)),
                    ("a loop", self.kpr(m, dia.avp(dia.ROUTE_RECORD, lablib.MAS), proxy), (3005,)),
                    ("nothing else wrong", self.kpr(m, self.key(m), proxy), (5014, 5004, 5005))):
                with self.subTest(name, inner=i):
                    self.assertIn(m.ask(octets).result, results)
        self.still(m)

    def test_errors_then_reset(self):
        """Many requests that the host answers by itself, and the connection is gone: M2M_RESETS rounds."""
        for _ in range(RESETS):
            link = lablib.wait_for("a connection", lambda: self.connect("mtf4"), 30)
            unknown = dia.message(dia.KPR, 999, self.head(link, 999))
            link.send(unknown * 30)
            link.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.close()
            self.lab.mas.check_alive()
        lablib.wait_for("the peer to be let in", lambda: self.connect("mtf4"), 30).close()

    def test_more_behind_a_broken_frame(self):
        """The connection ends at once, whatever else was sent, and its peer may come again."""
        for _ in range(3):
            link = lablib.wait_for("a connection", lambda: self.connect("mtf4"), 10)
            try:
                link.send(b"\2" + self.kpr(link, self.key(link))[1:] + self.kpr(link, self.key(link)) * 60)
                link.send(self.kpr(link, dia.avp(9999, bytes(50000), flags=0)) * 20)
                link.receive(5)
            except dia.Closed:
                pass
            link.close()
        lablib.wait_for("the peer to be let in", lambda: self.connect("mtf4"), 10).close()

    def test_stray_answers(self):
        m = self.link("mtf2")
        key = self.key(m)
        for avps in ([SID, dia.avp(dia.RESULT, 2001)], [dia.avp(dia.SESSION_ID, b"a\0b"), dia.avp(dia.RESULT, 2001)], [], [key], [dia.avp(dia.RESULT, b"abc")],
                     [SID, dia.avp(dia.SESSION_ID, "x", 0, 0xc0)], [SID, dia.avp(dia.PROXY_INFO, b"123")]):
            for code, app in ((dia.KPR, dia.RKM), (dia.SKR, dia.SAK), (dia.CER, 0), (dia.DWR, 0), (271, 3), (16776799, 77)):
                for flags in (0, 0x40, 0x20, 0x10):
                    m.send(dia.message(code, app, avps, flags))
        self.still(m)

    def test_messages_of_the_connection(self):
        """Watchdogs and a farewell without AVPs."""
        link = lablib.wait_for("a connection", lambda: self.connect("mtf4"), 30)
        for code in (dia.DWR, dia.DPR):
            with self.subTest(code):
                self.assertEqual(link.ask(dia.message(code, 0, [], dia.REQUEST)).result, 5005)
        link.close()

    def test_applications(self):
        """One that the peer did not announce."""
        link = lablib.wait_for("a connection", lambda: self.connect("cse3", apps=(dia.RKM,)), 30)
        self.assertEqual(link.ask(self.skr(link, ["00" * 16 + "." + "00" * 16 + "@" + lablib.MAS], f"//{lablib.SP}/cse3")).result, 3007)
        link.close()

    def test_key_in_what_does_not_parse(self):
        """The key of a push that ends the connection, or is refused by the host, is in no log (looked for when the class ends)."""
        m = self.link("mtf2")
        for octets in (self.kpr(m, self.key(m), flags=0xe0), self.kpr(m, self.key(m), dia.avp(9999, "x")),
                       dia.message(dia.KPR, 999, [*self.head(m, 999), self.key(m)]), self.kpr(m, self.key(m), dest="other.example.com"),
                       self.kpr(m, self.key(m), DEST_REALM=None)):
            self.assertGreaterEqual(m.ask(octets).result, 3000)
        link = lablib.wait_for("a connection", lambda: self.connect("mtf4"), 30)
        with self.assertRaises(dia.Closed):
            link.send(self.kpr(link, self.key(link), dia.avp(9999, "x", length=0xffff)))
            link.receive()
        link.close()


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-2-Clause
"""Hostile fetches (KFR) at the MTF, by another MAS that it knows: nothing of the first one's can be had or guessed."""
import os
import unittest

from hostile import HostileCase, SECTIONS, lablib

import rawdia as dia

CURSOR = 1114


class Fetches(HostileCase):
    @classmethod
    def prepare(cls):
        SECTIONS["mas2"] = (None, "roles = { mas }")
        cls.addClassCleanup(SECTIONS.pop, "mas2")
        super().prepare()

    def kfr(self, link, *avps):
        return dia.message(dia.KFR, dia.RKM, [*self.head(link, dia.RKM, lablib.MTF), *avps])

    def names(self, *names):
        return [dia.avp(dia.KEY_NAME, n) for n in names]

    def test_hostile_fetches(self):
        m = self.dial("mas2", "mtf")
        own = f"{os.urandom(16).hex()}@mas2.example.com"
        km_id = self.node_keys("honest")["keys"][0]["kmId"]
        rel = km_id.split("@")[0]
        cases = [("all, of which there are none", [], 2001), ("the first MAS's key", self.names(km_id), 5501),
                 ("it under the own name", self.names(f"{rel}@mas2.example.com"), 5501), ("an unknown one", self.names(own), 5501),
                 ("no name", self.names("*"), 5004), ("33", self.names(*[own] * 33), 5009),
                 ("names and a cursor", [*self.names(own), dia.avp(CURSOR, b"x")], 5007)]
        cases += [(f"a cursor of {len(c)}", [dia.avp(CURSOR, c)], 5004) for c in (b"\0", b"\1" * 16, os.urandom(113), b"\xff" * 255)]
        for what, avps, result in cases:
            with self.subTest(what):
                a = m.ask(self.kfr(m, *avps))
                self.assertEqual(a.result, result)
                self.assertIsNone(a.get(dia.KEY))
        with self.subTest("sent again, with T and without"):
            octets = self.kfr(m, *self.names(own))
            self.assertEqual({m.ask(o).result for o in (octets, octets, octets[:4] + bytes([octets[4] | dia.AGAIN]) + octets[5:])}, {5501})
        m.close()


if __name__ == "__main__":
    unittest.main()

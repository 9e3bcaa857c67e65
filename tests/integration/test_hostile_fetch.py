# SPDX-License-Identifier: BSD-2-Clause
"""Hostile fetches (KFR) at the MTF, by another MAS that it knows: nothing of the first one's can be had or guessed. And an MTF that
answers the MAS's fetches as it likes."""
import json
import os
import unittest

from hostile import HostileCase, SECTIONS, lablib

import good
import rawdia as dia

CURSOR = 1114


class Fetches(HostileCase):
    @classmethod
    def prepare(cls):
        SECTIONS["mas2"] = (None, "roles = { mas }")
        cls.addClassCleanup(SECTIONS.pop, "mas2")
        super().prepare()
        host, mas, mtf = cls.lab.clients[-1]
        cls.lab.clients[-1] = (host, mas, mtf + f'mas "{host}" {{\n\trealm = "example.com"\n}}\n')

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
        m.settle(lambda: self.kfr(m, *self.names(own)))
        for what, avps, result in cases:
            with self.subTest(what):
                a = m.ask(self.kfr(m, *avps))
                self.assertEqual(a.result, result)
                self.assertIsNone(a.get(dia.KEY))
        with self.subTest("sent again, with T and without"):
            octets = self.kfr(m, *self.names(own))
            self.assertEqual({m.ask(o).result for o in (octets, octets, octets[:4] + bytes([octets[4] | dia.AGAIN]) + octets[5:])}, {5501})
        m.close()

    def test_added_mas(self):
        """A MAS that an instruction names later gets the key by a fetch, and is told of its revocation like the first."""
        self.new_node("wide")
        self.enrol("wide")
        keys = self.node_keys("wide")
        rel = keys["keys"][0]["kmId"].split("@")[0]
        name = f"{rel}@mas2.example.com"
        m = self.dial("mas2", "mtf")
        self.assertEqual(m.settle(lambda: self.kfr(m, *self.names(name))).result, 5501)
        self.lab.ctl("enrolee", "set", f"//{lablib.SP}/wide", "--mas", lablib.MAS, "--mas", "mas2.example.com", "--mtf", self.lab.mtf.conf)
        a = m.ask(self.kfr(m, *self.names(name)))
        self.assertEqual(a.result, 2001)
        self.assertIsNotNone(a.get(dia.KEY))
        self.lab.ctl("revoke", keys["keId"], "--yes", "--reason", "compromise", "--mtf", self.lab.mtf.conf)
        told = m.receive(30)
        self.assertEqual((told.code, told.get(dia.KEY_NAME)), (dia.KRR, name.encode()))
        self.answer(m, told, [])
        lablib.wait_for("the first MAS to be told", lambda: json.loads(self.lab.ctl(
            "key", "show", f"{rel}@{lablib.MAS}", "--json", "--mas", self.lab.mas.conf).stdout)["state"] == "revoked", 30)
        lablib.wait_for("the outbox to be empty", lambda: not self.lab.ctl("outbox", "--json", "--mtf", self.lab.mtf.conf).stdout.strip(), 30)
        self.assertEqual(m.ask(self.kfr(m, *self.names(name))).result, 5502)
        m.close()

    # --- an MTF with pages of its own ------------------------------------------------------------------------------------

    def answer(self, link, m, avps, result=2001):
        link.send(m.answer([dia.avp(dia.SESSION_ID, m.get(dia.SESSION_ID)), dia.avp(dia.AUTH_APP, dia.RKM), dia.avp(dia.AUTH_STATE, 1), *link.me,
                            dia.avp(dia.RESULT, result), *avps]))

    def status(self):
        p = self.lab.ctl("fetch", "--status", "--json", "--mtf", "mtf2.example.com", "--mas", self.lab.mas.conf, check=False)
        rows = [json.loads(line) for line in p.stdout.splitlines()]
        return p.returncode, rows[0] if rows else {"state": "none"}

    def serve(self, link, page):
        """Answer until the fetch has ended; page(number, cursor): AVPs and result. How many pages that took."""
        pages, names = 0, 0
        self.lab.ctl("fetch", "--mtf", "mtf2.example.com", "--mas", self.lab.mas.conf)
        while True:
            try:
                m = link.receive(1)
            except TimeoutError:
                if self.status()[1]["state"] in ("done", "failed"):
                    return pages, names
                continue
            if m.code != dia.KFR:
                continue
            if m.get(dia.KEY_NAME) is not None:
                names += 1
                group = [dia.avp(dia.EXPERIMENTAL, [dia.avp(266, dia.VENDOR), dia.avp(298, 4181)])]
                self.answer(link, m, [dia.avp(dia.STATUS, [dia.avp(dia.KEY_NAME, m.get(dia.KEY_NAME)), *group])], 2002)
            else:
                self.answer(link, m, *page(pages, m.get(CURSOR)))
                pages += 1

    def pushed(self, link, i):
        return good.key(link, bytes([i]) * 16, ENROLEE=f"//{lablib.SP}/of-mtf2-{i}")

    def test_pages_out_of_order(self):
        """Backwards, each key twice, with one cursor, some missing: taken, and told of."""
        link = self.link("mtf2")

        def page(n, cursor):
            self.assertEqual(cursor, b"x" if n else None)
            keys = [self.pushed(link, i) for i in range(40 - n * 4, 40 - n * 4 - 8, -1) if i > 0]
            hole = dia.avp(dia.STATUS, [dia.avp(dia.KEY_NAME, "ee" * 16 + "@" + lablib.MAS),
                                        dia.avp(dia.EXPERIMENTAL, [dia.avp(266, dia.VENDOR), dia.avp(298, 4181)])])
            if n == 9:
                return [*keys, hole], 2002
            return [*keys, dia.avp(CURSOR, b"x")], 2001
        self.serve(link, page)
        code, s = self.status()
        self.assertEqual((s["state"], s["entered"], s["missed"], s["refused"], code), ("done", 40, 1, 0, 3), s)

    def test_pages_without_end(self):
        """The same page and the same cursor, for ever: the MAS ends it, and serves meanwhile (tearDown)."""
        link = self.link("mtf2")
        pages, _ = self.serve(link, lambda n, cursor: ([*[self.pushed(link, i) for i in range(100, 132)], dia.avp(CURSOR, b"x")], 2001))
        code, s = self.status()
        self.assertEqual((s["state"], code), ("failed", 3), s)
        self.assertIn("nothing new", s["why"])
        self.assertLess(pages, 200)


if __name__ == "__main__":
    unittest.main()

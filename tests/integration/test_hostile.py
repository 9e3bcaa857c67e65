# SPDX-License-Identifier: BSD-2-Clause
"""Hostile peers, nodes and clients. Each test sends what must do no harm, and ends with proof that the daemons still serve."""
import unittest

from case import LabCase, lablib

import rawdia as dia

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


if __name__ == "__main__":
    unittest.main()

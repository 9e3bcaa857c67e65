# SPDX-License-Identifier: BSD-2-Clause
"""An independent, strict Diameter peer (Erlang/OTP) pushes root keys and asks for association keys."""
import os
import subprocess
import unittest

from case import BUILD, LabCase, lablib

MTF, CSE = "erl-mtf.example.com", "erl-cse.example.com"


class Peer(LabCase):
    @classmethod
    def prepare(cls):
        cls.lab.clients = [
            (MTF, f'peer "{MTF}" {{\n\troles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}\n}}\n', ""),
            (CSE, f'peer "{CSE}" {{\n\troles = {{ cse }}\n\tcse-ids = {{ "{lablib.CSE_ID}" }}\n}}\n', ""),
        ]

    def test_erlang_peer(self):
        for host in (MTF, CSE):
            self.lab.pki.cert(host.split(".")[0], "diameter-ca", f"DNS:{host}", cn=host)
        out = self.path("erl")
        subprocess.run([os.path.join(os.path.dirname(__file__), "..", "peer", "build"), os.path.join(BUILD, "dict"), out],
                       check=True)
        p = subprocess.run(["erl", "-noshell", "-pa", out, "-run", "m2m_peer", "main", lablib.MAS, str(self.lab.mas.port), lablib.REALM,
                            self.lab.pki.folder, MTF, CSE, lablib.SP, lablib.CSE_ID], text=True, timeout=120,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(p.stdout)
        self.assertEqual(p.returncode, 0, "the Erlang peer found something to complain about")
        self.assertNotIn("FAILED", p.stdout)


if __name__ == "__main__":
    unittest.main()

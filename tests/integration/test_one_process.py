# SPDX-License-Identifier: BSD-2-Clause
"""All extensions in one freeDiameterd: no symbol of one is another's, each serves, a node enrols and gets its association key without a connection between
them, all stop cleanly."""
import os
import subprocess
import unittest

from case import LabCase, lablib

HOST = "m2m.example.com"
SECTIONS = {
    "mas": f'peer "{HOST}" {{\n\troles = {{ mtf, cse }}\n\tservice-providers = {{ "{lablib.SP}" }}\n\tcse-ids = {{ "{lablib.CSE_ID}" }}\n}}\n',
    "mtf": f'mas "{HOST}" {{\n\trealm = "{lablib.REALM}"\n}}\npeer "{HOST}" {{\n\troles = {{ mas, csf }}\n}}\n',
    "csf": f'mas "{HOST}" {{\n\trealm = "{lablib.REALM}"\n}}\npeer "{HOST}" {{\n\troles = {{ mas, mtf }}\n}}\n',
}


class OneProcess(LabCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab = cls.lab
        lab.stop()
        one = lablib.Daemon(lab, "one", HOST, True)
        os.makedirs(one.folder, mode=0o700)
        lab.pki.cert("one", "diameter-ca", f"DNS:{HOST}", cn=HOST)
        lab.pki.cert("mtf-node", "device-ca", f"DNS:{HOST}", cn=HOST)
        extensions = []
        for d in (lab.mas, lab.mtf, lab.csf):
            os.makedirs(one.path(d.name), mode=0o700)
            with open(d.conf) as f:
                head = f.read().split('\nmas "')[0].split('\npeer "')[0]
            d.folder = one.path(d.name)
            with open(d.conf, "w") as f:
                head = head.replace(os.path.join(lab.dir, d.name), d.folder).replace(f'"{d.identity}"', f'"{HOST}"')
                f.write(head + "\n" + SECTIONS[d.name])
            extensions.append(f'LoadExtension = "{lab.ext}/{d.name}.fdx" : "{d.conf}";')
        lab.mtf.identity, lab.resolver = HOST, lab.csf.path("resolver.sock")
        with open(one.path("freeDiameter.conf"), "w") as f:
            f.write(lab.host_conf_text(HOST, "one", one.port, [], extensions))
        lab.own()
        for side in ("mas", "mtf"):
            lab.ctl("init", f"--{side}", getattr(lab, side).conf, *lab.init_options(side))
        lab.daemons[:] = [one]
        cls.one = one
        one.start()

    def test_1_all_extensions_serve(self):
        for what in (f"MAS {HOST} serves", f"MTF {HOST} serves", "freeDiameterd daemon initialized"):
            self.one.wait_log(what)
        p = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.one.port}", "-CAfile", self.lab.pki.path("diameter-ca.pem")],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        self.assertIn(f"CN = {HOST}", p.stdout)
        self.one.check_alive()

    def test_2_a_node_enrols_and_its_key_is_resolved(self):
        self.new_psk("alone")
        self.lab.ctl("enrolee", "add", f"//{lablib.SP}/alone", "--credential", "psk:alone", "--mas", HOST, "--target", lablib.CSE_ID,
                     "--mtf", self.lab.mtf.conf)
        self.enrol("alone")
        ki, kc = self.derive("alone")
        self.assertEqual(self.resolve(ki).get("key"), kc.hex())
        self.assertEqual(self.resolve("00" * 16 + "." + "00" * 16 + "@" + HOST)["reason"], "unknown")
        self.assertEqual(self.stored(), (1, 1))

    def test_3_all_stop_cleanly(self):
        self.one.stop()
        self.assertFalse(self.one.logged(r"ERROR  (?!TLS ERROR)"), self.one.tail())  # s_client has no certificate


if __name__ == "__main__":
    unittest.main()

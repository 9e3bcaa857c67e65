# SPDX-License-Identifier: BSD-2-Clause
"""What the tests with hostile peers share: peers of every role, and the proof after every test that all daemons serve as before."""
from case import LabCase, lablib

import good
import rawdia as dia

SP = lablib.SP
SECTIONS = {  # role and what else a peer's section has, at the MAS and at the MTF
    "mtf2": (f'roles = {{ mtf }}\n\tservice-providers = {{ "{SP}" }}', None),
    "mtf3": ('roles = { mtf }\n\tservice-providers = { "other.example.net" }', None),
    "cse2": (f'roles = {{ cse }}\n\tcse-ids = {{ "//{SP}/cse2" }}', None),
    "csf2": (None, "roles = { csf }\n\tmax-handshakes = 4"),
    "csf3": (None, "roles = { csf }\n\tmax-handshakes = 4"),
    "cse3": (f'roles = {{ cse }}\n\tcse-ids = {{ "//{SP}/cse3" }}', None),  # these two come and go
    "mtf4": (f'roles = {{ mtf }}\n\tservice-providers = {{ "{SP}" }}', None),
    "nobody": (None, None),
}


def section(host, body):
    return f'peer "{host}" {{\n\t{body}\n}}\n' if body else ""


class HostileCase(LabCase):
    @classmethod
    def prepare(cls):
        for name, (mas, mtf) in SECTIONS.items():
            host = f"{name}.example.com"
            cls.lab.clients.append((host, section(host, mas), section(host, mtf)))
        text = cls.lab.host_conf_text  # no watchdogs: nobody listens on our connections between two tests
        cls.lab.host_conf_text = lambda *args: text(*args).replace("TwTimer = 6;", "TwTimer = 120;")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.links = {}
        cls.addClassCleanup(lambda: [link.close() for link in cls.links.values()])
        for name in SECTIONS:
            cls.lab.pki.cert(name, "diameter-ca", f"DNS:{name}.example.com", cn=f"{name}.example.com")
        cls.secrets.append(good.KM)
        cls.pids = [d.proc.pid for d in cls.lab.daemons]
        test = cls("enrol")
        test.new_node("honest")
        test.enrol("honest")

    def tearDown(self):
        """Every test: all daemons serve, in the processes that were there before; a key is pushed, and one is derived."""
        for d in self.lab.daemons:
            d.check_alive()
        self.assertEqual([d.proc.pid for d in self.lab.daemons], self.pids)
        self.enrol("honest")
        ki, kc = self.derive("honest")
        self.assertEqual(self.resolve(ki).get("key"), kc.hex())

    # --- peers ---------------------------------------------------------------------------------------------------------

    def dial(self, name, server, **kw):
        return dia.Client(self.lab, getattr(self.lab, server).port, name, f"{name}.example.com", **kw)

    def link(self, name):
        """One connection for all tests that leave it open."""
        if name not in self.links:
            self.links[name] = self.dial(name, "mtf" if name.startswith("csf") else "mas")
            self.assertEqual(self.links[name].cea.result, 2001)
        return self.links[name]

    head, key, kpr, krr, skr, rpr = map(staticmethod, (good.head, good.key, good.kpr, good.krr, good.skr, good.rpr))

    def each(self, link, rows):
        """(name, request, result): one by one over a connection that stays."""
        for name, request, result in rows:
            with self.subTest(name):
                self.assertEqual(link.ask(request).result, result)

    def connect(self, name, **kw):
        """A new connection; None while the last one is still being taken down."""
        try:
            link = self.dial(name, "mas", **kw)
        except (dia.Closed, TimeoutError):
            return None
        if link.cea.result == 2001:
            return link
        link.close()
        return None

# SPDX-License-Identifier: BSD-2-Clause
"""A stock Diameter relay agent (freeDiameterd without any of our extensions) in between. Enrolments pass it where it is configured as a relay: they carry no
key. What carries one, or is taken for its peer's word, does not, in either direction."""
import os
import unittest

from case import LabCase, lablib

import good
import rawdia as dia

RELAY = "relay.example.com"
RAW = ("mtf2", "mtf3", "cse2", "mas2", "mas3")  # raw peers behind the relay


class RelayCase(LabCase):
    ROLE = "relay"  # what MAS, MTF and CSF take it for
    DIRECT = True   # the MTF has a connection to the MAS

    @classmethod
    def prepare(cls):
        lab = cls.lab
        cls.relay = lablib.Daemon(lab, "relay", RELAY, True)
        lab.daemons.insert(2, cls.relay)
        section = f'peer "{RELAY}" {{\n\troles = {{ {cls.ROLE} }}\n}}\n'
        at_mas = section + f'peer "cse2.example.com" {{\n\troles = {{ cse }}\n\tcse-ids = {{ "//{lablib.SP}/cse2" }}\n}}\n'
        for name in ("mtf2", "mtf3"):
            at_mas += f'peer "{name}.example.com" {{\n\troles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}\n}}\n'
        masses = "".join(f'peer "{name}.example.com" {{\n\troles = {{ mas }}\n}}\n' for name in ("mas2", "mas3"))
        lab.clients.append((RELAY, at_mas, section + masses))
        host_conf, csf_conf = lab._host_conf, lab._csf_conf

        def host(d):
            if d is cls.relay:
                text = lab.host_conf_text(RELAY, "relay", d.port, [lab.mas, lab.mtf], [f'LoadExtension = "acl_wl.fdx" : "{d.path("acl")}";'])
                text = text.replace("NoRelay;\n", "").replace(f'LoadExtension = "{lab.ext}/dict_m2m.fdx";\n', "")
                with open(d.path("acl"), "w") as f:
                    f.write("\n".join([lablib.CSF, *[f"{n}.example.com" for n in RAW]]) + "\n")
            else:
                host_conf(d)
                with open(d.path("freeDiameter.conf")) as f:
                    text = f.read()
                if d is lab.csf:  # the relay in the MTF's place
                    text = text.replace(f'ConnectPeer = "{lablib.MTF}"', f'ConnectPeer = "{RELAY}"').replace(str(lab.mtf.port), str(cls.relay.port))
                if d is lab.mtf and not cls.DIRECT:
                    text = text.split("ConnectPeer")[0]
            with open(d.path("freeDiameter.conf"), "w") as f:
                f.write(text)

        def csf():
            csf_conf()
            with open(lab.csf.conf, "a") as f:
                f.write(section + masses)

        def make_pki():
            pki()
            for name in RAW:
                lab.pki.cert(name, "diameter-ca", f"DNS:{name}.example.com")

        def folders():
            os.makedirs(cls.relay.folder, mode=0o700)
            make()
        pki, make = lab._make_pki, lab.make
        lab._host_conf, lab._csf_conf, lab._make_pki, lab.make, lab.wait_connected = host, csf, make_pki, folders, cls.wait_connected

    @classmethod
    def wait_connected(cls):
        for d in (cls.lab.mas, cls.lab.mtf, cls.lab.csf):
            d.wait_log(rf"peer {RELAY} connected")
        if cls.DIRECT:
            cls.lab.mtf.wait_log(rf"peer {lablib.MAS} connected")
        cls.lab.csf.wait_log(rf"peer {lablib.MAS} connected")

    def raw(self, name):
        """A peer of the relay's, with the certificate of its name. Each test has its own: the host drops answers for a while after a second connection."""
        link = dia.Client(self.lab, self.relay.port, name, f"{name}.example.com")
        self.addCleanup(link.close)
        return link

    def expect(self, m, codes, origin):
        self.assertIn(m.result, codes)
        self.assertEqual(m.get(dia.ORIGIN_HOST), origin.encode(), "the server itself refused, not the relay")


class Relayed(RelayCase):
    def test_a_node_enrols_through_the_relay(self):
        self.new_node("far")
        self.enrol("far")
        self.assertFalse(self.lab.csf.logged(rf"peer {lablib.MTF} connected"))
        self.assertFalse(self.lab.mtf.logged(rf"peer {lablib.CSF} connected"))
        ki, kc = self.derive("far")
        self.assertEqual(self.resolve(ki).get("key"), kc.hex())
        self.lab.mtf.wait_log(f"enrolled //{lablib.SP}/far through {lablib.CSF}")  # the originator, not the relay

    def test_a_push_in_clear_does_not_pass(self):
        link = self.raw("mtf2")
        before = self.stored()
        self.expect(link.ask(good.kpr(link, good.key(link))), (5003, 5505), lablib.MAS)
        self.assertEqual(self.stored(), before)

    def test_nor_a_revocation(self):
        self.new_node("kept")
        self.enrol("kept")
        link = self.raw("mtf3")
        name = self.node_keys("kept")["keys"][0]["kmId"]
        self.expect(link.ask(good.krr(link, [name])), (5003,), lablib.MAS)
        self.assertEqual({k["kmId"]: k["state"] for k in self.listing("key", "mas")}[name], "active")

    def test_nor_a_question_for_an_association_key(self):
        link = self.raw("cse2")
        self.expect(link.ask(good.skr(link, ["00" * 16 + "." + "00" * 16 + "@" + lablib.MAS])), (5003,), lablib.MAS)

    def test_nor_a_notification(self):
        link = self.raw("mas2")
        name = [dia.avp(dia.EVENT, 1), dia.avp(dia.REASON, 2), dia.avp(dia.KEY_NAME, f"{'0' * 32}@mas2.example.com")]
        self.expect(link.ask(dia.message(dia.KNR, dia.SAK, [*good.head(link, dia.SAK, lablib.CSF), *name])), (5003,), lablib.CSF)

    def test_nor_a_fetch(self):
        link = self.raw("mas3")
        m = link.ask(dia.message(dia.KFR, dia.RKM, good.head(link, dia.RKM, lablib.MTF)))
        self.assertIn(m.result, (3001, 3007, 5003))
        self.assertIsNone(m.get(dia.KEY))


class NoRelay(RelayCase):
    """The MTF knows that peer, and has not given it the role."""
    ROLE = "csf"

    @classmethod
    def prepare(cls):
        super().prepare()
        csf_conf = cls.lab._csf_conf

        def csf():
            csf_conf()
            with open(cls.lab.csf.conf) as f:
                text = f.read().replace("roles = { csf }", "roles = { relay }")
            with open(cls.lab.csf.conf, "w") as f:
                f.write(text)
        cls.lab._csf_conf = csf
        cls.lab.clients[0] = (RELAY, cls.lab.clients[0][1].replace("roles = { csf }", "roles = { relay }"), cls.lab.clients[0][2])

    def test_an_enrolment_is_refused(self):
        self.new_node("far")
        p = self.enrol("far", check=False)
        self.assertNotEqual(p.returncode, 0)
        self.assertEqual(self.stored(), (0, 0))
        self.lab.mtf.wait_log(rf"Remote-Provisioning-Request from {RELAY} refused with 5003: Route-Record, but the peer is no relay")


class OnlyRelay(RelayCase):
    """Between MTF and MAS there is nothing but the relay: a key does not leave the MTF in clear for it."""
    DIRECT = False

    def test_the_node_is_told_to_try_later(self):
        self.new_node("stuck")
        p = self.enrol("stuck", check=False)
        self.assertEqual(p.returncode, 4, p.stdout + p.stderr)
        self.assertIn("try-later", p.stdout + p.stderr)
        self.assertEqual(self.stored(), (0, 0))
        self.lab.mtf.wait_log("root key push: Root-Key-Push-Request: protocol error 3002, no route")
        self.assertFalse(self.lab.mas.logged("Root-Key-Push-Request"))


if __name__ == "__main__":
    unittest.main()

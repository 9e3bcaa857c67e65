# SPDX-License-Identifier: BSD-2-Clause
"""Several service providers on one MAS and one MTF. None can see, name, provision, revoke or shut out what is another's, and what it may not touch looks to
it like what does not exist."""
import json
import unittest

from case import LabCase, lablib

import good
import rawdia as dia

OURS, GUEST, RIVAL = lablib.SP, "guest.example.net", "rival.example.org"  # the first two: of the lab's own MTF and CSF
RIVAL_CSE = f"//{RIVAL}/in-cse"
RAW = {"mtf-r": f'roles = {{ mtf }}\n\tservice-providers = {{ "{RIVAL}" }}\n',
       "mtf-r2": f'roles = {{ mtf }}\n\tservice-providers = {{ "{RIVAL}" }}\n',
       "mtf-r3": f'roles = {{ mtf }}\n\tservice-providers = {{ "{RIVAL}" }}\n',
       "cse-r": f'roles = {{ cse }}\n\tcse-ids = {{ "{RIVAL_CSE}" }}\n',
       "cse-r2": f'roles = {{ cse }}\n\tcse-ids = {{ "{RIVAL_CSE}" }}\n\tskr-per-second = 1\n'}


class Tenants(LabCase):
    @classmethod
    def prepare(cls):
        lab = cls.lab
        mas_conf, mtf_conf, pki = lab._mas_conf, lab._mtf_conf, lab._make_pki

        def change(d, old, new):
            with open(d.conf) as f:
                text = f.read()
            assert old in text
            with open(d.conf, "w") as f:
                f.write(text.replace(old, new))

        def mas():
            mas_conf()
            change(lab.mas, f'service-providers = {{ "{OURS}" }}',
                   f'service-providers = {{ "{OURS}", "{GUEST}" }}\n\tstakeholders = {{ "{OURS}", "{GUEST}", "owner.example.com" }}')
            with open(lab.mas.conf, "a") as f:
                f.writelines(f'peer "{name}.example.com" {{\n\t{lines}}}\n' for name, lines in RAW.items())

        def mtf():
            mtf_conf()
            change(lab.mtf, "roles = { csf }", f'roles = {{ csf }}\n\tservice-providers = {{ "{OURS}", "{GUEST}" }}')

        def make_pki():
            pki()
            for name in RAW:
                lab.pki.cert(name, "diameter-ca", f"DNS:{name}.example.com")
        lab._mas_conf, lab._mtf_conf, lab._make_pki = mas, mtf, make_pki

    def raw(self, name):
        link = dia.Client(self.lab, self.lab.mas.port, name, f"{name}.example.com")
        self.addCleanup(link.close)
        return link

    def new_node_of(self, provider, name, *more):
        self.new_psk(name)
        self.lab.ctl("enrolee", "add", f"//{provider}/{name}", "--credential", f"psk:{name}", "--mas", lablib.MAS, "--target", lablib.CSE_ID,
                     "--mtf", self.lab.mtf.conf, *more)

    def key_of(self, enrolee):
        return [k for k in self.listing("key", "mas") if k["enroleeId"] == enrolee]

    def told(self, m):
        """What an answer says: all but whose request it was and the names that were asked for."""
        return [(c, v, d) for c, v, d in m.avps if c not in (dia.SESSION_ID, dia.STATUS)]

    # --- enrolling ----------------------------------------------------------------------------------------------------

    def test_a_csf_carries_for_its_providers_alone(self):
        self.new_node_of(GUEST, "g-1")
        self.new_node_of(RIVAL, "r-1")
        self.enrol("g-1")
        before = self.stored()
        p = self.enrol("r-1", check=False)
        self.assertEqual(p.returncode, 1, p.stdout + p.stderr)
        self.assertIn("not-authorised", p.stdout + p.stderr, "as if no instruction named it")
        self.assertEqual(self.stored(), before)
        self.assertEqual(len(self.key_of(f"//{GUEST}/g-1")), 1)

    def test_on_whose_behalf(self):
        self.new_node_of(GUEST, "g-2")
        self.new_node_of(OURS, "o-2", "--stakeholder", "Owner.example.com")
        self.new_node_of(OURS, "x-2", "--stakeholder", "stranger.example.com")
        self.enrol("g-2")
        self.enrol("o-2")
        self.assertEqual(self.key_of(f"//{GUEST}/g-2")[0]["administratingStakeholderId"], GUEST)
        self.assertEqual(self.key_of(f"//{OURS}/o-2")[0]["administratingStakeholderId"], "owner.example.com")
        before = self.stored()
        p = self.enrol("x-2", check=False)
        self.assertIn("refused-by-mas", p.stdout + p.stderr)
        self.assertEqual(self.stored(), before)
        self.lab.mas.wait_log("Administrating-Stakeholder-Id is not one of this MTF's")

    # --- pushing and revoking -----------------------------------------------------------------------------------------

    def test_an_mtf_provisions_for_its_providers_alone(self):
        m = self.raw("mtf-r")
        self.new_node_of(OURS, "o-3")
        self.enrol("o-3")
        before = self.stored()[1]
        for name, key in (("another's node", good.key(m, ENROLEE=f"//{OURS}/o-3")), ("another's name", good.key(m, ENROLEE=f"//{OURS}/new")),
                          ("another's KeID", good.key(m, ENROLEE=f"//{RIVAL}/n", KE_NAME=f"{'0' * 32}@{lablib.MTF}")),
                          ("another stakeholder", dia.avp(dia.KEY, [good.key(m, ENROLEE=f"//{RIVAL}/n")[12:], dia.avp(1113, OURS, flags=0x80)]))):
            with self.subTest(name):
                self.assertEqual(m.ask(good.kpr(m, key)).result, 5003)
        self.assertEqual(self.stored()[1], before)
        self.assertEqual([k["state"] for k in self.key_of(f"//{OURS}/o-3")], ["active"], "not superseded")
        self.assertEqual(m.ask(good.kpr(m, good.key(m, ENROLEE=f"//{RIVAL}/n"))).result, 2001)
        self.assertEqual(self.key_of(f"//{RIVAL}/n")[0]["administratingStakeholderId"], RIVAL)

    def test_an_mtf_revokes_its_own_keys_alone(self):
        m = self.raw("mtf-r2")
        self.new_node_of(OURS, "o-4")
        self.enrol("o-4")
        name = self.node_keys("o-4")["keys"][0]["kmId"]
        theirs, nobodys = m.ask(good.krr(m, [name])), m.ask(good.krr(m, [f"{'7' * 32}@{lablib.MAS}"]))
        self.assertEqual((theirs.result, self.told(theirs)), (2001, self.told(nobodys)))
        self.assertEqual([k["state"] for k in self.key_of(f"//{OURS}/o-4")], ["active"])
        ki, kc = self.derive("o-4")
        self.assertEqual(self.resolve(ki).get("key"), kc.hex())

    # --- association keys ---------------------------------------------------------------------------------------------

    def test_a_cse_gets_of_anothers_key_what_an_unknown_one_gets(self):
        c = self.raw("cse-r")
        self.new_node_of(OURS, "o-5")
        self.enrol("o-5")
        active = self.derive("o-5")[0]
        first = self.node_keys("o-5")["keys"][0]["kmId"]
        unknown = c.ask(good.skr(c, ["00" * 16 + "." + "00" * 16 + "@" + lablib.MAS], RIVAL_CSE))
        self.assertEqual(unknown.result, 5501)
        for what in ("active", "revoked"):
            with self.subTest(what):
                m = c.ask(good.skr(c, [active], RIVAL_CSE))
                self.assertEqual((m.result, self.told(m)), (5501, self.told(unknown)))
            self.lab.ctl("revoke", first, "--yes", "--mas", self.lab.mas.conf)
        self.assertEqual(c.ask(good.skr(c, [active], lablib.CSE_ID)).result, 5003, "nor as that IN-CSE")
        self.assertEqual(self.resolve(active)["reason"], "revoked", "whom it concerns is told")

    def test_one_cses_haste_slows_no_other(self):
        c = self.raw("cse-r2")
        self.new_node_of(OURS, "o-6")
        self.enrol("o-6")
        codes = {c.ask(good.skr(c, ["00" * 16 + "." + "00" * 16 + "@" + lablib.MAS], RIVAL_CSE)).result for _ in range(50)}
        self.assertEqual(codes, {5501, 4183})
        for _ in range(5):
            ki, kc = self.derive("o-6")
            self.assertEqual(self.resolve(ki).get("key"), kc.hex())

    # --- the operator's lists -----------------------------------------------------------------------------------------

    def test_lists_by_provider(self):
        m = self.raw("mtf-r3")
        self.assertEqual(m.ask(good.kpr(m, good.key(m, ENROLEE=f"//{RIVAL}/l"))).result, 2001)
        self.new_node_of(GUEST, "g-7")
        self.enrol("g-7")
        for what, side in (("key", "mas"), ("enrolment", "mtf"), ("enrolee", "mtf")):
            conf = getattr(self.lab, side).conf
            out = self.lab.ctl(what, "list", "--json", "--provider", GUEST.upper(), f"--{side}", conf).stdout
            enrolees = {json.loads(line)["enroleeId"] for line in out.splitlines()}
            self.assertIn(f"//{GUEST}/g-7", enrolees, what)
            self.assertEqual({e.split("/")[2] for e in enrolees}, {GUEST}, what)
            self.assertEqual(self.lab.ctl(what, "list", "--json", "--provider", "no.such.example", f"--{side}", conf).stdout, "")
            self.assertNotEqual(self.lab.ctl(what, "list", "--provider", "not an fqdn", f"--{side}", conf, check=False).returncode, 0)


if __name__ == "__main__":
    unittest.main()

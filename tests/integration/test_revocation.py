# SPDX-License-Identifier: BSD-2-Clause
"""From the operator's word to the association's end: MTF, MAS, CSF, m2m-front and a node, all real, whoever is down or killed in between."""
import json
import os
import re
import select
import signal
import subprocess
import time
import unittest

from case import LabCase, lablib
from test_notifications import Echo

import good
import rawdia as dia

WAIT = 30
GRACE = 12  # s, supersede-grace
BULK = 10000
PUSHER = "pusher.example.com"


class Revocation(LabCase):
    @classmethod
    def prepare(cls):
        conf, pki = cls.lab._mas_conf, cls.lab._make_pki

        def with_grace():
            conf()
            with open(cls.lab.mas.conf) as f:
                text = f.read()
            with open(cls.lab.mas.conf, "w") as f:
                f.write(f"supersede-grace = {GRACE}s\n" + text)

        def with_pusher():
            pki()
            cls.lab.pki.cert(PUSHER, "diameter-ca", f"DNS:{PUSHER}", cn=PUSHER)
        cls.lab._mas_conf, cls.lab._make_pki = with_grace, with_pusher
        cls.lab.clients.append((PUSHER, f'peer "{PUSHER}" {{\n\troles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}\n'
                                        "\tkpr-per-second = 0\n}\n", ""))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.secrets.append(good.KM)
        cls.echo = Echo()
        cls.addClassCleanup(cls.echo.server.close)
        cls.control = cls.lab.csf.path("front.sock")
        cls.front_process, cls.front_port = cls.front(cls.echo.port, "--control", cls.control)

    def setUp(self):
        self.running = []
        self.addCleanup(lambda: [(p.kill(), p.communicate()) for p in self.running])

    def tearDown(self):
        """Every test: all serve, and a new node associates."""
        for d in self.lab.daemons:
            d.check_alive()
        self.assertIsNone(self.front_process.poll())
        self.associated(f"after-{os.urandom(3).hex()}")

    # --- words --------------------------------------------------------------------------------------------------------

    def associate(self, name):
        """An association that runs."""
        p = subprocess.Popen(self.lab.wrapped([os.path.join(self.lab.bin, "m2m-node"), "associate", f"127.0.0.1:{self.front_port}", "--keys",
                                               self.path(f"{name}.keys")]),
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self.running.append(p)
        self.echoes(p)
        return p

    def associated(self, name):
        self.new_node(name)
        self.enrol(name)
        return self.associate(name)

    def heard(self, p, n=4096):
        """What the node hears next; nothing: the end."""
        self.assertTrue(select.select([p.stdout], [], [], WAIT)[0], "silence")
        return os.read(p.stdout.fileno(), n)

    def echoes(self, p):
        p.stdin.write(b"hello\n")
        self.assertEqual(self.heard(p), b"hello\n")

    def refused(self, name):
        p = self.lab.run(["m2m-node", "associate", f"127.0.0.1:{self.front_port}", "--keys", self.path(f"{name}.keys")], input="", check=False)
        self.assertNotEqual(p.returncode, 0)

    def km_id(self, name):
        return self.node_keys(name)["keys"][0]["kmId"]

    def told(self, pattern):
        def look():
            with open(self.path("front.log")) as f:
                return re.search(pattern, f.read())
        return lablib.wait_for(f"'{pattern}' of m2m-front", look, WAIT)

    def is_closed(self, p, name, why="root key revoked"):
        self.assertEqual(self.heard(p), b"")
        self.told(rf"association \d+ closed: {why}, enroleeId=//{re.escape(lablib.SP)}/{name} ")

    def revoke(self, what, side="mas", *more):
        self.lab.ctl("revoke", what, "--reason", "compromise", "--yes", *more, f"--{side}", getattr(self.lab, side).conf)

    def all_told(self):
        lablib.wait_for("all to be told", lambda: not self.lab.ctl("outbox", "--json", "--mas", self.lab.mas.conf).stdout, WAIT)

    def associations(self):
        out = self.lab.ctl("association", "list", "--json", "--front", self.control).stdout
        return {r["enroleeId"].rsplit("/", 1)[1]: r for r in map(json.loads, out.splitlines())}

    # --- tests --------------------------------------------------------------------------------------------------------

    def by_the_operator(self, side):
        """Revoke three times; of each the s from the start of m2mctl, and from its end."""
        bystander = self.associated(f"{side}-bystander")
        took = []
        for n in range(3):
            name = f"{side}-{n}"
            p = self.associated(name)
            what = self.km_id(name) if side == "mas" else self.node_keys(name)["keId"]
            began = time.monotonic()
            self.revoke(what, side)
            acknowledged = time.monotonic()
            self.is_closed(p, name)
            took.append((time.monotonic() - began, time.monotonic() - acknowledged))
            self.refused(name)
        self.echoes(bystander)
        print(f"m2mctl revoke at the {side.upper()}, to the association's end: " +
              ", ".join(f"{a:.2f} s ({b:.2f} s after its return)" for a, b in took))
        self.assertLess(min(a for a, _ in took), 2)

    def test_at_the_mas(self):
        self.by_the_operator("mas")

    def test_at_the_mtf(self):
        self.by_the_operator("mtf")

    def test_superseded(self):
        """The node enrols again: its association of before goes on for the grace time, not longer."""
        p = self.associated("again")
        self.enrol("again")
        began = time.monotonic()
        self.echoes(p)
        lablib.wait_for("the rest of the grace time to be told", lambda: self.associations()["again"]["rest"] <= GRACE, WAIT)
        self.echoes(self.associate("again"))
        self.echoes(p)
        self.assertEqual(self.heard(p), b"")
        self.assertLess(time.monotonic() - began, GRACE + 10)
        self.told(r"association \d+ end: enroleeId=\S+/again, the key's lifetime is over")
        self.assertIn("again", self.associations())

    def test_mas_killed(self):
        """Right after the operator's command has returned."""
        p = self.associated("mas-killed")
        mark = self.lab.csf.mark()
        self.revoke(self.km_id("mas-killed"))
        self.lab.mas.proc.send_signal(signal.SIGKILL)
        self.lab.mas.wait_end()
        self.lab.mas.start()
        self.is_closed(p, "mas-killed")
        self.lab.csf.wait_log(rf"peer {lablib.MAS} connected", 30, since=mark)
        self.lab.mtf.wait_log(rf"peer {lablib.MAS} connected", 30)
        lablib.wait_for("MTF and MAS", lambda: self.enrol("mas-killed", check=False).returncode == 0, WAIT)
        self.all_told()  # the CSF's host drops the answer of one that comes too soon after a lost connection: it comes again

    def test_csf_killed(self):
        """While it is away, nothing ends; when it is back, what was revoked does."""
        p, q = self.associated("csf-killed"), self.associated("csf-stays")
        mark = self.lab.csf.mark()
        self.lab.csf.proc.send_signal(signal.SIGKILL)
        self.lab.csf.wait_end()
        self.revoke(self.km_id("csf-killed"))
        self.echoes(p)
        self.echoes(q)
        self.lab.csf.start()
        self.lab.csf.wait_log(rf"peer {lablib.MAS} connected", 30, since=mark)
        self.lab.csf.wait_log(rf"peer {lablib.MTF} connected", 30, since=mark)
        self.is_closed(p, "csf-killed", "(root key revoked|the MAS refuses its key: revoked)")
        self.echoes(q)
        self.all_told()

    def test_list_and_close(self):
        p = self.associated("listed")
        row = self.associations()["listed"]
        self.assertEqual((row["up"], row["down"]), (6, 6))
        self.assertTrue(row["ki"].startswith(self.km_id("listed")[:32] + "."))
        self.lab.ctl("association", "close", str(row["association"]), "--front", self.control)
        self.is_closed(p, "listed", "by the operator")
        self.echoes(self.associate("listed"))

    def test_ten_thousand(self):
        """All keys of a list at once; one of them is in use."""
        p = self.associated("bulk")
        link = dia.Client(self.lab, self.lab.mas.port, PUSHER, PUSHER, apps=(dia.RKM,))
        self.addCleanup(link.close)
        names = [self.km_id("bulk")]
        for n in range(0, BULK - 1, 32):
            rels = [os.urandom(16) for _ in range(min(32, BULK - 1 - n))]
            keys = [good.key(link, rel, ENROLEE=f"//{lablib.SP}/bulk-{rel.hex()}") for rel in rels]
            self.assertEqual(link.ask(dia.message(dia.KPR, dia.RKM, [*good.head(link, dia.RKM, lablib.MAS), *keys]), 30).result, 2001)
            names += [f"{rel.hex()}@{lablib.MAS}" for rel in rels]
        path = self.write("bulk.list", "".join(f"{n}\n" for n in names[1:] + names[:1]))
        began = time.monotonic()
        self.lab.ctl("revoke", "--file", path, "--reason", "policy", "--yes", "--mas", self.lab.mas.conf)
        acknowledged = time.monotonic() - began
        self.is_closed(p, "bulk")
        ended = time.monotonic() - began
        self.all_told()
        print(f"{BULK} root keys revoked: m2mctl {acknowledged:.2f} s, the association's end after {ended:.2f} s, all told after {time.monotonic() - began:.2f} s")
        self.assertLess(ended, 20)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-2-Clause
"""A store without room refuses what is new, and serves and revokes on; when there is room again, it goes on by itself."""
import os
import subprocess
import unittest

from case import LabCase, lablib
from test_disk import can_mount

import rawdia as dia

MTF2 = "mtf2.example.com"


class Pushing(LabCase):
    """A second MTF pushes and revokes by hand."""

    @classmethod
    def prepare(cls):
        cls.lab.clients = [(MTF2, f'peer "{MTF2}" {{\n\troles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}\n\tkpr-per-second = 0\n\tkrr-per-second = 0\n}}\n', "")]

    def setUp(self):
        self.lab.pki.cert("mtf2", "diameter-ca", f"DNS:{MTF2}", cn=MTF2)
        self.mtf2 = dia.Client(self.lab, self.lab.mas.port, "mtf2", MTF2)
        self.addCleanup(self.mtf2.close)
        self.assertEqual(self.mtf2.cea.result, 2001)

    def head(self):
        return [dia.avp(dia.SESSION_ID, f"{MTF2};1;{os.urandom(4).hex()}"), dia.avp(dia.AUTH_APP, dia.RKM), dia.avp(dia.AUTH_STATE, 1),
                dia.avp(dia.ORIGIN_HOST, MTF2), dia.avp(dia.ORIGIN_REALM, lablib.REALM), dia.avp(dia.DEST_REALM, lablib.REALM),
                dia.avp(dia.DEST_HOST, lablib.MAS)]

    def push(self, rel):
        """Result of a push of a key of a node of its own."""
        name = rel.hex()
        key = [dia.avp(dia.KEY_NAME, f"{name}@{lablib.MAS}"), dia.avp(dia.SUID, 21), dia.avp(dia.KEYING_MATERIAL, os.urandom(32)),
               dia.avp(dia.EXPIRY, 0xf0000000), dia.avp(dia.ENROLEE, f"//{lablib.SP}/{name[:12]}"), dia.avp(dia.TARGET, lablib.CSE_ID),
               dia.avp(dia.KE_NAME, f"{name}@{MTF2}")]
        return self.mtf2.ask(dia.message(dia.KPR, dia.RKM, [*self.head(), dia.avp(dia.KEY, key)])).result

    def revoke(self, rel):
        return self.mtf2.ask(dia.message(dia.KRR, dia.RKM, [*self.head(), dia.avp(dia.REASON, 2),
                                                           dia.avp(dia.KEY_NAME, f"{rel.hex()}@{lablib.MAS}")])).result

    def push_until_refused(self, most):
        """(names that were taken, result of the refusal)"""
        taken = []
        for _ in range(most):
            rel = os.urandom(16)
            result = self.push(rel)
            if result != 2001:
                return taken, result
            taken.append(rel)
        self.fail(f"a store without room took {most} keys")

    def states(self):
        return {k["kmId"].split("@")[0]: k["state"] for k in self.listing("key", "mas")}

    def serves(self, name):
        ki, kc = self.derive(name)
        self.assertEqual(self.resolve(ki).get("key"), kc.hex())

    def lines(self, what):
        with open(self.lab.mas.log, errors="replace") as f:
            return [line for line in f if "store " in line and what in line]


@unittest.skipUnless(can_mount(), "NOT TESTED: mounting a small disk needs root")
class Disk(Pushing):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.addClassCleanup(cls._unmount)
        make = cls.lab._mas_conf
        cls.mounted = []

        def with_disk():
            make()
            path = cls.lab.mas.path("store")
            os.makedirs(path, mode=0o700)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M,mode=700", "tmpfs", path], check=True)
            cls.mounted.append(path)
            with open(cls.lab.mas.conf, "a") as f:  # the audit log has its own way with a full disk
                f.write(f'audit-file = "{cls.lab.mas.path("audit.log")}"\n')
        cls.lab._mas_conf = with_disk

    @classmethod
    def _end(cls):
        for d in cls.lab.daemons:  # before the folder goes
            d.stop()
        cls._unmount()
        super()._end()

    @classmethod
    def _unmount(cls):
        while cls.mounted:
            subprocess.run(["umount", "--lazy", cls.mounted.pop()], check=True)

    def test_full_disk(self):
        self.new_node("before")
        self.enrol("before")
        kept = [os.urandom(16) for _ in range(10)]
        for rel in kept:
            self.assertEqual(self.push(rel), 2001)
        ballast = self.lab.mas.path("store", "ballast")
        with open(ballast, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass
        taken, result = self.push_until_refused(500)
        self.assertEqual(result, 4181)
        self.lab.mas.check_alive()
        self.serves("before")
        for rel in kept:  # revoking goes on, in the pages that the file has
            self.assertEqual(self.revoke(rel), 2001)
        for _ in range(20):
            self.assertEqual(self.push(os.urandom(16)), 4181)
        states = self.states()
        self.assertEqual({states[rel.hex()] for rel in kept}, {"revoked"})
        self.assertTrue(all(rel.hex() in states for rel in taken))
        self.assertEqual(len(states), 1 + len(kept) + len(taken))
        self.assertEqual(len(self.lines("keys: full, was healthy")), 1)
        os.unlink(ballast)
        rel = os.urandom(16)
        self.assertEqual(self.push(rel), 2001)  # at once, and without a restart
        self.enrol("before")
        self.serves("before")
        self.assertEqual(len(self.lines("keys: healthy, was full")), 1)


class Thresholds(Pushing):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.lab._mas_make = cls.lab._mas_conf
        cls.lab._mas_conf = lambda: cls.small("512K")

    @classmethod
    def small(cls, size):
        cls.lab._mas_make()
        with open(cls.lab.mas.conf) as f:
            text = f.read().replace("map-size = 64M", f"map-size = {size}\nstore-alarm = 50\nstore-reserve = 75")
        with open(cls.lab.mas.conf, "w") as f:
            f.write(text)

    def test_reserve_then_larger_map(self):
        self.new_node("node")
        self.enrol("node")
        taken, result = self.push_until_refused(2000)
        self.assertEqual(result, 4181)
        self.assertGreater(len(taken), 20)
        self.serves("node")
        for rel in taken:  # all of them: the reserve is for this
            self.assertEqual(self.revoke(rel), 2001)
        self.assertEqual(self.push(os.urandom(16)), 4181)
        states = self.states()
        self.assertEqual({states[rel.hex()] for rel in taken}, {"revoked"})
        self.assertEqual(len(self.lines("keys: filling up, was healthy")), 1)
        self.assertEqual(len(self.lines("keys: nearly full, was filling up")), 1)
        self.small("4M")
        self.mtf2.close()
        self.lab.restart_mas()
        self.setUp()
        self.assertEqual(self.push(os.urandom(16)), 2001)


if __name__ == "__main__":
    unittest.main()

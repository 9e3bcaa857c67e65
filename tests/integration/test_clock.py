# SPDX-License-Identifier: BSD-2-Clause
"""The MAS's clock is set, by days and by years, both ways, and set right again, under a running daemon: what was acknowledged serves
again, what is asked meanwhile has an answer."""
import calendar
import os
import shutil
import struct
import subprocess
import time
import unittest

from case import BUILD, LabCase, lablib

DAY = 86400
JUMPS = {"a day on": DAY, "a day back": -DAY, "ten years on": 3652 * DAY, "ten years back": -3652 * DAY,
         "to 2036-02-07": (2036, 2, 7, 6, 28, 16), "to 2038-01-20": (2038, 1, 20, 0, 0, 0)}


@unittest.skipIf(lablib.SANITIZED, "NOT TESTED: the sanitizers' runtime is preloaded, another clock cannot be")
class Clock(LabCase):
    @classmethod
    def prepare(cls):
        subprocess.run(["make", "-s", "-C", BUILD, "tests/crash/clockshim.la"], check=True)
        shutil.copy(os.path.join(BUILD, "tests", "crash", ".libs", "clockshim.so"), cls.dir)
        cls.set_clock(0)
        cert = cls.lab.pki.cert  # of connections that stand, the certificates are valid all the time
        cls.lab.pki.cert = lambda *args, **kw: cert(*args, not_after="20990101000000Z", **kw)
        cls.lab.mas.env = {"LD_PRELOAD": cls.path("clockshim.so"), "CLOCKSHIM_FILE": cls.path("clock")}

    @classmethod
    def set_clock(cls, jump):
        """s, or a date: what the MAS's clock is ahead by, from now on."""
        if isinstance(jump, tuple):
            jump = calendar.timegm(jump) - int(time.time())
        with open(cls.path("clock"), "r+b" if os.path.exists(cls.path("clock")) else "wb") as f:
            f.write(struct.pack("=q", jump))

    def setUp(self):
        self.set_clock(0)

    def serves(self, name):
        ki, kc = self.derive(name)
        lablib.wait_for(f"the key of {name} to serve", lambda: self.resolve(ki).get("key") == kc.hex(), 20)

    def answered(self, name):
        """The key, or a refusal for the time's sake; no silence."""
        ki, kc = self.derive(name)
        got = self.resolve(ki)
        self.assertTrue(got.get("key") == kc.hex() or (got["status"], got.get("reason")) == ("refused", "expired"), got)

    def test_jumps(self):
        acknowledged = {"first"}
        self.new_node("first")
        self.enrol("first")
        self.serves("first")
        for i, (what, jump) in enumerate(JUMPS.items()):
            with self.subTest(what):
                self.set_clock(jump)
                self.answered("first")
                name = f"node-{i}"
                self.new_node(name)
                if self.enrol(name, check=False).returncode == 0:  # else: the MTF's expiry has passed for the MAS
                    acknowledged.add(name)
                self.lab.mas.check_alive()
                self.set_clock(0)
                self.serves("first")
                self.enrol(name)
                self.serves(name)
                acknowledged.add(name)
        listed = {k["kmId"] for k in self.listing("key", "mas")}
        for name in acknowledged:
            self.assertIn(self.node_keys(name)["keys"][0]["kmId"], listed)
            self.serves(name)
        self.lab.ctl("check", "--mas", self.lab.mas.conf)
        self.lab.ctl("audit", "verify", self.lab.mas.path("store", "audit.log"))

    def test_started_while_wrong(self):
        self.new_node("start")
        self.enrol("start")
        self.set_clock(10 * DAY)  # its certificate is valid then
        self.lab.restart_mas()
        self.serves("start")
        self.new_node("wrong")
        self.enrol("wrong")
        self.lab.mas.stop()
        self.set_clock(0)
        self.lab.restart_mas()
        self.serves("start")
        self.serves("wrong")

    def test_not_started_while_wrong(self):
        self.new_node("no-start")
        self.enrol("no-start")
        for jump in (3652 * DAY, -3652 * DAY):
            self.lab.mas.stop()
            self.set_clock(jump)
            mark = self.lab.mas.mark()
            self.lab.mas.start(wait=False)
            self.lab.mas.wait_end()
            self.assertTrue(self.lab.mas.logged(r"certificate is (expired|not yet activated)", mark), self.lab.mas.tail())
            self.set_clock(0)
            self.lab.restart_mas()
            self.serves("no-start")
            self.lab.ctl("check", "--mas", self.lab.mas.conf)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-2-Clause
"""A server that ends, for whatever reason, under a supervisor that starts it again after 100 ms as systemd does: it serves within 2 s, and
everything that was acknowledged is there."""
import os
import signal
import threading
import time
import unittest

from case import lablib
from hostile import HostileCase

LIMIT = 10 if lablib.SANITIZED else 2  # s
# AddressSanitizer takes other signals for findings, and its exit may hang (lab.py)
SIGNALS = [signal.SIGKILL] * 3 if lablib.SANITIZED else [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGHUP]
PAUSE = 0.1  # systemd's RestartSec
TRIES = 5  # a machine that has other things to do takes longer: the best counts


class Supervised(HostileCase):
    def supervise(self):
        """Restart=always for the MAS."""
        mas = self.lab.mas
        while not self.ending.is_set():
            if mas.proc.poll() is not None:
                time.sleep(PAUSE)
                mas.start(wait=False)
                self.starts += 1
            self.ending.wait(0.01)

    def setUp(self):
        self.ending, self.starts = threading.Event(), 0
        self.thread = threading.Thread(target=self.supervise)
        self.thread.start()

    def tearDown(self):
        self.ending.set()
        self.thread.join()
        lablib.wait_for("the MTF and the CSF to be connected again", lambda: self.enrol("honest", check=False).returncode == 0, 30)
        ki, kc = self.derive("honest")
        lablib.wait_for("an association", lambda: self.resolve(ki).get("key") == kc.hex(), 30)

    def served(self):
        """A connection of a peer, over which it is answered; None while there is none."""
        try:
            return self.connect("mtf4")
        except OSError:
            return None

    def struck(self, link, sig, pushed):
        """The MAS gets a signal after ten more root keys. A connection to the one that serves then, and how long that took."""
        for _ in range(10):
            rel = os.urandom(16)
            self.assertEqual(link.ask(self.kpr(link, self.key(link, rel))).result, 2001)
            pushed.append(rel)
        link.close()
        before, began = self.starts, time.monotonic()
        os.kill(self.lab.mas.proc.pid, sig)
        lablib.wait_for("the next start", lambda: self.starts > before, 20)
        if sig == signal.SIGTERM:
            began = time.monotonic() - PAUSE  # an orderly end takes leave of its peers first, which takes as long as they like
        link = lablib.wait_for("a connection", self.served, 20)
        self.assertEqual(link.ask(self.krr(link, ["00" * 16 + "@" + lablib.MAS])).result, 2001)
        return link, time.monotonic() - began

    def test_serves_again_in_time(self):
        link, pushed = lablib.wait_for("a connection", self.served), []
        for sig in SIGNALS:
            with self.subTest(signal=sig):
                took = []
                while len(took) < TRIES and min(took, default=LIMIT) >= LIMIT:
                    link, seconds = self.struck(link, sig, pushed)
                    took.append(seconds)
                print(f"signal {sig}: {' '.join(f'{t:.2f}' for t in took)} s")
                self.assertLess(min(took), LIMIT)
        there = {k["name"][:32] if "name" in k else str(k) for k in self.listing("key", "mas")}
        for rel in pushed:
            self.assertTrue(any(rel.hex() in name for name in there), "an acknowledged key is lost")
        link.close()


if __name__ == "__main__":
    unittest.main()

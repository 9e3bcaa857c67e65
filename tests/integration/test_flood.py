# SPDX-License-Identifier: BSD-2-Clause
"""Peers that send faster than they read, or do not read at all, or do neither: memory stays bounded, others are served."""
import os
import threading
import time
import unittest

from case import LabCase, lablib

import rawdia as dia

SECONDS = float(os.environ.get("M2M_FLOOD_SECONDS", "4"))
GROWTH_MAX = 96 * 1024  # KiB
ROLES = {
    "flood": (f'roles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}', None),
    "drip": (f'roles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}', None),
    "mute": (f'roles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}', None),
    "fast": (f'roles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}', None),
}


def rss(daemon):
    with open(f"/proc/{daemon.proc.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


class Flood(LabCase):
    @classmethod
    def prepare(cls):
        cls.lab.mas.env["ASAN_OPTIONS"] = "quarantine_size_mb=1"  # what is freed is not the daemon's any more
        for name, sides in ROLES.items():
            host = f"{name}.example.com"
            mas, mtf = (f'peer "{host}" {{\n\t{body}\n}}\n' if body else "" for body in sides)
            cls.lab.clients.append((host, mas, mtf))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ROLES:
            cls.lab.pki.cert(name, "diameter-ca", f"DNS:{name}.example.com", cn=f"{name}.example.com")
        test = cls("serves")
        test.new_node("honest")
        test.enrol("honest")

    def tearDown(self):
        for d in self.lab.daemons:
            d.check_alive()
        self.serves(15)

    def serves(self, seconds):
        """An enrolment and an association, each within that time."""
        for ask in (lambda: self.enrol("honest"), self.associate):
            began = time.monotonic()
            ask()
            self.assertLess(time.monotonic() - began, seconds)

    def associate(self):
        """Asks again when the MAS says that its disk is too slow: the floods of these tests are not the only load on it."""
        ki, kc = self.derive("honest")
        lablib.wait_for("an association", lambda: self.resolve(ki).get("key") == kc.hex(), 5)

    def dial(self, name, side="mas"):
        host, port = f"{name}.example.com", getattr(self.lab, side).port

        def connect():
            try:
                link = dia.Client(self.lab, port, name, host)
            except (dia.Closed, TimeoutError):
                return None
            if link.cea.result == 2001:
                return link
            link.close()
            return None
        return lablib.wait_for(f"a connection for {name}", connect, 30)

    @staticmethod
    def krr(link, extra=0):
        """One that changes nothing; extra: octets that nobody knows."""
        return dia.message(dia.KRR, dia.RKM, [
            dia.avp(dia.SESSION_ID, f"{link.host};1"), dia.avp(dia.AUTH_APP, dia.RKM), dia.avp(dia.AUTH_STATE, 1), *link.me,
            dia.avp(dia.DEST_REALM, "example.com"), dia.avp(dia.DEST_HOST, lablib.MAS), dia.avp(dia.REASON, 1),
            dia.avp(dia.KEY_NAME, "00" * 16 + "@" + lablib.MAS), *[dia.avp(9999, flags=0)] * (extra // 8)])

    @staticmethod
    def unknown(link):
        """Answered by the host itself."""
        return dia.message(16776799, dia.RKM, [dia.avp(dia.SESSION_ID, f"{link.host};1"), *link.me, dia.avp(dia.DEST_REALM, "example.com")])

    def pour(self, link, octets, until, read=0):
        """Send without end, and read that many octets a tenth of a second."""
        link.sock.settimeout(0.1)
        view, sent = memoryview(octets * 50), 0
        try:
            while time.monotonic() < until:
                try:
                    sent += link.sock.send(view)
                except TimeoutError:  # the other side pushes back; TLS goes on with the same octets
                    pass
                if read:
                    try:
                        link.sock.recv(read)
                    except TimeoutError:
                        pass
        except OSError:
            pass  # it hung up
        self.poured = sent

    def flood(self, name, make, read=0):
        before, link = rss(self.lab.mas), self.dial(name)
        until = time.monotonic() + SECONDS
        thread = threading.Thread(target=self.pour, args=(link, make(link), until, read))
        thread.start()
        peak = slowest = 0
        try:
            while thread.is_alive():
                began = time.monotonic()
                self.associate()
                slowest = max(slowest, time.monotonic() - began)
                peak = max(peak, rss(self.lab.mas))
                time.sleep(0.3)
        finally:
            thread.join()
            link.close()
        print(f"{name}: {self.poured} octets sent, memory from {before} to {peak} KiB, slowest other request {slowest:.2f} s")
        self.assertLess(peak - before, GROWTH_MAX)
        self.assertLess(slowest, 5)

    def test_never_reads(self):
        mark = self.lab.mas.mark()
        self.flood("flood", self.krr)
        with open(self.lab.mas.log) as f:
            lines = f.read()[mark:].count("Root-Key-Revocation-Requests from flood.example.com refused with 4183")
        self.assertLess(lines, 10, "one line a change")
        self.assertGreater(lines, 0)

    def test_asks_too_fast(self):
        link = self.dial("fast")
        for _ in range(300):
            link.send(self.krr(link))
        results = [link.receive().result for _ in range(300)]
        self.assertEqual(set(results), {2001, 4183})
        self.assertLess(results.count(2001), 200)
        lablib.wait_for("the limit to be over", lambda: link.ask(self.krr(link)).result == 2001)
        link.close()

    def test_never_reads_long_messages(self):
        self.flood("flood", lambda link: self.krr(link, 60000))

    def test_never_reads_what_the_host_answers(self):
        self.flood("flood", self.unknown)

    def test_reads_slowly(self):
        self.flood("drip", self.unknown, 100)

    def test_says_nothing(self):
        link = self.dial("mute")
        self.serves(5)
        link.close()


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-2-Clause
"""Peers that send faster than they read, or do not read at all, or do neither: memory stays bounded, others are served."""
import os
import socket
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
    "echo": (f'roles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}', None),
    "odd": (f'roles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}', None),
    "bad": (f'roles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}', None),
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

    def pour(self, link, octets, until, read=0, again=False):
        """Send without end, and read that many octets a tenth of a second. again: always the same request."""
        link.sock.settimeout(0.1)
        batch, sent, number = bytearray(octets * 50), 0, 0
        try:
            while time.monotonic() < until:
                try:
                    sent += link.sock.send(batch)
                    for at in range(0, 0 if again else len(batch), len(octets)):
                        number += 1
                        batch[at + 16:at + 20] = number.to_bytes(4, "big")  # End-to-End-Id
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

    def flood(self, name, make, read=0, again=False):
        before, link = rss(self.lab.mas), self.dial(name)
        until = time.monotonic() + SECONDS
        thread = threading.Thread(target=self.pour, args=(link, make(link), until, read, again))
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

    # --- the log -----------------------------------------------------------------------------------------------------------

    LINES_MAX = 1500  # the host's own: 600 a kind

    def lines(self, daemon, since):
        with open(daemon.log) as f:
            f.seek(since)
            return f.read().splitlines()

    def test_log_of_what_the_host_refuses(self):
        mark, link = self.lab.mas.mark(), self.dial("odd")
        for _ in range(40):
            link.send(self.unknown(link) * 100)
            for _ in range(100):
                self.assertEqual(link.receive().result, 3001)
        link.close()
        lines = self.lines(self.lab.mas, mark)
        self.assertGreater(len(lines), 20)
        self.assertLess(len(lines), self.LINES_MAX)

    def test_log_of_what_the_server_refuses(self):
        mark, link = self.lab.mas.mark(), self.dial("bad")
        for _ in range(4):
            link.send(b"".join(self.krr(link).replace(b"@mas.", b"?mas.") for _ in range(100)))
            for _ in range(100):
                self.assertIn(link.receive().result, (5004, 4183))
            time.sleep(1)  # for the limit on asking, which would hide the other
        link.close()
        about = [line for line in self.lines(self.lab.mas, mark) if "bad.example.com" in line]
        self.assertGreater(len(about), 10)
        self.assertLess(len(about), 60)

    def test_log_of_nodes_that_talk_nonsense(self):
        marks = self.lab.mtf.mark(), self.lab.csf.mark()
        for _ in range(200):
            with socket.create_connection(("127.0.0.1", self.lab.relay_port), timeout=10) as s:
                s.sendall(b"\x16\3\1\0\5hello")
                while s.recv(100):
                    pass
        for daemon, mark in zip((self.lab.mtf, self.lab.csf), marks):
            lines = self.lines(daemon, mark)
            self.assertGreater(len(lines), 10)
            self.assertLess(len(lines), 60, "\n".join(lines[-20:]))

    # --- answers that nobody reads --------------------------------------------------------------------------------------------

    def test_never_reads(self):
        mark = self.lab.mas.mark()
        self.flood("flood", self.krr)
        with open(self.lab.mas.log) as f:
            lines = f.read()[mark:].count("Root-Key-Revocation-Requests from flood.example.com refused with 4183")
        self.assertLess(lines, 10, "one line a change")
        self.assertGreater(lines, 0)

    def test_never_reads_and_repeats_itself(self):
        self.flood("echo", self.krr, again=True)

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


class DeafMas(LabCase):
    """The MAS's place is taken by one that takes connections and reads nothing more."""

    def test_pushes_that_nobody_reads(self):
        names = [f"deaf-{i}" for i in range(8)]
        for name in [*names, "deaf-wrong"]:
            self.new_node(name)
        self.enrol(names[0])
        stored, port, mark = len(self.listing("enrolment", "mtf")), self.lab.mas.port, self.lab.mtf.mark()
        self.lab.mas.stop()
        server = dia.Server(self.lab, port, "mas", lablib.MAS)
        links = {}
        while lablib.MTF not in links:
            link = server.accept()
            links[link.peer] = link

        def routes():
            try:
                links[lablib.MTF].receive(0.1)  # answers watchdogs
            except TimeoutError:
                pass
            return self.lab.mtf.logged(rf"-> 'STATE_OPEN'\s+'{lablib.MAS}'", mark)
        lablib.wait_for("the MTF to use the deaf MAS", routes, 30)
        before, told = rss(self.lab.mtf), []
        for _ in range(3):
            threads = [threading.Thread(target=lambda n=n: told.append(self.enrol(n, check=False))) for n in names]
            for t in threads:
                t.start()
            began = time.monotonic()
            wrong = self.enrol("deaf-wrong", psk=self.new_psk("deaf-other", store=False), check=False)
            self.assertNotIn("try-later", wrong.stdout + wrong.stderr)
            self.assertLess(time.monotonic() - began, 4, "a node that needs no MAS waits for none: a push is given up after 5 s")
            for t in threads:
                t.join()
        self.assertEqual([p.returncode for p in told], [4] * 24)
        self.assertEqual([p.args for p in told if "try-later" not in p.stdout + p.stderr], [])
        self.assertLess(rss(self.lab.mtf) - before, GROWTH_MAX)
        self.assertEqual(len(self.listing("enrolment", "mtf")), stored, "nothing is half-stored")
        for link in links.values():
            link.close()
        server.close()
        self.lab.restart_mas()
        lablib.wait_for("the next enrolment", lambda: self.enrol(names[0], check=False).returncode == 0, 60)


if __name__ == "__main__":
    unittest.main()

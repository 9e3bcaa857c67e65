# SPDX-License-Identifier: BSD-2-Clause
"""Connections that are no peer's: none is let in, none keeps others waiting. (Names, pins, dates and CAs: test_identity.)"""
import os
import socket
import ssl
import time
import unittest

from case import lablib
from hostile import HostileCase

import rawdia as dia


class Connection(HostileCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.silent = [cls.tls("mtf4") for _ in range(2)]
        cls.addClassCleanup(lambda: [s.close() for s in cls.silent])

    @classmethod
    def tls(cls, cert=None):
        """A connection to the MAS with that certificate, or none; nothing was said on it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if cert:
            context.load_cert_chain(cls.lab.pki.path(cert + ".pem"), cls.lab.pki.path(cert + ".key"))
        return context.wrap_socket(socket.create_connection(("127.0.0.1", cls.lab.mas.port), timeout=10))

    def assert_refused(self, connect, octets=None):
        """It is closed before anything is answered to a CER."""
        me = dia.Link(None, "mtf4.example.com", "example.com")
        cer = dia.message(dia.CER, 0, me.capabilities((dia.RKM,)), dia.REQUEST)
        with self.assertRaises((OSError, EOFError)), connect() as s:
            s.sendall(octets or cer)
            if not s.recv(1):
                raise EOFError

    def test_without_a_certificate(self):
        self.assert_refused(self.tls)

    def test_older_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        self.assert_refused(lambda: context.wrap_socket(socket.create_connection(("127.0.0.1", self.lab.mas.port), timeout=10)))

    def test_without_tls(self):
        for port in (self.lab.mas.port, self.lab.mtf.port):
            with self.subTest(port):
                self.assert_refused(lambda: socket.create_connection(("127.0.0.1", port), timeout=10))
                self.assert_refused(lambda: socket.create_connection(("127.0.0.1", port), timeout=10), b"GET / HTTP/1.1\r\n\r\n" * 20)

    def test_no_other_listener(self):
        """The TLS port only; of the CSF, the nodes' only."""
        for d, port in ((self.lab.mas, self.lab.mas.port), (self.lab.mtf, self.lab.mtf.port), (self.lab.csf, self.lab.relay_port)):
            with self.subTest(d.name):
                folder = f"/proc/{d.proc.pid}/fd"
                own = {os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder) if os.path.islink(os.path.join(folder, fd))}
                rows = []
                for table in ("tcp", "tcp6"):
                    with open(f"/proc/{d.proc.pid}/net/{table}") as f:
                        rows += [line.split() for line in f.readlines()[1:]]
                self.assertEqual({int(r[1].split(":")[1], 16) for r in rows if r[3] == "0A" and f"socket:[{r[9]}]" in own}, {port})

    def test_half_of_a_handshake(self):
        """A new peer does not wait for those that do not go on."""
        idle = [socket.create_connection(("127.0.0.1", self.lab.mas.port)) for _ in range(12)]
        try:
            for s in idle:
                s.sendall(b"\x16\3\1\2\0\1\0\1\xfc\3\3")
            began = time.monotonic()
            lablib.wait_for("a new peer", lambda: self.connect("cse3")).close()
            self.assertLess(time.monotonic() - began, 5)
        finally:
            for s in idle:
                s.close()

    def test_zz_handshake_and_no_more(self):
        """The host's limit is 20 s; they were made before the first test."""
        for s in self.silent:
            s.settimeout(40)
            try:
                self.assertEqual(s.recv(1), b"")
            except OSError as e:
                self.assertNotIsInstance(e, TimeoutError)


if __name__ == "__main__":
    unittest.main()

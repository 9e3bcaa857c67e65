# SPDX-License-Identifier: BSD-2-Clause
"""Diameter octets by hand, over TLS: a client, or a server, that may say anything. Checks nothing; for tests only."""
import itertools
import os
import socket
import ssl
import struct
import time

VENDOR = 32473
RP, RKM, SAK = 4031590913, 4031590914, 4031590915
RPR, KPR, KRR, KFR, SKR, KNR = range(16776705, 16776711)
REQUEST, PROXIABLE, ERROR, AGAIN = 0x80, 0x40, 0x20, 0x10
CER, DWR, DPR = 257, 280, 282
SESSION_ID, ORIGIN_HOST, ORIGIN_REALM, DEST_REALM, DEST_HOST = 263, 264, 296, 283, 293
AUTH_APP, AUTH_STATE, RESULT, EXPERIMENTAL, STATE, ROUTE_RECORD, PROXY_INFO = 258, 277, 268, 297, 24, 282, 284
KEY_NAME, KEYING_MATERIAL, EXPIRY, FAILED_AVP, ERROR_MESSAGE = 586, 583, 404, 279, 281
ENROLEE, APP_ID, SUID, TLS_PAYLOAD, ROUND, KEY, STATUS, TARGET, REASON, EVENT, KE_NAME, PACKAGE = range(1101, 1113)

_numbers = itertools.count(int.from_bytes(os.urandom(3), "big"))


def avp(code, data=b"", vendor=None, flags=None, length=None):
    """One AVP with its padding; codes from 1101 are ours. length: what the header says, if not the truth."""
    if vendor is None:
        vendor = {EXPIRY: 10415}.get(code, VENDOR if 1101 <= code <= 1115 else 0)
    if isinstance(data, str):
        data = data.encode()
    elif isinstance(data, int):
        data = struct.pack(">I", data)
    elif isinstance(data, (list, tuple)):
        data = b"".join(data)
    if flags is None:
        flags = 0x40 | (0x80 if vendor else 0)
    head = 12 if flags & 0x80 else 8
    out = struct.pack(">II", code, flags << 24 | (head + len(data) if length is None else length))
    if flags & 0x80:
        out += struct.pack(">I", vendor)
    return out + data + b"\0" * (-len(data) % 4)


def message(code, app, avps, flags=REQUEST | PROXIABLE, hbh=None, ete=None):
    body = b"".join(avps)
    number = next(_numbers)
    return struct.pack(">IIIII", 1 << 24 | 20 + len(body), flags << 24 | code, app, number if hbh is None else hbh,
                       number if ete is None else ete) + body


def parse(octets):
    """[(code, vendor, data)] of AVPs whose frames are good."""
    out = []
    while octets:
        code, word = struct.unpack(">II", octets[:8])
        head, n = 12 if word >> 31 else 8, word & 0xffffff
        out.append((code, struct.unpack(">I", octets[8:12])[0] if head == 12 else 0, octets[head:n]))
        octets = octets[n + 3 & ~3:]
    return out


class Message:
    def __init__(self, octets):
        self.octets = octets
        self.flags, self.code = octets[4], int.from_bytes(octets[5:8], "big")
        self.app, self.hbh, self.ete = struct.unpack(">III", octets[8:20])
        self.avps = parse(octets[20:])

    def get(self, code, default=None):
        return next((data for c, _, data in self.avps if c == code), default)

    def number(self, code):
        data = self.get(code)
        return data and int.from_bytes(data, "big")

    @property
    def result(self):
        """Result-Code, or Experimental-Result's."""
        group = self.get(EXPERIMENTAL)
        if group is not None:
            return int.from_bytes(dict((c, d) for c, _, d in parse(group))[298], "big")
        return self.number(RESULT)

    def answer(self, avps, flags=None):
        return message(self.code, self.app, avps, self.flags & PROXIABLE if flags is None else flags, self.hbh, self.ete)


class Closed(Exception):
    """The other side closed the connection."""


class Link:
    """One TLS connection. Watchdogs are answered while waiting."""

    def __init__(self, sock, host, realm):
        self.sock, self.host, self.realm = sock, host, realm
        self.me = [avp(ORIGIN_HOST, host), avp(ORIGIN_REALM, realm)]

    def send(self, octets):
        try:
            self.sock.sendall(octets)
        except OSError as e:
            raise Closed(str(e)) from e

    def _read(self, n):
        out = b""
        while len(out) < n:
            try:
                more = self.sock.recv(n - len(out))
            except TimeoutError:
                raise
            except OSError as e:
                raise Closed(str(e)) from e
            if not more:
                raise Closed("end of stream")
            out += more
        return out

    def receive(self, seconds=10):
        """The next message that is no watchdog's request; TimeoutError, Closed."""
        deadline = time.monotonic() + seconds
        while True:
            self.sock.settimeout(max(deadline - time.monotonic(), 0.01))
            head = self._read(20)
            m = Message(head + self._read(int.from_bytes(head[1:4], "big") - 20))
            if m.code != DWR or not m.flags & REQUEST:
                return m
            self.send(m.answer([avp(RESULT, 2001), *self.me]))

    def ask(self, octets, seconds=10):
        """Send a request; its answer. Answers to others are passed over."""
        self.send(octets)
        hbh = octets[12:16]
        while True:
            m = self.receive(seconds)
            if m.octets[12:16] == hbh and not m.flags & REQUEST:
                return m

    def settle(self, probe):
        """After a reconnect the host drops answers until it has seen its watchdogs answered: ask until there is one."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                return self.ask(probe(), 1)
            except TimeoutError:
                pass
        raise TimeoutError("no answer after a reconnect")

    def capabilities(self, apps):
        return [*self.me, avp(257, b"\0\1\x7f\0\0\1"), avp(266, VENDOR), avp(269, "raw", flags=0), *[avp(AUTH_APP, a) for a in apps]]

    def close(self):
        self.sock.close()


def _context(purpose, pki, cert):
    context = ssl.SSLContext(purpose)
    context.check_hostname = False
    context.load_cert_chain(pki.path(cert + ".pem"), pki.path(cert + ".key"))
    context.load_verify_locations(pki.path("diameter-ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class Client(Link):
    """Dials, says who it is (claims: another name than the certificate's). cea: what was answered."""

    def __init__(self, lab, port, cert, host, apps=(RP, RKM, SAK), claims=None, cer=None, seconds=10):
        tcp = socket.create_connection(("127.0.0.1", port), timeout=10)
        super().__init__(_context(ssl.PROTOCOL_TLS_CLIENT, lab.pki, cert).wrap_socket(tcp), claims or host, "example.com")
        try:
            self.cea = self.ask(cer or message(CER, 0, self.capabilities(apps), REQUEST), seconds)
        except (Closed, TimeoutError):
            self.close()
            raise


class Server:
    """Takes the place of a server that was stopped: accept() gives the next peer, capabilities exchanged."""

    def __init__(self, lab, port, cert, host):
        self.context = _context(ssl.PROTOCOL_TLS_SERVER, lab.pki, cert)
        self.host = host
        self.sock = socket.create_server(("127.0.0.1", port))

    def accept(self, apps=(RP, RKM, SAK), seconds=15):
        self.sock.settimeout(seconds)
        tcp, _ = self.sock.accept()
        tcp.settimeout(10)
        link = Link(self.context.wrap_socket(tcp, server_side=True), self.host, "example.com")
        cer = link.receive()
        link.peer = cer.get(ORIGIN_HOST).decode()
        link.send(cer.answer([avp(RESULT, 2001), *link.capabilities(apps)]))
        return link

    def close(self):
        self.sock.close()

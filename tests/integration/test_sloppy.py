# SPDX-License-Identifier: BSD-2-Clause
"""What a lenient Diameter stack sends: what is taken, what is refused and how (doc/protocol.md, section 3). Octets by hand (tests/lab/rawdia.py)."""
import itertools
import os
import struct
import time
import unittest

from case import LabCase, lablib
from test_hostile import client_hello

import rawdia as dia

SP, MAS, REALM = lablib.SP, lablib.MAS, lablib.REALM
HOSTS = {"mtf": "sloppy-mtf.example.com", "cse": "sloppy-cse.example.com", "csf": "sloppy-csf.example.com"}
TARGET = f"//{SP}/sloppy"
DRMP, LOAD, OC_FEATURES, OC_OLR, FEATURES, ORIGIN_STATE, TIMESTAMP, VENDOR_APP = 301, 650, 621, 623, 1115, 278, 55, 260
ERROR_REPORTING_HOST, USER_NAME, PROXY_HOST, PROXY_STATE, VENDOR_ID, ACCT_APP = 294, 1, 280, 33, 266, 259


def dirty(octets):
    """One AVP with padding that is not zero."""
    length = int.from_bytes(octets[5:8], "big")
    return octets[:length] + b"\xa5" * (len(octets) - length)


def proxy_info(host, state, *more):
    return dia.avp(dia.PROXY_INFO, [dia.avp(PROXY_HOST, host), dia.avp(PROXY_STATE, state), *more])


class Sloppy(LabCase):
    @classmethod
    def prepare(cls):
        roles = {"mtf": f'mtf }}\n\tservice-providers = {{ "{SP}" ', "cse": f'cse }}\n\tcse-ids = {{ "{TARGET}" ', "csf": "csf "}
        for role, host in HOSTS.items():
            section = f'peer "{host}" {{\n\troles = {{ {roles[role]}}}\n}}\n'
            cls.lab.clients.append((host, "" if role == "csf" else section, section if role == "csf" else ""))

        text = cls.lab.host_conf_text  # no watchdogs: nobody listens on our connections between two tests
        cls.lab.host_conf_text = lambda *args: text(*args).replace("TwTimer = 6;", "TwTimer = 120;")
        cls.links = {}
        cls.addClassCleanup(lambda: [link.close() for link in cls.links.values()])

    def link(self, role):
        """One connection for all tests."""
        if role not in self.links:
            host = HOSTS[role]
            name = host.split(".")[0]
            self.lab.pki.cert(name, "diameter-ca", f"DNS:{host}", cn=host)
            link = dia.Client(self.lab, self.lab.mtf.port if role == "csf" else self.lab.mas.port, name, host)
            self.assertEqual(link.cea.result, 2001)
            self.links[role] = link
        return self.links[role]

    def head(self, role, app, **other):
        """AVPs of a request's head by name, in order; other: with another value."""
        host = HOSTS[role]
        values = {"SESSION_ID": f"{host};1;{os.urandom(4).hex()}", "AUTH_APP": app, "AUTH_STATE": 1, "ORIGIN_HOST": host, "ORIGIN_REALM": REALM,
                  "DEST_REALM": REALM, "DEST_HOST": None if role == "csf" else MAS, **other}
        return [dia.avp(getattr(dia, n), v) for n, v in values.items() if v is not None]

    def key_avps(self, rel=None, **other):
        rel = (rel or os.urandom(16)).hex()
        values = {"KEY_NAME": f"{rel}@{MAS}", "SUID": 21, "KEYING_MATERIAL": os.urandom(32), "EXPIRY": 0xf0000000, "ENROLEE": f"//{SP}/sl{rel[:7]}",
                  "APP_ID": "Nodd", "TARGET": TARGET, "KE_NAME": f"{rel}@{HOSTS['mtf']}", **other}
        return [dia.avp(getattr(dia, n), v) for n, v in values.items() if v is not None]

    def ask(self, result, *avps, code=dia.KPR, role="mtf", app=dia.RKM, flags=dia.REQUEST | dia.PROXIABLE, name=None):
        """One request; its answer has that result, and the flags and order that an answer has."""
        with self.subTest(name or str(avps[-1][:40])):
            a = self.link(role).ask(dia.message(code, app, avps, flags))
            self.assertEqual(a.result, result)
            self.assertEqual(a.flags, flags & dia.PROXIABLE | (dia.ERROR if result // 1000 == 3 else 0))
            self.assertEqual(a.avps[0][0], dia.SESSION_ID)
            return a
        return None

    def kpr(self, result, *more, key=(), flags=dia.REQUEST | dia.PROXIABLE, name=None, **head):
        return self.ask(result, *self.head("mtf", dia.RKM, **head), dia.avp(dia.KEY, [*self.key_avps(), *key]), *more, flags=flags, name=name)

    def failed(self, answer):
        return [code for code, _, _ in dia.parse(answer.get(dia.FAILED_AVP))]

    def test_order_and_padding(self):
        key = self.key_avps()
        self.ask(2001, *reversed(self.head("mtf", dia.RKM)), dia.avp(dia.KEY, key), name="Session-Id is not the first")
        self.ask(2001, dia.avp(dia.KEY, key[::-1]), *reversed(self.head("mtf", dia.RKM)), name="all the other way round")
        self.ask(2001, dia.avp(9999, "x", flags=0), *self.head("mtf", dia.RKM), dia.avp(dia.KEY, key), name="an unknown AVP before Session-Id")
        self.ask(2001, *map(dirty, self.head("mtf", dia.RKM)), dia.avp(dia.KEY, [dirty(a) for a in key]), dirty(dia.avp(9999, "x", flags=0)),
                 name="padding that is not zero")
        self.ask(2001, *self.head("mtf", dia.RKM), *[dia.avp(dia.KEY, self.key_avps()) for _ in range(2)], name="lists apart")

    def test_case_of_hosts(self):
        up = {n: v.upper() for n, v in (("ORIGIN_HOST", HOSTS["mtf"]), ("ORIGIN_REALM", REALM), ("DEST_REALM", REALM), ("DEST_HOST", MAS))}
        for n, v in up.items():
            self.kpr(2001, name=f"{n} in capitals", **{n: v})
        self.kpr(2001, name="all of them", **up)
        rel = os.urandom(16)
        name = rel.hex().upper()
        for names in ({}, {"KEY_NAME": f"{name}@{MAS.upper()}"}, {"KE_NAME": f"{name}@{HOSTS['mtf'].upper()}"}):
            self.ask(2001, *self.head("mtf", dia.RKM), dia.avp(dia.KEY, self.key_avps(rel, KEYING_MATERIAL=b"k" * 32, **names)), name=f"{names}: one key")

    def test_flags(self):
        for flags, result in ((dia.REQUEST, 2001), (dia.REQUEST | dia.AGAIN, 2001), (dia.REQUEST | dia.PROXIABLE | dia.AGAIN, 2001),
                              (dia.REQUEST | dia.PROXIABLE | 0xf, 2001), (dia.REQUEST | dia.PROXIABLE | dia.ERROR, 3008)):
            self.kpr(result, flags=flags, name=f"flags {flags:#x}")

        def flagged(name, change):
            code = getattr(dia, name)
            return [a if int.from_bytes(a[:4], "big") != code else a[:4] + bytes([change(a[4])]) + a[5:] for a in self.key_avps()]
        for name in ("KEY_NAME", "ENROLEE", "SUID", "EXPIRY", "TARGET", "KEYING_MATERIAL"):
            self.ask(2001, *self.head("mtf", dia.RKM), dia.avp(dia.KEY, flagged(name, lambda f: f & ~0x40)), name=f"{name} without M")
            self.ask(2001, *self.head("mtf", dia.RKM), dia.avp(dia.KEY, flagged(name, lambda f: f | 0x20)), name=f"{name} with the old P flag")
            self.ask(2001, *self.head("mtf", dia.RKM), dia.avp(dia.KEY, flagged(name, lambda f: f | 0x1f)), name=f"{name} with reserved flags")
        self.ask(2001, *self.head("mtf", dia.RKM), dia.avp(dia.KEY, flagged("KE_NAME", lambda f: f | 0x40)), name="KE_NAME with M")
        bare = dia.avp(dia.ENROLEE, f"//{SP}/bare", vendor=0)
        self.ask(5001, *self.head("mtf", dia.RKM), dia.avp(dia.KEY, [*self.key_avps(ENROLEE=None), bare]), name="ours without our Vendor-Id, M")
        bare = dia.avp(dia.ENROLEE, f"//{SP}/bare", vendor=0, flags=0)
        self.ask(5005, *self.head("mtf", dia.RKM), dia.avp(dia.KEY, [*self.key_avps(ENROLEE=None), bare]), name="ours without our Vendor-Id")

    def test_what_others_add(self):
        """Priority, overload, load, state and time of the sender: taken, of no effect."""
        app = [dia.avp(VENDOR_ID, dia.VENDOR), dia.avp(dia.AUTH_APP, dia.RKM)]
        olr = dia.avp(OC_OLR, [dia.avp(624, struct.pack(">Q", 1), flags=0), dia.avp(626, 0, flags=0), dia.avp(627, 100, flags=0)], flags=0)
        for more in ([dia.avp(DRMP, n, flags=0) for n in (0, 10, 15)] +
                     [dia.avp(DRMP, 3), dia.avp(LOAD, [dia.avp(651, 1, flags=0), dia.avp(652, struct.pack(">Q", 65535), flags=0)], flags=0),
                      dia.avp(LOAD, b"", flags=0), dia.avp(OC_FEATURES, dia.avp(622, struct.pack(">Q", 1), flags=0), flags=0), olr,
                      dia.avp(ORIGIN_STATE, 0), dia.avp(ORIGIN_STATE, 0xffffffff), dia.avp(TIMESTAMP, 0), dia.avp(TIMESTAMP, 0xffffffff),
                      dia.avp(FEATURES, b"\xff" * 8, flags=0x80), dia.avp(FEATURES, bytes(8)), dia.avp(VENDOR_APP, app),
                      dia.avp(VENDOR_APP, [*app[:1], dia.avp(ACCT_APP, 3)]), dia.avp(VENDOR_APP, [*app[:1], dia.avp(dia.AUTH_APP, dia.RP)]),
                      dia.avp(dia.ERROR_MESSAGE, "in a request", flags=0), dia.avp(ERROR_REPORTING_HOST, "x.example", flags=0),
                      dia.avp(USER_NAME, "somebody", flags=0), dia.avp(9999, b"", flags=0), dia.avp(9, b"abc", vendor=10415, flags=0x80)]):
            a = self.kpr(2001, more)
            self.assertFalse({code for code, _, _ in a.avps} & {DRMP, LOAD, OC_FEATURES, OC_OLR}, "what we do not support is not answered")
        for result, more in ((5004, dia.avp(DRMP, 16, flags=0)), (5014, dia.avp(TIMESTAMP, b"abc")), (5014, dia.avp(ORIGIN_STATE, b"abc")),
                             (5001, dia.avp(9999, b"x")), (5001, dia.avp(9999)), (5001, dia.avp(9, vendor=10415)),
                             (5001, dia.avp(9, b"abc", vendor=10415)), (5001, dia.avp(USER_NAME, "somebody")),
                             (5001, dia.avp(dia.REASON, 1)), (5001, dia.avp(dia.KEYING_MATERIAL, b"x" * 32))):
            a = self.kpr(result, more)
            self.assertEqual(self.failed(a), [int.from_bytes(more[:4], "big")])
        for more in (dia.avp(ORIGIN_STATE), dia.avp(DRMP, flags=0), dia.avp(FEATURES), dia.avp(dia.SUID)):
            self.assertEqual(self.failed(self.kpr(5014, more)), [0], "a number of no octets; the guard has made it nameless")
        for more in (dia.avp(DRMP, 1, flags=0), dia.avp(TIMESTAMP, 1), dia.avp(ORIGIN_STATE, 1), dia.avp(VENDOR_APP, app)):
            a = self.kpr(5009, more, more)
            self.assertEqual(self.failed(a), [int.from_bytes(more[:4], "big")])

    def test_proxy_info(self):
        info = [proxy_info("b.example.com", os.urandom(7)), proxy_info("a.example.com", b"\0\xff"), proxy_info("b.example.com", b"again"),
                proxy_info("c.example.com", b"x" * 3000, dia.avp(9999, "more", flags=0))]
        want = [data for _, _, data in dia.parse(b"".join(info))]
        for name, a in (("with success", self.kpr(2001, *info)), ("with a refusal", self.kpr(5004, *info, AUTH_STATE=0)),
                        ("made by the host", self.kpr(5001, *info, dia.avp(9999, "x"))), ("not in a row", self.kpr(2001, info[0], dia.avp(9999, flags=0), *info[1:]))):
            with self.subTest(name):
                self.assertEqual([data for code, _, data in a.avps if code == dia.PROXY_INFO], want)
        self.kpr(5005, dia.avp(dia.PROXY_INFO, dia.avp(PROXY_HOST, "a.example.com")), name="no Proxy-State")
        self.kpr(5003, dia.avp(dia.ROUTE_RECORD, "relay.example.com"), name="Route-Record of no relay")

    def test_empty_and_left_out(self):
        for name, result, avps in (
                ("an empty M2M-Key", 5005, [*self.head("mtf", dia.RKM), dia.avp(dia.KEY)]),
                ("no M2M-Key", 5005, self.head("mtf", dia.RKM)),
                ("an empty Key-Name", 5004, [*self.head("mtf", dia.RKM), dia.avp(dia.KEY, self.key_avps(KEY_NAME=b""))]),
                ("an empty App-Id", 5004, [*self.head("mtf", dia.RKM), dia.avp(dia.KEY, self.key_avps(APP_ID=b""))]),
                ("no App-Id", 2001, [*self.head("mtf", dia.RKM), dia.avp(dia.KEY, self.key_avps(APP_ID=None))]),
                ("an empty Failed-AVP", 5001, [*self.head("mtf", dia.RKM), dia.avp(dia.KEY, self.key_avps()), dia.avp(dia.FAILED_AVP)])):
            self.ask(result, *avps, name=name)
        for name in ("AUTH_APP", "AUTH_STATE", "ORIGIN_REALM", "DEST_HOST"):
            a = self.kpr(5005, name=f"no {name}", **{name: None})
            self.assertEqual(self.failed(a), [getattr(dia, name)])
        a = self.kpr(5004, AUTH_STATE=0, name="STATE_MAINTAINED")
        self.assertEqual(self.failed(a), [dia.AUTH_STATE])

    def test_other_commands(self):
        rel, now = os.urandom(16), itertools.count(time.time_ns() // 1000)
        self.ask(2001, *self.head("mtf", dia.RKM), dia.avp(dia.KEY, self.key_avps(rel)), name="the key")

        def skr(*more, flags=dia.REQUEST | dia.PROXIABLE, **head):
            ki = f"{rel.hex()}.{next(now):016x}{os.urandom(8).hex()}@{MAS}"
            avps = [dia.avp(dia.TARGET, TARGET), dia.avp(dia.SUID, 32), dia.avp(dia.KEY_NAME, ki), *more, *self.head("cse", dia.SAK, **head)]
            return self.ask(2001, *avps, code=dia.SKR, role="cse", app=dia.SAK, flags=flags, name=f"SKR {head} {len(more)} {flags}")
        skr()
        skr(DEST_HOST=None)
        skr(flags=dia.REQUEST)
        info = proxy_info("b.example.com", b"\0state")
        a = skr(info, dia.avp(DRMP, 0, flags=0), dirty(dia.avp(9999, "x", flags=0)))
        self.assertEqual([data for code, _, data in a.avps if code == dia.PROXY_INFO], [data for _, _, data in dia.parse(info)])
        self.ask(2001, dia.avp(dia.KEY_NAME, f"{rel.hex().upper()}@{MAS}"), dia.avp(dia.KEY_NAME, f"{rel.hex()}@{MAS}"), dia.avp(dia.REASON, 4),
                 *self.head("mtf", dia.RKM), code=dia.KRR, name="KRR, a name twice")
        self.ask(1001, *map(dirty, [dia.avp(dia.TLS_PAYLOAD, client_hello()), dia.avp(dia.ROUND, 1), *self.head("csf", dia.RP)]), code=dia.RPR,
                 role="csf", app=dia.RP, name="RPR")
        self.ask(1001, *self.head("csf", dia.RP), dia.avp(dia.ROUND, 1), dia.avp(dia.TLS_PAYLOAD), code=dia.RPR, role="csf", app=dia.RP,
                 name="RPR without a payload octet")


if __name__ == "__main__":
    unittest.main()

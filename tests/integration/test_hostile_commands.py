# SPDX-License-Identifier: BSD-2-Clause
"""Our commands with identifiers and times that are nobody's. (Roles, keys, rounds, resent requests: test_hostile.)"""
import os
import unittest

from case import lablib
from hostile import SP, HostileCase

import rawdia as dia

NTP = 2208988800  # of the epoch


class Commands(HostileCase):
    def test_targets(self):
        """An association target that is not the asking CSE's own name, octet by octet."""
        c, ki = self.link("cse2"), "00" * 16 + "." + "00" * 16 + "@" + lablib.MAS
        self.each(c, [("its own", self.skr(c, [ki]), 5501)] + [
            (repr(target)[:60], self.skr(c, [ki], target), result) for target, result in (
                (f"//{SP}/cse3", 5003), (lablib.CSE_ID, 5003), (b"", 5004), (f"//{SP}/cse2\xff".encode("latin-1"), 5004), (b"//sp.example.com/\xc0\xaf", 5004),
                (f"//{SP}/" + "c" * 300, 5004), (f"//{SP}./cse2", 5003), (f"//{SP}/Cse2", 5003), (f"//{SP}/cse2/", 5003), (f"/{SP}/cse2", 5003),
                ("cse2", 5003), ("//sp.example.c\u043em/cse2", 5003), (f"//{SP}/cse2\n", 5004), (f"//{SP}/cse2 ", 5003), (f"//{SP}//cse2", 5003))])

    def test_names_of_keys(self):
        c, zeros = self.link("cse2"), "00" * 16 + "." + "00" * 16
        self.each(c, [(repr(name)[:60], self.skr(c, [name]), result) for name, result in (
            (zeros + "@mas.example.net", 5501), (zeros.upper() + "@MAS.EXAMPLE.COM", 5501), (zeros, 5004), (zeros + "@", 5004), ("@" + lablib.MAS, 5004),
            (zeros[:-1] + "@" + lablib.MAS, 5004), (zeros[:-1] + "g@" + lablib.MAS, 5004), (zeros + "@" + "a" * 250, 5004), (b"\0" * 33, 5004),
            (zeros + "@" + lablib.MAS + "\0", 5004), ("*." + "00" * 16 + "@" + lablib.MAS, 5004))])

    def test_times(self):
        """What is over, or never begins, is refused; the clock of 32 bits runs on past 2036 (RFC 6733 4.3.1)."""
        m = self.link("mtf2")
        self.each(m, [(f"until {e}", self.kpr(m, self.key(m, EXPIRY=e)), result) for e, result in (
            (NTP + 1, 5004), (NTP + 1000000000, 5004), (0xffffffff, 2001), (0, 2001), (1, 2001), (0x7fffffff, 5004))])
        self.each(m, [("octets", self.kpr(m, self.key(m, EXPIRY=b"abc")), 5014), ("none", self.kpr(m, self.key(m, EXPIRY=b"")), 5014)])

    def test_revocations(self):
        m = self.link("mtf2")
        names = [f"{os.urandom(16).hex()}@{lablib.MAS}" for _ in range(256)]
        self.each(m, [("256 that nobody knows", self.krr(m, names), 2001), ("257", self.krr(m, [*names, names[0]]), 5009),
                      ("one twice", self.krr(m, names[:1] * 2), 2001), ("of another MAS", self.krr(m, ["00" * 16 + "@mas.example.net"]), 2001),
                      ("everything", self.krr(m, ["*"]), 5004), ("an association key", self.krr(m, ["00" * 16 + "." + "00" * 16 + "@" + lablib.MAS]), 5004),
                      ("reason 0", self.krr(m, names[:1], 0), 5004), ("reason 6", self.krr(m, names[:1], 6), 5004),
                      ("a reason of 3 octets", self.krr(m, names[:1], b"abc"), 5014)])

    def test_commands_of_others(self):
        """What a server here only sends, or does not serve, it does not take."""
        m, c = self.link("mtf2"), self.link("csf2")
        for link, server, code, app in ((m, lablib.MAS, dia.KFR, dia.RKM), (m, lablib.MAS, dia.KNR, dia.SAK), (m, lablib.MAS, dia.RPR, dia.RP),
                                        (c, lablib.MTF, dia.KPR, dia.RKM), (c, lablib.MTF, dia.KRR, dia.RKM), (c, lablib.MTF, dia.SKR, dia.SAK)):
            with self.subTest(server=server, code=code):
                self.assertIn(link.ask(dia.message(code, app, self.head(link, app, server))).result, (3001, 3007))


if __name__ == "__main__":
    unittest.main()

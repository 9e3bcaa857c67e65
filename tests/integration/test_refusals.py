# SPDX-License-Identifier: BSD-2-Clause
"""What must not get in: each is refused, nothing is stored on either side, and the chain still works afterwards."""
import unittest

from case import LabCase, lablib


class Refusals(LabCase):
    def setUp(self):
        self.before = self.stored()

    def tearDown(self):
        self.assertEqual(self.stored(), self.before, "something was stored")

    @classmethod
    def tearDownClass(cls):
        good = cls("test_garbage_on_the_relay")
        good.new_node("good-end")
        good.enrol("good-end")

    def refused(self, p, code=1):
        self.assertEqual(p.returncode, code, p.stdout + p.stderr)
        return p.stdout + p.stderr

    def test_wrong_psk_and_unknown_identity_look_the_same(self):
        self.new_node("known")
        wrong = self.new_psk("wrong", store=False)
        for version in ((), ("--tls1.2",)):
            with self.subTest(version):
                a = self.refused(self.enrol("known", *version, psk=wrong, check=False))
                b = self.refused(self.enrol("known", *version, identity="nobody-knows", psk=wrong, check=False))
                self.assertEqual(a, b)

    def test_wrong_psk_and_unknown_identity_look_the_same_to_stock_client(self):
        self.new_node("known-2")
        out = []
        for identity in ("known-2", "never-heard-of"):
            text = self.s_client("-psk", "00112233445566778899aabbccddeeff", "-psk_identity", identity, "-ign_eof", "-tls1_3")
            out.append([line.split(":", 1)[1] for line in text.splitlines() if "alert" in line])
            self.assertNotIn('"status"', text)
        self.assertTrue(out[0])
        self.assertEqual(out[0], out[1])

    def test_psk_without_instruction(self):
        self.new_psk("orphan")
        self.refused(self.enrol("orphan", check=False))

    def test_removed_credential(self):
        self.new_node("gone")
        self.lab.ctl("credential", "remove", "psk:gone", "--yes", "--mtf", self.lab.mtf.conf)
        self.refused(self.enrol("gone", check=False))

    def test_certificate_of_another_ca(self):
        self.lab.pki.ca("other-ca")
        self.lab.pki.cert("forged", "other-ca", "DNS:forged.devices.example")
        self.lab.own()
        self.lab.ctl("credential", "add", "dns:forged.devices.example", "--mtf", self.lab.mtf.conf)
        self.instruct("forged", "dns:forged.devices.example")
        self.refused(self.enrol_cert("forged", check=False))

    def test_certificate_without_instruction(self):
        self.lab.pki.cert("stranger", "device-ca", "DNS:stranger.devices.example")
        self.lab.own()
        self.refused(self.enrol_cert("stranger", check=False))

    def test_expired_certificate(self):
        self.lab.pki.cert("late", "device-ca", "DNS:late.devices.example", not_after="20210101000000Z")
        self.lab.own()
        self.lab.ctl("credential", "add", "dns:late.devices.example", "--mtf", self.lab.mtf.conf)
        self.instruct("late", "dns:late.devices.example")
        self.refused(self.enrol_cert("late", check=False))

    def test_tls12_without_extended_master_secret(self):
        self.new_node("no-ems")
        conf = self.write("no-ems.cnf", "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nOptions = -ExtendedMasterSecret\n",
                          0o644)
        with open(self.path("no-ems.psk")) as f:
            psk = f.read().strip()
        out = self.s_client("-tls1_2", "-psk", psk, "-psk_identity", "no-ems", "-ign_eof", env={"OPENSSL_CONF": conf})
        self.assertNotIn('"status"', out)
        self.assertIn("alert", out)

    def test_garbage_on_the_relay(self):
        import socket
        for octets in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff", bytes(100), b"\x16\x03\x01\x00\x05hello"):
            with socket.create_connection(("127.0.0.1", self.lab.relay_port), timeout=20) as s:
                s.sendall(octets)
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass

    def test_resolver_refusals(self):
        unknown = "00" * 16 + "." + "00" * 16 + "@" + lablib.MAS
        foreign = "00" * 16 + "." + "00" * 16 + "@other.example.net"
        for ki, reason in ((unknown, "unknown"), (foreign, "unknown"), ("nonsense", "malformed"), ("", "malformed")):
            with self.subTest(ki):
                got = self.resolve(ki)
                self.assertEqual((got["status"], got["reason"]), ("refused", reason))


class SequenceRule(LabCase):
    """One node, one IN-CSE: what the single-use rule of association key identifiers does."""

    def test_used_and_old_sequences(self):
        self.new_node("seq")
        self.enrol("seq")
        base = 1 << 40
        first, kc = self.derive("seq", base)
        self.assertEqual(self.resolve(first)["key"], kc.hex())
        for i in range(1, 18):
            ki, _ = self.derive("seq", base + i)
            self.assertEqual(self.resolve(ki)["status"], "ok", i)
        below, _ = self.derive("seq", base - 1)
        self.assertEqual(self.resolve(below)["reason"], "expired")
        same_sequence, _ = self.derive("seq", base + 17)
        self.assertEqual(self.resolve(same_sequence)["reason"], "expired", "another KI with a used sequence")

    def test_restarted_mas_still_knows_a_used_sequence(self):
        self.new_node("seq-2")
        self.enrol("seq-2")
        base = 1 << 41
        for i in range(17):
            ki, _ = self.derive("seq-2", base + i)
            self.assertEqual(self.resolve(ki)["status"], "ok")
        old, _ = self.derive("seq-2", base)
        self.lab.restart_mas()
        lablib.wait_for("the CSF to reach the MAS again", lambda: self.resolve(old)["reason"] != "unavailable", 30)
        self.assertEqual(self.resolve(old)["reason"], "expired")


if __name__ == "__main__":
    unittest.main()

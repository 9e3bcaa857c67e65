# SPDX-License-Identifier: BSD-2-Clause
"""No key stays in the memory of the servers: enrolments, derivations, supersessions, revocations and refusals with keys
that the test knows, then every readable mapping is searched for each of them."""
import base64
import collections
import hashlib
import hmac
import os
import re
import shutil
import subprocess
import time
import unittest

from case import BUILD, LabCase, lablib

import packages

NODES = int(os.environ.get("M2M_NODES", "12"))
KINDS_THAT_TRAVEL = {"Km", "Km2", "Kc0", "Kc1"}  # between servers, in Keying-Material
KEYING_MATERIAL = bytes.fromhex("0000024740000028")  # the head of that AVP (583) with 32 octets
GONE_MAS = "mas-gone.example.com"


def tool(name):
    """Path of a program of tests/crash."""
    path = os.path.join(BUILD, "tests", "crash", name)
    if not os.path.exists(path):
        subprocess.run(["make", "-s", "-C", BUILD, f"tests/crash/{name}"], check=True, capture_output=True)
    return path


def spellings(key):
    """Every way a key may lie about: halves of its octets; hex, spaced hex and base64 of halves, in each alignment."""
    found = set()
    for half in {key[:16], key[len(key) // 2:len(key) // 2 + 16], key[-16:]}:
        h = half.hex()
        spaced = " ".join(h[i:i + 2] for i in range(0, 32, 2))
        found |= {half, h.encode(), h.upper().encode(), spaced.encode(), spaced.upper().encode(), spaced.replace(" ", ":").encode()}
        for shift in range(3):
            inner = half[shift:]
            inner = inner[:len(inner) // 3 * 3]
            found.add(base64.b64encode(inner))
    return found


class Hit:
    def __init__(self, line):
        self.label, self.address, rest = line.split(" ", 2)
        self.mapping, self.flags = re.fullmatch(r"(.*) \[(.*)\]", rest).groups()

    def where(self):
        if self.mapping.startswith("/"):
            return self.mapping
        return self.mapping if self.mapping != "anonymous" else "anonymous (arena or stack of a thread)"


class Scan(LabCase):
    """Drives and scans. env: of the daemons."""
    env = {}

    @classmethod
    def prepare(cls):
        cls.canary = os.urandom(12).hex().encode()  # 24 octets that an environment can hold
        cls.keys = {}  # label: octets
        for d in cls.lab.daemons:
            d.env = dict(cls.env)
            d.env.update({f"CANARY_{i}": s.decode() for i, s in enumerate(spellings(cls.canary))})
        make = cls.lab._mtf_conf

        def two_mas():
            make()
            with open(cls.lab.mtf.conf, "a") as f:
                f.write(f'mas "{GONE_MAS}" {{\n\trealm = "{lablib.REALM}"\n}}\npeer "{GONE_MAS}" {{\n\troles = {{ mas }}\n}}\n')
        cls.lab._mtf_conf = two_mas

    def scan(self, d, keys):
        """All places where one of the keys lies in a daemon's memory."""
        needles = [f"{label} {s.hex()}" for label, key in keys.items() for s in spellings(key)]
        p = subprocess.run([tool("scan_memory"), str(d.proc.pid)], input="\n".join(needles) + "\n", text=True, capture_output=True)
        self.assertEqual(p.returncode, 0, p.stderr)
        lines = p.stdout.splitlines()
        print(f"{d.name}: {lines[-1]} for {len(keys)} keys, {len(needles)} spellings")
        return [Hit(line) for line in lines[:-1]]

    def note_key(self, label, key):
        self.keys[label] = key
        self.secrets.append(key)

    def stock_enrol(self, name):
        """By s_client, which tells the exported octets: RelativeKeID, Ke."""
        with open(self.path(f"{name}.psk")) as f:
            psk = f.read().strip()
        out = self.s_client("-tls1_3", "-psk", psk, "-psk_identity", name, "-ign_eof", "-keymatexport",
                            "EXPORTER-oneM2M-Bootstrap", "-keymatexportlen", "48")
        exported = bytes.fromhex(re.search(r"Keying material: ([0-9A-F]{96})", out).group(1))
        self.note_key(f"{name}/Ke", exported[16:])
        km = hmac.new(exported[16:], b"oneM2M Enrolment Key to Master Credential derivation" + lablib.MAS.encode(), hashlib.sha256).digest()
        self.note_key(f"{name}/Km", km)
        return out

    def drive(self):
        lab = self.lab
        for i in range(NODES):
            name = f"mem-{i}"
            self.new_node(name)
            self.note_key(f"{name}/psk", self.secrets[-1])
            self.assertIn('"status":"enrolled"', self.stock_enrol(name))
            self.enrol(name)  # again: the first is superseded
            self.note_key(f"{name}/Km2", bytes.fromhex(self.node_keys(name)["keys"][0]["km"]))
            for j in range(2):
                ki, kc = self.derive(name)
                self.note_key(f"{name}/Kc{j}", kc)
                self.assertEqual(self.resolve(ki).get("key"), kc.hex())
                self.assertEqual(self.resolve("0" * 32 + ki[32:])["status"], "refused")  # no such root key
        self.rotate()
        # a wrong key, and an enrolment that fails at its second MAS, so that the first has to take its key back
        wrong = self.new_psk("mem-wrong", store=False)
        self.note_key("mem-wrong/psk", self.secrets[-1])
        self.assertNotEqual(self.enrol("mem-0", psk=wrong, check=False).returncode, 0)
        for i in range(3):
            name = f"mem-back-{i}"
            self.new_psk(name)
            self.note_key(f"{name}/psk", self.secrets[-1])
            self.instruct(name, f"psk:{name}", "--mas", GONE_MAS)
            self.assertIn('"try-later"', self.stock_enrol(name))

        def taken_back():
            states = [k["state"] for k in self.listing("key", "mas")]
            return (states.count("revoked"), states.count("superseded")) == (3, NODES)
        lablib.wait_for("the MAS to have three keys that were taken back, and those of the first enrolments superseded", taken_back)

    def look(self, d):
        """Scan and judge; the places of keys that travelled."""
        time.sleep(1)  # not for an event: for what is under way after the last answer to end
        self.process_is_closed(d)
        return self.judge(d, self.scan(d, self.all_keys()))

    @staticmethod
    def is_on_wire(d, hit):
        """Is the place the value of a Keying-Material AVP as it is sent (or that value's second half)?"""
        with open(f"/proc/{d.proc.pid}/mem", "rb") as f:
            f.seek(int(hit.address, 16) - 24)
            before = f.read(24)
        return KEYING_MATERIAL in (before[-8:], before[:8])

    def all_keys(self):
        keys = dict(self.keys, **{"planted/canary": self.canary})
        for d in (self.lab.mas, self.lab.mtf):
            with open(d.path("kek"), "rb") as f:
                kek = f.read().strip()
            keys[f"{d.name}/KEK"] = bytes.fromhex(kek.decode()) if len(kek) == 64 else kek
            keys[f"{d.name}/DEK"], keys[f"{d.name}/RMK"] = self.ring_keys(d)
            self.secrets += [keys[f"{d.name}/{kind}"] for kind in ("DEK", "RMK", "KEK")]
        return keys

    def ring_keys(self, d):
        """The data key in use and the root master key of a server's keyring."""
        shutil.copy(tool("keyring_keys"), self.lab.bin)  # run as the daemons' user
        out = self.lab.run([os.path.join(self.lab.bin, "keyring_keys"), d.path("store", "keyring"), d.path("kek")]).stdout
        return [bytes.fromhex(line) for line in out.split()]

    def rotate(self):
        """New data and root keys beside the servers, twice; the old ones must not stay in memory."""
        for i in range(2):
            for d in (self.lab.mas, self.lab.mtf):
                for kind, key in zip(("oldDEK", "oldRMK"), self.ring_keys(d)):
                    self.note_key(f"{d.name}.{i}/{kind}", key)
                self.lab.ctl("rotate", "--root", f"--{d.name}", d.conf)

    def process_is_closed(self, d):
        """No core files, not dumpable: then its files in /proc are root's."""
        self.assertEqual(os.stat(f"/proc/{d.proc.pid}/mem").st_uid, 0, "dumpable")
        with open(f"/proc/{d.proc.pid}/limits") as f:
            self.assertRegex(f.read(), r"Max core file size +0 +0 ")

    def judge(self, daemon, hits):
        """What holds in any case; returns the places of keys that travelled in a message: Km and Kc."""
        kinds, travelled = collections.Counter(), []
        for h in hits:
            name, kind = h.label.split("/")
            if kind in ("DEK", "RMK", "canary"):
                kinds[kind] += 1
                self.assertTrue(kind == "canary" or (name == daemon.name and {"lo", "dd"} <= set(h.flags.split())),
                                f"a key outside of locked, undumpable memory: {h.label} in {daemon.name}, {h.mapping} [{h.flags}]")
            else:
                self.assertIn(kind, KINDS_THAT_TRAVEL, f"{h.label} at {h.address} of {daemon.name}, {h.mapping}")
                travelled.append(h)
        # The controls: a scan that does not find what is there proves nothing.
        self.assertGreaterEqual(kinds["canary"], len(spellings(self.canary)), "the scan misses what was planted")
        for kind in ("DEK", "RMK"):
            self.assertEqual(kinds[kind], 0 if daemon is self.lab.csf else 2, f"one {kind}, in two halves")
        count = collections.Counter(h.label.split("/")[1].rstrip("0123456789") for h in travelled)
        print(f"{daemon.name}: no device key, Ke, KEK or former key; {kinds['DEK'] // 2} data key and {kinds['RMK'] // 2} root key, locked; halves of Km and Kc left: {dict(count) or 'none'}")
        return travelled


@unittest.skipIf(lablib.SANITIZED, "AddressSanitizer keeps freed memory as it was")
@unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: only root can read the memory of a process that is not dumpable")
class Memory(Scan):
    """As doc/operating.md has the daemons run: freed memory is overwritten."""
    env = {"GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0"}

    def test_no_key_stays(self):
        self.drive()
        self.assertEqual(self.look(self.lab.mas), [])
        self.assertEqual(self.look(self.lab.mtf), [])
        # the CSF keeps association keys for as long as they live: once each, and nothing else
        cached = collections.Counter(h.label for h in self.look(self.lab.csf))
        self.assertEqual(set(cached), {f"mem-{i}/Kc{j}" for i in range(NODES) for j in range(2)})
        self.assertEqual(set(cached.values()), {2}, "one copy, in two halves")
        self.lab.mas.stop()  # a push that cannot be delivered
        self.new_psk("mem-down")
        self.note_key("mem-down/psk", self.secrets[-1])
        self.instruct("mem-down", "psk:mem-down")
        self.assertIn('"try-later"', self.stock_enrol("mem-down"))
        self.assertEqual(self.look(self.lab.mtf), [])


@unittest.skipIf(lablib.SANITIZED, "AddressSanitizer keeps freed memory as it was")
@unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: only root can read the memory of a process that is not dumpable")
class StockAllocator(Scan):
    """Without the allocator's help: the host's message buffers are found in freed memory (SECURITY.md has the numbers), which also
    shows that the scan sees freed memory. Nothing else is."""

    def test_only_message_buffers_stay(self):
        self.drive()
        left = self.look(self.lab.mas)
        self.assertTrue([h for h in left if "/Km" in h.label], "the scan does not see freed memory")
        for d in (self.lab.mas, self.lab.mtf, self.lab.csf):
            hits = left if d is self.lab.mas else self.look(d)
            hits = [h for h in hits if not (d is self.lab.csf and "/Kc" in h.label)]  # its cache is looked at above
            others = [h for h in hits if not self.is_on_wire(d, h)]
            self.assertLessEqual(len(others), len(hits) // 10, "not octets of a message (a few have lost their head to later use): "
                                 + ", ".join(f"{h.label} at {h.address} of {d.name}" for h in others))


@unittest.skipIf(lablib.SANITIZED, "AddressSanitizer keeps freed memory as it was")
@unittest.skipUnless(os.geteuid() == 0, "NOT TESTED: only root can read the memory of a process that is not dumpable")
class Packed(Scan):
    """Root keys in packages: no message has them in clear, so that nothing of them stays even with the allocator as it comes."""

    @classmethod
    def prepare(cls):
        super().prepare()
        packages.prepare(cls.lab, (), (lablib.MTF,))

    def test_no_root_key_stays(self):
        self.drive()
        left = self.look(self.lab.mas)
        self.assertTrue([h for h in left if "/Kc" in h.label], "the scan does not see freed memory")
        self.assertEqual([f"{h.label} at {h.address}" for h in left if "/Km" in h.label], [])
        self.assertEqual([f"{h.label} at {h.address}" for h in self.look(self.lab.mtf)], [])


if __name__ == "__main__":
    unittest.main()

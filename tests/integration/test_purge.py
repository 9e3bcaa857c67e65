# SPDX-License-Identifier: BSD-2-Clause
"""A purge deletes: of everything that a store and its keyring held before, no octet is in any file of the store's folder
afterwards; tombstones stay, and what is there serves. A new root key beside running servers."""
import hashlib
import hmac
import os
import re
import shutil
import unittest

from case import LabCase, lablib

GONE_MAS = "mas-gone.example.com"
BOX = 112  # a wrapped key


def walk(folder):
    for base, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(base, name), "rb") as f:
                yield os.path.join(base, name), f.read()


def sealed(folder, kind):
    """Salt and commitment of every sealed record of that type in the files of a folder, live or left over."""
    head = re.compile(b"\\x01\\x01" + bytes([kind]) + b"\\x00[\\x00]{2}[\\x00-\\xff]{2}[\\x00]{6}[\\x00-\\xff]{2}(?P<salt>[\\x00-\\xff]{64})")
    return {m.group("salt") for _, data in walk(folder) for m in head.finditer(data) if m.group("salt").count(0) < 16}


def boxes(keyring):
    """What a keyring's file holds wrapped (doc/formats.md)."""
    with open(keyring, "rb") as f:
        data = f.read()

    def lv16(at):
        n = int.from_bytes(data[at:at + 2], "big")
        return data[at + 2:at + 2 + n], at + 2 + n

    at, found = 31, []
    for _ in range(data[30]):
        at = lv16(lv16(at + 1)[1])[1]
        found.append(data[at:at + BOX])
        at += BOX
    n, at = int.from_bytes(data[at:at + 2], "big"), at + 2
    for _ in range(n):
        box, at = lv16(at + 21)
        found += [box] if box else []
    assert at + 64 == len(data) and all(len(b) == BOX for b in found)
    return found


def search(folder, needles):
    """(file, needle) of each needle that lies in a file below the folder."""
    return [(path, label) for path, data in walk(folder) for label, octets in needles if octets in data]


class Purge(LabCase):
    @classmethod
    def prepare(cls):
        make = cls.lab._mtf_conf

        def two_mas():
            make()
            with open(cls.lab.mtf.conf, "a") as f:
                f.write(f'mas "{GONE_MAS}" {{\n\trealm = "{lablib.REALM}"\n}}\npeer "{GONE_MAS}" {{\n\troles = {{ mas }}\n}}\n')
        cls.lab._mtf_conf = two_mas

    def stock_enrol(self, name):
        """By s_client, which tells the exported octets: Ke and Km."""
        with open(self.path(f"{name}.psk")) as f:
            psk = f.read().strip()
        out = self.s_client("-tls1_3", "-psk", psk, "-psk_identity", name, "-ign_eof", "-keymatexport",
                            "EXPORTER-oneM2M-Bootstrap", "-keymatexportlen", "48")
        ke = bytes.fromhex(re.search(r"Keying material: ([0-9A-F]{96})", out).group(1))[16:]
        km = hmac.new(ke, b"oneM2M Enrolment Key to Master Credential derivation" + lablib.MAS.encode(), hashlib.sha256).digest()
        self.secrets += [ke, km]
        return ke, km

    def needles(self, store, kinds, clear):
        found = [(f"record of type {k}", s) for k in kinds for s in sealed(store, k)]
        found += [("wrapped key", b) for b in boxes(os.path.join(store, "keyring"))]
        return found + [(f"clear key {i}", half) for i, key in enumerate(clear) for half in (key[:16], key[16:32])]

    def purge(self, side, before, store):
        """Purged, with a search before that has to find what is searched for after."""
        conf = getattr(self.lab, side).conf
        control = {label for _, label in search(store, before)}
        self.assertIn("wrapped key", control)
        self.assertTrue([c for c in control if c.startswith("record of type")])
        self.assertFalse([c for c in control if c.startswith("clear key")], "never in the clear")
        p = self.lab.ctl("purge", f"--{side}", conf)
        self.assertIn("under a new root key", p.stdout)
        self.assertEqual(search(store, before), [])

    def test_nothing_is_left(self):
        lab, mas, mtf = self.lab, self.lab.mas, self.lab.mtf
        stores = {d: d.path("store") for d in (mas, mtf)}
        clear = []
        for i in range(3):
            self.new_node(f"stay-{i}")
            clear += self.stock_enrol(f"stay-{i}")
        first = sealed(stores[mas], 1)
        self.assertGreaterEqual(len(first), 3)
        for i in range(3):
            self.enrol(f"stay-{i}")  # the one before is superseded
        self.new_psk("back")
        self.instruct("back", "psk:back", "--mas", GONE_MAS)
        clear += self.stock_enrol("back")  # its key is taken back: revoked
        old_psk = self.secrets[-3]
        self.new_psk("removed")
        removed = self.secrets[-1]
        lab.ctl("credential", "remove", "psk:removed", "--yes", "--mtf", mtf.conf)
        rows = lablib.wait_for("the key to be taken back", self.states, 10)
        self.assertEqual(sorted(rows.values()).count("superseded"), 3)
        for side, d in (("mas", mas), ("mtf", mtf)):  # beside the running server: nothing happens
            p = lab.ctl("purge", f"--{side}", d.conf, check=False)
            self.assertEqual(p.returncode, 4)
            self.assertIn("nothing was changed: stop the server first", p.stderr)
        mtf.stop()
        mas.stop()
        for d in (mas, mtf):
            shutil.copytree(stores[d], self.path(f"{d.name}-old"))
        before = self.needles(stores[mas], (1, 2), clear) + [("record of type 1", s) for s in first]
        live = sum(1 for label, _ in before if label == "record of type 1")
        self.assertGreater(live, len(rows), "octets of records that were replaced lie there before a purge")
        self.purge("mas", before, stores[mas])
        self.purge("mtf", self.needles(stores[mtf], range(16, 22), [removed, old_psk, *clear]), stores[mtf])
        self.assertEqual({k["kmId"]: k["state"] for k in self.listing("key", "mas")}, rows, "tombstones stay")
        self.older_copies(mas, rows)
        mas.start()
        mtf.start()
        ki, kc = self.derive("stay-0")
        lablib.wait_for("the key to serve", lambda: self.resolve(ki).get("key") == kc.hex(), 30)
        revoked = next(k for k, state in rows.items() if state == "revoked").split("@")[0]
        answer = self.resolve(f"{revoked}.{ki.split('.', 1)[1]}")
        self.assertEqual(answer["status"], "refused", answer)
        lablib.wait_for("it enrols again", lambda: self.enrol("stay-1", check=False).returncode == 0, 30)

    def states(self):
        """States of the root keys by KmID, once one is revoked."""
        rows = {k["kmId"]: k["state"] for k in self.listing("key", "mas")}
        return rows if "revoked" in rows.values() else None

    def older_copies(self, mas, rows):
        """A backup of before opens with its keyring; not with the new one."""
        old = self.path("mas-old")
        with open(mas.conf) as f:
            conf = self.write("old.conf", f.read().replace(f'store = "{mas.path("store")}"', f'store = "{old}"'))
        self.assertEqual(len(self.lab.ctl("key", "list", "--json", "--mas", conf).stdout.splitlines()), len(rows))
        shutil.copy(mas.path("store", "keyring"), os.path.join(old, "keyring"))
        self.lab.own()
        p = self.lab.ctl("key", "list", "--mas", conf, check=False)
        self.assertEqual(p.returncode, 3, p.stdout + p.stderr)

    def test_new_root_keys_while_nodes_enrol(self):
        for i in range(3):
            self.new_node(f"root-{i}")
            self.enrol(f"root-{i}")
            for side in ("mas", "mtf"):
                d = getattr(self.lab, side)
                old = boxes(d.path("store", "keyring"))
                self.lab.ctl("rotate", "--root", f"--{side}", d.conf)
                self.assertFalse(set(old) & set(boxes(d.path("store", "keyring"))))
            ki, kc = self.derive(f"root-{i}")
            self.assertEqual(self.resolve(ki).get("key"), kc.hex())


if __name__ == "__main__":
    unittest.main()

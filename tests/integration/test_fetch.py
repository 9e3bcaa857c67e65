# SPDX-License-Identifier: BSD-2-Clause
"""A MAS that lost its store, or was restored from a backup, gets its root keys again from its MTF (KFR); no node does anything."""
import hashlib
import hmac
import json
import os
import random
import shutil
import signal
import subprocess
import unittest

from case import BUILD, LabCase, lablib

FILLED = 1200  # some 38 pages


def fill_tool():
    path = os.path.join(BUILD, "tests", "cli", "fill_mtf")
    if not os.path.exists(path):
        subprocess.run(["make", "-s", "-C", BUILD, "tests/cli/fill_mtf"], check=True, capture_output=True)
    return path


class FetchCase(LabCase):
    def status(self):
        out = self.lab.ctl("fetch", "--status", "--json", "--mas", self.lab.mas.conf, check=False).stdout.splitlines()
        return json.loads(out[0]) if out else {"state": "none"}

    def wait_done(self, seconds=60):
        """Its status, once the fetch has ended."""
        def look():
            self.lab.mas.check_alive()
            s = self.status()
            return s if s["state"] in ("done", "failed") else None
        s = lablib.wait_for("the fetch to end", look, seconds)
        self.assertEqual(s["state"], "done", s)
        return s

    def lose_store(self):
        self.lab.mas.stop()
        shutil.rmtree(self.lab.mas.path("store"))
        with open(self.lab.mas.conf, "r+") as f:
            if "fetch-when-empty" not in f.read():
                f.write("fetch-when-empty = yes\n")
        self.lab.ctl("init", "--mas", self.lab.mas.conf, "--no-recovery")

    def wait_serves(self, name, keys=None):
        """An association of a node, which knows nothing of all this."""
        ki, kc = self.derive_from(keys) if keys else self.derive(name)
        lablib.wait_for(f"{name} to be served", lambda: self.resolve(ki).get("key") == kc.hex(), 30)

    def refused(self, keys):
        ki, _ = self.derive_from(keys)
        answer = self.resolve(ki)
        return "key" not in answer and answer["status"] != "unavailable"


class Fetch(FetchCase):
    def test_lost_store(self):
        for i in range(3):
            self.new_node(f"lost-{i}", "--app-id", "Nmetering")
            self.enrol(f"lost-{i}")
        self.lose_store()
        self.lab.restart_mas()
        s = self.wait_done()
        self.assertGreaterEqual(s["entered"], 3)
        for i in range(3):
            self.wait_serves(f"lost-{i}")
        key = next(k for k in self.listing("key", "mas") if k["enroleeId"] == f"//{lablib.SP}/lost-1")
        self.assertEqual((key["state"], key["appIds"], key["mtfId"]), ("active", ["Nmetering"], lablib.MTF))
        self.lab.ctl("check", "--mas", self.lab.mas.conf)
        # Once: a restart asks for nothing, the operator may.
        mark = self.lab.mas.mark()
        self.lab.restart_mas()
        self.assertIsNone(self.lab.mas.logged("fetch of root keys", since=mark))
        self.lab.ctl("fetch", "--mtf", lablib.MTF, "--mas", self.lab.mas.conf)
        self.lab.mas.wait_log(f"fetch of root keys from {lablib.MTF} begins", since=mark)
        s = self.wait_done()
        self.assertEqual(s["entered"], 0)
        self.assertEqual(self.lab.ctl("fetch", "--mtf", "nobody.example.com", "--mas", self.lab.mas.conf, check=False).returncode, 1)

    def test_restored_backup(self):
        """What was revoked since the backup is refused, what came since is served."""
        for name in ("kept", "revoked", "again"):
            self.new_node(f"restored-{name}")
            self.enrol(f"restored-{name}")
        old = {name: self.node_keys(f"restored-{name}") for name in ("kept", "revoked", "again")}
        out = self.path("backup")
        self.lab.ctl("backup", out, "--mas", self.lab.mas.conf)
        self.new_node("restored-new")
        self.enrol("restored-new")
        self.enrol("restored-again")
        self.lab.mas.stop()
        self.lab.ctl("revoke", old["revoked"]["keId"], "--yes", "--reason", "compromise", "--mtf", self.lab.mtf.conf)
        self.lab.ctl("restore", out, "--yes", "--mas", self.lab.mas.conf)
        self.assertEqual(self.state(old["revoked"]), "active", "as it was when the backup was made")
        self.lab.restart_mas()
        self.wait_done()
        self.assertEqual(self.state(old["revoked"]), "revoked")
        self.assertEqual(self.state(old["again"]), "revoked")
        for name in ("kept", "new", "again"):
            self.wait_serves(f"restored-{name}")
        for name in ("revoked", "again"):
            lablib.wait_for(f"{name} to be refused", lambda n=name: self.refused(old[n]), 30)
        self.lab.ctl("check", "--mas", self.lab.mas.conf)

    def state(self, keys):
        return self.listing_one(keys["keys"][0]["kmId"])["state"]

    def listing_one(self, km_id):
        return json.loads(self.lab.ctl("key", "show", km_id, "--json", "--mas", self.lab.mas.conf).stdout)

    def test_mtf_that_is_down(self):
        """It is asked until it is there; the MAS serves meanwhile."""
        self.new_node("down-1")
        self.enrol("down-1")
        self.wait_serves("down-1")
        self.lab.mtf.stop()
        began, marks = self.lab.mas.mark(), [(d, d.mark()) for d in (self.lab.mtf, self.lab.csf)]
        self.lab.ctl("fetch", "--mas", self.lab.mas.conf)
        self.lab.mas.wait_log("cannot go on for now", since=began)
        self.wait_serves("down-1")
        self.lab.mtf.start()
        for (d, mark), peer in zip(marks, (lablib.MAS, lablib.MTF)):
            d.wait_log(rf"peer {peer} connected", 30, since=mark)
        self.wait_done()
        with open(self.lab.mas.log, errors="replace") as f:
            f.seek(began)
            self.assertEqual(f.read().count("cannot go on for now"), 1, "said once")


class Many(FetchCase):
    """More keys than one page, from an MTF that gives four pages a second, and kills in between."""

    @classmethod
    def prepare(cls):
        make = cls.lab._mtf_conf

        def slow():
            make()
            with open(cls.lab.mtf.conf) as f:
                text = f.read().replace("roles = { mas }", "roles = { mas }\n\tkfr-per-second = 4")
            with open(cls.lab.mtf.conf, "w") as f:
                f.write(text)
        cls.lab._mtf_conf = slow

    def made(self, what, i):
        return hmac.new(self.seed, what + i.to_bytes(8, "big"), hashlib.sha256).digest()

    def keys_of(self, i):
        """The key file that the node would have."""
        rel = self.made(b"r", i)[:16].hex()
        km = hmac.new(self.made(b"k", i), b"oneM2M Enrolment Key to Master Credential derivation" + lablib.MAS.encode(), hashlib.sha256).digest()
        self.secrets.append(km)
        return {"enroleeId": f"//{lablib.SP}/fill-{i:08d}", "keys": [{"masId": lablib.MAS, "kmId": f"{rel}@{lablib.MAS}", "km": km.hex()}]}

    def test_killed_in_the_middle(self):
        self.seed = os.urandom(32)
        with open(self.path("seed"), "wb") as f:
            f.write(self.seed)
        shutil.copy(fill_tool(), self.lab.bin)
        self.lab.own()
        self.lab.run(["fill_mtf", self.lab.mtf.conf, self.path("seed"), "0", str(FILLED), lablib.MAS])
        self.lose_store()
        self.lab.restart_mas()
        chance = random.Random(os.getpid())
        kills, before = 0, 0
        while self.status()["state"] != "done" and kills < 6:
            target = before + chance.randrange(50, 250)
            lablib.wait_for("some pages", lambda: (s := self.status())["state"] == "done" or s.get("entered", 0) >= min(target, FILLED), 60)
            self.lab.mas.stop(signal.SIGKILL)
            s = self.status()
            self.assertGreaterEqual(s["entered"], before, "what was stored is not asked for again")
            before, kills = s["entered"], kills + 1
            self.lab.restart_mas()
        s = self.wait_done()
        self.assertGreaterEqual(kills, 2)
        self.assertEqual((s["entered"], s["refused"], s["unknown"]), (FILLED, 0, 0))
        keys = self.listing("key", "mas")
        self.assertEqual(len(keys), FILLED)
        self.assertEqual({k["state"] for k in keys}, {"active"})
        for i in (0, FILLED // 2, FILLED - 1):
            self.wait_serves(f"fill-{i}", self.keys_of(i))
        self.lab.ctl("check", "--mas", self.lab.mas.conf)
        for side in ("mas", "mtf"):
            self.lab.ctl("audit", "verify", f"--{side}", getattr(self.lab, side).conf)


if __name__ == "__main__":
    unittest.main()

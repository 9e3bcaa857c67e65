# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 of MAS and MTF at random instants while nodes enrol: whatever a node was told it has is there, and opens.

M2M_KILLS=N makes it N kills (scripts/crash kill N); M2M_SEED=S repeats the choices of a run, not its timing."""
import json
import os
import random
import signal
import threading
import time
import unittest

from case import LabCase, lablib

KILLS = int(os.environ.get("M2M_KILLS") or (3 if lablib.SANITIZED else 8))
NODES = 4
SEED = int(os.environ.get("M2M_SEED", random.randrange(1 << 32)))


class Load:
    """Nodes that enrol again and again; what they were told, as the contents of their key files."""

    def __init__(self, case):
        self.case, self.lock, self.ending = case, threading.Lock(), threading.Event()
        self.acknowledged, self.fresh, self.refused = {}, [], 0
        self.threads = [threading.Thread(target=self._enrol, args=(i,)) for i in range(NODES)]
        for t in self.threads:
            t.start()

    def _enrol(self, i):
        lab, n = self.case.lab, 0
        while not self.ending.is_set():
            n += 1
            path = self.case.path(f"load-{i}-{n}.keys")
            p = lab.run(["m2m-node", "enrol", "--relay", f"127.0.0.1:{lab.relay_port}", "--mtf-id", lablib.MTF, "--psk-identity",
                         f"load-{i}", "--psk-file", self.case.path(f"load-{i}.psk"), "--keys", path], check=False)
            with self.lock:
                if p.returncode == 0:
                    with open(path) as f:
                        keys = json.load(f)
                    os.unlink(path)
                    self.acknowledged[keys["keys"][0]["kmId"]] = keys
                    self.fresh.append(keys)
                else:
                    self.refused += 1
            if p.returncode != 0:
                self.ending.wait(0.1)  # a node that is refused does not come back at once

    def count(self):
        with self.lock:
            return len(self.acknowledged)

    def take_fresh(self):
        with self.lock:
            fresh, self.fresh = self.fresh, []
            return fresh, dict(self.acknowledged)

    def end(self):
        self.ending.set()
        for t in self.threads:
            t.join()


class Kill(LabCase):
    def setUp(self):
        self.random = random.Random(SEED)
        for i in range(NODES):
            self.new_node(f"load-{i}")

    def kill(self, victims):
        """SIGKILL them all at one instant, start them again, wait until the network stands again."""
        lab = self.lab
        marks = {d: d.mark() for d in lab.daemons}
        for d in victims:
            d.proc.send_signal(signal.SIGKILL)
        for d in victims:
            d.proc.wait()
        for d in victims:
            d.start()
        if lab.mas in victims:
            lab.csf.wait_log(rf"peer {lablib.MAS} connected", 30, since=marks[lab.csf])
        lab.mtf.wait_log(rf"peer {lablib.MAS} connected", 30, since=marks[lab.mtf])
        if lab.mtf in victims:
            lab.csf.wait_log(rf"peer {lablib.MTF} connected", 30, since=marks[lab.csf])

    def serves(self, keys):
        """The resolver's answer is the association key that this node makes; 'unavailable' is asked again."""
        ki, kc = self.derive_from(keys)

        def answer():
            got = self.resolve(ki)
            return got if (got["status"], got.get("reason")) != ("refused", "unavailable") else None
        got = lablib.wait_for("the resolver", answer, 20)
        self.assertEqual(got.get("key"), kc.hex(), f"{keys['keys'][0]['kmId']} was acknowledged: {got}")

    def check(self, fresh, acknowledged):
        at_mtf = self.listing("enrolment", "mtf")
        at_mas = {k["kmId"]: k for k in self.listing("key", "mas")}
        ke_ids = {e["keId"] for e in at_mtf}
        for km_id, keys in acknowledged.items():
            self.assertIn(km_id, at_mas, "an acknowledged root key is lost at the MAS")
            self.assertIn(keys["keId"], ke_ids, "an acknowledged enrolment is lost at the MTF")
        for ke_id in ke_ids:  # nothing half-visible: what the MTF shows as issued, the MAS keeps
            self.assertIn(ke_id.split("@")[0] + "@" + lablib.MAS, at_mas)
        old = self.random.sample(sorted(acknowledged), min(4, len(acknowledged)))
        for keys in fresh + [acknowledged[k] for k in old]:
            self.serves(keys)

    def test_kills(self):
        load, fresh, began = Load(self), [], time.monotonic()
        killed = {"mas": 0, "mtf": 0}
        try:
            for n in range(KILLS):
                before = load.count()
                lablib.wait_for("enrolments to go on", lambda: load.count() > before, 30)
                time.sleep(self.random.uniform(0, 0.4))  # the random instant
                lab = self.lab
                victims = self.random.choice([[lab.mas], [lab.mtf], [lab.mas], [lab.mtf], [lab.mas, lab.mtf]])
                for d in victims:
                    killed[d.name] += 1
                self.kill(victims)
                self.check(*load.take_fresh())
        finally:
            load.end()
            print(f"\nkill: seed {SEED}, {sum(killed.values())} kills in {KILLS} rounds ({killed['mas']} of the MAS, {killed['mtf']} of the "
                  f"MTF), {load.count()} enrolments acknowledged, {load.refused} refused, {time.monotonic() - began:.0f} s")
        fresh, acknowledged = load.take_fresh()
        self.check(fresh, acknowledged)
        for keys in acknowledged.values():
            self.serves(keys)
        print(f"kill: all {len(acknowledged)} acknowledged keys listed and right, 0 lost")


if __name__ == "__main__":
    unittest.main()

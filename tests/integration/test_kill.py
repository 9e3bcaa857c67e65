# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 of MAS and MTF at random instants while nodes enrol, and now and then m2mctl rotates or backs up, or is killed at it: whatever
a node was told it has is there, and opens; and is in each backup that was made after it.

M2M_KILLS=N makes it N kills (scripts/crash kill N); M2M_SEED=S repeats the choices of a run, not its timing."""
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import unittest

from case import LabCase, lablib

MANY = 2000  # keys: more are not listed after each kill, but after every twentieth
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

    def take(self):
        """(what is new since the last time, all)"""
        with self.lock:
            fresh, self.fresh = self.fresh, []
            return fresh, dict(self.acknowledged)

    def held(self):
        with self.lock:
            return dict(self.acknowledged)

    def end(self):
        self.ending.set()
        for t in self.threads:
            t.join()


class Tools:
    """m2mctl beside the servers: one at a time, in about every third round."""

    def __init__(self, case, load):
        self.case, self.load, self.n = case, load, 0
        self.counts = {"rotate": 0, "backup": 0, "killed": 0}
        self.proc, self.what, self.side, self.folder, self.held = None, None, None, None, None
        self.kept = {}  # side: (the newest backup, what was acknowledged before it)

    def start(self, what, side):
        lab = self.case.lab
        self.what, self.side, self.n = what, side, self.n + 1
        self.folder = self.case.path(f"backup-{self.n}")
        self.held = self.load.held()
        args = [what] + ([self.folder, "--with-keyring"] if what == "backup" else []) + ["--" + side, getattr(lab, side).conf]
        self.proc = subprocess.Popen(lab.wrapped([os.path.join(lab.bin, "m2mctl"), *args]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, cwd=lab.dir)

    def maybe(self, random):
        """Start one? Then also whether it is to be killed with the servers."""
        if random.random() < 0.35:
            self.start(random.choice(("rotate", "backup")), random.choice(("mas", "mtf")))
        return self.proc is not None and random.random() < 0.3

    def end(self):
        """Wait for it."""
        if not self.proc:
            return
        said, _ = self.proc.communicate(timeout=60)
        status, self.proc = self.proc.returncode, None
        if status == -signal.SIGKILL:
            self.counts["killed"] += 1
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        self.case.assertEqual(status, 0, f"m2mctl {self.what} --{self.side}: {said}")
        self.counts[self.what] += 1
        if self.what == "backup":
            if self.side in self.kept:
                shutil.rmtree(self.kept[self.side][0])
            self.kept[self.side] = (self.folder, self.held)

    def restored(self, side):
        """Restore the newest backup beside the server; its listing and what was acknowledged before it was made."""
        lab, (folder, held) = self.case.lab, self.kept[side]
        with open(getattr(lab, side).conf) as f:
            conf = f.read().replace(getattr(lab, side).path("store"), self.case.path("restored-" + side))
        path = self.case.write(f"restored-{side}.conf", conf)
        lab.ctl("restore", folder, "--" + side, path, "--yes")
        lab.ctl("check", "--" + side, path)
        out = lab.ctl({"mas": "key", "mtf": "enrolment"}[side], "list", "--json", "--" + side, path).stdout
        return [json.loads(line) for line in out.splitlines()], held


class Kill(LabCase):
    @classmethod
    def prepare(cls):
        """Stores that have room for what so many kills need; they are sparse."""
        for name in ("_mas_conf", "_mtf_conf"):
            cls.roomy(name, getattr(cls.lab, name))

    @classmethod
    def roomy(cls, name, make):
        def with_room():
            make()
            conf = getattr(cls.lab, name[1:4]).conf
            with open(conf) as f:
                text = f.read()
            with open(conf, "w") as f:
                f.write(text.replace("map-size = 64M", f"map-size = {64 + KILLS}M"))
        setattr(cls.lab, name, with_room)

    def setUp(self):
        self.random = random.Random(SEED)
        for i in range(NODES):
            self.new_node(f"load-{i}")

    def kill(self, victims, tool):
        """SIGKILL them all at one instant, start them again, wait until the network stands again. tool: one of m2mctl, or None."""
        lab = self.lab
        marks = {d: d.mark() for d in lab.daemons}
        for proc in [d.proc for d in victims] + ([tool] if tool else []):
            proc.send_signal(signal.SIGKILL)
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

    def check(self, fresh, acknowledged, all_of_them=True):
        """all_of_them: every key that was ever acknowledged is looked for; else those since the last time, and a few old ones."""
        if all_of_them:
            self.check_listed(acknowledged)
        old = self.random.sample(sorted(acknowledged), min(4, len(acknowledged)))
        for keys in fresh + [acknowledged[k] for k in old]:
            self.serves(keys)

    def check_listed(self, acknowledged):
        at_mtf = self.listing("enrolment", "mtf")
        at_mas = {k["kmId"]: k for k in self.listing("key", "mas")}
        ke_ids = {e["keId"] for e in at_mtf}
        for km_id, keys in acknowledged.items():
            self.assertIn(km_id, at_mas, "an acknowledged root key is lost at the MAS")
            self.assertIn(keys["keId"], ke_ids, "an acknowledged enrolment is lost at the MTF")
        for ke_id in ke_ids:  # nothing half-visible: what the MTF shows as issued, the MAS keeps
            self.assertIn(ke_id.split("@")[0] + "@" + lablib.MAS, at_mas)

    def test_kills(self):
        load, began = Load(self), time.monotonic()
        tools, rounds = Tools(self, load), 0
        killed = {"mas": 0, "mtf": 0}
        try:
            while sum(killed.values()) < KILLS:
                rounds += 1
                before = load.count()
                lablib.wait_for("enrolments to go on", lambda: load.count() > before, 30)
                lab = self.lab
                victims = self.random.choice([[lab.mas], [lab.mtf], [lab.mas], [lab.mtf], [lab.mas, lab.mtf]])[:KILLS - sum(killed.values())]
                with_tool = tools.maybe(self.random)
                time.sleep(self.random.uniform(0, 0.4))  # the random instant
                for d in victims:
                    killed[d.name] += 1
                self.kill(victims, tools.proc if with_tool else None)
                tools.end()
                self.check(*load.take(), all_of_them=load.count() <= MANY or rounds % 20 == 0)
        finally:
            load.end()
            took = time.monotonic() - began
            print(f"\nkill: seed {SEED}, {sum(killed.values())} kills in {rounds} rounds ({killed['mas']} of the MAS, {killed['mtf']} of the "
                  f"MTF), {load.count()} enrolments acknowledged, {load.refused} refused, {took:.0f} s, {took / max(1, sum(killed.values())):.1f} s "
                  f"a kill; {tools.counts['rotate']} rotations, {tools.counts['backup']} backups, {tools.counts['killed']} of them killed")
        fresh, acknowledged = load.take()
        self.check(fresh, acknowledged)
        for keys in acknowledged.values():
            self.serves(keys)
        print(f"kill: all {len(acknowledged)} acknowledged keys listed and right, 0 lost")
        self.check_tools(tools)

    def check_tools(self, tools):
        """What a rotation that was killed left goes on to its end; each backup has what was acknowledged before it."""
        for side, name in (("mas", "kmId"), ("mtf", "keId")):
            conf = getattr(self.lab, side).conf
            if side not in tools.kept:
                tools.start("backup", side)
                tools.end()
            there, held = tools.restored(side)
            there = {record[name] for record in there}
            for keys in held.values():
                self.assertIn(keys["keys"][0]["kmId"] if side == "mas" else keys["keId"], there, "acknowledged, and not in the backup")
            self.lab.ctl("rotate", "--" + side, conf)
            self.lab.ctl("check", "--" + side, conf)
            print(f"kill: the {side}'s newest backup restored: {len(there)} records, {len(held)} acknowledged before it")


if __name__ == "__main__":
    unittest.main()

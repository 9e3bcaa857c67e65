# SPDX-License-Identifier: BSD-2-Clause
"""Changed messages from peers that are let in, at a MAS and an MTF that must go on serving others.

After every batch a second peer's good request must be answered, by the process that was there before. M2M_FUZZ_SECONDS=N (scripts/fuzz daemon N)
makes it longer. M2M_SEED=S repeats the choices of a run. A batch after which a daemon was gone or silent is written to M2M_FUZZ_FOUND, if that is set."""
import collections
import os
import random
import select
import threading
import time
import unittest

from case import LabCase, lablib

import good
import mutate
import rawdia as dia

SECONDS = float(os.environ.get("M2M_FUZZ_SECONDS") or 6)
SEED = int(os.environ.get("M2M_SEED") or random.randrange(1 << 32))
BATCH = 24
HELLO = good.client_hello()
BOTH = f'roles = {{ mtf, cse }}\n\tservice-providers = {{ "{lablib.SP}" }}\n\tcse-ids = {{ "//{lablib.SP}/fuzz" }}\n\t'
RATES = "".join(f"\n\t{c}-per-second = 0" for c in ("rpr", "kpr", "krr", "kfr", "skr", "knr"))
ROLES = {"fuzz": (BOTH, "roles = { csf }\n\tmax-handshakes = 1000"), "probe": (BOTH, "roles = { csf }\n\tmax-handshakes = 1000")}


class Target:
    """One daemon under fire: the connection that fires, and the one that asks whether it still serves."""

    def __init__(self, case, daemon, side):
        self.case, self.daemon, self.side = case, daemon, side
        self.results, self.sent, self.closed, self.late, self.last = collections.Counter(), 0, 0, 0, []
        self.start()

    def start(self):
        self.pid = self.daemon.proc.pid
        self.link, self.probe, self.lock = None, self.dial("probe"), threading.Lock()

    def attend(self):
        """Answer the watchdogs of the good peer's connection, which has nothing else to read."""
        with self.lock:
            while self.probe.sock.pending() or select.select([self.probe.sock], [], [], 0)[0]:
                try:
                    self.probe.receive(0.2)
                except TimeoutError:
                    pass

    def dial(self, name):
        def connect():
            try:
                link = dia.Client(self.case.lab, self.daemon.port, name, f"{name}.example.com")
            except (dia.Closed, TimeoutError, OSError):
                self.daemon.check_alive()
                return None
            if link.cea.result == 2001:
                return link
            link.close()
            return None
        return lablib.wait_for(f"a connection of {name}", connect, 30)

    def goods(self, link, random):
        """Requests that would be answered well."""
        rel = random.randbytes(16)
        if self.side == "mas":
            ki = f"{rel.hex()}.{random.randbytes(16).hex()}@{lablib.MAS}"
            return (good.kpr(link, good.key(link, rel)), good.krr(link, [f"{rel.hex()}@{lablib.MAS}"]), good.skr(link, [ki], f"//{lablib.SP}/fuzz"))
        return good.rpr(link, 1, HELLO), good.rpr(link, 2, rel, state=rel)

    def question(self, link):
        """One whose answer is known, and the answer."""
        if self.side == "mas":
            return good.krr(link, ["00" * 16 + "@" + lablib.MAS]), 2001
        return good.rpr(link, 1, b"no TLS"), 4001

    def serves(self):
        """The other peer is answered, by the same process."""
        octets, result = self.question(self.probe)
        with self.lock:
            self.case.assertEqual(self.probe.ask(octets, 20).result, result)
        self.daemon.check_alive()
        self.case.assertEqual(self.daemon.proc.pid, self.pid)

    def fire(self, random):
        mutator = mutate.Mutator(random)
        self.last = []
        if self.link is None:
            self.link = self.dial("fuzz")
        goods = self.goods(self.link, random)
        watchdog = dia.message(dia.DWR, 0, self.link.me, dia.REQUEST)
        try:
            for _ in range(BATCH):
                good = watchdog if random.random() < 0.03 else random.choice(goods)
                self.last.append(good if random.random() < 0.04 else mutator.message(good))
                self.link.send(self.last[-1])
                self.sent += 1
            self.drain()
        except dia.Closed:
            self.lost()

    def drain(self):
        """Count what was answered, up to the answer to a question of our own, which after some batches is late, or not to be had."""
        octets, _ = self.question(self.link)
        self.link.send(octets)
        try:
            while True:
                m = self.link.receive(1)
                self.results[f"request {m.code}" if m.flags & dia.REQUEST else m.result] += 1
                if m.octets[12:16] == octets[12:16]:
                    return
        except TimeoutError:
            self.late += 1

    def lost(self):
        self.closed += 1
        if self.link:
            self.link.close()
        self.link = None

    def capabilities(self, random):
        """A changed CER on a connection of its own, and what may follow it."""
        self.lost()
        fuzz = dia.Link(None, "fuzz.example.com", "example.com")
        cer = dia.message(dia.CER, 0, fuzz.capabilities((dia.RP, dia.RKM, dia.SAK)), dia.REQUEST)
        self.last = [mutate.Mutator(random).message(cer)]
        try:
            link = dia.Client(self.case.lab, self.daemon.port, "fuzz", "fuzz.example.com", cer=self.last[0], seconds=0.5)
            self.results[f"CEA {link.cea.result}"] += 1
            link.close()
        except (dia.Closed, TimeoutError, OSError):
            pass
        self.sent += 1


class DaemonFuzz(LabCase):
    @classmethod
    def prepare(cls):
        for name, (mas, mtf) in ROLES.items():
            host = f"{name}.example.com"
            cls.lab.clients.append((host, f'peer "{host}" {{\n\t{mas}{RATES}\n}}\n', f'peer "{host}" {{\n\t{mtf}{RATES}\n}}\n'))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ROLES:
            cls.lab.pki.cert(name, "diameter-ca", f"DNS:{name}.example.com", cn=f"{name}.example.com")

    def test_changed_messages(self):
        self.new_node("honest")
        self.enrol("honest")
        print(f"seed {SEED}", flush=True)
        choices, until = random.Random(SEED), time.monotonic() + SECONDS
        targets = [Target(self, self.lab.mas, "mas"), Target(self, self.lab.mtf, "mtf")]
        ending = threading.Event()

        def attend():
            while not ending.wait(0.5):
                for t in targets:
                    try:
                        t.attend()
                    except (dia.Closed, OSError):
                        pass
        attendant = threading.Thread(target=attend)
        attendant.start()
        self.addCleanup(lambda: (ending.set(), attendant.join()))
        found, batch = [], 0
        while time.monotonic() < until:
            batch += 1
            for t in targets:
                try:
                    (t.capabilities if choices.random() < 0.08 else t.fire)(choices)
                    t.serves()
                except (lablib.LabError, dia.Closed, TimeoutError, AssertionError) as e:
                    found.append(f"{t.side}, batch {batch}: {str(e).splitlines()[0]}")
                    print(f"{found[-1]}\n{t.daemon.tail(40)}", flush=True)
                    self.keep(t, batch)
                    self.again(t)
        ending.set()
        attendant.join()
        for t in targets:
            print(f"{t.side}: {t.sent} messages, {t.closed} connections, {t.late} batches without an end, answers {dict(t.results.most_common(14))}")
            for link in (t.link, t.probe):
                if link:
                    link.close()
        self.assertEqual(found, [], f"seed {SEED}")
        self.enrol("honest")
        ki, kc = self.derive("honest")
        self.assertEqual(self.resolve(ki).get("key"), kc.hex())

    @staticmethod
    def keep(target, batch):
        folder = os.environ.get("M2M_FUZZ_FOUND")
        if folder:
            os.makedirs(folder, exist_ok=True)
            for i, octets in enumerate(target.last):
                with open(os.path.join(folder, f"{SEED}-{target.side}-{batch}-{i:02}"), "wb") as f:
                    f.write(octets)

    def again(self, target):
        """The daemon ended, or is mute: start it again and go on."""
        marks = [(d, d.mark()) for d in self.lab.daemons if d is not target.daemon]
        if target.daemon.proc.poll() is None:
            target.daemon.proc.kill()
        target.daemon.proc.wait()
        target.daemon.start()
        for d, mark in marks:
            if d is self.lab.csf or target.side == "mas":
                d.wait_log(rf"peer {target.daemon.identity} connected", 30, since=mark)
        target.link = None
        target.start()


if __name__ == "__main__":
    unittest.main()

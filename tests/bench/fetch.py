# SPDX-License-Identifier: BSD-2-Clause
"""A MAS that lost its store gets all of its root keys from its MTF while it serves: fetch.py BUILD OUT [--keys N]

Fills an MTF's store with N enrolments, starts both as real daemons, the MAS with an empty store, and measures the fetch, the memory of
both, and association keys that are asked for meanwhile. The MTF's limit (kfr-per-second) is off. Method and results: doc/bench.md."""
import argparse
import hashlib
import hmac
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "..", "lab")]
import frame  # noqa: E402
import lab as lablib  # noqa: E402
import rawdia as dia  # noqa: E402

CSE = "bench-cse.example.com"
ROOM = 2500  # octets a key in each store


def memory(daemon):
    with open(f"/proc/{daemon.proc.pid}/status") as f:
        rows = dict(line.split(":", 1) for line in f)
    return int(rows["RssAnon"].split()[0]) / 1024


class Bench:
    def __init__(self, build, folder, n):
        self.n = n
        self.lab = lablib.Lab(build, folder)
        self.lab.clients = [(CSE, f'peer "{CSE}" {{\n\troles = {{ cse }}\n\tcse-ids = {{ "{lablib.CSE_ID}" }}\n}}\n', "")]
        self.lab.make()
        self.lab.pki.cert("bench-cse", "diameter-ca", f"DNS:{CSE}", cn=CSE)
        shutil.copy(os.path.join(build, "tests", "cli", "fill_mtf"), self.lab.bin)
        self.seed = os.urandom(32)
        with open(os.path.join(folder, "seed"), "wb", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(self.seed)
        for d in (self.lab.mas, self.lab.mtf):
            with open(d.conf) as f:
                text = f.read().replace("map-size = 64M", f"map-size = {max(64, n * ROOM >> 20)}M\naudit-syslog = no")
                if d is self.lab.mas:
                    text += "fetch-when-empty = yes\n"
            with open(d.conf, "w") as f:
                f.write(text.replace("roles = { mas }", "roles = { mas }\n\tkfr-per-second = 0"))
        self.lab.own()

    def made(self, what, i):
        return hmac.new(self.seed, what + i.to_bytes(8, "big"), hashlib.sha256).digest()

    def fill(self):
        began = time.monotonic()
        self.lab.run(["fill_mtf", self.lab.mtf.conf, os.path.join(self.lab.dir, "seed"), "0", str(self.n), lablib.MAS], timeout=3600)
        return time.monotonic() - began

    def lowest(self):
        return min(range(self.n), key=lambda i: self.made(b"r", i)[:16]) if self.n <= 200000 else \
            min(range(200000), key=lambda i: self.made(b"r", i)[:16])

    def ask(self, link, i):
        """One SKR for a fresh KI of key i: seconds, and whether the right key came."""
        rel = self.made(b"r", i)[:16].hex()
        ki = f"{rel}.{time.time_ns() // 1000:016x}{os.urandom(8).hex()}@{lablib.MAS}"
        km = hmac.new(self.made(b"k", i), b"oneM2M Enrolment Key to Master Credential derivation" + lablib.MAS.encode(), hashlib.sha256).digest()
        info = b"M2M security association key v1\0"
        for part in (ki.encode(), f"//{lablib.SP}/fill-{i:08d}".encode(), lablib.CSE_ID.encode(), (32).to_bytes(4, "big")):
            info += part + len(part).to_bytes(2, "big")
        want = hmac.new(km, info + b"\1", hashlib.sha256).digest()
        head = [dia.avp(dia.SESSION_ID, f"{CSE};1;{os.urandom(4).hex()}"), dia.avp(dia.AUTH_APP, dia.SAK), dia.avp(dia.AUTH_STATE, 1),
                *link.me, dia.avp(dia.DEST_REALM, "example.com"), dia.avp(dia.DEST_HOST, lablib.MAS)]
        began = time.monotonic()
        m = link.ask(dia.message(dia.SKR, dia.SAK, [*head, dia.avp(dia.TARGET, lablib.CSE_ID), dia.avp(dia.SUID, 32), dia.avp(dia.KEY_NAME, ki)]), 60)
        took = time.monotonic() - began
        keys = [dict((c, d) for c, _, d in dia.parse(data)) for code, _, data in m.avps if code == dia.KEY]
        return took, bool(keys) and keys[0].get(dia.KEYING_MATERIAL) == want

    def status(self):
        out = self.lab.ctl("fetch", "--status", "--json", "--mas", self.lab.mas.conf).stdout.splitlines()
        return json.loads(out[0]) if out else {"state": "none"}

    def run(self):
        found = {"keys": self.n, "fill_s": self.fill()}
        first = self.lowest()
        self.lab.start()
        began, waits, right, most = time.monotonic(), [], 0, {"mas": 0, "mtf": 0}
        link = dia.Client(self.lab, self.lab.mas.port, "bench-cse", CSE)
        looked, s = 0, {"state": "none"}
        while s["state"] not in ("done", "failed"):
            took, well = self.ask(link, first)
            waits.append(took)
            right += well
            time.sleep(0.02)
            if time.monotonic() - looked > 2:
                looked, s = time.monotonic(), self.status()
                for name in most:
                    most[name] = max(most[name], memory(getattr(self.lab, name)))
        took = time.monotonic() - began
        if s["state"] != "done" or s["entered"] != self.n:
            raise lablib.LabError(f"the fetch ended with {s}")
        sample = [self.ask(link, random.randrange(self.n))[1] for _ in range(200)]
        if not all(sample):
            raise lablib.LabError("a fetched key does not serve")
        idle = sorted(self.ask(link, first)[0] for _ in range(500))
        waits.sort()
        link.close()
        self.lab.stop()
        found.update(seconds=took, keys_per_s=self.n / took, memory_mib=most, skr_meanwhile=len(waits), skr_right=right,
                     skr_ms={"p50": waits[len(waits) // 2] * 1e3, "p99": waits[len(waits) * 99 // 100] * 1e3, "most": waits[-1] * 1e3},
                     skr_idle_ms={"p50": idle[len(idle) // 2] * 1e3, "p99": idle[len(idle) * 99 // 100] * 1e3})
        return found


def main():
    p = argparse.ArgumentParser(prog="bench fetch")
    p.add_argument("build")
    p.add_argument("out")
    p.add_argument("--keys", type=int, default=10**5)
    a = p.parse_args()
    if a.keys < 1:
        p.error("--keys must be at least 1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    folder = tempfile.mkdtemp(prefix="m2m-bench.")
    os.chmod(folder, 0o755)
    bench = None
    try:
        result = {"machine": frame.machine(folder)}
        print(json.dumps(result["machine"]), flush=True)
        bench = Bench(a.build, folder, a.keys)
        r = result["fetch"] = bench.run()
        frame.save(os.path.join(a.out, "fetch.json"), result)
        frame.table("A fetch of all root keys by a MAS with an empty store", ["keys", "s", "keys/s", "MAS MiB at most", "MTF MiB at most"],
                    [[r["keys"], r["seconds"], r["keys_per_s"], r["memory_mib"]["mas"], r["memory_mib"]["mtf"]]])
        frame.table("SKRs meanwhile, one after the other, ms", ["asked", "right", "p50", "p99", "most", "idle p50", "idle p99"],
                    [[r["skr_meanwhile"], r["skr_right"], *r["skr_ms"].values(), *r["skr_idle_ms"].values()]])
        print("\n" + os.path.join(a.out, "fetch.json"))
    finally:
        for d in bench.lab.daemons if bench else []:
            if d.proc and d.proc.poll() is None:
                d.proc.kill()
        shutil.rmtree(folder)


if __name__ == "__main__":
    try:
        main()
    except (lablib.LabError, dia.Closed, OSError) as e:
        sys.exit(f"bench: {e}")

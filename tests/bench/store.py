# SPDX-License-Identifier: BSD-2-Clause
"""The MAS's store under many root keys: store.py BUILD OUT [--full] [--keys N …] [--rounds R] [--ops K]

Loads a MAS's store, and measures at each size: loading, the file's size, how soon a freshly started MAS answers its first SKR right,
the daemon's memory, and look-ups against raw mdb_get on the same file. Method and results: doc/bench.md."""
import argparse
import hashlib
import hmac
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "..", "lab")]
import frame  # noqa: E402
import lab as lablib  # noqa: E402
import rawdia as dia  # noqa: E402

CSE = "bench-cse.example.com"
PUSHED = 20000  # keys of each size that come through mas_push, with each number of KPRs under way
ROOM = 1500  # octets a root key: about twice what the data file takes
START_MAX = 60  # s until a start is given up


class Bench:
    def __init__(self, build, folder, largest):
        self.lab = lablib.Lab(build, folder)
        self.lab.clients = [(CSE, f'peer "{CSE}" {{\n\troles = {{ cse }}\n\tcse-ids = {{ "{lablib.CSE_ID}" }}\n}}\n', "")]
        self.lab.make()
        self.lab.pki.cert("bench-cse", "diameter-ca", f"DNS:{CSE}", cn=CSE)
        self.mas = self.lab.mas
        shutil.copy(os.path.join(build, "tests", "bench", "bench_store"), self.lab.bin)
        self.seed = os.urandom(32)
        self.seed_file = os.path.join(folder, "seed")
        with open(self.seed_file, "wb", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(self.seed)
        with open(self.mas.conf) as f:
            conf = f.read().replace("map-size = 64M", f"map-size = {max(64, largest * ROOM >> 20)}M")
        with open(self.mas.conf, "w") as f:
            f.write(conf)
        self.lab.own()
        self.data = self.mas.path("store", "keys", "data.mdb")
        self.n = 0

    def tool(self, *args, seconds=900, nice=()):
        p = self.lab.run([*nice, "bench_store", args[0], self.mas.conf, self.seed_file, *map(str, args[1:])], timeout=seconds)
        if p.stderr:
            print(p.stderr.strip(), file=sys.stderr)
        return [json.loads(line) for line in p.stdout.splitlines()]

    # --- loading -----------------------------------------------------------------------------------------------------

    def load(self, n):
        pushed = min(PUSHED, (n - self.n) // 4)
        bulk, = self.tool("bulk", self.n, n - self.n - 2 * pushed, seconds=1800, nice=("nice", "-n", "19"))
        one, = self.tool("push", n - 2 * pushed, pushed, 1)
        many, = self.tool("push", n - pushed, pushed, 32)
        self.n = n
        st = os.stat(self.data)
        return {"bulk": bulk, "push": {"1": one, "32": many}, "disk_octets_per_key": st.st_blocks * 512 / n,
                "used_octets_per_key": many["used"] / n, "logical_octets": st.st_size,
                "audit_octets_per_key": os.path.getsize(self.mas.path("store", "audit.log")) / max(1, pushed * 2)}

    # --- the page cache ------------------------------------------------------------------------------------------------

    def warm(self):
        with open(self.data, "rb", buffering=0) as f:
            at, end = 0, os.path.getsize(self.data)
            while at < end:
                try:
                    at = os.lseek(f.fileno(), at, os.SEEK_DATA)
                except OSError:
                    return  # nothing but a hole follows
                hole = os.lseek(f.fileno(), at, os.SEEK_HOLE)
                f.seek(at)
                while at < hole and (got := len(f.read(min(1 << 22, hole - at)))):
                    at += got

    def cool(self):
        with open(self.data, "rb") as f:
            os.fdatasync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    # --- a MAS and its first answer --------------------------------------------------------------------------------------

    def made(self, what, i):
        return hashlib.sha256(self.seed + what + i.to_bytes(8, "big")).digest()

    def question(self, i):
        """A fresh KI of key i, and the key that must come back for it."""
        ki = f"{self.made(b'n', i)[:16].hex()}.{time.time_ns() // 1000:016x}{os.urandom(8).hex()}@{lablib.MAS}"
        info = b"M2M security association key v1\0"
        for part in (ki.encode(), f"//{lablib.SP}/node-{i:08d}".encode(), lablib.CSE_ID.encode(), (32).to_bytes(4, "big")):
            info += part + len(part).to_bytes(2, "big")
        return ki, hmac.new(self.made(b"k", i), info + b"\1", hashlib.sha256).digest()

    def ask(self, link, count):
        """One SKR for that many random keys; every answer is checked."""
        want = dict(self.question(random.randrange(self.n)) for _ in range(count))
        head = [dia.avp(dia.SESSION_ID, f"{CSE};1;{os.urandom(4).hex()}"), dia.avp(dia.AUTH_APP, dia.SAK), dia.avp(dia.AUTH_STATE, 1),
                *link.me, dia.avp(dia.DEST_REALM, "example.com"), dia.avp(dia.DEST_HOST, lablib.MAS)]
        m = link.ask(dia.message(dia.SKR, dia.SAK, [*head, dia.avp(dia.TARGET, lablib.CSE_ID), dia.avp(dia.SUID, 32),
                                                    *[dia.avp(dia.KEY_NAME, ki) for ki in want]]), START_MAX)
        got = [dict((c, d) for c, _, d in dia.parse(data)) for code, _, data in m.avps if code == dia.KEY]
        if m.result != 2001 or {k[dia.KEY_NAME].decode(): k[dia.KEYING_MATERIAL] for k in got} != want:
            raise lablib.LabError(f"an SKR for {count} keys was answered with {m.result} or with other keys")

    def dial(self, deadline):
        while True:
            self.mas.check_alive()
            try:
                socket.create_connection(("127.0.0.1", self.mas.port), 1).close()
                return dia.Client(self.lab, self.mas.port, "bench-cse", CSE)
            except (OSError, dia.Closed):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def start(self, then=None):
        """Seconds from exec to the first right answer. then(link): while it runs."""
        began = time.monotonic()
        self.mas.start(wait=False)
        link = None
        try:
            link = self.dial(began + START_MAX)
            self.ask(link, 1)
            took = time.monotonic() - began
            if then:
                then(link)
        finally:
            if link:
                link.close()
            self.mas.stop()
        return took

    def memory(self):
        with open(f"/proc/{self.mas.proc.pid}/status") as f:
            rows = dict(line.split(":", 1) for line in f)
        return {name: int(rows[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile")}

    def daemon(self, rounds):
        found = {}

        def look(link):
            found["memory_at_start"] = self.memory()
            for _ in range(64):
                self.ask(link, 32)
            found["memory_after_2048_keys"] = self.memory()
        self.warm()
        warm = [self.start() for _ in range(rounds)]
        self.start(look)
        cold = []
        for _ in range(rounds):
            self.cool()
            cold.append(self.start())
        return {"start_warm_s": frame.median(warm), "start_cold_s": frame.median(cold), **found}

    # --- look-ups ----------------------------------------------------------------------------------------------------------

    def look(self, rounds, ops):
        sides = [("open", "fetch"), ("raw", "get")]
        rows = []
        self.warm()
        for i in range(rounds):
            for kinds in sides if i % 2 == 0 else sides[::-1]:
                rows += self.tool("look", self.n, ops, *kinds)
        for i in range(rounds):
            for kind in ("open", "fetch", "raw") if i % 2 == 0 else ("raw", "fetch", "open"):
                rows += self.tool("look", self.n, min(1000, ops), "cold", kind)
        out = []
        for key in dict.fromkeys((r["cold"], r["kind"], r["threads"]) for r in rows):
            same = [r for r in rows if (r["cold"], r["kind"], r["threads"]) == key]
            out.append({"cold": key[0], "kind": key[1], "threads": key[2],
                        **{m: frame.median([r[m] for r in same]) for m in ("per_s", "cpu_ns", "p50_ns", "p99_ns")}})
        return out

    def end(self):
        if self.mas.proc and self.mas.proc.poll() is None:
            self.mas.proc.kill()
            self.mas.proc.wait()


def of_raw(looks, row):
    raw = next(r for r in looks if r["kind"] == "raw" and (r["cold"], r["threads"]) == (row["cold"], row["threads"]))
    return f"{row['cpu_ns']['median'] / raw['cpu_ns']['median']:.2f}"


def show(sizes):
    frame.table("Loading", ["root keys", "bulk keys/s", "KPR of 32, 1 under way, keys/s", "32 under way, keys/s", "keys a commit",
                            "octets/key on disk", "used by LMDB", "complaints"],
                [[s["keys"], s["load"]["bulk"]["keys_per_s"], s["load"]["push"]["1"]["keys_per_s"], s["load"]["push"]["32"]["keys_per_s"],
                  s["load"]["push"]["32"]["keys"] / max(1, s["load"]["push"]["32"]["commits"]), s["load"]["disk_octets_per_key"],
                  s["load"]["used_octets_per_key"], sum(p["complaints"] for p in s["load"]["push"].values())] for s in sizes])
    frame.table("freeDiameterd with mas.fdx, from exec to the first right SKA, seconds", ["root keys", "file in the page cache", "not"],
                [[s["keys"], frame.spread(s["daemon"]["start_warm_s"]), frame.spread(s["daemon"]["start_cold_s"])] for s in sizes])
    first = sizes[0]
    frame.table("The daemon's memory (anonymous: its own; file: code, and pages of the data file that the page cache lends)",
                ["root keys", "anonymous MiB", "after 2,048 keys", "more than the first, octets/key", "file MiB", "after 2,048 keys"],
                [[s["keys"], *[s["daemon"][w][m] / 2**20 for m, w in (("RssAnon", "memory_at_start"), ("RssAnon", "memory_after_2048_keys"))],
                  per_key(first, s), *[s["daemon"][w]["RssFile"] / 2**20 for w in ("memory_at_start", "memory_after_2048_keys")]]
                 for s in sizes])
    frame.table("Look-ups of random keys", ["root keys", "page cache", "threads", "by", "per s", "CPU us", "times raw's", "p50 us", "p99 us"],
                [[s["keys"], "cold" if r["cold"] else "warm", r["threads"], r["kind"], frame.spread(r["per_s"]),
                  r["cpu_ns"]["median"] / 1000, of_raw(s["look"], r), r["p50_ns"]["median"] / 1000, frame.spread(r["p99_ns"], 0.001)]
                 for s in sizes for r in s["look"]])


def per_key(first, s):
    if s is first:
        return None
    more = s["daemon"]["memory_after_2048_keys"]["RssAnon"] - first["daemon"]["memory_after_2048_keys"]["RssAnon"]
    return more / (s["keys"] - first["keys"])


def main():
    p = argparse.ArgumentParser(prog="bench store")
    p.add_argument("build")
    p.add_argument("out")
    p.add_argument("--full", action="store_true", help="up to 10 million keys")
    p.add_argument("--keys", type=int, nargs="+", help="these sizes, ascending")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--ops", type=int, default=30000, help="look-ups a thread and round")
    a = p.parse_args()
    sizes = a.keys or [10**4, 10**5, 10**6] + ([10**7] if a.full else [])
    if sizes != sorted(set(sizes)) or sizes[0] < 100 or a.rounds < 1 or a.ops < 100:
        p.error("--keys must ascend from 100, --rounds be at least 1, --ops 100")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    folder = tempfile.mkdtemp(prefix="m2m-bench.")
    os.chmod(folder, 0o755)
    bench = None
    try:
        result = {"machine": frame.machine(folder), "rounds": a.rounds, "ops": a.ops, "sizes": []}
        print(json.dumps(result["machine"]))
        if result["machine"]["disk_free_gib"] * 2**30 < sizes[-1] * ROOM + 2**30:
            sys.exit(f"bench: {folder} has too little room for {sizes[-1]:,} root keys (TMPDIR names another place)")
        bench = Bench(a.build, folder, sizes[-1])
        for n in sizes:
            print(f"{time.strftime('%H:%M:%S')} {n:,} root keys", flush=True)
            size = {"keys": n, "load": bench.load(n)}
            print(f"{time.strftime('%H:%M:%S')} loaded", flush=True)
            size.update(daemon=bench.daemon(a.rounds), look=bench.look(a.rounds, a.ops), load_average=os.getloadavg()[0])
            result["sizes"].append(size)
            frame.save(os.path.join(a.out, "store.json"), result)
        show(result["sizes"])
        print("\n" + os.path.join(a.out, "store.json"))
    finally:
        if bench:
            bench.end()
        shutil.rmtree(folder)


if __name__ == "__main__":
    try:
        main()
    except (lablib.LabError, dia.Closed, OSError) as e:
        sys.exit(f"bench: {e}")

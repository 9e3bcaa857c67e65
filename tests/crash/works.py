# SPDX-License-Identifier: BSD-2-Clause
"""What the crash tests interrupt: the verbs of m2mctl that change something, each with what it starts from, and what may be there
after it was interrupted. All in one folder: run/ is where it happens, base-NAME/ what it starts from."""
import hashlib
import json
import os
import shutil
import subprocess
import tempfile

STUCK = 30  # s
SEEDED = 8
IMPORTED = 5  # rows
LISTINGS = {"mas": (["key", "list"], ["kek", "list"], ["fuse", "list"]), "mtf": (["credential", "list"], ["enrolee", "list"], ["enrolment", "list"], ["kek", "list"])}
NODE = "//sp.example.com/node-new"
BARRED = "csf.example.com"  # its fuse has blown


class Trouble(Exception):
    """A store that is not what it has to be."""


class Bench:
    """The tools, and the folder with a configuration of each server."""

    def __init__(self, builddir, folder):
        self.folder, self.where = folder, os.path.join(folder, "run")
        self.builddir = os.path.abspath(builddir)
        self.m2mctl = os.path.join(self.builddir, "ctl", "m2mctl")
        self.shims = {n: os.path.join(self.builddir, "tests", "crash", ".libs", n + ".so") for n in ("diskshim", "memshim")}
        self.bases = {}
        common = f'store = "{self.where}/store"\nkek-file = "{self.where}/kek"\nmap-size = 1M\n'
        self._conf("mas", f'mas-id = "mas.example.com"\n{common}'
                   'peer "mtf.example.com" {\n\troles = { mtf }\n\tservice-providers = { "sp.example.com" }\n}\n'
                   f'peer "{BARRED}" {{\n\troles = {{ cse }}\n\tcse-ids = {{ "//sp.example.com/barred" }}\n\tfuse-keys = 1\n}}\n')
        self._conf("mtf", f'mtf-id = "mtf.example.com"\n{common}mas "mas.example.com" {{\n\trealm = "example.com"\n}}\n'
                   'mas "mas-2.example.net" {\n\trealm = "example.net"\n}\npeer "mas.example.com" {\n\troles = { mas }\n}\n'
                   'peer "mas-2.example.net" {\n\troles = { mas }\n}\n')
        self.psk = os.path.join(folder, "psk")
        with open(os.open(self.psk, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(os.urandom(32).hex())

        self.devices = os.path.join(folder, "devices.csv")
        with open(os.open(self.devices, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("serial,key\n" + "".join(f"sn-{i},{os.urandom(32).hex()}\n" for i in range(IMPORTED)))

    def _conf(self, side, text):
        with open(self.conf(side), "w") as f:
            f.write(text)

    def conf(self, side):
        return os.path.join(self.folder, side + ".conf")

    def argv(self, side, *args):
        """enrolee add and set, and import, get the configuration by the environment: their --mas means something else."""
        return [self.m2mctl, *args] + ([] if args[:2] in (("enrolee", "add"), ("enrolee", "set")) or args[0] == "import" else
                                       ["--" + side, self.conf(side)])

    def env(self, side, more):
        return dict(os.environ, **{f"M2M_{side.upper()}_CONF": self.conf(side)}, **more)

    def run(self, side, *args, env=None):
        """The completed process."""
        try:
            return subprocess.run(self.argv(side, *args), env=self.env(side, env or {}), stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=STUCK)
        except subprocess.TimeoutExpired:
            raise Trouble(f"{' '.join(args[:2])}: no end within {STUCK} s") from None

    def must(self, side, *args):
        p = self.run(side, *args)
        if p.returncode:
            raise Trouble(f"{' '.join(args)}: status {p.returncode}: {p.stderr.strip()}")
        return p.stdout

    # --- what they start from

    def clear(self):
        shutil.rmtree(self.where, ignore_errors=True)
        os.mkdir(self.where, 0o700)

    def put(self, base):
        shutil.rmtree(self.where, ignore_errors=True)
        shutil.copytree(base, self.where)

    def base(self, side, kind):
        """empty; old: a store of schema 1; plain: a store with records and two slots; kept: a backup of it, changed since."""
        if (side, kind) not in self.bases:
            self.clear()
            if kind == "plain":
                self._plain(side)
            elif kind == "old":
                self._old(side)
            elif kind == "kept":
                self.put(self.base(side, "plain"))
                self.must(side, "backup", os.path.join(self.where, "kept"))
                self._grow(side)
            kept = os.path.join(self.folder, f"base-{side}-{kind}")
            shutil.copytree(self.where, kept)
            self.bases[side, kind] = kept
        return self.bases[side, kind]

    def _plain(self, side):
        if side == "mas":
            self.must(side, "init", "--no-recovery")
            self._seed(SEEDED)
            with open(os.path.join(self.where, "store", f"barred-{BARRED}"), "wb"):
                pass
        else:
            self._seed_mtf()
            self.must(side, "credential", "add", "psk:spare", "--key-file", self.psk)
        self.must(side, "kek", "add", "file:" + os.path.join(self.where, "kek2"))

    def _old(self, side):
        data = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", side + "-schema-1")
        env = "keys" if side == "mas" else "enrolments"
        os.makedirs(os.path.join(self.where, "store", env), mode=0o700)
        for name, to in (("keyring", "store/keyring"), ("epoch", "store/epoch"), ("data.mdb", f"store/{env}/data.mdb"), ("public-test.kek", "kek")):
            shutil.copyfile(os.path.join(data, name), os.path.join(self.where, to))
            os.chmod(os.path.join(self.where, to), 0o600)
        os.chmod(os.path.join(self.where, "store"), 0o700)

    def _grow(self, side):
        if side == "mas":
            self._seed(2)
        else:
            self.must(side, "credential", "add", "psk:later", "--key-file", self.psk)

    def _tool(self, name, *args):
        return subprocess.run([os.path.join(self.builddir, "tests", "cli", name), *args], check=True, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL).stdout

    def _seed(self, n):
        self._tool("seed", self.conf("mas"), str(n))

    def _seed_mtf(self):
        made = self._tool("seed_mtf").split()[0]
        for name in ("store", "kek"):
            shutil.move(os.path.join(made, name), self.where)
        shutil.rmtree(made)


class Work:
    """One verb. done: what it may say where it was done already. rows: it may be done in part, each row whole or not at all."""

    def __init__(self, bench, name, side, kind, args, done=(0,), rows=False):
        self.bench, self.name, self.side, self.kind, self.args = bench, name, side, kind, args
        self.done, self.rows = done, rows
        self.prepare()
        self.before = self.state()
        p = bench.run(side, *self.args)
        if p.returncode:
            raise Trouble(f"{self.name}: status {p.returncode}: {p.stderr}")
        self.after = self.state()

    def prepare(self):
        self.bench.put(self.bench.base(self.side, self.kind))

    def struck(self, env):
        return self.bench.run(self.side, *self.args, env=env)

    def state(self):
        """All that the listings show, every page and record read; what is wrong with it, where the store does not open."""
        b, found = self.bench, []
        p = b.run(self.side, "check")
        if p.returncode < 0 or p.returncode > 4:
            raise Trouble(f"check: status {p.returncode}")
        if p.returncode:
            return "closed: " + p.stderr.strip()
        for args in LISTINGS[self.side]:
            found += sorted(self.timeless(line) for line in b.must(self.side, *args, "--json").splitlines())
        return found + self.kept()

    @staticmethod
    def timeless(line):
        record = json.loads(line)
        record.pop("created", None)
        record.pop("ended", None)
        record.pop("since", None)
        return json.dumps(record)

    def kept(self):
        """A backup: with a manifest it is whole."""
        folder = os.path.join(self.bench.where, "new-backup")
        try:
            with open(os.path.join(folder, "manifest.json")) as f:
                manifest = json.load(f)
        except (OSError, ValueError):
            return []
        for name, digest in manifest["sha256"].items():
            try:
                with open(os.path.join(folder, name), "rb") as f:
                    found = hashlib.sha256(f.read()).hexdigest()
            except FileNotFoundError:
                found = None
            if found != digest:
                raise Trouble(f"a backup with a manifest, and {'another' if found else 'no'} {name}")
        return ["a backup"]

    def judge(self, ended_well):
        """What is there now: ok or closed (nothing was made yet); Trouble."""
        now = self.state()
        if now == self.after:
            return "ok"
        if ended_well:
            raise Trouble(f"success was said, and it is not done: {self.difference(now)}")
        if now == self.before:
            return "ok"
        if isinstance(now, str) and self.kind == "empty":
            return "closed"
        if self.rows and not isinstance(now, str) and self.whole_rows(now):
            return "ok"
        raise Trouble(f"neither the old state nor the new: {self.difference(now)}")

    def whole_rows(self, now):
        """All that was before, and of what the work adds each node with its credential."""
        added = [json.loads(r) for r in now if r not in self.before]
        nodes = {c for r in added if "credentials" in r for c in r["credentials"]}
        return all(r in now for r in self.before) and all(r in self.after for r in now) and nodes == {r["name"] for r in added if "kind" in r}

    def difference(self, now):
        if isinstance(now, str) or isinstance(self.before, str) or isinstance(self.after, str):
            return now if isinstance(now, str) else f"{len(now)} records"
        return f"too many: {[r for r in now if r not in self.before + self.after]}, missing: {[r for r in self.before if r not in now]}"

    def again(self):
        """What an operator does next: the same once more, then all is as it was to be."""
        was_done = self.state() == self.after
        shutil.rmtree(os.path.join(self.bench.where, "new-backup"), ignore_errors=True)
        p = self.bench.run(self.side, *self.args)
        if p.returncode not in (self.done if was_done else (0,)):
            raise Trouble(f"run again: status {p.returncode}: {p.stderr.strip()}")
        now = self.state()
        if now != self.after:
            raise Trouble(f"run again: {self.difference(now)}")


def all_works(bench):
    """Makers of each, so that what is not asked for is not made."""
    where = bench.where
    kek3, kept, new = (os.path.join(where, n) for n in ("kek3", "kept", "new-backup"))
    out = {f"{side} upgrade": (side, "old", ("upgrade",), {}) for side in ("mas", "mtf")}
    for side in ("mas", "mtf"):
        for args, kind, more in ((("init", "--no-recovery"), "empty", {"done": (0, 1)}),
                                 (("init", "--recovery-file", os.path.join(where, "recovery")), "empty", {"done": (0, 1)}),
                                 (("rotate",), "plain", {}),
                                 (("purge",), "plain", {}),
                                 (("backup", new), "plain", {}),
                                 (("backup", new, "--with-keyring"), "plain", {}),
                                 (("restore", kept, "--yes"), "kept", {}),
                                 (("kek", "add", "file:" + kek3), "plain", {"done": (0, 1)}),
                                 (("kek", "remove", "2", "--yes"), "plain", {"done": (1,)}),
                                 (("revoke", "--provider", "sp.example.com", "--yes"), "plain", {})):
            out[f"{side} {' '.join(a for a in args if '/' not in a)}"] = (side, kind, args, more)
    out["mas fetch"] = ("mas", "plain", ("fetch",), {})
    out["mas fuse lift"] = ("mas", "plain", ("fuse", "lift", BARRED, "--yes"), {"done": (1,)})
    out["mtf import"] = ("mtf", "plain", ("import", bench.devices, "--enrolee", "//sp.example.com/{serial}", "--mas", "mas.example.com", "--target",
                                          "//sp.example.com/in-cse"), {"rows": True})
    for args, more in ((("credential", "add", "psk:new", "--key-file", bench.psk), {"done": (1,)}),
                       (("credential", "remove", "psk:node-7", "--yes"), {"done": (1,)}),
                       (("enrolee", "add", NODE, "--credential", "psk:spare", "--mas", "mas.example.com", "--target",
                         "//sp.example.com/in-cse"), {"done": (0, 1)}),
                       (("enrolee", "set", "//sp.example.com/node-7", "--app-id", "Nnew"), {"done": (0,)})):
        out["mtf " + " ".join(args[:2])] = ("mtf", "plain", args, more)
    return out


def make(bench, name):
    side, kind, args, more = all_works(bench)[name]
    return Work(bench, name, side, kind, args, **more)


def scratch():
    return tempfile.TemporaryDirectory(prefix="m2m-crash.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)

# SPDX-License-Identifier: BSD-2-Clause
"""scripts/bench's measurements at a tiny size, so that they do not rot: they end, say what they must say, and clean up."""
import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

from case import BUILD, lablib

SIZES = [500, 2000]
COLUMNS = ["root keys", "keys/s", "octets/key on disk", "page cache", "anonymous MiB", "CPU us", "times raw's", "p50 us", "p99 us"]


class Store(unittest.TestCase):
    def bench(self, *args):
        here = os.path.dirname(os.path.abspath(__file__))
        with tempfile.TemporaryDirectory(prefix="m2m-it.") as tmp:
            os.chmod(tmp, 0o755)
            p = subprocess.run([sys.executable, "-B", os.path.join(here, "..", "bench", "store.py"), BUILD, os.path.join(tmp, "out"), *args],
                               text=True, capture_output=True, timeout=300, env=dict(os.environ, TMPDIR=tmp), cwd="/")
            left = glob.glob(os.path.join(tmp, "m2m-bench.*"))
            out = os.path.join(tmp, "out", "store.json")
            if not os.path.exists(out):
                return p, left, None
            with open(out) as f:
                return p, left, json.load(f)

    def test_small(self):
        subprocess.run(["make", "-s", "-C", BUILD, "tests/bench/bench_store"], check=True)
        for _ in range(3):  # a start that other load held up says nothing
            p, left, result = self.bench("--keys", *map(str, SIZES), "--rounds", "2", "--ops", "500")
            if lablib.SANITIZED or not result or all(s["daemon"]["start_warm_s"]["low"] < 2 for s in result["sizes"]):
                break
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertEqual(left, [], "a folder was left behind")
        for column in COLUMNS:
            self.assertIn(column, p.stdout)
        self.assertEqual([s["keys"] for s in result["sizes"]], SIZES)
        for s in result["sizes"]:
            self.assertEqual({(r["kind"], r["threads"]) for r in s["look"] if not r["cold"]},
                             {(k, t) for k in ("open", "fetch", "raw", "get") for t in (1, 2)})
            self.assertTrue(all(r["per_s"]["low"] > 0 and r["p50_ns"]["n"] == 2 for r in s["look"]))
            self.assertEqual([push["complaints"] for push in s["load"]["push"].values()], [0, 0])
            self.assertGreater(s["load"]["used_octets_per_key"], 200)
            if not lablib.SANITIZED:  # which makes everything slower
                self.assertLess(s["daemon"]["start_warm_s"]["low"], 2)

    def test_refuses(self):
        for args in (["--keys", "2000", "500"], ["--keys", "5"], ["--rounds", "0"]):
            p, left, result = self.bench(*args)
            self.assertEqual((p.returncode, left, result), (2, [], None))


class Timing(unittest.TestCase):
    def test_small(self):
        """It finds what differs for certain. What it says of the rest takes more questions, and a build that nothing slows."""
        subprocess.run(["make", "-s", "-C", BUILD, "tests/bench/bench_timing"], check=True)
        with tempfile.TemporaryDirectory(prefix="m2m-it.") as tmp:
            p = subprocess.run([os.path.join(BUILD, "tests", "bench", "bench_timing"), "5000"], text=True, capture_output=True,
                               timeout=300, env=dict(os.environ, TMPDIR=tmp))
            self.assertEqual(os.listdir(tmp), [], "a folder was left behind")
        self.assertIn(p.returncode, (0, 1), p.stdout + p.stderr)
        for name in ("unknown", "foreign", "revoked", "expired", "longer", "away", "awayhere", "control"):
            self.assertIn("\n" + name, p.stdout)

    def test_fetches(self):
        """Here it only has to end and find its control."""
        subprocess.run(["make", "-s", "-C", BUILD, "tests/bench/bench_timing_kfr"], check=True)
        p = subprocess.run([os.path.join(BUILD, "tests", "bench", "bench_timing_kfr"), "1000"], text=True, capture_output=True, timeout=300)
        self.assertIn(p.returncode, (0, 1) if not lablib.SANITIZED else (0, 1, 2), p.stdout + p.stderr)
        for name in ("unknown", "foreign", "away", "awayhere", "control"):
            self.assertIn("\n" + name, p.stdout)

    def test_revocations(self):
        """The revocation of another's key is the work of one that is not there: a commit, above all."""
        subprocess.run(["make", "-s", "-C", BUILD, "tests/bench/bench_timing"], check=True)
        with tempfile.TemporaryDirectory(prefix="m2m-it.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as tmp:
            p = subprocess.run([os.path.join(BUILD, "tests", "bench", "bench_timing"), "1000", "krr"], text=True, capture_output=True,
                               timeout=300, env=dict(os.environ, TMPDIR=tmp))
        medians = {words[0]: float(words[2]) for words in map(str.split, p.stdout.splitlines()) if len(words) >= 5 and words[0] in ("nobody", "others", "ended")}
        self.assertEqual(len(medians), 3, p.stdout + p.stderr)
        self.assertLess(max(medians.values()), 2 * min(medians.values()), p.stdout)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A kill, and an error, at the 1st, 2nd, 3rd ... call that changes a file, of making a MAS, pushing and revoking, of making an MTF and
enrolling, and of every verb of m2mctl that changes something: until the run ends before the N-th call comes. After each, what was acknowledged must be there and
open, the verb's old state or its new one whole, and the verb must work when it is run again.

faults.py BUILDDIR KEYS [N [SEED]]   N: so many of the points only, chosen by SEED, and those of a backup's manifest; prints the counts, status 1 if something was lost,
                                     crashed or hung"""
import collections
import os
import random
import signal
import subprocess
import sys

import works

HOWS = ("kill", "kill-half", "EIO", "ENOSPC", "short")
MANIFEST = 12  # a backup's last calls: those of its manifest are among them


class Drive:
    """Making a MAS, pushing and revoking; making an MTF and enrolling: by the cores alone. The checker writes something more."""

    def __init__(self, bench, side, n):
        self.bench, self.notes, self.n = bench, os.path.join(bench.folder, "notes"), n
        self.name = f"{side} init and {'push' if side == 'mas' else 'enrol'}"
        self.tool = os.path.join(bench.builddir, "tests", "crash", "crash_" + side)

    def prepare(self):
        self.bench.clear()

    def struck(self, env):
        with open(self.notes, "w") as out:
            try:
                return subprocess.run([self.tool, "drive", self.bench.where, str(self.n)], env=dict(os.environ, **env), stdout=out,
                                      stderr=subprocess.DEVNULL, timeout=works.STUCK)
            except subprocess.TimeoutExpired:
                raise works.Trouble(f"no end within {works.STUCK} s") from None

    def judge(self, _ended_well):
        p = subprocess.run([self.tool, "check"], input=f"{self.bench.where} {self.notes}\n", stdout=subprocess.PIPE, text=True,
                           timeout=works.STUCK)
        if p.stdout.startswith("ok"):
            return "ok"
        if p.stdout.startswith("shut"):
            return "closed"
        raise works.Trouble(p.stdout.strip() or f"the checker ended with {p.returncode}")

    def again(self):
        pass


class Points:
    """One work, and the calls that it can be struck at."""

    def __init__(self, bench, work):
        self.bench, self.work = bench, work
        self.count_file = os.path.join(bench.folder, "count")

    def run(self, how, n):
        """The completed process and the calls that it made; None for those if it was killed."""
        self.work.prepare()
        if os.path.exists(self.count_file):
            os.unlink(self.count_file)
        p = self.work.struck({"LD_PRELOAD": self.bench.shims["diskshim"], "DISKSHIM_DIR": self.bench.where, "DISKSHIM_AT": str(n),
                              "DISKSHIM_HOW": how, "DISKSHIM_COUNT": self.count_file})
        if not os.path.exists(self.count_file):
            return p, None
        with open(self.count_file) as f:
            return p, int(f.read())

    def calls(self):
        p, n = self.run("EIO", 0)
        if p.returncode or not n:
            raise works.Trouble(f"undisturbed: status {p.returncode}, {n} calls")
        return n

    def strike(self, how, n):
        """ok, closed, or None: it ended before that call came."""
        p, made = self.run(how, n)
        if how.startswith("kill"):
            if p.returncode not in (0, -signal.SIGKILL):
                raise works.Trouble(f"status {p.returncode}")
            if p.returncode == 0:
                return None
        elif p.returncode < 0 or p.returncode > 4:
            raise works.Trouble(f"status {p.returncode}")
        elif made is not None and made < n:
            return None
        if p.returncode > 0 and p.stderr == "":
            raise works.Trouble(f"status {p.returncode}, and no word")
        verdict = self.work.judge(p.returncode == 0)
        self.work.again()
        return verdict


def judge(points, how, n, tally):
    try:
        verdict = points.strike(how, n)
    except works.Trouble as e:
        verdict = "bad"
        print(f"{points.work.name}, {how} at call {n}: {e}")
    if verdict:
        tally[verdict] += 1
    return verdict


def exhaust(points, tally):
    for how in HOWS:
        n = 1
        while judge(points, how, n, tally):
            n += 1
        print(f"faults: {points.work.name}: {how} at each of {n - 1} calls")


def main(builddir, keys, sample, seed):
    rng, tally = random.Random(seed), collections.Counter()
    with works.scratch() as folder:
        bench = works.Bench(builddir, folder)
        names = list(works.all_works(bench))
        drives = [Drive(bench, "mas", keys), Drive(bench, "mtf", max(2, keys // 2))]
        all_points = [Points(bench, d) for d in drives] + [Points(bench, works.make(bench, n)) for n in names]
        if not sample:
            for points in all_points:
                exhaust(points, tally)
        else:
            every = [(p, how, n + 1) for p in all_points for how in HOWS for n in range(p.calls())]
            chosen = rng.sample(every, min(sample, len(every))) + [
                (p, how, n + 1) for p in all_points if p.work.name == "mas backup" for how in HOWS for n in range(p.calls())[-MANIFEST:]]
            print(f"faults: {len(chosen)} of {len(every)} points, seed {seed}")
            for points, how, n in chosen:
                judge(points, how, n, tally)
    print(f"faults: {len(all_points)} works, {sum(tally.values())} struck: {tally['ok']} with all that was acknowledged, {tally['closed']} not "
          f"made yet, {tally['bad']} bad")
    return 1 if tally["bad"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0,
                  int(sys.argv[4]) if len(sys.argv) > 4 else random.randrange(1 << 32)))

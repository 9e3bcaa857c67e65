#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The n-th allocation of m2mctl fails, for every verb and n, or at least once at every stack of calls that allocates. Each run ends by itself: with success, and then it is done and what
was printed is right; or with a status and a reason, and then the old state or the new one is whole.

nomem.py BUILDDIR [N [SEED]]    N: of allocations whose stack another one has, so many only, chosen by SEED (with fewer than there
                                are stacks: N of all). Prints the counts, status 1 if one is bad. Crashes inside a
                                library are counted by library and function"""
import array
import collections
import os
import random
import sys

import works

LOOKS = {"mas": (["check"], ["key", "list", "--json"], ["kek", "list"], ["kek", "test"]),
         "mtf": (["check"], ["credential", "list"], ["enrolee", "list", "--json"], ["enrolment", "list"], ["export"], ["kek", "list"])}


class Look:
    """A verb that only reads."""

    def __init__(self, bench, side, args):
        self.bench, self.side, self.args, self.name = bench, side, args, f"{side} {' '.join(args)}"
        self.prepare()
        self.good = bench.must(side, *args)
        self.printed = None

    def prepare(self):
        self.bench.put(self.bench.base(self.side, "plain"))

    def struck(self, env):
        p = self.bench.run(self.side, *self.args, env=env)
        self.printed = p.stdout
        return p

    def judge(self, ended_well):
        if ended_well and self.printed != self.good:
            raise works.Trouble(f"success, and another answer: {self.printed!r}")
        return "ok"


FOREIGN = ("libconfuse.so", "libcrypto.so", "liblmdb.so", "libjansson.so")
C_LIBRARY = ("libc.so", "ld-linux", "memshim.so")  # crashes with what it is given


class Points:
    def __init__(self, bench, work):
        self.bench, self.work, self.count_file = bench, work, os.path.join(bench.folder, "count")
        self.crash_file, self.stack_file = os.path.join(bench.folder, "crash"), os.path.join(bench.folder, "stacks")

    def run(self, n, **more):
        self.work.prepare()
        p = self.work.struck({"LD_PRELOAD": self.bench.shims["memshim"], "MEMSHIM_AT": str(n), "MEMSHIM_COUNT": self.count_file,
                              "MEMSHIM_CRASH": self.crash_file, **more})
        if p.returncode > 4:
            raise works.Trouble(f"status {p.returncode}: {p.stderr.strip()}")
        return p

    def calls(self, seen):
        """Which allocations there are, from 1: (the first ones of each stack that is not in seen, the others). Adds to seen."""
        self.run(0, MEMSHIM_STACKS=self.stack_file)
        with open(self.count_file) as f:
            count = int(f.read())
        stacks = array.array("Q")
        with open(self.stack_file, "rb") as f:
            stacks.frombytes(f.read())
        first = [n + 1 for n, s in enumerate(stacks[:count]) if not (s in seen or seen.add(s))]
        return first, sorted(set(range(1, count + 1)) - set(first))

    def strike(self, n):
        p = self.run(n)
        if p.returncode > 0 and not p.stderr:
            raise works.Trouble(f"status {p.returncode}, and no word")
        self.work.judge(p.returncode == 0)
        return self.crashed(p) if p.returncode < 0 else "done" if p.returncode == 0 else "refused"

    def crashed(self, p):
        """Some libraries do not look at what malloc gives them; that costs a run of m2mctl, not what is stored. Told with the function
        that was called, so that it can be judged whether it was given a NULL."""
        with open(self.crash_file) as f:
            frames = [(os.path.basename(obj), function, offset) for obj, function, offset in (line.split() for line in f)]
        os.unlink(self.crash_file)
        theirs = [f for f in frames if not f[0].startswith(C_LIBRARY)]
        ours = next((i for i, f in enumerate(theirs) if not f[0].startswith(FOREIGN)), len(theirs))
        if ours == 0:
            raise works.Trouble(f"signal {-p.returncode} in {' < '.join(' '.join(f) for f in frames)}")
        return f"crashed in {theirs[0][0]} (in {theirs[ours - 1][1]})"


def main(builddir, sample, seed):
    rng, tally = random.Random(seed), collections.Counter()
    with works.scratch() as folder:
        bench = works.Bench(builddir, folder)
        verbs = [works.make(bench, n) for n in works.all_works(bench)] + [Look(bench, s, a) for s in LOOKS for a in LOOKS[s]]
        all_points = [Points(bench, w) for w in verbs]
        first, others, seen = [], [], set()
        for p in all_points:
            f, o = p.calls(seen)
            first += [(p, n) for n in f]
            others += [(p, n) for n in o]
        few = 0 < sample < len(first)
        chosen = rng.sample(first + others, sample) if few else first + (rng.sample(others, min(sample, len(others))) if sample else others)
        print(f"nomem: {len(chosen)} of {len(first) + len(others)} allocations of {len(verbs)} verbs" +
              ("" if few else f", all {len(first)} stacks") + f", seed {seed}")
        for points, n in chosen:
            try:
                tally[points.strike(n)] += 1
            except works.Trouble as e:
                tally["bad"] += 1
                print(f"{points.work.name}, allocation {n}: {e}")
    tally["bad"] += 0
    print(f"nomem: {sum(tally.values())} failed allocations: " + ", ".join(f"{v} {k}" for k, v in sorted(tally.items())))
    return 1 if tally["bad"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0,
                  int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)))

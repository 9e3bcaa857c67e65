#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A kill, and an error, at the 1st, 2nd, 3rd ... call that changes a file, of making a MAS, pushing and revoking: until the run ends
before the N-th call comes. After each, what was acknowledged must be there.

faults.py BUILDDIR [KEYS]     prints the counts; status 1 if something was lost, crashed or hung"""
import collections
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from images import Checker

HOWS = ("kill", "kill-half", "EIO", "ENOSPC")
STUCK = 30  # s


def struck(tools, folder, how, n, keys):
    """One run with the n-th call struck: (was it reached, what is wrong with how it ended or None)."""
    where, count, notes = (os.path.join(folder, f) for f in ("run", "count", "notes"))
    shutil.rmtree(where, ignore_errors=True)
    os.mkdir(where, 0o700)
    env = dict(os.environ, LD_PRELOAD=os.path.join(tools, ".libs", "diskshim.so"), DISKSHIM_DIR=where, DISKSHIM_AT=str(n),
               DISKSHIM_HOW=how, DISKSHIM_COUNT=count)
    with open(notes, "w") as out:
        try:
            status = subprocess.run([os.path.join(tools, "crash_mas"), "drive", where, str(keys)], env=env, stdout=out,
                                    stderr=subprocess.DEVNULL, timeout=STUCK).returncode
        except subprocess.TimeoutExpired:
            return True, f"no end within {STUCK} s"
    if how.startswith("kill"):
        return status == -signal.SIGKILL, None if status in (0, -signal.SIGKILL) else f"status {status}"
    if status not in (0, 1):
        return True, f"status {status}"
    with open(count) as f:
        return int(f.read()) >= n, None


def main(builddir, keys):
    tools = os.path.join(os.path.abspath(builddir), "tests", "crash")
    checker, answers, bad = Checker(tools), collections.Counter(), 0
    with tempfile.TemporaryDirectory(prefix="m2m-crash.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        for how in HOWS:
            n, reached = 0, True
            while reached:
                n += 1
                reached, wrong = struck(tools, folder, how, n, keys)
                answer = checker.ask(os.path.join(folder, "run"), os.path.join(folder, "notes"))
                answers[answer.split()[0]] += 1
                if wrong or answer.startswith("BAD"):
                    bad += 1
                    print(f"{how} at call {n}: {wrong or answer}")
                    checker = Checker(tools) if checker.proc.poll() is not None else checker
            print(f"faults: {how} at each of {n - 1} calls")
    print(f"faults: {answers['ok']} stores with all that was acknowledged, {answers['shut']} not made yet, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 12))

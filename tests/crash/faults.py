#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A kill, and an error, at the 1st, 2nd, 3rd ... call that changes a file, of making a MAS, pushing and revoking, and of
rotating its data key: until the run ends
before the N-th call comes. After each, what was acknowledged must be there.

faults.py BUILDDIR [KEYS]     prints the counts; status 1 if something was lost, crashed or hung"""
import collections
import os
import shutil
import signal
import subprocess
import sys
import tempfile

HOWS = ("kill", "kill-half", "EIO", "ENOSPC")
STUCK = 30  # s


class Drive:
    """Making a MAS, pushing and revoking."""
    name = "init and push"

    def __init__(self, builddir, folder, keys):
        self.argv = [os.path.join(builddir, "tests", "crash", "crash_mas"), "drive", os.path.join(folder, "run"), str(keys)]
        self.notes = os.path.join(folder, "notes")

    def prepare(self, where):
        shutil.rmtree(where, ignore_errors=True)
        os.mkdir(where, 0o700)
        return open(self.notes, "w")

    def again(self):
        """What an operator would do next; None, or what is wrong."""


class Rotate(Drive):
    """A new data key for what a drive left."""
    name = "rotate"

    def __init__(self, builddir, folder, keys):
        super().__init__(builddir, folder, keys)
        self.base, self.where = os.path.join(folder, "base"), os.path.join(folder, "run")
        with super().prepare(self.where) as notes:
            subprocess.run(self.argv, check=True, stdout=notes)
        os.rename(self.where, self.base)
        conf = os.path.join(folder, "mas.conf")
        with open(conf, "w") as f:
            f.write(f'mas-id = "mas.example.com"\nstore = "{self.where}/store"\nkek-file = "{self.where}/kek"\nmap-size = 1M\n'
                    'peer "mtf.example.com" {\n\troles = { mtf }\n\tservice-providers = { "sp.example.com" }\n}\n')
        self.argv = [os.path.join(builddir, "ctl", "m2mctl"), "rotate", "--mas", conf]

    def prepare(self, where):
        shutil.rmtree(where, ignore_errors=True)
        shutil.copytree(self.base, where)
        return open(os.devnull, "w")

    def again(self):
        p = subprocess.run(self.argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=STUCK)
        return None if p.returncode == 0 else "the next rotation: " + p.stdout.strip()


def struck(tools, folder, work, how, n):
    """One run with the n-th call struck: (was it reached, what is wrong with how it ended or None)."""
    where, count = (os.path.join(folder, f) for f in ("run", "count"))
    env = dict(os.environ, LD_PRELOAD=os.path.join(tools, ".libs", "diskshim.so"), DISKSHIM_DIR=where, DISKSHIM_AT=str(n),
               DISKSHIM_HOW=how, DISKSHIM_COUNT=count)
    with work.prepare(where) as out:
        try:
            status = subprocess.run(work.argv, env=env, stdout=out, stderr=subprocess.DEVNULL, timeout=STUCK).returncode
        except subprocess.TimeoutExpired:
            return True, f"no end within {STUCK} s"
    if how.startswith("kill"):
        return status == -signal.SIGKILL, None if status in (0, -signal.SIGKILL) else f"status {status}"
    if status < 0 or status > 4:
        return True, f"status {status}"
    with open(count) as f:
        return int(f.read()) >= n, None


def look(tools, folder):
    """The checker's answer about a copy: it pushes a key of its own."""
    copy = os.path.join(folder, "copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(os.path.join(folder, "run"), copy)
    p = subprocess.run([os.path.join(tools, "crash_mas"), "check"], input=f"{copy} {folder}/notes\n", stdout=subprocess.PIPE, text=True,
                       timeout=STUCK)
    return p.stdout.strip() or f"BAD the checker ended with {p.returncode}"


def main(builddir, keys):
    builddir = os.path.abspath(builddir)
    tools = os.path.join(builddir, "tests", "crash")
    answers, bad = collections.Counter(), 0
    with tempfile.TemporaryDirectory(prefix="m2m-crash.", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        for kind in (Drive, Rotate):
            work = kind(builddir, folder, keys)
            for how in HOWS:
                n, reached = 0, True
                while reached:
                    n += 1
                    reached, wrong = struck(tools, folder, work, how, n)
                    answer = look(tools, folder)
                    wrong = wrong or work.again()
                    if kind is Rotate and not answer.startswith("BAD"):
                        answer = look(tools, folder)
                    answers[answer.split()[0]] += 1
                    if wrong or answer.startswith("BAD"):
                        bad += 1
                        print(f"{work.name}, {how} at call {n}: {wrong or answer}")
                print(f"faults: {work.name}: {how} at each of {n - 1} calls")
    print(f"faults: {answers['ok']} stores with all that was acknowledged, {answers['shut']} not made yet, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 12))

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Power cuts: records what the cores of MAS and MTF write, and what m2mctl's verbs write, builds the folder as a power cut at every call could have left it, and has each
such image opened and compared with what was acknowledged by then.

images.py BUILDDIR N [SEED]     N images of the MAS's core or a few more, N / 4 of the MTF's, and up to N / 40 of each verb (a short
                                run: of two); prints the counts, status 1 if one is bad, or if the control fails

The model: writes to a file are on the disk once the file was synced (or at once on an O_DSYNC descriptor), names in a folder once
the folder was synced. Before that each of them may be there, or not, or in part, in units of 512 octets, whatever came before or after it.
So every image is: what is durable, and of the rest all (a kill), nothing, or a random part (a power cut)."""
import collections
import os
import random
import shutil
import struct
import subprocess
import sys

import works

SECTOR = 512
KEYS = {"mas": 24, "mtf": 4}
Event = collections.namedtuple("Event", "kind path offset data")


def read_log(path):
    with open(path, "rb") as f:
        log = f.read()
    events, at = [], 0
    while at < len(log):
        kind, offset, path_n, data_n = struct.unpack_from("=cQII", log, at)
        at += 17
        events.append(Event(kind.decode(), log[at:at + path_n].decode(), offset, log[at + path_n:at + path_n + data_n]))
        at += path_n + data_n
    return events


class File:
    def __init__(self):
        self.content, self.pending = bytearray(), []

    @staticmethod
    def apply(content, op, part=None):
        """part: a function that says for each sector whether it came to the disk."""
        if op.kind == "T":
            del content[op.offset:]
            content.extend(bytes(op.offset - len(content)))
            return
        content.extend(bytes(max(0, op.offset + len(op.data) - len(content))))
        if not part:
            content[op.offset:op.offset + len(op.data)] = op.data
            return
        start = 0
        while start < len(op.data):  # sectors of the disk, not of the write
            end = min(len(op.data), start + SECTOR - (op.offset + start) % SECTOR)
            if part():
                content[op.offset + start:op.offset + end] = op.data[start:end]
            start = end


class Disk:
    """What is durable and what is pending, event by event."""

    def __init__(self, lies=False):
        self.lies = lies  # says that it has synced a file, and has not
        self.now = {}  # path: File, or None for a folder, as programs see it
        self.names = {}  # the same, as far as it is durable
        self.pending = []  # (folder, change) of names that are not
        self.changes = {"C": self._make, "M": self._make, "R": self._rename, "L": self._link, "U": self._unlink}

    @staticmethod
    def _make(names, op, file):
        names[op.path] = file

    @staticmethod
    def _rename(names, op, file):
        names.pop(op.path, None)
        names[op.data.decode()] = file

    @staticmethod
    def _link(names, op, file):
        names[op.data.decode()] = file

    @staticmethod
    def _unlink(names, op, file):
        names.pop(op.path, None)

    def step(self, op):
        if op.kind in self.changes:
            file = File() if op.kind == "C" else self.now.get(op.path)
            self.changes[op.kind](self.now, op, file)
            # a rename is one change, made durable by the folder that it goes to
            self.pending.append((os.path.dirname(op.data.decode() if op.kind in "RL" else op.path), op, file))
        elif op.kind == "S" and self.now.get(op.path) is None:
            for folder, change, file in self.pending:
                if folder == op.path:
                    self.changes[change.kind](self.names, change, file)
            self.pending = [p for p in self.pending if p[0] != op.path]
        elif op.kind == "S" and not self.lies:
            file = self.now[op.path]
            for p in file.pending:
                File.apply(file.content, p)
            file.pending = []
        elif op.kind == "w":
            # only itself is durable: what is pending below it is not, and must not come over it later
            File.apply(self.now[op.path].content, op)
            self.now[op.path].pending.append(op)
        elif op.kind in "WT":
            self.now[op.path].pending.append(op)

    def image(self, choose, part):
        """Paths and contents, where choose() says which pending change came to the disk, and part() which sector."""
        names = dict(self.names)
        for _, change, file in self.pending:
            if choose():
                self.changes[change.kind](names, change, file)
        image = {}
        for path, file in sorted(names.items()):
            parent = os.path.dirname(path)
            if parent and parent not in image:
                continue
            if file is None:
                image[path] = None
                continue
            content = bytearray(file.content)
            for op in file.pending:
                if op.kind == "w" or choose():
                    File.apply(content, op, part if op.kind == "W" else None)
            image[path] = content
        return image


class Run:
    """One recorded run of a server's core and its images."""

    def __init__(self, tools, side, folder, rng):
        self.rng, self.folder = rng, folder
        where, log, self.notes = (os.path.join(folder, n) for n in ("run", "log", "notes"))
        shutil.rmtree(where, ignore_errors=True)
        os.mkdir(where, 0o700)
        if os.path.exists(log):
            os.unlink(log)
        subprocess.run([os.path.join(tools, "crash_" + side), "drive", where, str(KEYS[side])], check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, LD_PRELOAD=os.path.join(tools, ".libs", "diskshim.so"), DISKSHIM_DIR=where, DISKSHIM_LOG=log))
        self.events = read_log(log)

    def build(self, image):
        root = os.path.join(self.folder, "image")
        shutil.rmtree(root, ignore_errors=True)
        os.mkdir(root, 0o700)
        for path, content in image.items():
            if content is None:
                os.mkdir(os.path.join(root, path), 0o700)
                continue
            fd = os.open(os.path.join(root, path), os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, content.rstrip(b"\0"))
            os.ftruncate(fd, len(content))
            os.close(fd)
        return root

    def variants(self, disk, op, each):
        """At one call: before it, and while it was under way."""
        yield "prefix", disk.image(lambda: True, None)
        yield "durable", disk.image(lambda: False, None)
        for i in range(each):
            share = self.rng.choice((0.1, 0.5, 0.9))
            torn = self.rng.choice((None, lambda: self.rng.random() < share))
            image = disk.image(lambda: self.rng.random() < share, torn)
            file = disk.now.get(op.path)
            if op.kind in "Ww" and i % 2 and file is not None and op.path in image:
                File.apply(image[op.path], op, lambda: self.rng.random() < share)  # in flight
                yield "in flight", image
            else:
                yield "torn" if torn else "subset", image

    def images(self, each, lies=False):
        disk, noted = Disk(lies), []
        for op in self.events:
            if op.kind == "A":
                noted.append(op.data.decode() + "\n")
                continue
            with open(self.notes, "w") as f:
                f.writelines(noted)
            for kind, image in self.variants(disk, op, each):
                yield kind, op, self.build(image)
            disk.step(op)


class VerbRun(Run):
    """One recorded run of a verb, from what it starts with; built where it ran, since its configuration names that place."""

    def __init__(self, bench, work, rng):
        self.rng, self.folder, self.work, self.bench = rng, bench.folder, work, bench
        log = os.path.join(bench.folder, "verb.log")
        if os.path.exists(log):
            os.unlink(log)
        work.prepare()
        self.start = self.read(bench.where)
        p = work.struck({"LD_PRELOAD": bench.shims["diskshim"], "DISKSHIM_DIR": bench.where, "DISKSHIM_LOG": log})
        if p.returncode:
            raise works.Trouble(f"{work.name}: {p.stderr}")
        self.events = read_log(log)
        if any(e.kind == "F" for e in self.events):
            raise works.Trouble(f"{work.name}: allocates, of which no image can be built yet")

    @staticmethod
    def read(where):
        found = {}
        for root, folders, files in os.walk(where):
            for name in folders:
                found[os.path.relpath(os.path.join(root, name), where)] = None
            for name in files:
                if name != "lock.mdb":
                    found[os.path.relpath(os.path.join(root, name), where)] = File()
                    with open(os.path.join(root, name), "rb") as f:
                        found[os.path.relpath(os.path.join(root, name), where)].content += f.read()
        return found

    def build(self, image):
        root = super().build(image)
        shutil.rmtree(self.bench.where, ignore_errors=True)
        os.rename(root, self.bench.where)
        return self.bench.where

    def judge_all(self, each, tally):
        """Every call with `each` random images beside the two plain ones, and what is durable when success was said."""
        disk = Disk()
        disk.now, disk.names = dict(self.start), dict(self.start)
        for op in self.events:
            for kind, image in self.variants(disk, op, each):
                self.judge(kind, op, image, False, tally)
            disk.step(op)
        self.judge("durable", self.events[-1], disk.image(lambda: False, None), True, tally)

    def judge(self, kind, op, image, ended, tally):
        self.build(image)
        try:
            tally[self.work.judge(ended)] += 1
        except works.Trouble as e:
            tally["bad"] += 1
            print(f"{self.work.name}, {kind} image at {op.kind} {op.path} {op.offset}{' after its end' if ended else ''}: {e}")


def verbs(builddir, n, rng, short):
    """Images of m2mctl's verbs, n of each or a few more; how many were bad."""
    bad = 0
    with works.scratch() as folder:
        bench = works.Bench(builddir, folder)
        names = list(works.all_works(bench))
        for name in rng.sample(names, 2) if short else names:
            tally = collections.Counter(ok=0, closed=0, bad=0)
            run = VerbRun(bench, works.make(bench, name), rng)
            run.judge_all(0 if short else min(200, max(1, -(-n // len(run.events)) - 2)), tally)
            bad += tally["bad"]
            print(f"images: {name}: {sum(tally.values())} of {len(run.events)} calls: {tally['ok']} with the old state or the new, {tally['closed']} "
                  f"not made yet, {tally['bad']} bad")
    return bad


class Checker:
    def __init__(self, tools, side):
        self.proc = subprocess.Popen([os.path.join(tools, "crash_" + side), "check"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, root, notes):
        self.proc.stdin.write(f"{root} {notes}\n")
        self.proc.stdin.flush()
        line = self.proc.stdout.readline().strip()
        return line or f"BAD the checker ended with {self.proc.wait()}"


def control(run, checker):
    """A disk that lies loses keys: a check that does not see that proves nothing."""
    for kind, _, root in run.images(2, lies=True):
        if kind != "prefix" and checker.ask(root, run.notes).startswith("BAD"):
            return
    raise SystemExit("images: the control failed: nothing was found wrong on a disk that does not sync")


def core(tools, side, n, rng):
    """n images of a server's core or a few more; how many were bad."""
    counts, answers, runs = collections.Counter(), collections.Counter(), 0
    checker = Checker(tools, side)
    with works.scratch() as folder:
        while sum(counts.values()) < n and not answers["BAD"]:
            run = Run(tools, side, folder, rng)
            if not runs:
                control(run, Checker(tools, side))
            runs += 1
            calls = sum(e.kind != "A" for e in run.events)
            left = n - sum(counts.values())
            for kind, op, root in run.images(min(200, max(1, -(-left // calls) - 2))):
                answer = checker.ask(root, run.notes)
                counts[kind] += 1
                answers[answer.split()[0]] += 1
                if answer.startswith("BAD"):
                    print(f"{side}, {kind} image at {op.kind} {op.path} {op.offset}: {answer}")
                    checker = Checker(tools, side) if checker.proc.poll() is not None else checker
    print(f"images: {side}, {runs} runs, {sum(counts.values())} images (" + ", ".join(f"{v} {k}" for k, v in sorted(counts.items())) +
          f"): {answers['ok']} with all that was acknowledged, {answers['shut']} before there was a store, {answers['BAD']} bad")
    return answers["BAD"]


def main(builddir, n, seed):
    print(f"images: seed {seed}")
    rng, tools = random.Random(seed), os.path.join(os.path.abspath(builddir), "tests", "crash")
    bad = core(tools, "mas", n, rng) + core(tools, "mtf", n // 4, rng) + verbs(builddir, n // 40, rng, n < 1000)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)))

# SPDX-License-Identifier: BSD-2-Clause
"""A disk that is full, then has room again; a disk that is read-only: nothing acknowledged is lost, reads go on."""
import os
import subprocess
import unittest

from case import LabCase, lablib


def can_mount():
    if os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode == 0


@unittest.skipUnless(can_mount(), "NOT TESTED: mounting a small disk needs root")
class Disk(LabCase):
    """MAS and MTF have their stores on a disk of its own each."""

    @classmethod
    def prepare(cls):
        cls.addClassCleanup(cls._unmount)
        make = cls.lab._mas_conf
        cls.mounted = []

        def with_disks():
            make()
            for d in (cls.lab.mas, cls.lab.mtf):
                os.makedirs(d.path("store"), mode=0o700)
                subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M,mode=700", "tmpfs", d.path("store")], check=True)
                cls.mounted.append(d.path("store"))
        cls.lab._mas_conf = with_disks

    @classmethod
    def _end(cls):
        for d in cls.lab.daemons:  # before the folder goes
            d.stop()
        cls._unmount()
        super()._end()

    @classmethod
    def _unmount(cls):
        while cls.mounted:
            subprocess.run(["umount", "--lazy", cls.mounted.pop()], check=True)

    def fill(self, d):
        """Leave no free page; what fills it."""
        path = d.path("store", "ballast")
        with open(path, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass
        return path

    def serves(self, name):
        ki, kc = self.derive(name)
        lablib.wait_for(f"the key of {name} to serve", lambda: self.resolve(ki).get("key") == kc.hex(), 20)

    def until_refused(self, name):
        for n in range(500):  # pages that LMDB has already may take a few
            p = self.enrol(name, check=False)
            if p.returncode != 0:
                return n, p
        self.fail("a full disk took 500 enrolments")

    def full_then_free(self, d, name):
        self.new_node(name)
        self.enrol(name)
        ballast = self.fill(d)
        before = self.active()
        n, p = self.until_refused(name)
        self.assertEqual(p.returncode, 4, p.stdout + p.stderr)
        self.assertIn("try-later", p.stdout + p.stderr)
        d.check_alive()
        after = self.active()
        self.assertEqual(after[0], before[0] + n, "enrolments at the MTF: those that were acknowledged")
        self.serves(name)  # reads go on
        os.unlink(ballast)
        self.enrol(name)  # and writes too, without a restart
        self.serves(name)

    def active(self):
        return len(self.listing("enrolment", "mtf")), len(self.listing("key", "mas"))

    def test_full_mas(self):
        self.full_then_free(self.lab.mas, "full-mas")

    def test_full_mtf(self):
        self.full_then_free(self.lab.mtf, "full-mtf")

    def test_read_only_at_start(self):
        lab = self.lab
        self.new_node("ro")
        self.enrol("ro")
        lab.mas.stop()
        subprocess.run(["mount", "-o", "remount,ro", lab.mas.path("store")], check=True)
        try:
            mark = lab.mas.mark()
            lab.mas.start(wait=False)
            why = rf"mas.fdx does not start: .*{lab.mas.path('store')}.*[Rr]ead-only"
            lablib.wait_for("the MAS to say why", lambda: lab.mas.logged(why, mark))
            lab.mas.wait_end()
        finally:
            subprocess.run(["mount", "-o", "remount,rw", lab.mas.path("store")], check=True)
        lab.restart_mas()
        self.serves("ro")


if __name__ == "__main__":
    unittest.main()

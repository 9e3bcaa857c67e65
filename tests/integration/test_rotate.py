# SPDX-License-Identifier: BSD-2-Clause
"""Rotation of both servers' data keys while nodes enrol: every enrolment succeeds, every key serves afterwards."""
import threading
import unittest

from case import LabCase, lablib

NODES = 6


class Rotate(LabCase):
    def test_while_nodes_enrol(self):
        nodes = [f"turn-{i}" for i in range(NODES)]
        for name in nodes:
            self.new_node(name)
        self.enrol(nodes[0])
        over = threading.Event()
        done, failed = [], []

        def turn():
            while not over.is_set() and not failed:
                for side, conf in (("--mas", self.lab.mas.conf), ("--mtf", self.lab.mtf.conf)):
                    p = self.lab.ctl("rotate", side, conf, check=False)
                    (failed if p.returncode else done).append(p.stdout + p.stderr)

        t = threading.Thread(target=turn)
        t.start()
        try:
            for name in nodes[1:]:
                self.enrol(name)
        finally:
            over.set()
            t.join()
        self.assertEqual(failed, [])
        self.assertGreater(len(done), 1)
        self.lab.restart_mas()
        for name in nodes:
            ki, kc = self.derive(name)
            lablib.wait_for(f"the key of {name}", lambda: self.resolve(ki).get("key") == kc.hex(), 30)


if __name__ == "__main__":
    unittest.main()

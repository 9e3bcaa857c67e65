# SPDX-License-Identifier: BSD-2-Clause
"""The last of a run: no octet of any key of any test is in any log of any test, in any spelling. Alone it looks at its own lab."""
import base64
import collections
import glob
import os
import unittest

from case import LabCase, keyring_tool

import logs


class Logs(LabCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        test = cls("test_no_key_in_any_log")
        test.new_node("logged")
        test.enrol("logged")
        test.enrol("logged", psk=test.new_psk("wrong", store=False), check=False)
        ki, kc = test.derive("logged")
        test.assertEqual(test.resolve(ki).get("key"), kc.hex())
        logs.keep("Logs", cls.lab, cls.secrets, keyring_tool())

    def test_no_key_in_any_log(self):
        paths = logs.of_folder(logs.KEPT)
        kinds = collections.Counter(logs.SECRETS.values())
        print(f"{sum(map(os.path.getsize, paths))} octets of {len(paths)} logs, {len(os.listdir(logs.KEPT))} classes; keys {dict(kinds)}")
        self.assertEqual(logs.search(paths, logs.SECRETS), [])
        for kind in ("Kpm", "Km", "KEK", "keyring key", "private key", "of the test"):
            self.assertGreater(kinds[kind], 0, kind)

    def test_planted_keys_are_found(self):
        with open(max(glob.glob(os.path.join(logs.KEPT, "Logs", "*mas.log")), key=os.path.getsize), "rb") as f:
            log = f.read()
        for what in ("Kpm", "Km", "KEK", "keyring key", "private key", "of the test"):
            key = next(k for k, w in logs.SECRETS.items() if w == what and len(k) >= 32 and not k.isascii())
            h = key.hex()
            pairs = [h[i:i + 2] for i in range(0, len(h), 2)]
            for spelling in (key, key[:16], key[-16:], h, h.upper(), " ".join(pairs), ":".join(pairs).upper(), "0x" + ", 0x".join(pairs),
                             "\n".join(" ".join(pairs[i:i + 8]) for i in range(0, len(pairs), 8)), "".join("\\x" + p for p in pairs), h[:32], h[-32:],
                             base64.b64encode(key), base64.b64encode(b"x" + key), base64.b64encode(b"xy" + key + b"z"), base64.urlsafe_b64encode(key)):
                spelling = spelling if isinstance(spelling, bytes) else spelling.encode()
                with self.subTest(what, spelling=len(spelling)):
                    self.assertTrue(logs.Hay(log[:500] + b"\n10:00:00 NOTI (" + spelling + b")\n" + log[500:]).has(key))
        self.assertFalse(any(logs.Hay(log).has(k) for k in logs.SECRETS))

    def test_what_is_looked_at(self):
        """Servers and audit logs, of both."""
        names = {os.path.basename(p).split("-", 1)[1] for p in glob.glob(os.path.join(logs.KEPT, "Logs", "*"))}
        self.assertLessEqual({"mas.log", "mtf.log", "csf.log", "audit.log", "tools.log"}, names)


if __name__ == "__main__":
    unittest.main()

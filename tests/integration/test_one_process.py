# SPDX-License-Identifier: BSD-2-Clause
"""All extensions in one freeDiameterd: no symbol of one is another's, each serves, all stop cleanly."""
import os
import re
import subprocess
import unittest

from case import LabCase, lablib

HOST = "m2m.example.com"


class OneProcess(LabCase):
    def test_all_extensions_load_serve_and_stop(self):
        one = lablib.Daemon(self.lab, "one", HOST, True)
        os.makedirs(one.folder, mode=0o700)
        self.lab.pki.cert("one", "diameter-ca", f"DNS:{HOST}", cn=HOST)
        extensions = []
        for d in (self.lab.mas, self.lab.mtf, self.lab.csf):
            with open(d.conf) as f:
                text = re.sub(r'(m..-id = )".*"', rf'\1"{HOST}"', f.read()).replace(d.folder, one.path(d.name))
            text = text.replace(f"127.0.0.1:{self.lab.relay_port}", f"127.0.0.1:{lablib.free_port()}")
            os.makedirs(one.path(d.name), mode=0o700)
            conf = one.path(d.name + ".conf")
            with open(conf, "w") as f:
                f.write(text)
            extensions.append(f'LoadExtension = "{self.lab.ext}/{d.name}.fdx" : "{conf}";')
        with open(one.path("freeDiameter.conf"), "w") as f:
            f.write(self.lab.host_conf_text(HOST, "one", one.port, [], extensions))
        self.lab.own()
        self.lab.ctl("init", "--mas", one.path("mas.conf"), *self.lab.init_options("mas"))
        self.lab.ctl("init", "--mtf", one.path("mtf.conf"), *self.lab.init_options("mtf"))
        self.lab.daemons.append(one)
        one.start()
        for what in (f"MAS {HOST} serves", f"MTF {HOST} serves", "freeDiameterd daemon initialized"):
            one.wait_log(what)
        p = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{one.port}", "-CAfile", self.lab.pki.path("diameter-ca.pem")],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        self.assertIn(f"CN = {HOST}", p.stdout)
        one.check_alive()
        one.stop()
        self.assertFalse(one.logged(r"ERROR  (?!TLS ERROR)"), one.tail())  # s_client has no certificate


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: BSD-2-Clause
"""What the integration tests share: a running lab per class, nodes as an operator and a field engineer would make them."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import lab as lablib  # noqa: E402

import logs  # noqa: E402

BUILD = os.environ.get("M2M_BUILD") or sys.exit("M2M_BUILD must name a build tree (scripts/check integration sets it)")


def keyring_tool():
    """The program that tells the keys of a keyring, to those who have the KEK."""
    path = os.path.join(BUILD, "tests", "crash", "keyring_keys")
    if not os.path.exists(path):
        subprocess.run(["make", "-s", "-C", BUILD, "tests/crash/keyring_keys"], check=True, capture_output=True)
    return path


class LabCase(unittest.TestCase):
    """A fresh lab for the class (COLOCATED: MAS and MTF in one process). Its keys are searched for in its logs when the class ends, and in everybody's when the run ends (logs)."""

    COLOCATED = False

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="m2m-it.")
        os.chmod(cls.dir, 0o755)
        cls.secrets = []
        cls.procs = []
        cls.lab = lablib.Lab(BUILD, cls.dir, cls.COLOCATED)
        cls.addClassCleanup(cls._end)  # runs too when a subclass fails to set up
        cls.prepare()
        cls.lab.make()
        cls.lab.start()

    @classmethod
    def prepare(cls):
        """For classes that change the lab before it is made."""

    @classmethod
    def _end(cls):
        try:
            for p in cls.procs:
                p.terminate()
                p.wait(10)
            cls.lab.stop()
            logs.keep(cls.__name__, cls.lab, cls.secrets, keyring_tool())
        except Exception:
            for d in cls.lab.daemons:
                if os.path.exists(d.log):
                    print(f"--- {d.log}\n{d.tail()}", file=sys.stderr)
            raise
        finally:
            for d in cls.lab.daemons:
                if d.proc and d.proc.poll() is None:
                    d.proc.kill()
            shutil.rmtree(cls.dir)

    # --- nodes -------------------------------------------------------------------------------------------------------

    @classmethod
    def path(cls, name):
        return os.path.join(cls.dir, name)

    def write(self, name, data, mode=0o600):
        with open(self.path(name), "w") as f:
            f.write(data)
        os.chmod(self.path(name), mode)
        self.lab.own()
        return self.path(name)

    def new_psk(self, name, store=True):
        key = os.urandom(32)
        self.secrets.append(key)
        path = self.write(f"{name}.psk", key.hex() + "\n")
        if store:
            self.lab.ctl("credential", "add", f"psk:{name}", "--key-file", path, "--mtf", self.lab.mtf.conf)
        return path

    def instruct(self, name, credential, *more):
        self.lab.ctl("enrolee", "add", f"//{lablib.SP}/{name}", "--credential", credential, "--mas", lablib.MAS,
                     "--target", lablib.CSE_ID, "--mtf", self.lab.mtf.conf, *more)

    def new_node(self, name, *more):
        self.new_psk(name)
        self.instruct(name, f"psk:{name}", *more)

    def enrol(self, name, *more, identity=None, psk=None, check=True):
        return self.lab.run(["m2m-node", "enrol", "--relay", f"127.0.0.1:{self.lab.relay_port}", "--mtf-id", self.lab.mtf.identity,
                             "--psk-identity", identity or name, "--psk-file", psk or self.path(f"{name}.psk"),
                             "--keys", self.path(f"{name}.keys"), *more], check=check)

    def enrol_cert(self, name, check=True):
        return self.lab.run(["m2m-node", "enrol", "--relay", f"127.0.0.1:{self.lab.relay_port}", "--mtf-id", self.lab.mtf.identity,
                             "--cert", self.lab.pki.path(f"{name}.pem"), "--key", self.lab.pki.path(f"{name}.key"),
                             "--ca", self.lab.pki.path("device-ca.pem"), "--keys", self.path(f"{name}.keys")], check=check)

    def s_client(self, *args, psk=None, port=None, env=None):
        """Stock openssl s_client through the relay; its output, standard error included."""
        argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port or self.lab.relay_port}", *args]
        p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=60, env=dict(os.environ, **(env or {})))
        return p.stdout

    def node_keys(self, name):
        with open(self.path(f"{name}.keys")) as f:
            return json.load(f)

    # --- what an operator sees -----------------------------------------------------------------------------------------

    def listing(self, what, side):
        d = getattr(self.lab, side)
        out = self.lab.ctl(what, "list", "--json", f"--{side}", d.conf).stdout
        return [json.loads(line) for line in out.splitlines()]

    def stored(self):
        """(enrolments at the MTF, root keys at the MAS)"""
        return len(self.listing("enrolment", "mtf")), len(self.listing("key", "mas"))

    # --- an IN-CSE's port ------------------------------------------------------------------------------------------------

    def resolve(self, ki):
        """One question to the resolver: its answer as a dict."""
        import socket
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(self.lab.resolver)
            s.sendall(json.dumps({"pskIdentity": ki}).encode() + b"\n")
            with s.makefile() as f:
                return json.loads(f.readline())

    def derive(self, name, sequence=None, **how):
        """(KI, Kc) as the enrolled node would make them, by a second implementation: Python's hmac."""
        return self.derive_from(self.node_keys(name), sequence, **how)

    def derive_from(self, keys, sequence=None, random=None, target=lablib.CSE_ID):
        """The same from the contents of a node's key file."""
        import hashlib
        import hmac
        import time
        key = keys["keys"][0]
        km = bytes.fromhex(key["km"])
        sequence = sequence if sequence is not None else time.time_ns() // 1000
        ki = key["kmId"].split("@")[0] + "." + sequence.to_bytes(8, "big").hex() + (random or os.urandom(8)).hex() + "@" + key["masId"]
        info = b"M2M security association key v1\0"
        for part in (ki.encode(), keys["enroleeId"].encode(), target.encode(), (32).to_bytes(4, "big")):
            info += part + len(part).to_bytes(2, "big")
        kc = hmac.new(km, info + b"\1", hashlib.sha256).digest()
        self.secrets += [km, kc]
        return ki, kc

    @classmethod
    def front(cls, upstream_port, *options):
        """Start m2m-front before a port; (process, its port)."""
        log = cls.path("front.log")
        with open(log, "ab") as f:
            p = subprocess.Popen(cls.lab.wrapped([os.path.join(cls.lab.bin, "m2m-front"), "--listen", "127.0.0.1:0",
                                                   "--upstream", f"127.0.0.1:{upstream_port}", "--resolver", cls.lab.resolver, *options]),
                                 stdin=subprocess.DEVNULL, stdout=f, stderr=f)
        cls.procs.append(p)

        def port():
            if p.poll() is not None:
                raise lablib.LabError(f"m2m-front ended with {p.returncode}")
            with open(log) as lines:
                found = re.search(r"listening on 127\.0\.0\.1:(\d+)", lines.read())
            return found and int(found.group(1))
        return p, lablib.wait_for("m2m-front to listen", port)

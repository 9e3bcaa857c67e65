# SPDX-License-Identifier: BSD-2-Clause
"""The life of keys, with real servers: revoked by the operator at either server, expired on the second and deleted, renewed in time,
superseded, and an enrolment whose answer is lost."""
import calendar
import json
import os
import socket
import subprocess
import threading
import time
import unittest

from case import LabCase, lablib

GRACE = 20  # s


class Proxy:
    """Before the CSF's relay. cut: what the node has sent after its first flight goes through, and no answer comes back."""

    def __init__(self, port):
        self.port_behind, self.cut = port, False
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, node):
        behind = socket.create_connection(("127.0.0.1", self.port_behind))
        flights = []

        def back():
            try:
                while data := behind.recv(65536):
                    if not (self.cut and len(flights) > 1):
                        node.sendall(data)
            except OSError:
                pass
            node.shutdown(socket.SHUT_RDWR)  # a close would wait for the thread that reads from it
        threading.Thread(target=back, daemon=True).start()
        try:
            while data := node.recv(65536):
                flights.append(len(data))
                behind.sendall(data)
        except OSError:
            pass
        behind.close()
        node.close()


class Hold:
    """An IN-CSE that keeps its associations: says a line, and then nothing until the other side ends."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.hold, args=(s,), daemon=True).start()

    @staticmethod
    def hold(s):
        with s:
            s.sendall(b"hello\n")
            while s.recv(4096):
                pass


class Life(LabCase):
    @classmethod
    def prepare(cls):
        def more(make, daemon, lines):
            def both():
                make()
                with open(daemon.conf, "a") as f:
                    f.write(lines)
            return both
        lab = cls.lab
        lab._mas_conf = more(lab._mas_conf, lab.mas, f"keep-expired = 1s\nsupersede-grace = {GRACE}s\nexpiring-notice = 5s\n")
        lab._mtf_conf = more(lab._mtf_conf, lab.mtf, "keep-expired = 1s\n")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hold = Hold()
        cls.addClassCleanup(cls.hold.server.close)
        _, cls.front_port = cls.front(cls.hold.port)

    # --- what the tests say -------------------------------------------------------------------------------------------

    def node(self, name, *more):
        self.new_node(name, *more)
        self.enrol(name)
        return self.node_keys(name)

    def state(self, km_id):
        return next((k["state"] for k in self.listing("key", "mas") if k["kmId"] == km_id), None)

    def serves(self, keys):
        ki, kc = self.derive_from(keys)
        return self.resolve(ki).get("key") == kc.hex()

    def watch(self, keys, end):
        """Ask until it is refused so: (asked, answered, how) of each time. "unavailable": a KNR came in between. "expired" in the last
        second: of its lifetime nothing may be left when it arrives."""
        answers, until = [], time.monotonic() + 120
        while time.monotonic() < until and (not answers or answers[-1][2] != end):
            time.sleep(lablib.CLOCK_TICK)
            ki, kc = self.derive_from(keys)
            asked = time.time()
            got = self.resolve(ki)
            answers.append((asked, time.time(), "good" if got.get("key") == kc.hex() else got.get("reason")))
        return answers

    def refused(self, keys):
        """The reason that the IN-CSE is told for a new association."""
        return self.resolve(self.derive_from(keys)[0]).get("reason")

    def revoke(self, side, *args, check=True):
        return self.lab.ctl("revoke", *args, f"--{side}", getattr(self.lab, side).conf, check=check)

    # --- revoked at the MAS ----------------------------------------------------------------------------------------------

    def test_revoked_at_the_mas(self):
        keys = self.node("at-mas")
        other = self.node("at-mas-2")
        km_id = keys["keys"][0]["kmId"]
        self.assertTrue(self.serves(keys))
        p = self.revoke("mas", km_id, check=False)
        self.assertEqual((p.returncode, self.state(km_id)), (2, "active"), "it asks first")
        p = self.revoke("mas", km_id, "--dry-run")
        self.assertIn("would revoke 1 key;", p.stdout)
        self.assertEqual(self.state(km_id), "active")
        p = self.revoke("mas", km_id, "--reason", "compromise", "--yes")
        self.assertIn("revoked 1 key\n", p.stdout)
        self.assertEqual(self.refused(keys), "revoked")  # from the command's end on
        self.assertTrue(self.serves(other))
        row = next(k for k in self.listing("key", "mas") if k["kmId"] == km_id)
        self.assertEqual((row["state"], row["reason"]), ("revoked", "compromise"))
        self.assertIn("0 keys; 1 were revoked before", self.revoke("mas", km_id, "--yes").stdout)
        lablib.wait_for("the audit log to have it", lambda: self.audited(km_id), 30)
        self.lab.ctl("audit", "verify", "--mas", self.lab.mas.conf)
        self.lab.ctl("check", "--mas", self.lab.mas.conf)

    def audited(self, km_id):
        name = self.lab.ctl("audit", "name", km_id, "--mas", self.lab.mas.conf).stdout.split()[-1]
        with open(self.lab.mas.path("store", "audit.log")) as f:
            return any(name in line and '"REVOKE"' in line for line in f)

    def test_revoked_by_a_list(self):
        nodes = {n: self.node(n) for n in ("list-1", "list-2", "list-3")}
        km_id = nodes["list-1"]["keys"][0]["kmId"]
        good = f"# stolen\n{km_id}\n\n//{lablib.SP}/list-2  # by its name\n"
        path = self.write("list", good + "neither\n" + "00" * 16 + f"@other.example.com\n//{lablib.SP}/list-3#7\n")
        p = self.revoke("mas", "--file", path, "--yes", check=False)
        self.assertEqual(p.returncode, 2)
        self.assertIn(f"{path}:5: neither", p.stderr)
        self.assertIn(f"{path}:6: ", p.stderr)
        self.assertIn(f"{path}:7: ", p.stderr)  # in the middle of a word it is no comment: another node's name would be left
        self.assertIn("3 bad lines; nothing was changed", p.stderr)
        self.assertTrue(all(self.serves(k) for k in nodes.values()))
        path = self.write("list", good + f"//{lablib.SP}/nobody\n" + "00" * 16 + f"@{lablib.MAS}\n")
        p = self.revoke("mas", "--file", path, "--yes", check=False)
        self.assertEqual(p.returncode, 1)
        self.assertIn(f"{path}:5: //{lablib.SP}/nobody: has no key", p.stderr)
        self.assertIn(f"{path}:6: {'00' * 16}@{lablib.MAS}: there is no such key", p.stderr)
        self.assertEqual([self.refused(nodes[n]) for n in ("list-1", "list-2", "list-3")], ["revoked", "revoked", None])
        for args in ((), ("--provider", "not an fqdn"), (km_id, "--provider", lablib.SP), ("--file", path, "--provider", lablib.SP), ("--enrolee", "node"), (km_id, "--reason", "6"), (km_id, "--reason", "why")):
            self.assertEqual(self.revoke("mas", *args, "--yes", check=False).returncode, 2, args)

    # --- revoked at the MTF ------------------------------------------------------------------------------------------------

    def test_a_device_is_stolen(self):
        keys = self.node("stolen")
        self.enrol("stolen")  # and once more: there are two enrolments
        new = self.node_keys("stolen")
        p = self.revoke("mtf", "--enrolee", f"//{lablib.SP}/stolen", "--reason", "compromise", "--yes")
        self.assertIn("revoked 2 keys", p.stdout)
        lablib.wait_for("the MAS to be told", lambda: [self.state(k["keys"][0]["kmId"]) for k in (keys, new)] == ["revoked"] * 2, 30)
        self.assertEqual(self.refused(new), "revoked")
        self.enrol("stolen")  # it still may
        p = self.lab.ctl("enrolee", "remove", f"//{lablib.SP}/stolen", "--yes", "--mtf", self.lab.mtf.conf, check=False)
        self.assertEqual(p.returncode, 4)
        self.assertIn("--revoke", p.stderr)
        again = self.node_keys("stolen")
        self.lab.ctl("enrolee", "remove", f"//{lablib.SP}/stolen", "--revoke", "--yes", "--mtf", self.lab.mtf.conf)
        lablib.wait_for("the MAS to be told", lambda: self.state(again["keys"][0]["kmId"]) == "revoked", 30)
        self.assertEqual(self.enrol("stolen", check=False).returncode, 1)
        self.assertEqual(self.node_keys("stolen"), again, "its file is as it was")
        self.lab.ctl("check", "--mtf", self.lab.mtf.conf)
        self.lab.ctl("audit", "verify", "--mtf", self.lab.mtf.conf)

    def test_all_of_a_provider(self):
        """Of one that has none here: nothing else is touched."""
        keys = self.node("provider")
        self.assertIn("revoked 0 keys", self.revoke("mtf", "--provider", "other.example.com", "--yes").stdout)
        self.assertIn("revoked 0 keys", self.revoke("mas", "--provider", "other.example.com", "--yes").stdout)
        self.assertTrue(self.serves(keys))

    def test_a_running_association_ends(self):
        keys = self.node("running")
        p = subprocess.Popen(self.lab.wrapped([os.path.join(self.lab.bin, "m2m-node"), "associate", f"127.0.0.1:{self.front_port}",
                                               "--keys", self.path("running.keys")]),
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.procs.append(p)
        self.assertEqual(p.stdout.readline(), b"hello\n")
        began = time.monotonic()
        self.revoke("mas", keys["keys"][0]["kmId"], "--yes")
        told = time.monotonic()
        p.stdout.read()
        p.wait(30)
        ended = time.monotonic()
        print(f"m2mctl revoke took {1e3 * (told - began):.0f} ms; the association had ended {1e3 * (ended - began):.0f} ms after its beginning")
        self.assertLess(ended - began, 30)
        self.procs.remove(p)
        for f in (p.stdin, p.stdout, p.stderr):
            f.close()

    # --- expired -------------------------------------------------------------------------------------------------------------

    def subscribe(self):
        """A subscriber of the resolver's; its lines."""
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.settimeout(20)
        s.connect(self.lab.resolver)
        s.sendall(b'{"subscribe":"events"}\n')
        lines = s.makefile()
        self.addCleanup(lines.close)
        self.assertEqual(json.loads(lines.readline()), {"status": "subscribed"})
        return lines

    def test_expired_on_the_second_and_deleted(self):
        events = self.subscribe()
        keys = self.node("short", "--key-life", "15s")
        key = keys["keys"][0]
        expires = calendar.timegm(time.strptime(key["expires"], "%Y%m%dT%H%M%S"))
        self.assertTrue(self.serves(keys))
        answers = self.watch(keys, "expired")
        self.assertEqual(answers[-1][2], "expired")
        for asked, answered, how in answers:
            if how == "good":
                self.assertLess(asked, expires, "given after its end")
            else:
                self.assertGreaterEqual(answered, expires - 1, "refused before its end")
        lablib.wait_for("its end", lambda: time.time() >= expires)
        p = self.lab.run(["m2m-node", "associate", f"127.0.0.1:{self.front_port}", "--keys", self.path("short.keys")], check=False)
        self.assertEqual(p.returncode, 1, p.stderr)
        self.assertIn("expired", p.stderr)
        lablib.wait_for("the key to be deleted", lambda: self.state(key["kmId"]) is None, 60)
        self.lab.mas.wait_log(r"deleted \d+ root keys that had expired before", 30)
        told = next(e for e in map(json.loads, events) if e["key"] == key["kmId"])
        self.assertEqual(told["event"], "expiring", "its holder is told before")
        self.lab.ctl("check", "--mas", self.lab.mas.conf)
        self.assertEqual(len([e for e in self.listing("enrolment", "mtf") if e["enroleeId"].endswith("/short")]), 1, "the latest stays")

    def test_2045(self):
        """Past the turn of the Time AVP in 2036."""
        keys = self.node("long", "--key-life", f"{2045 - time.gmtime().tm_year}y")
        year = keys["keys"][0]["expires"][:4]
        self.assertIn(year, ("2044", "2045"))
        self.assertEqual([k["expires"] for k in self.listing("key", "mas") if k["enroleeId"].endswith("/long")], [keys["keys"][0]["expires"]])
        self.assertEqual([k["expires"] for k in self.listing("enrolment", "mtf") if k["enroleeId"].endswith("/long")],
                         [keys["keys"][0]["expires"]])
        self.assertTrue(self.serves(keys))

    # --- renewed ---------------------------------------------------------------------------------------------------------------

    def renew(self, name, *more, port=None, check=True):
        return self.lab.run(["m2m-node", "renew", "--relay", f"127.0.0.1:{port or self.lab.relay_port}", "--mtf-id", lablib.MTF,
                             "--psk-identity", name, "--psk-file", self.path(f"{name}.psk"), "--keys", self.path(f"{name}.keys"), *more],
                            check=check)

    def test_renewed_in_time(self):
        self.new_node("renew")
        self.assertEqual(self.renew("renew", check=False).returncode, 1, "it never enrolled")
        self.enrol("renew")
        old = self.node_keys("renew")
        self.assertIn("nothing to renew yet", self.renew("renew").stdout)
        self.assertEqual(self.node_keys("renew"), old)
        self.assertEqual(self.renew("renew", "--before", "soon", check=False).returncode, 2)
        self.assertEqual(self.renew("renew", "--before", "2y", port=lablib.free_port(), check=False).returncode, 4)
        self.assertEqual(self.node_keys("renew"), old, "nobody there: as it was")
        self.assertIn("enrolled", self.renew("renew", "--before", "2y").stdout)
        new = self.node_keys("renew")
        self.assertEqual(os.stat(self.path("renew.keys")).st_mode & 0o777, 0o600)
        self.assertEqual(new["keys"][1], old["keys"][0], "the old one stays behind the new")
        states = [self.state(k["kmId"]) for k in new["keys"]]
        self.assertEqual(states, ["active", "superseded"])
        self.assertTrue(self.serves(new))
        out = self.lab.run(["m2m-node", "associate", f"127.0.0.1:{self.front_port}", "--keys", self.path("renew.keys"), "--renew", "--before", "2y",
                            "--relay", f"127.0.0.1:{self.lab.relay_port}", "--mtf-id", lablib.MTF, "--psk-identity", "renew",
                            "--psk-file", self.path("renew.psk")], input="").stdout
        self.assertEqual(out, "hello\n")
        self.assertEqual(len(self.node_keys("renew")["keys"]), 3)

    def test_superseded_on_the_second(self):
        old = self.node("grace")
        before = time.time()
        self.enrol("grace")
        after = time.time()
        answers = self.watch(old, "revoked")
        self.assertEqual(answers[-1][2], "revoked")
        self.assertGreaterEqual(answers[-1][1], int(before) + GRACE - 1, "refused within its grace")
        good = [asked for asked, _, how in answers if how == "good"]
        self.assertTrue(good, "its grace was no grace")
        self.assertLess(good[-1], after + GRACE + 1, "given after its grace")
        self.assertTrue(self.serves(self.node_keys("grace")))

    def test_the_answer_is_lost(self):
        """The MTF has committed, and the connection breaks: the node's file is as it was, and its old key serves in its grace."""
        old = self.node("lost")
        proxy = Proxy(self.lab.relay_port)
        self.addCleanup(proxy.server.close)
        proxy.cut = True
        p = self.renew("lost", "--before", "2y", port=proxy.port, check=False)
        self.assertEqual(p.returncode, 4, p.stdout + p.stderr)
        self.assertEqual(self.node_keys("lost"), old)
        self.assertEqual(len([e for e in self.listing("enrolment", "mtf") if e["enroleeId"].endswith("/lost")]), 2, "the MTF has it")
        self.assertEqual(self.state(old["keys"][0]["kmId"]), "superseded")
        self.assertTrue(self.serves(old), "in its grace")
        proxy.cut = False
        self.renew("lost", "--before", "2y", port=proxy.port)
        self.assertTrue(self.serves(self.node_keys("lost")))


if __name__ == "__main__":
    unittest.main()

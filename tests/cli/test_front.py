#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""m2m-front between stock openssl s_client, a fake resolver and a plain upstream. Python's standard library and openssl only."""
import hashlib
import hmac
import json
import os
import queue
import re
import secrets
import select
import signal
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import time
import unittest

FRONT = os.path.join(os.environ.get("top_builddir", "."), "csf", "m2m-front")
NODE = os.path.join(os.environ.get("top_builddir", "."), "csf", "m2m-node")
M2MCTL = os.path.join(os.environ.get("top_builddir", "."), "ctl", "m2mctl")
DEADLINE = 30


def ki():
    return f"{secrets.token_hex(16)}.{secrets.token_hex(16)}@mas.example.com"


class Resolver:
    """Answers each when it can, since every question has an id; a hold keeps an answer back. raw: octets, or an object without its id."""

    def __init__(self, path):
        self.path, self.known, self.asked, self.holds, self.raw = path, {}, [], {}, {}
        self.connections, self.subscribers = [], []
        self.subscriptions = True
        self.changed = threading.Condition()
        self.server = None

    def start(self):
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                outer.connections.append(self.connection)
                self.lock = threading.Lock()
                try:
                    for line in self.rfile:
                        question = json.loads(line)
                        if question.get("subscribe") == "events":
                            self.subscribe()
                        else:
                            outer.note(question["pskIdentity"])
                            threading.Thread(target=self.answer, args=(question,), daemon=True).start()
                except ConnectionResetError:
                    pass

            def subscribe(self):
                if outer.subscriptions:
                    self.tell({"status": "subscribed"})
                    with outer.changed:
                        outer.subscribers.append(self)
                        outer.changed.notify_all()

            def answer(self, question):
                name = question["pskIdentity"]
                hold = outer.holds.get(name)
                if hold:
                    hold.wait(DEADLINE)
                raw = outer.raw.get(name) or outer.reply(name)
                self.tell(raw if isinstance(raw, bytes) else {**raw, "id": question["id"]})

            def tell(self, line):
                try:
                    with self.lock:
                        self.wfile.write(line if isinstance(line, bytes) else (json.dumps(line) + "\n").encode())
                except (OSError, ValueError):
                    pass

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        if os.path.exists(self.path):
            os.unlink(self.path)
        self.server = Server(self.path, Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            for c in self.connections:
                try:
                    c.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.server, self.connections, self.subscribers = None, [], []

    def event(self, event, key):
        """Tell whoever has subscribed; waits until there is somebody."""
        with self.changed:
            self.changed.wait_for(lambda: self.subscribers, DEADLINE)
        for s in self.subscribers:
            s.tell(event if isinstance(event, bytes) else {"event": event, "key": key})

    def note(self, name):
        with self.changed:
            self.asked.append(name)
            self.changed.notify_all()

    def wait_asked(self, *names):
        with self.changed:
            return self.changed.wait_for(lambda: set(names) <= set(self.asked), DEADLINE)

    def reply(self, name):
        if name not in self.known:
            return {"status": "refused", "pskIdentity": name, "reason": "unknown"}
        return {"status": "ok", "pskIdentity": name, "enroleeId": "//sp.example.com/node-7", "appIds": ["Nthermo", "Nlamp"],
                "lifetime": 86400, **self.known[name]}

    def add(self, **change):
        name = ki()
        self.known[name] = {"key": secrets.token_hex(32), **change}
        return name, self.known[name]["key"]


class Upstream(socketserver.ThreadingTCPServer):
    """Says "[all it got]" back at each FIN: half-close is needed to hear anything."""
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    class Handler(socketserver.BaseRequestHandler):
        def finish(self):
            self.request.close()  # without the shutdown() that socketserver does, so that SO_LINGER decides

        def handle(self):
            got = bytearray()
            self.server.connections.append(self.request)
            try:
                while data := self.request.recv(65536):
                    got += data
                    if got.endswith(b"echo\n"):
                        self.request.sendall(b"echo\n")
                    if got.endswith(b"reset\n"):
                        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                self.server.ends.put("end")
                self.request.sendall(b"[" + bytes(got) + b"]")
            except (ConnectionResetError, BrokenPipeError):
                self.server.ends.put("reset")

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.connections, self.ends = [], queue.Queue()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def name(self):
        return f"127.0.0.1:{self.server_address[1]}"


class Front:
    def __init__(self, resolver, upstream, *options):
        self.process = subprocess.Popen([FRONT, "--listen", "127.0.0.1:0", "--upstream", upstream, "--resolver", resolver, *options],
                                        stderr=subprocess.PIPE, text=True)
        self.lines, self.changed = [], threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        line = self.wait_log(r"listening on 127\.0\.0\.1:(\d+)$")
        self.port = int(line.group(1)) if line else 0

    def read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()

    def wait_log(self, pattern, count=1):
        """The count-th line that fits, waited for."""
        def find():
            return [m for m in (re.search(pattern, line) for line in list(self.lines)) if m]
        with self.changed:
            self.changed.wait_for(lambda: len(find()) >= count, DEADLINE)
            found = find()
        return found[count - 1] if len(found) >= count else None

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Case(unittest.TestCase):
    options = ("--tls1.2",)

    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.resolver = Resolver(os.path.join(self.tmp.name, "resolver"))
        self.resolver.start()
        self.upstream = Upstream()
        self.control = os.path.join(self.tmp.name, "control")
        self.front = Front(self.resolver.path, self.upstream.name, "--control", self.control, *self.options)
        self.status = 0
        self.clients = []

    def tearDown(self):
        for c in self.clients:
            if c.poll() is None:
                c.kill()
            c.communicate()
        status = self.front.stop()
        self.front.reader.join()
        self.front.process.stderr.close()
        text = "\n".join(self.front.lines)
        self.resolver.stop()
        self.upstream.shutdown()
        self.upstream.server_close()
        self.tmp.cleanup()
        self.assertEqual(status, 0, text)
        for about in self.resolver.known.values():
            self.assertNotIn(about["key"], text)

    def client(self, name, key, *options):
        """s_client; after standard input it sends close_notify only when it ends, so tests that want that use talk()."""
        p = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{self.front.port}", "-psk", key, "-psk_identity", name,
                              "-quiet", *(options or ("-tls1_3",))],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.clients.append(p)
        return p

    def breaks_off(self, p):
        """Neither side may take it for the end of what was being said."""
        self.assertNotEqual(p.wait(DEADLINE), 0, "the node sees an orderly end")
        self.assertEqual(self.upstream.ends.get(timeout=DEADLINE), "reset", "the upstream sees an orderly end")

    def exchange(self, p):
        """One echo through the association."""
        p.stdin.write(b"echo\n")
        p.stdin.flush()
        ready, _, _ = select.select([p.stdout], [], [], DEADLINE)
        return p.stdout.readline() if ready else b"(silence)"

    def fails(self, name, key, *options):
        """What the client sees of a refused handshake."""
        p = self.client(name, key, *options)
        _, errors = p.communicate(timeout=DEADLINE)
        self.assertNotEqual(p.returncode, 0)
        alert = re.search(rb"alert number (\d+)", errors)
        return int(alert.group(1)) if alert else errors.decode()


class Associations(Case):
    def test_stock_client(self):
        for options in (("-tls1_3",), ("-tls1_2",), ("-tls1_3", "-groups", "P-384:P-256"), ()):
            name, key = self.resolver.add()
            p = self.client(name, key, *options)
            self.assertEqual(self.exchange(p), b"echo\n")
            self.assertTrue(self.front.wait_log(
                rf"open: enroleeId=//sp\.example\.com/node-7 appIds=\[Nthermo Nlamp\] ki={re.escape(name)} peer=127\.0\.0\.1:\d+ tls=TLSv1"))
            p.kill()
            p.wait()
        self.assertTrue(self.front.wait_log("end: enroleeId=//sp.example.com/node-7, .*5 octets from the node, 5 to it", 4))

    def test_hello_retry_request(self):
        name, key = self.resolver.add()
        self.assertEqual(self.exchange(self.client(name, key, "-tls1_3", "-groups", "ffdhe2048:P-521:P-256")), b"echo\n")
        self.assertEqual(self.resolver.asked, [name])

    def test_upper_case_identity(self):
        name, key = self.resolver.add()
        self.assertEqual(self.exchange(self.client(name.upper(), key)), b"echo\n")

    def test_end_of_upstream_ends_client(self):
        name, key = self.resolver.add()
        p = self.client(name, key)
        self.assertEqual(self.exchange(p), b"echo\n")
        self.upstream.connections[0].shutdown(socket.SHUT_RDWR)
        self.assertEqual(p.wait(DEADLINE), 0)
        self.assertTrue(self.front.wait_log("end: .*upstream closed; 5 octets from the node, 5 to it"))

    def test_unknown_wrong_malformed_look_alike(self):
        name, key = self.resolver.add()
        wrong, never = secrets.token_hex(32), ki()
        for version in ("-tls1_3", "-tls1_2"):
            alerts = {self.fails(name, wrong, version), self.fails(never, key, version)}
            self.assertEqual(len(alerts), 1, alerts)
            for malformed in ("Client_identity", "x" * 120, name + "x" * 100, '"},{"', name.replace("@", "#")):
                self.assertIn(self.fails(malformed, key, version), alerts)
        self.assertEqual([a for a in self.resolver.asked if a not in (name, never)], [])
        self.assertTrue(self.front.wait_log(rf"refused: .*{re.escape(name)}, the key does not fit", 2))
        self.assertTrue(self.front.wait_log(rf"refused: .*{re.escape(never)}, unknown", 2))
        self.assertTrue(self.front.wait_log(r"refused: .*\(none\), malformed", 10))
        self.assertEqual(self.exchange(self.client(name, key)), b"echo\n")

    def test_resolver_refusals(self):
        for reason in ("revoked", "expired", "denied", "unavailable", "malformed"):
            name = ki()
            self.resolver.raw[name] = {"status": "refused", "pskIdentity": name, "reason": reason}
            self.fails(name, "00" * 32)
            self.assertTrue(self.front.wait_log(rf"refused: .*{re.escape(name)}, {reason}"))

    def test_no_psk(self):
        for options in (["-tls1_3"], ["-tls1_2"], ["-tls1_2", "-cipher", "PSK-AES128-CBC-SHA256", "-psk", "00" * 16],
                        ["-tls1_1"]):
            p = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.front.port}", "-quiet", *options],
                               stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE)
            self.assertNotEqual(p.returncode, 0)
        self.assertTrue(self.front.wait_log(r"refused: .*\(none\), no pre-shared key", 3))

    def test_psk_without_forward_secrecy(self):
        name, key = self.resolver.add()
        self.fails(name, key, "-tls1_2", "-cipher", "PSK-AES128-CBC-SHA256")

    def test_not_tls(self):
        for octets in (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100, b"\0", b""):
            with socket.create_connection(("127.0.0.1", self.front.port), DEADLINE) as s:
                try:
                    s.sendall(octets)
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(4096):
                        pass
                except OSError:  # reset
                    pass
        name, key = self.resolver.add()
        self.assertEqual(self.exchange(self.client(name, key)), b"echo\n")

    def test_slow_resolver_blocks_nobody(self):
        early, early_key = self.resolver.add()
        p = self.client(early, early_key)
        self.assertEqual(self.exchange(p), b"echo\n")
        slow, slow_key = self.resolver.add()
        other, other_key = self.resolver.add()
        hold = self.resolver.holds[slow] = threading.Event()
        waiting = self.client(slow, slow_key)
        self.assertTrue(self.resolver.wait_asked(slow))
        self.assertEqual(self.exchange(self.client(other, other_key, "-tls1_2")), b"echo\n")  # while the first waits
        self.assertEqual(self.exchange(p), b"echo\n")
        self.fails("malformed", "00" * 32)
        hold.set()
        self.assertEqual(self.exchange(waiting), b"echo\n")

    def test_client_gone_while_resolving(self):
        slow, later = self.resolver.add(), self.resolver.add()
        hold = self.resolver.holds[slow[0]] = threading.Event()
        clients = [self.client(*slow, "-tls1_3"), self.client(*later, "-tls1_2")]
        self.assertTrue(self.resolver.wait_asked(slow[0], later[0]))
        for c in clients:
            c.kill()
            c.wait()
        hold.set()
        self.assertTrue(self.front.wait_log("refused: |end: ", 2))
        name, key = self.resolver.add()
        self.assertEqual(self.exchange(self.client(name, key)), b"echo\n")

    def test_resolver_restarts(self):
        name, key = self.resolver.add()
        self.assertEqual(self.exchange(self.client(name, key)), b"echo\n")
        self.resolver.stop()
        self.assertTrue(self.front.wait_log("resolver .*closed"))
        self.fails(name, key)
        self.assertTrue(self.front.wait_log(r"refused: .*unavailable"))
        self.resolver.start()
        self.assertEqual(self.exchange(self.client(name, key)), b"echo\n")

    def test_resolver_talks_nonsense(self):
        good, good_key = self.resolver.add()
        other = ki()
        lines = [b"nonsense\n", b"{}\n", b"[]\n", b"x" * 5000, b"\n", dict(self.resolver.reply(good), pskIdentity=other),
                 (json.dumps(self.resolver.reply(good)) + "\n").encode(), b'{"status":"subscribed"}\n',
                 b'{"event":"revoked","key":"*"}\n', b'{"event":"revoked"}\n']
        for change in ({"key": "00"}, {"key": None}, {"enroleeId": "x\ny"}, {"appIds": None}, {"appIds": ["bad"] * 40},
                       {"lifetime": -1}, {"lifetime": "1"}, {"status": "perhaps"}):
            name = ki()
            lines.append((name, {**self.resolver.reply(good), "pskIdentity": name, **change}))
        for n, line in enumerate(lines):
            name, line = line if isinstance(line, tuple) else (ki(), line)
            self.resolver.raw[name] = line
            self.fails(name, good_key)
            self.assertTrue(self.front.wait_log(rf"refused: .*{re.escape(name)}, unavailable"))
            self.assertTrue(self.front.wait_log("resolver /", n + 1))
        self.assertEqual(self.exchange(self.client(good, good_key)), b"echo\n")

    def test_lifetime_end(self):
        name, key = self.resolver.add(lifetime=1)
        p = self.client(name, key)
        self.assertEqual(self.exchange(p), b"echo\n")
        self.breaks_off(p)
        self.assertTrue(self.front.wait_log("end: .*the key's lifetime is over"))
        name, key = self.resolver.add(lifetime=0)
        self.fails(name, key)
        self.assertTrue(self.front.wait_log(rf"refused: .*{re.escape(name)}, expired"))

    def test_fifty_at_once(self):
        clients = [self.client(*self.resolver.add(), ("-tls1_3", "-tls1_2")[n % 2]) for n in range(50)]
        for p in clients:
            p.stdin.write(b"echo\n")
            p.stdin.flush()
        for p in clients:
            self.assertEqual(p.stdout.readline(), b"echo\n")
        self.assertTrue(self.front.wait_log("open: ", 50))

    def test_truncation_is_no_end(self):
        """A client that vanishes without close_notify resets the upstream's connection."""
        p = self.client(*self.resolver.add())
        self.assertEqual(self.exchange(p), b"echo\n")
        p.kill()
        self.assertEqual(self.upstream.ends.get(timeout=DEADLINE), "reset")
        self.assertTrue(self.front.wait_log("end: .*node: "))

    def test_upstream_reset_is_no_end(self):
        p = self.client(*self.resolver.add())
        self.assertEqual(self.exchange(p), b"echo\n")
        p.stdin.write(b"reset\n")
        p.stdin.flush()
        _, errors = p.communicate(timeout=DEADLINE)
        self.assertIn(b"unexpected eof", errors)
        self.assertTrue(self.front.wait_log("end: .*Connection reset"))


class Node(Case):
    """m2m-node associate, which ends its half of an association properly, through m2m-front."""
    target = "//sp.example.com/in-cse"

    def setUp(self):
        super().setUp()
        self.km = secrets.token_bytes(32)
        self.rel = secrets.token_hex(16)
        self.keys = os.path.join(self.tmp.name, "keys")
        self.write_keys()
        self.resolver.reply = self.derive

    def write_keys(self, **change):
        key = {"masId": "mas.example.com", "kmId": self.rel + "@mas.example.com", "km": self.km.hex(), "suid": 21,
               "expires": "20991124T000000", "associationTargets": [self.target], "lastSequence": {self.target: 0}, **change}
        with open(self.keys, "w") as f:
            json.dump({"version": 1, "keId": self.rel + "@mtf.example.com", "enroleeId": "//sp.example.com/node-7", "appIds": [],
                       "keys": [key]}, f)
        os.chmod(self.keys, 0o600)

    def derive(self, name):
        """Kc of protocol section 5.3, by hand."""
        parts = (name.encode(), b"//sp.example.com/node-7", self.target.encode(), struct.pack(">I", 32))
        info = b"M2M security association key v1\0" + b"".join(p + struct.pack(">H", len(p)) for p in parts)
        key = hmac.new(self.km, info + b"\1", hashlib.sha256).hexdigest()
        return {"status": "ok", "pskIdentity": name, "key": key, "enroleeId": "//sp.example.com/node-7", "appIds": [],
                "lifetime": 60}

    def associate(self, data, *options):
        return subprocess.run([NODE, "associate", f"127.0.0.1:{self.front.port}", "--keys", self.keys, *options], input=data,
                              capture_output=True, timeout=DEADLINE)

    def last_sequence(self):
        with open(self.keys) as f:
            return json.load(f)["keys"][0]["lastSequence"][self.target]

    def test_half_close_and_backpressure(self):
        for options in ((), ("--tls1.2",)):
            for data in (b"", b"hello", os.urandom(8 << 20)):
                r = self.associate(data, *options)
                self.assertEqual((r.returncode, r.stderr), (0, b""))
                self.assertEqual(r.stdout, b"[" + data + b"]")
        self.assertTrue(self.front.wait_log("end: .*node closed; 8388608 octets from the node, 8388610 to it", 2))

    def test_sequences_grow(self):
        before = 0
        for _ in range(3):
            self.assertEqual(self.associate(b"").returncode, 0)
            self.assertGreater(self.last_sequence(), before)
            self.assertGreater(self.last_sequence() * 1.001, time.time() * 1e6)
            before = self.last_sequence()
            self.assertEqual(int(self.resolver.asked[-1].split(".")[1][:16], 16), before)
        future = 1 << 62  # the clock went back
        self.write_keys(lastSequence={self.target: future})
        self.assertEqual(self.associate(b"").returncode, 0)
        self.assertEqual(self.last_sequence(), future + 1)

    def test_two_processes_never_share_a_sequence(self):
        running = [subprocess.Popen([NODE, "associate", f"127.0.0.1:{self.front.port}", "--keys", self.keys], stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(20)]
        self.assertEqual([p.wait(DEADLINE) for p in running], [0] * 20)
        self.assertTrue(self.front.wait_log("open: ", 20))
        self.assertEqual(len({name.split(".")[1][:16] for name in self.resolver.asked}), 20)

    def test_refused(self):
        self.resolver.reply = lambda name: {"status": "refused", "pskIdentity": name, "reason": "revoked"}
        r = self.associate(b"")
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertIn(b"alert", r.stderr)
        self.assertGreater(self.last_sequence(), 0)  # used up all the same

    def test_wrong_choices(self):
        for options, status in ((("--target", "//sp.example.com/other"), 1), (("--mas-id", "other.example.com"), 1),
                                (("--keys", self.keys + "-absent"), 1)):
            self.assertEqual(self.associate(b"", *options).returncode, status)
        self.write_keys(expires="20200101T000000")
        r = self.associate(b"")
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"expired", r.stderr)
        os.chmod(self.keys, 0o604)
        r = self.associate(b"")
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"0600", r.stderr)
        self.assertEqual(self.resolver.asked, [])

    def test_damaged_keys(self):
        for text in ("", "{}", "[]", "nonsense"):
            with open(self.keys, "w") as f:
                f.write(text)
            r = self.associate(b"")
            self.assertEqual(r.returncode, 3, r.stderr)
            self.assertIn(self.keys.encode(), r.stderr)

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        r = subprocess.run([NODE, "associate", f"127.0.0.1:{port}", "--keys", self.keys], input=b"", capture_output=True,
                           timeout=DEADLINE)
        self.assertEqual(r.returncode, 4, r.stderr)


class Revocation(Case):
    """What becomes of a key that is in use."""

    def setUp(self):
        super().setUp()
        self.name, self.key = self.resolver.add()
        self.running = self.client(self.name, self.key)
        self.assertEqual(self.exchange(self.running), b"echo\n")

    def root(self, name=None):
        return (name or self.name)[:32] + "@mas.example.com"

    def goes_on(self, p=None):
        self.assertEqual(self.exchange(p or self.running), b"echo\n")

    def is_closed(self, why, p=None, name=None):
        """On both sides as broken off, and logged once."""
        self.breaks_off(p or self.running)
        self.assertTrue(self.front.wait_log(rf"association \d+ closed: {why}, enroleeId=//sp\.example\.com/node-7 ki={re.escape(name or self.name)};"))

    def asked_again(self, times=2):
        with self.resolver.changed:
            return self.resolver.changed.wait_for(lambda: self.resolver.asked.count(self.name) >= times, DEADLINE)

    def test_root_key(self):
        other = self.resolver.add()
        bystander = self.client(*other)
        self.goes_on(bystander)
        second = self.name[:33] + secrets.token_hex(16) + "@mas.example.com"  # of the same root key
        self.resolver.known[second] = {"key": secrets.token_hex(32)}
        sibling = self.client(second, self.resolver.known[second]["key"], "-tls1_2")
        self.goes_on(sibling)
        began = time.monotonic()
        self.resolver.event("revoked", self.root())
        self.is_closed("root key revoked")
        print(f"from the event to the association's end: {(time.monotonic() - began) * 1000:.1f} ms")
        self.breaks_off(sibling)
        self.assertTrue(self.front.wait_log(rf"closed: root key revoked, .*{re.escape(second)}"))
        self.goes_on(bystander)
        self.assertEqual(self.resolver.asked.count(self.name), 1)

    def test_association_key(self):
        second = self.name[:33] + secrets.token_hex(16) + "@mas.example.com"
        self.resolver.known[second] = {"key": secrets.token_hex(32)}
        sibling = self.client(second, self.resolver.known[second]["key"])
        self.goes_on(sibling)
        self.resolver.event("revoked", self.name)
        self.is_closed("association key revoked")
        self.goes_on(sibling)

    def test_upper_case_and_look_alikes(self):
        for name in (self.root().replace("mas.", "mas2."), "0" * 32 + "@mas.example.com",
                     self.name[:33] + "0" * 32 + "@mas.example.com", self.root() + ".evil.example", self.root()[:-1]):
            self.resolver.event("revoked", name)
        self.goes_on()
        self.resolver.event("revoked", self.root().upper())
        self.is_closed("root key revoked")

    def test_new_association_is_refused(self):
        del self.resolver.known[self.name]
        self.resolver.raw[self.name] = {"status": "refused", "pskIdentity": self.name, "reason": "revoked"}
        self.resolver.event("revoked", self.root())
        self.is_closed("root key revoked")
        self.fails(self.name, self.key)
        self.assertTrue(self.front.wait_log(rf"refused: .*{re.escape(self.name)}, revoked"))

    def test_before_the_handshake_ends(self):
        """The key was told, the node has not shown yet that it has it."""
        name, key = self.resolver.add()
        with socket.create_connection(("127.0.0.1", self.front.port), DEADLINE) as listening:  # keeps what s_client sends
            relay = socket.create_server(("127.0.0.1", 0))
            p = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{relay.getsockname()[1]}", "-psk", key, "-psk_identity", name,
                                  "-quiet", "-tls1_3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.clients.append(p)
            client, _ = relay.accept()
            relay.close()
            with client:
                listening.sendall(client.recv(65536))  # the ClientHello, and no Finished after it
                self.assertTrue(self.resolver.wait_asked(name))
                listening.settimeout(DEADLINE)
                self.assertTrue(listening.recv(65536))
                self.resolver.event("revoked", self.root(name))
                while listening.recv(65536):
                    pass
        self.assertTrue(self.front.wait_log(rf"refused: .*{re.escape(name)}, root key revoked"))
        self.goes_on()

    def test_while_the_answer_is_under_way(self):
        name, key = self.resolver.add()
        hold = self.resolver.holds[name] = threading.Event()
        p = self.client(name, key)
        self.assertTrue(self.resolver.wait_asked(name))
        self.resolver.event("revoked", self.root(name))
        self.resolver.raw[name] = {"status": "refused", "pskIdentity": name, "reason": "revoked"}
        hold.set()
        self.assertNotEqual(p.wait(DEADLINE), 0)
        self.goes_on()

    def test_asked_again(self):
        for n, event in enumerate(("superseded", "resync", "something-new")):
            self.resolver.event(event, self.root())
            self.assertTrue(self.asked_again(n + 2), event)
            self.goes_on()
        self.resolver.event("expiring", self.root())
        self.assertTrue(self.front.wait_log(rf"association \d+: its root key expires soon, .*{re.escape(self.name)}"))
        self.resolver.raw[self.name] = {"status": "refused", "pskIdentity": self.name, "reason": "revoked"}
        self.resolver.event("resync", self.name)
        self.is_closed("the MAS refuses its key: revoked")

    def test_changed_while_asked_again(self):
        """Two events, the second while the first one's question is under way: two questions."""
        hold = self.resolver.holds[self.name] = threading.Event()
        self.resolver.event("resync", self.root())
        self.assertTrue(self.asked_again())
        self.resolver.event("resync", self.root())
        self.resolver.event("expiring", self.root())
        self.assertTrue(self.front.wait_log("expires soon"))
        hold.set()
        self.assertTrue(self.asked_again(3))
        self.goes_on()

    def test_superseded_shortens(self):
        """A new lifetime counts if it is shorter."""
        self.resolver.known[self.name]["lifetime"] = 1
        self.resolver.event("superseded", self.root())
        self.breaks_off(self.running)
        self.assertTrue(self.front.wait_log("end: .*the key's lifetime is over"))

    def test_nothing_prolongs(self):
        name, key = self.resolver.add(lifetime=2)
        p = self.client(name, key)
        self.goes_on(p)
        self.resolver.known[name]["lifetime"] = 86400
        self.resolver.event("resync", name)
        self.breaks_off(p)
        self.assertTrue(self.front.wait_log("end: .*the key's lifetime is over"))
        self.goes_on()

    def test_another_identity(self):
        self.resolver.known[self.name]["enroleeId"] = "//sp.example.com/node-8"
        self.resolver.event("resync", self.root())
        self.is_closed("its key is another enrolee's now")

    def test_resolver_comes_back(self):
        """What was missed meanwhile is asked for."""
        others = [self.resolver.add() for _ in range(20)]
        clients = [self.client(*o) for o in others]
        for p in clients:
            self.goes_on(p)
        self.resolver.stop()
        self.assertTrue(self.front.wait_log("resolver .*closed"))
        self.goes_on()
        self.resolver.raw[self.name] = {"status": "refused", "pskIdentity": self.name, "reason": "revoked"}
        self.resolver.start()
        self.is_closed("the MAS refuses its key: revoked")
        self.assertTrue(self.resolver.wait_asked(*[n for n, _ in others]))
        for p in clients:
            self.goes_on(p)

    def test_nobody_answers(self):
        """Unavailable is no refusal: it is asked again, and again."""
        self.resolver.raw[self.name] = {"status": "refused", "pskIdentity": self.name, "reason": "unavailable"}
        self.resolver.event("resync", self.root())
        self.assertTrue(self.asked_again(2))
        self.goes_on()
        self.assertTrue(self.asked_again(3))
        self.goes_on()
        self.resolver.raw[self.name] = {"status": "refused", "pskIdentity": self.name, "reason": "unknown"}
        self.is_closed("the MAS refuses its key: unknown")

    def test_many_asked_again_starve_nobody(self):
        """No more than 32 at a time; a new association's key is asked for beside them, and all get their turn."""
        root, hold = secrets.token_hex(16), threading.Event()
        names = [f"{root}.{secrets.token_hex(16)}@mas.example.com" for _ in range(80)]
        for name in names:
            self.resolver.known[name] = {"key": secrets.token_hex(32)}
        clients = [self.client(name, self.resolver.known[name]["key"]) for name in names]
        for p in clients:
            self.goes_on(p)
        self.resolver.holds.update((name, hold) for name in names)
        self.resolver.event("superseded", root + "@mas.example.com")
        self.resolver.event("resync", root + "@mas.example.com")

        def again():
            return sum(self.resolver.asked.count(name) - 1 for name in names)
        with self.resolver.changed:
            self.assertTrue(self.resolver.changed.wait_for(lambda: again() >= 32, DEADLINE))
        self.goes_on(self.client(*self.resolver.add()))
        self.assertEqual(again(), 32)
        for p in clients[:60]:  # some that wait, and some that are asked for
            p.kill()
        hold.set()
        with self.resolver.changed:
            self.assertTrue(self.resolver.changed.wait_for(lambda: all(self.resolver.asked.count(n) > 1 for n in names[60:]), DEADLINE))
        for p in clients[60:]:
            self.goes_on(p)

    def test_gone_while_asked_again(self):
        hold = self.resolver.holds[self.name] = threading.Event()
        self.resolver.event("resync", self.root())
        self.assertTrue(self.asked_again())
        self.running.kill()
        self.assertTrue(self.front.wait_log("end: "))
        hold.set()
        p = self.client(*self.resolver.add())
        self.goes_on(p)

    def test_ten_thousand_at_once(self):
        lines = b"".join(b'{"event":"revoked","key":"%032x@mas.example.com"}\n' % n for n in range(10000))
        began = time.monotonic()
        threading.Thread(target=self.resolver.event, args=(lines + b'{"event":"revoked","key":"%s"}\n' % self.root().encode(), None)).start()
        self.is_closed("root key revoked")
        print(f"10,000 events before the one that counts: {(time.monotonic() - began) * 1000:.0f} ms")


class Control(Case):
    """Listing and closing by hand."""

    def ctl(self, *args, status=0, path=None):
        r = subprocess.run([M2MCTL, "association", *args, "--front", path or self.control], capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual(r.returncode, status, r.stderr)
        return r.stdout if status == 0 else r.stderr

    def listing(self):
        return [json.loads(line) for line in self.ctl("list", "--json").splitlines()]

    def say(self, octets):
        """All that comes back."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            s.connect(self.control)
            got = b""
            try:
                s.sendall(octets)
                s.shutdown(socket.SHUT_WR)
                while more := s.recv(65536):
                    got += more
            except (BrokenPipeError, ConnectionResetError):
                pass
            return got

    def test_list(self):
        self.assertEqual(os.stat(self.control).st_mode & 0o7777, 0o600)
        self.assertEqual(self.listing(), [])
        self.assertEqual(self.ctl("list").split(), "N ENROLEE PEER TLS AGE/S REST/S UP DOWN KI".split())
        (one, key), (two, key2) = self.resolver.add(), self.resolver.add(lifetime=60)
        for c in (one, key), (two, key2, "-tls1_2"):
            self.assertEqual(self.exchange(self.client(*c)), b"echo\n")
        rows = {r["ki"]: r for r in self.listing()}
        self.assertEqual(set(rows), {one, two})
        self.assertEqual(set(rows[one]), {"association", "enroleeId", "appIds", "ki", "peer", "tls", "age", "rest", "up", "down"})
        self.assertEqual([rows[two][n] for n in ("association", "enroleeId", "appIds", "tls", "up", "down")],
                         [2, "//sp.example.com/node-7", ["Nthermo", "Nlamp"], "TLSv1.2", 5, 5])
        self.assertTrue(86000 < rows[one]["rest"] <= 86400 and 0 < rows[two]["rest"] <= 60 and rows[one]["age"] < DEADLINE)
        self.assertIn(one, self.ctl("list"))
        with socket.create_connection(("127.0.0.1", self.front.port)):  # no association yet
            self.assertEqual(len(self.listing()), 2)

    def test_close(self):
        name, key = self.resolver.add()
        siblings = [self.client(name, key) for _ in range(2)]
        others = [self.client(*self.resolver.add()) for _ in range(3)]
        for p in siblings + others:
            self.assertEqual(self.exchange(p), b"echo\n")
        rows = {r["ki"]: r["association"] for r in self.listing()}
        mine = [rows[k] for k in self.resolver.known if k != name]
        self.assertEqual(self.ctl("close", str(mine[0])), "1 closed\n")
        self.assertEqual(self.ctl("close", name.upper()), "2 closed\n")
        self.assertEqual(self.ctl("close", list(self.resolver.known)[2][:32] + "@mas.example.com"), "1 closed\n")
        for p in siblings:
            self.breaks_off(p)
        self.assertTrue(self.front.wait_log("closed: by the operator, enroleeId=", 4))
        self.assertEqual([r["association"] for r in self.listing()], [mine[2]])
        for gone in (str(mine[0]), name, "0", "18446744073709551616"):
            self.assertIn("no running association", self.ctl("close", gone, status=1))
        self.assertEqual(self.exchange(self.client(name, key)), b"echo\n")  # the key is as good as before

    def test_refused(self):
        for text in ("", "x", "-1", "1x", "all", "*", "@mas.example.com", "1\nlist"):
            self.ctl("close", "--", text, status=2)
        self.ctl("list", status=1, path=self.control + "-absent")
        self.ctl("list", status=2, path="/" + "x" * 200)
        r = subprocess.run([M2MCTL, "association", "list"], capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual(r.returncode, 2)
        self.assertIn("--front", r.stderr)

    def test_no_whole_answer(self):
        for answer in (b"", b"{}", b"nonsense\n", b'{"association":1}\n', b'{"status":"ok"'):
            with socket.socket(socket.AF_UNIX) as s:
                path = os.path.join(self.tmp.name, secrets.token_hex(4))
                s.bind(path)
                s.listen()

                def serve(answer=answer, s=s):
                    with s.accept()[0] as c:
                        c.recv(100)
                        c.sendall(answer)
                t = threading.Thread(target=serve)
                t.start()
                self.ctl("list", status=3, path=path)
                t.join()

    def test_hostile(self):
        refused = b'{"status":"refused","reason":"not a command: list, or close N|KI|KMID"}\n'
        for octets, got in ((b"", b""), (b"list", b""), (b"\n", refused), (b"lists\nLIST\nclose\n", refused * 3), (b"\0\xff\n", refused),
                            (b"list\n" * 2, b'{"status":"ok","count":0}\n' * 2), (b"x" * 512 + b"\n", b""), (b"x" * 100000, b"")):
            self.assertEqual(self.say(octets), got, octets[:20])
        silent = [socket.socket(socket.AF_UNIX) for _ in range(12)]
        for s in silent:
            s.connect(self.control)
        self.assertEqual(self.exchange(self.client(*self.resolver.add())), b"echo\n")
        for s in silent:
            s.close()
        end = time.monotonic() + DEADLINE
        while not self.say(b"list\n") and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(len(self.listing()), 1)

    def test_taken(self):
        r = subprocess.run([FRONT, "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1", "--resolver", "/nowhere", "--control", self.control],
                           capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual(r.returncode, 3)
        self.assertIn(self.control, r.stderr)
        self.assertEqual(self.listing(), [])

    def test_leaves_no_socket(self):
        self.assertEqual(self.front.stop(), 0)
        self.assertFalse(os.path.exists(self.control))


class Limits(Case):
    options = ("--handshake-timeout", "1", "--max", "3")

    def test_no_tls12_by_default(self):
        name, key = self.resolver.add()
        self.fails(name, key, "-tls1_2")
        self.assertEqual(self.exchange(self.client(name, key)), b"echo\n")

    def test_silent_connection(self):
        with socket.create_connection(("127.0.0.1", self.front.port), DEADLINE) as s:
            self.assertEqual(s.recv(1), b"")
        self.assertTrue(self.front.wait_log("refused: .*took too long"))

    def test_resolver_never_answers(self):
        slow, key = self.resolver.add()
        hold = self.resolver.holds[slow] = threading.Event()
        self.fails(slow, key)
        self.assertTrue(self.front.wait_log(rf"refused: .*{re.escape(slow)}, (unavailable|the handshake took too long)"))
        hold.set()
        name, key = self.resolver.add()
        self.assertEqual(self.exchange(self.client(name, key)), b"echo\n")

    def test_max(self):
        clients = [self.client(*self.resolver.add()) for _ in range(3)]
        for p in clients:
            self.assertEqual(self.exchange(p), b"echo\n")
        self.fails(*self.resolver.add())
        self.assertTrue(self.front.wait_log("3 connections are open"))
        clients[0].kill()
        self.assertTrue(self.front.wait_log("end: "))
        self.assertEqual(self.exchange(self.client(*self.resolver.add())), b"echo\n")


class Stop(Case):
    def test_drain(self):
        """SIGTERM: nobody new, those there are may finish; then exit 0."""
        p = self.client(*self.resolver.add())
        self.assertEqual(self.exchange(p), b"echo\n")
        self.front.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.front.port), 1).close()
            except OSError:
                break
        self.assertEqual(self.exchange(p), b"echo\n")
        self.assertIsNone(self.front.process.poll())
        p.kill()
        self.assertEqual(self.front.process.wait(DEADLINE), 0)
        self.assertLess(time.monotonic(), end)

    def test_drain_ends(self):
        p = self.client(*self.resolver.add())
        self.assertEqual(self.exchange(p), b"echo\n")
        self.front.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.front.process.wait(DEADLINE), 0)
        self.breaks_off(p)
        self.assertTrue(self.front.wait_log("end: .*stopped"))

    def test_second_signal(self):
        p = self.client(*self.resolver.add())
        self.assertEqual(self.exchange(p), b"echo\n")
        begin = time.monotonic()
        for _ in range(2):
            self.front.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)  # signals of one number merge while they are pending
        self.assertEqual(self.front.process.wait(DEADLINE), 0)
        self.assertLess(time.monotonic() - begin, 4)


class UpstreamDown(Case):
    def setUp(self):
        super().setUp()
        self.upstream.shutdown()
        self.upstream.server_close()

    def test_clean_close(self):
        for version in ("-tls1_3", "-tls1_2"):
            p = self.client(*self.resolver.add(), version)
            self.assertEqual(p.wait(DEADLINE), 0)
        self.assertTrue(self.front.wait_log(r"end: .*127\.0\.0\.1:\d+: Connection refused; 0 octets", 2))


class Usage(unittest.TestCase):
    def run_front(self, *options):
        return subprocess.run([FRONT, *options], capture_output=True, text=True, timeout=DEADLINE)

    def test_help(self):
        r = self.run_front("--help")
        self.assertEqual(r.returncode, 0)
        self.assertIn("usage: m2m-front", r.stdout)

    def test_refused(self):
        good = ["--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1", "--resolver", "/nowhere"]
        for options in ([], good[:4], good + ["more"], good + ["--max", "0"], good + ["--max", "1x"], good + ["--max", "999999"],
                        good + ["--handshake-timeout", "0"], good + ["--nonsense"], ["--listen", "127.0.0.1", *good[2:]],
                        [*good[:2], "--upstream", "127.0.0.1:x", *good[4:]], [*good[:4], "--resolver", "/" + "x" * 200]):
            r = self.run_front(*options)
            self.assertEqual(r.returncode, 2, (options, r.stderr))
            self.assertNotEqual(r.stderr, "")

    def test_address_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            r = self.run_front("--listen", f"127.0.0.1:{s.getsockname()[1]}", "--upstream", "127.0.0.1:1", "--resolver", "/nowhere")
        self.assertEqual(r.returncode, 3)
        self.assertIn("in use", r.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)

# SPDX-License-Identifier: BSD-2-Clause
"""The whole chain: nodes enrol by pre-provisioned key and by certificate, associate, and get octets through the front."""
import contextlib
import http.server
import json
import os
import re
import threading
import time
import unittest

from case import LabCase, lablib

import metrics


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the page of the IN-CSE\n")

    def log_message(self, *args):
        pass


class Chain(LabCase):
    @classmethod
    def prepare(cls):
        metrics.show(cls.lab)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        cls.addClassCleanup(cls.http.server_close)
        threading.Thread(target=cls.http.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.http.shutdown)
        _, cls.front_port = cls.front(cls.http.server_port)

    def fetch(self, name, *more):
        return self.lab.run(["m2m-node", "associate", f"127.0.0.1:{self.front_port}", "--keys", self.path(f"{name}.keys"), *more],
                            input="GET / HTTP/1.0\r\n\r\n").stdout

    def test_psk_node_enrols_and_associates(self):
        before = self.stored()
        self.new_node("chain-1", "--app-id", "Nmetering")
        self.enrol("chain-1")
        self.assertEqual(self.stored(), (before[0] + 1, before[1] + 1))
        self.assertEqual(os.stat(self.path("chain-1.keys")).st_mode & 0o777, 0o600)
        key = next(k for k in self.listing("key", "mas") if k["enroleeId"] == f"//{lablib.SP}/chain-1")
        self.assertEqual(key["state"], "active")
        self.assertEqual(key["appIds"], ["Nmetering"])
        self.assertEqual(key["associationTargets"], [lablib.CSE_ID])
        self.assertNotIn("km", key)
        self.assertIn("the page of the IN-CSE", self.fetch("chain-1"))
        self.assertIn("the page of the IN-CSE", self.fetch("chain-1"), "a second association with a new sequence")
        with open(self.path("front.log")) as f:
            self.assertIn(f"//{lablib.SP}/chain-1", f.read())
        self.see_metrics()

    def see_metrics(self):
        """One node enrolled and associated at least: every server says so, in a form that Prometheus' own tool takes."""
        requests = "m2m_requests_total"
        self.assertGreaterEqual(metrics.scrape("mas")[requests, ("command", "KPR"), ("result", "2001"), ("server", "mas")], 1)
        self.assertGreaterEqual(metrics.scrape("mas")[requests, ("command", "SKR"), ("result", "2001"), ("server", "mas")], 1)
        mas, mtf, csf = (metrics.scrape(d) for d in ("mas", "mtf", "csf"))
        self.assertGreaterEqual(mtf[requests, ("command", "RPR"), ("result", "2001"), ("server", "mtf")], 1)
        self.assertGreaterEqual(mtf[requests, ("command", "RPR"), ("result", "1001"), ("server", "mtf")], 1)
        self.assertGreaterEqual(mtf["m2m_enrolments_total", ("outcome", "done"), ("server", "mtf")], 1)
        self.assertGreater(mas["m2m_request_duration_seconds_sum", ("command", "KPR"), ("server", "mas")], 0)
        self.assertGreaterEqual(mas["m2m_store_commit_duration_seconds_count", ("server", "mas"), ("store", "keys")], 1)
        self.assertGreater(mas["m2m_store_used_bytes", ("server", "mas"), ("store", "keys")], 0)
        self.assertEqual(mas["m2m_store_room_bytes", ("server", "mas"), ("store", "keys")], 64 << 20)
        self.assertEqual(mas["m2m_peers_connected", ("role", "mtf"), ("server", "mas")], 1)
        self.assertEqual((mas["m2m_audit_works", ("server", "mas")], mtf["m2m_audit_works", ("server", "mtf")]), (1, 1))
        self.assertGreaterEqual(mas["m2m_associations_in_memory", ("server", "mas")], 1)
        self.assertEqual(mas["m2m_fuses_blown", ("server", "mas")], 0)
        self.assertEqual(csf["m2m_peers_connected", ("role", "mas"), ("server", "csf")], 1)
        for server, values in (("mas", mas), ("mtf", mtf), ("csf", csf)):
            self.assertGreater(values["m2m_certificate_not_after_timestamp_seconds", ("certificate", "host"), ("server", server)], time.time())
        lablib.wait_for("the file of metrics", lambda: "m2m_requests_total{" in metrics.file_text(), 30)
        metrics.promtool("check", "metrics", input=metrics.file_text())

    def test_examples_for_those_who_watch(self):
        """Alert rules and dashboard: Prometheus' tool takes the rules, they fire when they should, and each metric that is named exists."""
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
        metrics.promtool("check", "rules", os.path.join(root, "doc", "examples", "m2m-alerts.yml"))
        metrics.promtool("test", "rules", os.path.join(root, "tests", "data", "m2m-alerts-test.yml"))
        with open(os.path.join(root, "doc", "operating.md")) as f:
            there = set(re.findall(r"^\| `(m2m_\w+)` \|", f.read(), re.M))  # a unit test holds it against the table
        for name in ("m2m-alerts.yml", "m2m-dashboard.json"):
            with open(os.path.join(root, "doc", "examples", name)) as f:
                text = f.read()
            if name.endswith(".json"):
                text = "\n".join(t["expr"] for p in json.loads(text)["panels"] for t in p["targets"])
            named = {re.sub(r"_(bucket|sum|count)$", "", m) for m in re.findall(r"\bm2m_\w+", text)}
            self.assertGreater(len(named), 5)
            self.assertLessEqual(named, there, name)

    def test_imported_nodes_enrol(self):
        """A vendor's file of serial numbers and keys, beside the running server."""
        for n in range(3):
            self.new_psk(f"imported-{n}", store=False)
        with contextlib.ExitStack() as files:
            keys = [files.enter_context(open(self.path(f"imported-{n}.psk"))).read().strip() for n in range(3)]
        path = self.write("vendor.csv", "serial,key\n" + "".join(f"imported-{n},{k}\n" for n, k in enumerate(keys)))
        args = ("import", path, "--enrolee", f"//{lablib.SP}/{{serial}}", "--mas", lablib.MAS, "--target", lablib.CSE_ID)
        for new, there in ((3, 0), (0, 3)):
            out = self.lab.ctl(*args, "--mtf", self.lab.mtf.conf).stdout
            self.assertIn(f"stored {new} rows, {there} were there already, 0 refused", out)
        self.enrol("imported-1")
        self.assertIn("the page of the IN-CSE", self.fetch("imported-1"))

    def test_psk_node_enrols_over_tls12(self):
        self.new_node("chain-12")
        self.enrol("chain-12", "--tls1.2")
        self.assertIn("the page of the IN-CSE", self.fetch("chain-12"))

    def test_certificate_node(self):
        self.lab.pki.cert("cam-1", "device-ca", "DNS:cam-1.devices.example")
        self.lab.own()
        self.lab.ctl("credential", "add", "dns:cam-1.devices.example", "--mtf", self.lab.mtf.conf)
        self.instruct("cam-1", "dns:cam-1.devices.example")
        self.enrol_cert("cam-1")
        self.assertIn("the page of the IN-CSE", self.fetch("cam-1"))

    def test_stock_s_client_is_a_complete_enrolee(self):
        for version in ("-tls1_3", "-tls1_2"):
            with self.subTest(version):
                name = "stock" + version
                self.new_node(name)
                with open(self.path(f"{name}.psk")) as f:
                    psk = f.read().strip()
                out = self.s_client(version, "-psk", psk, "-psk_identity", name, "-ign_eof", "-keymatexport",
                                    "EXPORTER-oneM2M-Bootstrap", "-keymatexportlen", "48")
                self.assertIn('"status":"enrolled"', out)
                rel = re.search(r"Keying material: ([0-9A-F]{32})", out).group(1).lower()
                self.assertIn(f'"keId":"{rel}@{self.lab.mtf.identity}"', out)
                self.assertIn(f'"kmId":"{rel}@{lablib.MAS}"', out)

    def test_resolver_gives_the_key_that_the_node_makes(self):
        self.new_node("chain-3", "--app-id", "Nlights")
        self.enrol("chain-3")
        ki, kc = self.derive("chain-3")
        for _ in range(2):  # from the MAS, then from the cache
            got = self.resolve(ki)
            self.assertEqual(got["status"], "ok")
            self.assertEqual(got["key"], kc.hex())
            self.assertEqual(got["enroleeId"], f"//{lablib.SP}/chain-3")
            self.assertEqual(got["appIds"], ["Nlights"])
            self.assertGreater(got["lifetime"], 0)

    def test_enrolling_again_supersedes(self):
        self.new_node("chain-4")
        self.enrol("chain-4")
        first = self.node_keys("chain-4")["keys"][0]["kmId"]
        self.enrol("chain-4")
        second = self.node_keys("chain-4")["keys"][0]["kmId"]
        self.assertNotEqual(first, second)
        states = {k["kmId"]: k["state"] for k in self.listing("key", "mas")}
        self.assertEqual((states[first], states[second]), ("superseded", "active"))


if __name__ == "__main__":
    unittest.main()

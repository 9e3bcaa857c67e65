# SPDX-License-Identifier: BSD-2-Clause
"""What an operator sees in Wireshark: a capture of the chain at work, decoded by tshark with the dictionary that we publish."""
import os
import subprocess
import unittest
import xml.etree.ElementTree as ElementTree

from case import BUILD, LabCase, lablib

import rawdia as dia

MTF2 = "mtf2.example.com"
APPS = {dia.RP: "M2M-RP", dia.RKM: "M2M-RKM", dia.SAK: "M2M-SAK"}
CURSOR, FEATURES, STAKEHOLDER, DRMP = 1114, 1115, 1113, 301
COMMANDS = {dia.RPR: ("Remote-Provisioning", dia.RP), dia.KPR: ("Root-Key-Push", dia.RKM), dia.KRR: ("Root-Key-Revocation", dia.RKM),
            dia.KFR: ("Root-Key-Fetch", dia.RKM), dia.SKR: ("Security-Association-Key", dia.SAK),
            dia.KNR: ("Key-Change-Notification", dia.SAK)}


@unittest.skipUnless(os.geteuid() == 0, "capturing on lo needs root (CAP_NET_RAW)")
class Wireshark(LabCase):
    """The session keys of this lab's Diameter connections are logged into its folder, which goes when the class ends."""

    @classmethod
    def prepare(cls):
        cls.lab.clients = [(MTF2, f'peer "{MTF2}" {{\n\troles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}\n}}\n', "")]
        for d in cls.lab.daemons:
            d.env["SSLKEYLOGFILE"] = d.path("tls-keys")
        ports = " or ".join(f"tcp port {d.port}" for d in (cls.lab.mas, cls.lab.mtf))
        with open(cls.path("dumpcap.log"), "wb") as log:
            cls.dumpcap = subprocess.Popen(["dumpcap", "-q", "-i", "lo", "-f", ports, "-w", cls.path("capture")],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        cls.procs.append(cls.dumpcap)
        lablib.wait_for("dumpcap to capture", lambda: cls.dumpcap.poll() is None and "File:" in cls.read("dumpcap.log"))

    @classmethod
    def read(cls, name):
        with open(cls.path(name), errors="replace") as f:
            return f.read()

    # --- what is captured ------------------------------------------------------------------------------------------------

    def head(self, link, app, dest):
        return [dia.avp(dia.SESSION_ID, f"{link.host};1;{os.urandom(4).hex()}"), dia.avp(dia.AUTH_APP, app), dia.avp(dia.AUTH_STATE, 1),
                *link.me, dia.avp(dia.DEST_REALM, lablib.REALM), dia.avp(dia.DEST_HOST, dest)]

    def chain(self):
        """Two nodes enrol, one with two flights' worth of certificates; their keys are asked for, and one that does not exist."""
        self.new_node("shark", "--app-id", "Nmetering")
        self.enrol("shark")
        self.lab.pki.cert("shark-cam", "device-ca", "DNS:shark-cam.devices.example")
        self.lab.own()
        self.lab.ctl("credential", "add", "dns:shark-cam.devices.example", "--mtf", self.lab.mtf.conf)
        self.instruct("shark-cam", "dns:shark-cam.devices.example")
        self.enrol_cert("shark-cam")
        for name in ("shark", "shark-cam"):
            ki, _ = self.derive(name)
            self.assertEqual(self.resolve(ki)["status"], "ok")
        self.assertNotEqual(self.resolve(f"{'0' * 32}.{'f' * 32}@{lablib.MAS}")["status"], "ok")
        self.assertNotEqual(self.enrol("shark", psk=self.new_psk("stranger", store=False), check=False).returncode, 0)

    def revocation(self):
        """By a second MTF, of the key that it pushed."""
        self.lab.pki.cert("mtf2", "diameter-ca", f"DNS:{MTF2}", cn=MTF2)
        link = dia.Client(self.lab, self.lab.mas.port, "mtf2", MTF2)
        rel = os.urandom(16).hex()
        key = dia.avp(dia.KEY, [dia.avp(dia.KEY_NAME, f"{rel}@{lablib.MAS}"), dia.avp(dia.SUID, 21), dia.avp(dia.KEYING_MATERIAL, os.urandom(32)),
                                dia.avp(dia.EXPIRY, 0xf0000000), dia.avp(dia.ENROLEE, f"//{lablib.SP}/shark-2"),
                                dia.avp(dia.TARGET, lablib.CSE_ID), dia.avp(dia.KE_NAME, f"{rel}@{MTF2}")])
        self.assertEqual(link.ask(dia.message(dia.KPR, dia.RKM, [*self.head(link, dia.RKM, lablib.MAS), key])).result, 2001)
        revoke = [dia.avp(dia.REASON, 4), dia.avp(dia.KEY_NAME, f"{rel}@{lablib.MAS}")]
        self.assertEqual(link.ask(dia.message(dia.KRR, dia.RKM, [*self.head(link, dia.RKM, lablib.MAS), *revoke])).result, 2001)
        link.close()

    def from_the_mas(self):
        """What a MAS sends by itself: a stand-in for it fetches root keys, with every AVP that the chain has no use for, and tells
        the CSF of a change."""
        self.lab.mas.stop()
        server = dia.Server(self.lab, self.lab.mas.port, "mas", lablib.MAS)
        links = {}
        while len(links) < 2:
            link = server.accept()
            links[link.peer] = link
        name = dia.avp(dia.KEY_NAME, f"{'0' * 32}@{lablib.MAS}")
        fetch = [name, dia.avp(CURSOR, b"next"), dia.avp(FEATURES, bytes(8), flags=0x80), dia.avp(DRMP, 10, flags=0),
                 dia.avp(dia.KEY, [name, dia.avp(dia.SUID, 21), dia.avp(dia.PACKAGE, b"0\0"), dia.avp(STAKEHOLDER, lablib.SP, flags=0x80)]),
                 dia.avp(dia.STATUS, [name, dia.avp(dia.RESULT, 5012)])]
        links[lablib.MTF].settle(lambda: dia.message(dia.KFR, dia.RKM, [*self.head(link, dia.RKM, lablib.MTF), *fetch]))
        change = [dia.avp(dia.EVENT, 1), dia.avp(dia.REASON, 2), dia.avp(dia.KEY_NAME, f"{'0' * 32}@{lablib.MAS}")]
        answer = links[lablib.CSF].settle(lambda: dia.message(dia.KNR, dia.SAK, [*self.head(link, dia.SAK, lablib.CSF), *change]))
        self.assertEqual(answer.result, 2001)
        for link in links.values():
            link.close()
        server.close()
        self.lab.restart_mas()

    def stop_capture(self):
        self.dumpcap.terminate()
        self.dumpcap.wait(10)
        self.write("tls-keys", "".join(self.read(d.path("tls-keys")) for d in self.lab.daemons))

    # --- what Wireshark makes of it -----------------------------------------------------------------------------------------

    def data_folder(self):
        """As the manual tells an operator: a folder of links, with our file in the place of Custom.xml."""
        data = self.path("wireshark")
        subprocess.run(["cp", "-rs", "/usr/share/wireshark", data], check=True)
        os.unlink(os.path.join(data, "diameter", "Custom.xml"))
        with open(os.path.join(BUILD, "dict", "m2m.xml")) as f:
            self.write(os.path.join("wireshark", "diameter", "Custom.xml"), f.read())
        return data

    def tshark(self, data, *args):
        """Not as root, for whom tshark ignores WIRESHARK_DATA_DIR. Without its guess that a stream may be remote desktop."""
        ports = [o for d in (self.lab.mas, self.lab.mtf)
                 for o in ("-d", f"tcp.port=={d.port},tls", "-d", f"tls.port=={d.port},diameter")]
        return self.lab.run(["tshark", "-n", "-r", self.path("capture"), "-o", f"tls.keylog_file:{self.path('tls-keys')}",
                             "--disable-protocol", "rdpmt", *ports, *args],
                            env={"WIRESHARK_DATA_DIR": data, "HOME": self.dir}, timeout=300).stdout

    def messages(self, data):
        """Of each Diameter message what is shown for its fields, in order."""
        packets = ElementTree.fromstring(self.tshark(data, "-Y", "diameter", "-T", "pdml"))
        return [[f.get("showname") or f.get("show") for f in m.iter("field")] for m in packets.iter("proto") if m.get("name") == "diameter"]

    @staticmethod
    def unknown(messages):
        return [f for m in messages for f in m if "Unknown" in f]

    def test_capture_is_decoded(self):
        self.chain()
        self.revocation()
        self.from_the_mas()
        self.stop_capture()
        data = self.data_folder()
        messages = self.messages(data)
        self.assertEqual(self.unknown(messages), [])
        self.assertEqual(self.tshark(data, "-Y", "_ws.malformed || (diameter && _ws.expert.severity >= 0x600000)"), "")
        for code, (name, app) in COMMANDS.items():
            for request in ("Set", "Not set"):
                with self.subTest(name, request=request):
                    self.assertTrue([m for m in messages if f"Command Code: {name} ({code})" in m and f"ApplicationId: {APPS[app]} ({app})" in m
                                     and any(f.endswith(f"= Request: {request}") for f in m)])
        shown = {f for m in messages for f in m}
        with open(os.path.join(data, "diameter", "Custom.xml")) as f:
            ours = ElementTree.fromstring("<all>" + f.read().split("?>", 1)[1] + "</all>")
        for avp in ours.iter("avp"):
            self.assertIn(f"AVP Code: {avp.get('code')} {avp.get('name')}", shown)
        for field in ("Security-Usage-Id: root-key (21)", "Security-Usage-Id: association-key (32)", "Revocation-Reason: decommissioned (4)",
                      "Key-Event: revoked (1)", "App-Id: Nmetering", f"Enrolee-Id: //{lablib.SP}/shark"):
            self.assertIn(field, shown)
        with self.subTest("this test would see what is missing"):
            self.assertTrue(self.unknown(self.messages("/usr/share/wireshark")))
        with self.subTest("Wireshark's DTD finds no fault that it does not find without our file"):
            faults = [subprocess.run(["xmllint", "--noout", "--noent", "--valid", "diameter/dictionary.xml"], cwd=d, text=True,
                                     capture_output=True).stderr for d in ("/usr/share/wireshark", data)]
            self.assertEqual(*faults)


if __name__ == "__main__":
    unittest.main()

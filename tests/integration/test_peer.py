# SPDX-License-Identifier: BSD-2-Clause
"""An independent, strict Diameter stack (Erlang/OTP) as MTF and CSE of the MAS, and as CSF and MAS of the MTF (tests/peer/m2m_peer.erl).

Every command that is served, and every result code that a server has (TABLE: code -> scenario of m2m_peer.erl); the answer's
grammar, its flags, and what Failed-AVP holds are checked each time. A code that is missing from the table, or from what the servers gave, fails.

Given, but not to this peer: 5502 and 5503 of the MTF (tests/unit/check_mtf_fetch.c); 3007, 3008, 3005, 5004 for heads that Erlang cannot send (test_hostile.py); 4181 of the MTF, whose own store fails
(tests/unit/check_mtf.c); 5012 of the MTF where a MAS refuses, and 4182 where it does not answer (test_false_mas.py).
"""
import os
import shutil
import subprocess
import unittest

from case import BUILD, LabCase, lablib

import packages

TABLE = {
    lablib.MAS: {
        2001: "push, push_package, ask, revoke", 2002: "push_mixed_batch, ask_mixed", 3001: "fetch_from_a_mas", 3002: "push_to_a_stranger", 4181: "push_until_full",
        5001: "push_unknown_avp, push_unknown_avp_in_the_key", 5003: "push_of_another_provider, push_by_a_cse, ask_as_another_cse, revoke_by_a_cse",
        5004: "push_expired, push_short_key, ask_bad_name, revoke_for_no_such_reason, revoke_bad_name", 5005: "push_without_key",
        5007: "push_key_and_package", 5009: "push_33_is_refused, revoke_257", 5012: "push_all_bad_in_two_ways", 5014: "push_wrong_length",
        5501: "ask_unknown", 5502: "revoke", 5503: "ask_old_sequence", 5504: "push_other_content_conflicts, revoke", 5505: "push_without_its_package",
        5506: "push_bad_package, push_old_package, push_package_of_another_session",
        5507: "push_wrong_usage, ask_wrong_usage", 5508: "push_for_another_mas",
    },
    lablib.MTF: {
        1001: "enrol, round_twice", 2001: "enrol, fetch_all", 2002: "fetch_mixed", 4001: "round_garbage", 4182: "handshakes_at_once", 4183: "rounds_too_fast",
        5001: "round_unknown_avp", 5002: "round_of_no_handshake", 5003: "enrol_without_instruction", 5004: "round_0, round_giant, fetch_made_up_cursor",
        5007: "fetch_names_and_cursor", 5009: "fetch_33", 5501: "fetch_unknown",
        5012: "rounds_without_end", 5508: "enrol_for_no_mas",
    },
}
PEERS = {  # sections at the MAS and at the MTF
    "erl-mtf": (f'roles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}', None),
    "erl-packed": (f'roles = {{ mtf }}\n\tservice-providers = {{ "{lablib.SP}" }}', None),
    "erl-cse": (f'roles = {{ cse }}\n\tcse-ids = {{ "{lablib.CSE_ID}" }}', None),
    "erl-csf": (None, "roles = { csf }"),
    "erl-mas": (None, "roles = { mas }"),
    "erl-few": (None, "roles = { csf }\n\tmax-handshakes = 1"),
    "erl-slow": (None, "roles = { csf }\n\trpr-per-second = 1"),
}
NODES = ("erl-node", "erl-stranger", "erl-lost")  # the second has no instruction, the third's names a MAS that the MTF does not know


def build(out):
    subprocess.run([os.path.join(os.path.dirname(__file__), "..", "peer", "build"), os.path.join(BUILD, "dict"), out], check=True)
    return out


class Peer(LabCase):
    @classmethod
    def prepare(cls):
        def section(name, body):
            return f'peer "{name}.example.com" {{\n\t{body}\n}}\n' if body else ""
        cls.lab.clients = [(name, section(name, mas), section(name, mtf)) for name, (mas, mtf) in PEERS.items()]
        packages.prepare(cls.lab, ("erl-packed",), ("erl-packed.example.com",))
        make = cls.lab._mas_conf

        def small():  # so that it can be filled
            make()
            with open(cls.lab.mas.conf) as f:
                text = f.read().replace("map-size = 64M", "map-size = 2M")
            with open(cls.lab.mas.conf, "w") as f:
                f.write("fetch-when-empty = yes\n" + text)  # so that it asks erl-mtf
        cls.lab._mas_conf = small

    def make_nodes(self):
        for name in NODES:
            san = f"dns:{name}.devices.example"
            self.lab.pki.cert(name, "device-ca", san.replace("dns", "DNS"))
            self.lab.ctl("credential", "add", san, "--mtf", self.lab.mtf.conf)
        self.instruct("erl-node", "dns:erl-node.devices.example")
        with open(self.lab.mtf.conf) as f:  # a MAS that the operator has taken out since
            before = self.write("mtf-before.conf", f.read() + f'mas "mas.other.example" {{\n\trealm = "{lablib.REALM}"\n}}\n'
                                'peer "mas.other.example" {\n\troles = { mas }\n}\n')
        self.lab.ctl("enrolee", "add", f"//{lablib.SP}/erl-lost", "--credential", "dns:erl-lost.devices.example", "--mas", "mas.other.example",
                     "--target", lablib.CSE_ID, "--mtf", before)

    def make_root_keys(self):
        """40 enrolments for erl-mas: two pages of a fetch."""
        tool = os.path.join(BUILD, "tests", "cli", "fill_mtf")
        if not os.path.exists(tool):
            subprocess.run(["make", "-s", "-C", BUILD, "tests/cli/fill_mtf"], check=True, capture_output=True)
        shutil.copy(tool, self.lab.bin)
        with open(self.path("seed"), "wb") as f:
            f.write(os.urandom(32))
        self.lab.own()
        self.lab.run(["fill_mtf", self.lab.mtf.conf, self.path("seed"), "0", "40", "erl-mas.example.com"])

    def test_erlang_peer(self):
        for name in PEERS:
            self.lab.pki.cert(name, "diameter-ca", f"DNS:{name}.example.com", cn=f"{name}.example.com")
        self.make_nodes()
        self.make_root_keys()
        p = subprocess.run(["erl", "-noshell", "-pa", build(self.path("erl")), "-run", "m2m_peer", "main", lablib.MAS, str(self.lab.mas.port),
                            lablib.MTF, str(self.lab.mtf.port), lablib.REALM, self.lab.pki.folder, "example.com", lablib.SP, lablib.CSE_ID],
                           text=True, timeout=300, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(p.stdout)
        self.assertEqual(p.returncode, 0, "the Erlang peer found something to complain about")
        gave = {words[1]: set(map(int, words[2:])) for words in map(str.split, p.stdout.splitlines()) if words and words[0] == "codes"}
        self.assertIn(f"asked {lablib.MAS} KFR KNR", p.stdout)
        self.assertEqual(gave, {host: set(codes) for host, codes in TABLE.items()})


if __name__ == "__main__":
    unittest.main()

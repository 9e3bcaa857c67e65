# SPDX-License-Identifier: BSD-2-Clause
"""Who is at the other end: names in certificates, pins, dates, CAs, revocation, in both directions."""
import os
import ssl
import unittest

from case import LabCase, lablib

import rawdia as dia

MAS = lablib.MAS
CA, SUB_CA = "diameter-ca", "sub-ca"
SOON, LONG_AGO, FAR = "20210101000000Z", "20200101000000Z", "20990101000000Z"


def peer(name, more=""):
    host = f"{name}.example.com"
    return host, f'peer "{host}" {{\n\troles = {{ cse }}\n\tcse-ids = {{ "//{lablib.SP}/{name}" }}\n\t{more}\n}}\n', ""


class IdentityCase(LabCase):
    @classmethod
    def prepare(cls):
        text = cls.lab.host_conf_text
        cls.lab.host_conf_text = lambda *args: text(*args).replace("TwTimer = 6;", "TwTimer = 120;")

    def assert_serves(self):
        for d in self.lab.daemons:
            d.check_alive()
        self.assertEqual(self.resolve("00" * 16 + "." + "00" * 16 + "@" + MAS)["reason"], "unknown")

    def skr(self, link, name="00" * 16 + "." + "00" * 16 + "@" + MAS, cse=None):
        short = link.host.split(".")[0]
        return dia.message(dia.SKR, dia.SAK, [
            dia.avp(dia.SESSION_ID, f"{link.host};1;{os.urandom(4).hex()}"), dia.avp(dia.AUTH_APP, dia.SAK), dia.avp(dia.AUTH_STATE, 1),
            *link.me, dia.avp(dia.DEST_REALM, "example.com"), dia.avp(dia.DEST_HOST, MAS),
            dia.avp(dia.TARGET, cse or f"//{lablib.SP}/{short}"), dia.avp(dia.SUID, 32), dia.avp(dia.KEY_NAME, name)])

    def dial(self, cert, host, **how):
        return dia.Client(self.lab, self.lab.mas.port, cert, host, **how)


    def open(self, cert, host):
        """A connection that was accepted; None while the one before it is not over."""
        link = self.dial(cert, host)
        if link.cea.result == 2001:
            return link
        link.close()
        return None

    def result(self, cert, host):
        """What the capabilities exchange comes to."""
        link = self.dial(cert, host)
        link.close()
        return link.cea.result


class Inbound(IdentityCase):
    @classmethod
    def prepare(cls):
        super().prepare()
        pki = cls.lab.pki
        pki.ca(CA)
        pki.ca("other-ca")
        for name, san in (("good", "DNS:good.example.com"), ("upper", "DNS:GOOD.Example.COM"), ("many", "DNS:a.example.com,DNS:good.example.com"),
                          ("wild", "DNS:*.example.com"), ("dot", "DNS:good.example.com."), ("cn", "DNS:a.example.com"),
                          ("email", "email:x@good.example.com"), ("uri", "URI:good.example.com"), ("pinned", "DNS:pinned.example.com"),
                          ("rekeyed", "DNS:pinned.example.com"), ("away", "DNS:away.example.com"), ("stranger", "DNS:stranger.example.com"),
                          ("declared", "DNS:declared.example.com")):
            pki.cert(name, CA, san, cn="good.example.com")
        pki.cert("foreign", "other-ca", "DNS:good.example.com", cn="good.example.com")
        pki.cert("late", CA, "DNS:good.example.com", not_after=SOON)
        pki.cert("early", CA, "DNS:good.example.com", not_after=FAR, not_before="20980101000000Z")
        pin = f'pins = {{ "{pki.pin("good")}", "{pki.pin("pinned")}" }}'
        cls.lab.clients = [peer("good"), peer("pinned", pin), peer("away", 'realm = "example.net"'), peer("declared")]
        cls.lab._make_pki = lambda: cls.more_pki(pki)
        text = cls.lab.host_conf_text

        def declared(identity, *args):
            extra = 'ConnectPeer = "declared.example.com" { ConnectTo = "127.0.0.1"; Port = 9; No_IPv6; No_SCTP; };\n'
            return text(identity, *args) + (extra if identity == MAS else "")
        cls.lab.host_conf_text = declared

    @classmethod
    def more_pki(cls, pki):
        """The lab's own, without a new CA."""
        pki.ca("device-ca")
        for d in cls.lab.daemons:
            pki.cert(d.name, CA, f"DNS:{d.identity}", cn=d.identity)
        pki.cert("mtf-node", "device-ca", f"DNS:{lablib.MTF}", cn=lablib.MTF)

    def tearDown(self):
        self.assert_serves()

    def test_names(self):
        for cert in ("good", "upper", "many"):
            with self.subTest(cert):
                link = lablib.wait_for("the name to be free", lambda cert=cert: self.open(cert, "good.example.com"))
                self.assertEqual(link.settle(lambda: self.skr(link)).result, 5501)
                link.close()
                self.lab.mas.wait_log(r"'STATE_OPEN[A-Z_]*'.*'good\.example|STATE_SUSPECT.*'good\.example|good\.example.*STATE_CLOSED")
        for cert in ("wild", "dot", "cn", "email", "uri"):
            with self.subTest(cert):
                self.assertEqual(self.result(cert, "pinned.example.com"), 3010)

    def test_wildcard_and_common_name_for_their_own_host(self):
        mark = self.lab.mas.mark()
        for cert in ("wild", "dot", "cn", "email", "uri"):
            with self.subTest(cert):
                self.assertNotEqual(self.result(cert, "good.example.com"), 2001)
        self.lab.mas.wait_log(r"peer good.example.com refused: its certificate has no such dNSName", since=mark)

    def test_no_section(self):
        self.assertEqual(self.result("stranger", "stranger.example.com"), 3010)

    def test_pins(self):
        mark = self.lab.mas.mark()
        self.assertEqual(self.result("rekeyed", "pinned.example.com"), 3010)
        self.lab.mas.wait_log("peer pinned.example.com refused: its certificate's key is none of its pins", since=mark)
        link = self.dial("pinned", "pinned.example.com")
        self.assertEqual(link.cea.result, 2001)
        self.assertEqual(link.settle(lambda: self.skr(link)).result, 5501)
        link.close()

    def test_realm(self):
        mark = self.lab.mas.mark()
        self.assertEqual(self.result("away", "away.example.com"), 3010)
        self.lab.mas.wait_log("peer away.example.com refused: its realm is not the one that is configured", since=mark)

    def test_dates_and_cas(self):
        for cert in ("late", "early", "foreign"):
            with self.subTest(cert), self.assertRaises((dia.Closed, ssl.SSLError, OSError)):
                self.dial(cert, "good.example.com")

    def test_declared_peer_is_checked_too(self):
        """The host does not ask anybody about peers that its configuration declares."""
        link = self.dial("good", "declared.example.com")
        self.assertEqual(link.cea.result, 2001)
        self.assertEqual(link.settle(lambda: self.skr(link)).result, 5003)
        link.close()


class Outbound(IdentityCase):
    """The MAS's place is taken; the CSF dials."""

    def refused(self, cert):
        """The place of the MAS is taken by a server with that certificate: what the CSF says of it."""
        server = dia.Server(self.lab, self.lab.mas.port, cert, MAS)
        mark = self.lab.csf.mark()

        def told():
            self.accept(server)
            return self.lab.csf.logged(rf"peer {MAS} connected, .*|The certificate hostname does not match '{MAS}'", mark)
        try:
            return lablib.wait_for("the CSF's word", told, 40).group(0)
        finally:
            server.close()

    @staticmethod
    def accept(server):
        try:
            server.accept(seconds=2).close()
        except (OSError, dia.Closed):  # both MTF and CSF dial, and give up on connections that were queued for long
            pass

    def test_names(self):
        pki = self.lab.pki
        pki.cert("wild-mas", CA, "DNS:*.example.com", cn=MAS)
        pki.cert("cn-mas", CA, "DNS:other.example.com", cn=MAS)
        self.lab.mas.stop()
        self.assertIn("its requests are refused: its certificate has no such dNSName", self.refused("wild-mas"))
        self.assertNotIn("its certificate names it", self.refused("cn-mas"))  # the host itself refuses to connect to it
        self.assertEqual(self.resolve("00" * 16 + "." + "00" * 16 + "@" + MAS)["reason"], "unavailable")
        mark = self.lab.csf.mark()
        self.lab.mas.start()
        self.lab.csf.wait_log(rf"peer {MAS} connected, its certificate names it", 60, since=mark)


class Revocation(IdentityCase):
    LIST = "peers.crl"

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.lab.clients = [peer(name) for name in ("one", "two", "three", "four", "five")]
        make = cls.lab._make_pki
        text = cls.lab.host_conf_text

        def with_sub_ca(identity, *args):
            conf = text(identity, *args)
            return conf + (f'TLS_CA = "{cls.lab.pki.path(SUB_CA + ".pem")}";\n' if identity == MAS else "")
        cls.lab.host_conf_text = with_sub_ca

        def with_list():
            make()
            for name in ("one", "two", "three"):
                cls.lab.pki.cert(name, CA, f"DNS:{name}.example.com", cn=f"{name}.example.com")
            cls.lab.pki.ca(SUB_CA, by=CA)
            for name in ("four", "five"):  # they show their CA's certificate too
                cls.lab.pki.cert(name, SUB_CA, f"DNS:{name}.example.com", cn=f"{name}.example.com")
                with open(cls.lab.pki.path(SUB_CA + ".pem")) as ca, open(cls.lab.pki.path(name + ".pem"), "a") as f:
                    f.write(ca.read())
            cls.revoke(["three"])
        cls.lab._make_pki = with_list
        conf = cls.lab._mas_conf

        def with_crl():
            conf()
            with open(cls.lab.mas.conf) as f:
                text = f.read()
            with open(cls.lab.mas.conf, "w") as f:
                f.write(f'crl = "{cls.lab.pki.path(cls.LIST)}"\n' + text)
        cls.lab._mas_conf = with_crl

    @classmethod
    def revoke(cls, revoked, by_sub=()):
        """Lists of both CAs."""
        cls.lab.pki.crl(cls.LIST, CA, revoked, [(SUB_CA, by_sub)])

    def test_revoked_by_ca_or_with_it(self):
        """A list of each CA: the lower one revokes a peer, the upper one the lower one with all of its peers."""
        links = {n: self.dial(n, f"{n}.example.com") for n in ("four", "five")}
        for link in links.values():
            self.assertEqual(link.cea.result, 2001)
            self.assertEqual(link.settle(lambda link=link: self.skr(link)).result, 5501)
        self.revoke(["three"], ["four"])
        self.lab.own()
        lablib.wait_for("the lists to be read", lambda: self.refused(links["four"]))
        self.assert_hung_up(links["four"])
        self.assertEqual(links["five"].ask(self.skr(links["five"])).result, 5501)
        self.revoke(["three", SUB_CA], ["four"])
        self.lab.own()
        lablib.wait_for("the lists to be read", lambda: self.refused(links["five"]))
        self.assert_hung_up(links["five"])
        lablib.wait_for("the peer to be refused", lambda: self.result("five", "five.example.com") == 3010)
        self.revoke(["three"])
        self.lab.own()
        lablib.wait_for("the peer to be let in again", lambda: self.open("five", "five.example.com")).close()

    def test_revoked_while_connected(self):
        links = {n: self.dial(n, f"{n}.example.com") for n in ("one", "two")}
        for link in links.values():
            self.assertEqual(link.cea.result, 2001)
            self.assertEqual(link.settle(lambda link=link: self.skr(link)).result, 5501)
        with self.subTest("on the list from the start"):
            self.assertEqual(self.result("three", "three.example.com"), 3010)
            self.lab.mas.wait_log("peer three.example.com refused: its certificate is revoked")
        with self.subTest("revoked while connected"):
            self.revoke(["three", "one"])
            self.lab.own()
            link = links["one"]
            lablib.wait_for("the list to be read", lambda: self.refused(link))
            self.lab.mas.wait_log("peer one.example.com is refused from now on: its certificate is revoked")
            self.assert_hung_up(link)
            lablib.wait_for("the peer to be refused", lambda: self.result("one", "one.example.com") == 3010)
            self.assertEqual(links["two"].ask(self.skr(links["two"])).result, 5501)
        with self.subTest("a file that turns bad leaves the list in force"):
            mark = self.lab.mas.mark()
            with open(self.lab.pki.path(self.LIST), "w") as f:
                f.write("rubbish")

            def told():
                self.assertEqual(links["two"].ask(self.skr(links["two"])).result, 5501)
                return self.lab.mas.logged("peers.crl: is no revocation list in PEM.*stays in force", mark)
            lablib.wait_for("the bad file to be told", told)
            self.assertEqual(self.result("one", "one.example.com"), 3010)
        with self.subTest("and with it there is no start"):
            self.lab.mas.stop()
            mark = self.lab.mas.mark()
            self.lab.mas.start(wait=False)
            self.lab.mas.wait_end()
            self.assertTrue(self.lab.mas.logged("mas.fdx does not start: crl: .*is no revocation list in PEM", mark))
        links["two"].close()
        self.revoke(["three"])
        self.lab.own()
        self.lab.restart_mas()
        lablib.wait_for("the CSF to reach the MAS", lambda: self.resolve("00" * 16 + "." + "00" * 16 + "@" + MAS)["reason"] == "unknown", 30)

    def refused(self, link):
        """A refusal; or the server takes its leave before it comes to the request, which then gets no answer."""
        request = self.skr(link)
        try:
            link.send(request)
            while True:
                m = link.receive(20)
                if m.code == dia.DPR and m.flags & dia.REQUEST:
                    link.send(m.answer([dia.avp(dia.RESULT, 2001), *link.me]))
                    return True
                if m.octets[12:16] == request[12:16]:
                    return m.result == 5003
        except dia.Closed:
            return True

    def assert_hung_up(self, link):
        """A DPR, or the end of the connection at once."""
        try:
            while (m := link.receive(20)).code != dia.DPR:
                pass
            link.send(m.answer([dia.avp(dia.RESULT, 2001), *link.me]))
        except dia.Closed:
            pass
        link.close()


if __name__ == "__main__":
    unittest.main()

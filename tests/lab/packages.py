# SPDX-License-Identifier: BSD-2-Clause
"""Protected key packages in a lab: certificates as doc/operating.md has them made, and packages made by the openssl command, for peers that send their own."""
import os
import subprocess
import tempfile
import time

import good
import lab as lablib
import rawdia as dia

SIGN = "cms -sign -binary -nodetach -md sha256 -outform DER".split()
ENCRYPT = "cms -encrypt -binary -aes-256-gcm -outform DER".split()
AGREE = "-keyopt ecdh_kdf_md:sha256 -aes256-wrap".split()
NTP = 2208988800


def certificate(lab, name, usage, days=30):
    """NAME.pem and NAME.key in the lab's PKI: P-256, signed by itself."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-subj", f"/CN={name}",
                    "-addext", f"keyUsage=critical,{usage}", "-keyout", lab.pki.path(name + ".key"), "-out", lab.pki.path(name + ".pem")],
                   check=True, stdin=subprocess.DEVNULL, capture_output=True)
    os.chmod(lab.pki.path(name + ".key"), 0o600)


def _edit(make, path, edit):
    def made():
        make()
        with open(path()) as f:
            text = edit(f.read())
        with open(path(), "w") as f:
            f.write(text)
    return made


def prepare(lab, peers, require):
    """Before lab.make: the MTF packs for the MAS, the MAS opens the packages of the MTF and of raw peers. require: of whom a key in clear is refused."""
    make_pki = lab._make_pki

    def pki():
        make_pki()
        certificate(lab, "mas-package", "keyAgreement")
        for name in ("mtf-package", "stranger", *[p + "-package" for p in peers]):
            certificate(lab, name, "digitalSignature")

    def at_mas(text):
        for host, signer in ((lablib.MTF, "mtf"), *[(f"{p}.example.com", p) for p in peers]):
            section = f'peer "{host}" {{\n'
            assert section in text
            text = text.replace(section, f'{section}\tpackage-signer = {{ "{lab.pki.path(signer + "-package.pem")}" }}\n\trequire-package = '
                                f'{"yes" if host in require else "no"}\n')
        return f'package-certificate = "{lab.pki.path("mas-package.pem")}"\npackage-private-key = "{lab.pki.path("mas-package.key")}"\n{text}'

    def at_mtf(text):
        section = f'mas "{lablib.MAS}" {{\n'
        return (f'package-certificate = "{lab.pki.path("mtf-package.pem")}"\npackage-private-key = "{lab.pki.path("mtf-package.key")}"\n'
                + text.replace(section, f'{section}\tpackage-recipient = "{lab.pki.path("mas-package.pem")}"\n'))
    lab._make_pki = pki
    lab._mas_conf = _edit(lab._mas_conf, lambda: lab.mas.conf, at_mas)
    lab._mtf_conf = _edit(lab._mtf_conf, lambda: lab.mtf.conf, at_mtf)


def seal(lab, signer, content, recipient="mas-package", sign=SIGN, encrypt=ENCRYPT, agree=AGREE):
    """The octets of a package; signer None: not signed."""
    with tempfile.TemporaryDirectory() as folder:
        def run(argv, octets):
            with open(os.path.join(folder, "in"), "wb") as f:
                f.write(octets)
            return subprocess.run(["openssl", *argv, "-in", os.path.join(folder, "in")], check=True, stdin=subprocess.DEVNULL, capture_output=True).stdout
        path = lab.pki.path
        if signer:
            content = run([*sign, "-signer", path(signer + ".pem"), "-inkey", path(signer + ".key")], content)
        return run([*encrypt, "-recip", path(recipient + ".pem"), *agree], content)


def content(link, session, rel, **other):
    """What a package for good.key holds; keyword arguments as good.key has them, and ORIGIN_HOST, DEST_HOST, SESSION_ID, TIME (s off now)."""
    pairs = {"KEY_NAME": f"{rel.hex()}@{lablib.MAS}", "SUID": 21, "KEYING_MATERIAL": good.KM, "EXPIRY": 0xf0000000, "ENROLEE": f"//{lablib.SP}/pushed",
             "TARGET": lablib.CSE_ID, "KE_NAME": f"{rel.hex()}@{link.host}", "ORIGIN_HOST": link.host, "DEST_HOST": lablib.MAS, "SESSION_ID": session}
    off = other.pop("TIME", 0)
    pairs.update(other)
    time_avp = [] if off is None else [dia.avp(55, int(time.time() + off + NTP) & 0xffffffff)]
    return b"".join(good.avps(pairs) + time_avp)


def key(lab, link, session, rel=None, signer=None, inside=None, how=None, **clear):
    """An M2M-Key with a package: by the link's own certificate. inside: keyword arguments of content; how: of seal; clear: of good.key."""
    rel = rel or os.urandom(16)
    package = seal(lab, signer or link.host.split(".")[0] + "-package", content(link, session, rel, **(inside or {})), **(how or {}))
    return good.key(link, rel, **{"KEYING_MATERIAL": None, "PACKAGE": package, **clear})

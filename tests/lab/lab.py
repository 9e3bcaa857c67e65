#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A small operator's network on loopback: throw-away PKI, MAS, MTF and CSF as real freeDiameterd processes.

As a module: class Lab, used by the integration tests. As a command, used by scripts/demo:
    lab.py up BUILDDIR DIR [colocated]      make everything, start it, write DIR/env (shell variables)
    lab.py down DIR                         stop it
colocated: MAS and MTF are one process, and have its name.
Run by root, the daemons (and whatever the caller starts with DIR/env's AS) run as `nobody`.
"""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

REALM = "example.com"
MAS, MTF, CSF = "mas.example.com", "mtf.example.com", "csf.example.com"
SP = "sp.example.com"
CSE_ID = f"//{SP}/in-cse"
CLOCK_TICK = 0.05  # s between two looks at something awaited
PRELOAD = os.environ.get("M2M_PRELOAD")  # the sanitizers' runtime for the daemons: the host itself has none
SANITIZED = bool(PRELOAD)


class LabError(Exception):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, condition, seconds=15):
    """Poll until condition() is true; its value. LabError names what was awaited."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(CLOCK_TICK)
    raise LabError(f"waited {seconds} s in vain for {what}")


class Pki:
    """CAs and certificates, all ECDSA P-256, made with the openssl command."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, stdin=subprocess.DEVNULL, capture_output=True)

    def _key(self, name):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path(name + ".key"))
        os.chmod(self.path(name + ".key"), 0o600)

    def ca(self, name, by=None):
        """by: the CA above it; None: nobody."""
        self._key(name)
        above = ("-CA", self.path(by + ".pem"), "-CAkey", self.path(by + ".key")) if by else ()
        self._openssl("req", "-x509", "-new", "-key", self.path(name + ".key"), "-subj", f"/CN={name}", "-days", "30", *above,
                      "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                      "-out", self.path(name + ".pem"))

    def cert(self, name, ca, san, cn=None, not_after=None, not_before="20200101000000Z"):
        """san: an openssl subjectAltName value, e.g. DNS:mas.example.com; not_after: YYYYMMDDHHMMSSZ."""
        self._key(name)
        csr, ext = self.path(name + ".csr"), self.path(name + ".ext")
        self._openssl("req", "-new", "-key", self.path(name + ".key"), "-subj", f"/CN={cn or name}", "-out", csr)
        with open(ext, "w") as f:
            f.write(f"subjectAltName={san}\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n")
        if not_after is None:
            self._openssl("x509", "-req", "-in", csr, "-CA", self.path(ca + ".pem"), "-CAkey", self.path(ca + ".key"),
                          "-CAcreateserial", "-days", "30", "-extfile", ext, "-out", self.path(name + ".pem"))
        else:
            base = self.path(name + ".ca")
            os.makedirs(base, exist_ok=True)
            with open(os.path.join(base, "index.txt"), "w"):
                pass
            with open(os.path.join(base, "conf"), "w") as f:
                f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}/index.txt\nnew_certs_dir={base}\nrand_serial=yes\n"
                        "default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")
            self._openssl("ca", "-batch", "-notext", "-config", os.path.join(base, "conf"), "-in", csr,
                          "-cert", self.path(ca + ".pem"), "-keyfile", self.path(ca + ".key"), "-extfile", ext,
                          "-startdate", not_before, "-enddate", not_after, "-out", self.path(name + ".pem"))
        os.unlink(csr)
        os.unlink(ext)


    def pin(self, name):
        """As the `pins` of a peer's section have it."""
        spki = subprocess.run(f"openssl x509 -in {self.path(name + '.pem')} -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum",
                              shell=True, check=True, capture_output=True, text=True).stdout
        return "sha256:" + spki.split()[0]

    def crl(self, name, ca, revoked=(), more=()):
        """Revocation lists of a CA, and of more: pairs like the first; put in place whole. revoked: names of certificates."""
        with open(self.path(name + ".new"), "wb") as out:
            for by, names in ((ca, revoked), *more):
                out.write(self._crl(name, by, names))
        os.chmod(self.path(name + ".new"), 0o644)
        os.rename(self.path(name + ".new"), self.path(name))

    def _crl(self, name, ca, revoked):
        base = self.path(name + ".list")
        os.makedirs(base, exist_ok=True)
        conf = os.path.join(base, "conf")
        with open(conf, "w") as f:
            f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={base}/index.txt\ndefault_md=sha256\ncrlnumber={base}/number\n")
        for file, text in (("index.txt", ""), ("number", "01\n")):
            with open(os.path.join(base, file), "w") as f:
                f.write(text)
        by = ("-config", conf, "-cert", self.path(ca + ".pem"), "-keyfile", self.path(ca + ".key"))
        for cert in revoked:
            self._openssl("ca", *by, "-revoke", self.path(cert + ".pem"))
        self._openssl("ca", *by, "-gencrl", "-crldays", "30", "-out", os.path.join(base, "crl"))
        with open(os.path.join(base, "crl"), "rb") as f:
            return f.read()


class Daemon:
    def __init__(self, lab, name, identity, listens):
        self.lab, self.name, self.identity = lab, name, identity
        self.port = free_port() if listens else 0
        self.folder = os.path.join(lab.dir, name)
        self.log = os.path.join(lab.dir, name + ".log")
        self.proc = None
        self.env = {}

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    @property
    def conf(self):
        return self.path(self.name + ".conf")

    def start(self, wait=True):
        with open(self.log, "ab") as log:
            # whoever started the tests may ignore signals, and a service manager does not
            self.proc = subprocess.Popen(["env", "--default-signal", *self.lab.wrapped(["freeDiameterd", "-c", self.path("freeDiameter.conf")])],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                         cwd=self.folder, env=self.lab.daemon_env(self.env), start_new_session=True)
        with open(self.path("pid"), "w") as f:
            f.write(str(self.proc.pid))
        if wait and self.port:
            wait_for(f"{self.name} to listen on 127.0.0.1:{self.port}", self._listening)

    def _listening(self):
        self.check_alive()
        try:
            with open(f"/proc/{self.proc.pid}/net/tcp") as f:
                rows = [line.split() for line in f.readlines()[1:]]
        except OSError:
            return False
        local = [r[1] for r in rows if r[3] == "0A" and int(r[1].split(":")[1], 16) == self.port]
        if any(addr.split(":")[0] != "0100007F" for addr in local):
            raise LabError(f"{self.name} listens on more than loopback")
        return bool(local)

    def check_alive(self):
        if self.proc.poll() is not None:
            raise LabError(f"{self.name} ended with status {self.proc.returncode}:\n{self.tail()}")

    def tail(self, lines=30):
        with open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def logged(self, pattern, since=0):
        with open(self.log, errors="replace") as f:
            f.seek(since)
            return re.search(pattern, f.read())

    def mark(self):
        """Where the log ends now; for `since`."""
        return os.path.getsize(self.log)

    def wait_log(self, pattern, seconds=15, since=0):
        def look():
            self.check_alive()
            return self.logged(pattern, since)
        return wait_for(f"'{pattern}' in {self.log}", look, seconds)

    def stop(self, sig=signal.SIGTERM, seconds=20):
        """SIGTERM and wait; a daemon that does not end by itself, or by a sanitizer's word, is a failure."""
        if self.proc is not None and self.proc.poll() is None:
            self._end(sig, seconds)
        found = self.proc is not None and self.logged(r"(ERROR: \w+Sanitizer|runtime error:).*")
        if found:
            raise LabError(f"{self.name}: {found.group(0)}\n{self.tail(60)}")

    def _end(self, sig, seconds):
        self.proc.send_signal(sig)
        self.wait_end(seconds)

    def wait_end(self, seconds=20):
        """Wait until the daemon has ended; its exit status."""
        try:
            wait_for(f"{self.name} to end", lambda: self.proc.poll() is not None or self._in_exit(), seconds)
            return self.proc.wait(1)
        except LabError:
            self.proc.kill()
            self.proc.wait()
            raise
        except subprocess.TimeoutExpired:
            self.proc.kill()
            return self.proc.wait()

    # By itself with a status that is not 0, the host's own; a signal that ended it would be negative. (Sanitized: or by wait_end's.)
    ENDED = (255, -signal.SIGKILL) if SANITIZED else (255,)

    def _in_exit(self):
        """With AddressSanitizer's slower calls the host often cancels a thread inside the C library, whose locks then stop the
        exit handlers: all is done by then, one thread is left."""
        return SANITIZED and len(os.listdir(f"/proc/{self.proc.pid}/task")) == 1


class Lab:
    def __init__(self, builddir, folder, colocated=False):
        self.dir = os.path.abspath(folder)
        self.builddir = os.path.abspath(builddir)
        self.user = "nobody" if os.geteuid() == 0 else None
        os.makedirs(self.dir, mode=0o755, exist_ok=True)
        self.bin = os.path.join(self.dir, "bin")
        self.ext = os.path.join(self.dir, "ext")
        self.pki = Pki(os.path.join(self.dir, "pki"))
        self.mas = Daemon(self, "mas", MAS, True)
        self.mtf = Daemon(self, "mtf", MAS if colocated else MTF, True)
        self.csf = Daemon(self, "csf", CSF, False)
        self.colocated = colocated
        self.daemons = [self.mas, self.csf] if colocated else [self.mas, self.mtf, self.csf]
        if colocated:  # an extension of the MAS's host
            self.mtf.log, self.mtf.port = self.mas.log, self.mas.port
        self.relay_port = free_port()
        self.resolver = self.csf.path("resolver.sock")
        self.clients = []  # other Diameter peers: (identity, section lines for mas.conf, for mtf.conf)

    # --- making it -------------------------------------------------------------------------------------------------

    def make(self):
        self._install()
        self._make_pki()
        for d in (self.mas, self.mtf, self.csf):
            os.makedirs(d.folder, mode=0o700, exist_ok=True)
        for d in self.daemons:
            self._host_conf(d)
        self._mas_conf()
        self._mtf_conf()
        self._csf_conf()
        self.own()
        self.ctl("init", "--mas", self.mas.conf, *self.init_options("mas"))
        self.ctl("init", "--mtf", self.mtf.conf, *self.init_options("mtf"))

    @staticmethod
    def init_options(_side):
        """What m2mctl init is told beside the configuration."""
        return ["--no-recovery"]

    def own(self):
        """Give everything to the user that the daemons run as."""
        if not self.user:
            return
        pw = pwd.getpwnam(self.user)
        for root, dirs, files in os.walk(self.dir):
            for name in [root] + [os.path.join(root, f) for f in files]:
                os.chown(name, pw.pw_uid, pw.pw_gid, follow_symlinks=False)

    def _install(self):
        """Copies, so that the daemons' user needs no access to the build tree."""
        os.makedirs(self.bin, exist_ok=True)
        os.makedirs(self.ext, exist_ok=True)
        for prog in ("ctl/m2mctl", "csf/m2m-node", "csf/m2m-front"):
            shutil.copy(os.path.join(self.builddir, prog), self.bin)
        shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "asan.supp"), self.ext)
        for ext in ("dict/.libs/dict_m2m", "mas/.libs/mas", "mtf/.libs/mtf", "csf/.libs/csf", "tests/lab/.libs/loopback"):
            shutil.copy(os.path.join(self.builddir, ext + ".fdx"), self.ext)

    def _make_pki(self):
        self.pki.ca("diameter-ca")
        self.pki.ca("device-ca")
        for d in self.daemons:
            self.pki.cert(d.name, "diameter-ca", f"DNS:{d.identity}", cn=d.identity)
        self.pki.cert("mtf-node", "device-ca", f"DNS:{self.mtf.identity}", cn=self.mtf.identity)

    def _host_conf(self, d):
        to = {"mas": [], "mtf": [self.mas], "csf": [self.mas] if self.colocated else [self.mas, self.mtf]}[d.name]
        hosted = [self.mas, self.mtf] if self.colocated and d is self.mas else [d]
        with open(d.path("freeDiameter.conf"), "w") as f:
            f.write(self.host_conf_text(d.identity, d.name, d.port, to,
                                        [f'LoadExtension = "{self.ext}/{h.name}.fdx" : "{h.conf}";' for h in hosted]))

    def host_conf_text(self, identity, cert, port, connect_to, extensions):
        lines = [f'Identity = "{identity}";', f'Realm = "{REALM}";', "Port = 0;", f"SecPort = {port};", "No_SCTP;", "No_IPv6;",
                 "NoRelay;", "ThreadsPerServer = 16;", "TcTimer = 1;", "TwTimer = 6;",
                 f'TLS_Cred = "{self.pki.path(cert + ".pem")}", "{self.pki.path(cert + ".key")}";',
                 f'TLS_CA = "{self.pki.path("diameter-ca.pem")}";',
                 'TLS_Prio = "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA";', "TLS_DH_Bits = 2048;",
                 f'LoadExtension = "{self.ext}/loopback.fdx";', f'LoadExtension = "{self.ext}/dict_m2m.fdx";', *extensions]
        lines += [f'ConnectPeer = "{p.identity}" {{ ConnectTo = "127.0.0.1"; Port = {p.port}; No_IPv6; No_SCTP; }};'
                  for p in connect_to]
        return "\n".join(lines) + "\n"

    def _mas_conf(self):
        with open(self.mas.conf, "w") as f:
            f.write(f'mas-id = "{MAS}"\nstore = "{self.mas.path("store")}"\nkek-file = "{self.mas.path("kek")}"\nmap-size = 64M\n'
                    f'peer "{self.mtf.identity}" {{\n\troles = {{ mtf }}\n\tservice-providers = {{ "{SP}" }}\n}}\n'
                    f'peer "{CSF}" {{\n\troles = {{ cse }}\n\tcse-ids = {{ "{CSE_ID}" }}\n}}\n')
            f.writelines(mas for _, mas, _ in self.clients)

    def _mtf_conf(self):
        with open(self.mtf.conf, "w") as f:
            f.write(f'mtf-id = "{self.mtf.identity}"\nstore = "{self.mtf.path("store")}"\nkek-file = "{self.mtf.path("kek")}"\nmap-size = 64M\n'
                    f'certificate = "{self.pki.path("mtf-node.pem")}"\nprivate-key = "{self.pki.path("mtf-node.key")}"\n'
                    f'trust-anchors = "{self.pki.path("device-ca.pem")}"\npush-timeout = 5s\n'
                    f'mas "{MAS}" {{\n\trealm = "{REALM}"\n}}\n'
                    f'peer "{MAS}" {{\n\troles = {{ mas }}\n}}\npeer "{CSF}" {{\n\troles = {{ csf }}\n}}\n')
            f.writelines(mtf for _, _, mtf in self.clients)

    def _csf_conf(self):
        roles = {MAS: "mas, mtf"} if self.colocated else {MAS: "mas", MTF: "mtf"}
        with open(self.csf.conf, "w") as f:
            f.write(f'relay-listen = "127.0.0.1:{self.relay_port}"\nmtf-realm = "{REALM}"\n'
                    f'resolver-socket = "{self.resolver}"\ncse-id = "{CSE_ID}"\n'
                    f'mas "{MAS}" {{\n\trealm = "{REALM}"\n}}\n'
                    + "".join(f'peer "{host}" {{\n\troles = {{ {role} }}\n}}\n' for host, role in roles.items()))

    # --- running it ------------------------------------------------------------------------------------------------

    def wrapped(self, argv):
        if not self.user:
            return argv
        return ["setpriv", f"--reuid={self.user}", "--regid=nogroup", "--clear-groups", *argv]

    def daemon_env(self, extra):
        env = dict(os.environ, **extra)
        env["PATH"] = f"{self.bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        if PRELOAD:
            env["LD_PRELOAD"] = PRELOAD
            # Every extension has its own fd_ext_depends; the host cancels threads and leaves memory to the end of the process.
            env["ASAN_OPTIONS"] = ":".join(["use_sigaltstack=0:detect_odr_violation=0:detect_leaks=0",
                                            "suppressions=" + os.path.join(self.ext, "asan.supp"), extra.get("ASAN_OPTIONS", "")])
        return env

    def run(self, argv, check=True, **kw):
        """A client or tool, as the daemons' user; its completed process."""
        kw.setdefault("stdin", subprocess.DEVNULL if "input" not in kw else None)
        if kw["stdin"] is None:
            del kw["stdin"]
        env = dict(os.environ, PATH=f"{self.bin}:/usr/bin:/bin", **kw.pop("env", {}))
        p = subprocess.run(self.wrapped(argv), text=True, capture_output=True, timeout=kw.pop("timeout", 60), env=env,
                           cwd=self.dir, **kw)
        with open(os.path.join(self.dir, "tools.log"), "a") as f:  # what an operator or a node's owner may log
            f.write(f"{' '.join(argv)}\n{p.stderr}")
        if check and p.returncode != 0:
            raise LabError(f"{' '.join(argv)}: status {p.returncode}\n{p.stdout}{p.stderr}")
        return p

    def ctl(self, *args, **kw):
        return self.run(["m2mctl", *args], **kw)

    def start(self):
        for d in self.daemons:
            d.start()
        self.wait_connected()

    def wait_connected(self):
        if not self.colocated:
            self.mtf.wait_log(rf"peer {MAS} connected")
            self.csf.wait_log(rf"peer {MTF} connected")
        self.csf.wait_log(rf"peer {MAS} connected")

    def restart_mas(self, sig=signal.SIGTERM):
        """End the MAS (if it runs), start it again, wait until its clients are connected again."""
        marks = [(d, d.mark()) for d in self.daemons if d is not self.mas]
        self.mas.stop(sig)
        self.mas.start()
        for d, mark in marks:
            d.wait_log(rf"peer {MAS} connected", 30, since=mark)

    def stop(self):
        failures = []
        for d in reversed(self.daemons):
            try:
                d.stop()
            except LabError as e:
                failures.append(str(e))
        if failures:
            raise LabError("; ".join(failures))


def up(builddir, folder, colocated):
    lab = Lab(builddir, folder, colocated)
    try:
        lab.make()
        lab.start()
    except Exception:
        lab.stop()
        raise
    as_user = " ".join(lab.wrapped([])) if lab.user else ""
    with open(os.path.join(lab.dir, "env"), "w") as f:
        for k, v in {"LAB": lab.dir, "AS": as_user, "PKI": lab.pki.folder, "RELAY": f"127.0.0.1:{lab.relay_port}", "MAS_CONF": lab.mas.conf,
                     "MTF_CONF": lab.mtf.conf, "CSF_CONF": lab.csf.conf, "RESOLVER": lab.resolver, "MAS_ID": MAS, "MTF_ID": lab.mtf.identity,
                     "CSE_ID": CSE_ID, "SP": SP, "MAS_PORT": lab.mas.port, "MTF_PORT": lab.mtf.port,
                     "PATH": f"{lab.bin}:" + os.environ["PATH"]}.items():
            f.write(f"{k}='{v}'\n")


def down(folder):
    """Stop what `up` started; a daemon that needs SIGKILL is a failure."""
    late = []
    for name in ("csf", "mtf", "mas"):
        try:
            with open(os.path.join(folder, name, "pid")) as f:
                pid = int(f.read())
        except FileNotFoundError:
            continue

        def gone():
            try:
                os.kill(pid, 0)
                with open(f"/proc/{pid}/stat") as stat:
                    return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
            except (ProcessLookupError, FileNotFoundError):
                return True
        if not gone():
            os.kill(pid, signal.SIGTERM)
            try:
                wait_for(f"{name} to stop", gone, 20)
            except LabError:
                late.append(name)
                os.kill(pid, signal.SIGKILL)
    if late:
        raise LabError("did not stop by themselves: " + ", ".join(late))


if __name__ == "__main__":
    try:
        if len(sys.argv) in (4, 5) and sys.argv[1] == "up" and sys.argv[4:] in ([], ["colocated"]):
            up(sys.argv[2], sys.argv[3], len(sys.argv) == 5)
        elif len(sys.argv) == 3 and sys.argv[1] == "down":
            down(sys.argv[2])
        else:
            sys.exit(__doc__)
    except LabError as e:
        sys.exit(f"lab: {e}")

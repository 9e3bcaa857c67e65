# SPDX-License-Identifier: BSD-2-Clause
"""What the labs of a run logged, and the secrets that they had: neither may ever stand in the other. case.py adds each class's when it ends, and
test_zz_logs, the last of a run, looks for all of one in all of the other."""
import atexit
import base64
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile

KEPT = tempfile.mkdtemp(prefix="m2m-it-logs.")
atexit.register(shutil.rmtree, KEPT, True)
SECRETS = {}  # octets: what they are
NEVER = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY")


class Needles:
    """Keys in every spelling, by what they are looked for in and by length: {length: {spelling: what}}. Half of a key is too much of it. Halves
    that are text are somebody's name too: then it is the whole."""

    def __init__(self, secrets):
        self.names, self.raw, self.hex, self.base64 = {}, {}, {}, {}
        for key, what in secrets.items():
            readable = not re.search(rb"[^ -~]", key)
            for part in {key} if readable else {key[:16], key[-16:]}:
                self._add(self.names if readable else self.raw, part, what)
                self._add(self.hex, part.hex().encode(), what)
                for shift in range(3):
                    inner = part[shift:]
                    self._add(self.base64, base64.b64encode(inner[:len(inner) // 3 * 3]), what)

    @staticmethod
    def _add(by_length, spelling, what):
        by_length.setdefault(len(spelling), {})[spelling] = what


class Hay:
    """One log, sorted by what a key could be spelled in."""

    def __init__(self, octets):
        self.octets = octets
        self.text = octets.isascii() and not re.search(rb"[^\t\n\r\x1b -~]", octets)
        flat = re.sub(rb"[\s:;,.<>|-]|0x|\\x", b"", octets.lower())
        self.hex = b"\n".join(re.findall(rb"[0-9a-f]{32,}", flat))
        self.base64 = b"\n".join(re.findall(rb"[A-Za-z0-9+/]{16,}", octets.translate(bytes.maketrans(b"-_", b"+/"))))

    def which(self, needles):
        """What of them is here."""
        return {*_hits(self.octets, needles.names), *(() if self.text else _hits(self.octets, needles.raw)), *_hits(self.hex, needles.hex),
                *_hits(self.base64, needles.base64)}

    def has(self, key):
        return bool(self.which(Needles({key: "key"})))


def _hits(octets, by_length):
    """Of a long run's many spellings each place is looked up; a few are searched for, one by one."""
    for n, spellings in by_length.items():
        if len(spellings) < 200:
            yield from (what for spelling, what in spellings.items() if spelling in octets)
        else:
            places = (octets[i:i + n] for i in range(len(octets) - n + 1))
            yield from (spellings[place] for place in places if place in spellings)


def _hex_in(value):
    """Every string of 32 octets in hex, of a JSON value."""
    if isinstance(value, str):
        return [bytes.fromhex(value)] if re.fullmatch(r"[0-9a-fA-F]{64}", value) else []
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [k for v in values for k in _hex_in(v)]


def _read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def of_lab(lab, tool):
    """{octets: what}: the secrets that lie in a lab's folder. tool: the program that tells a keyring's keys."""
    found = {}
    for path in glob.glob(os.path.join(lab.dir, "**", "*"), recursive=True):
        name = os.path.basename(path)
        if name.endswith(".psk"):
            text = _read(path).strip()
            if re.fullmatch(rb"([0-9a-fA-F]{2}){16,64}", text):
                found[bytes.fromhex(text.decode())] = "Kpm"
        elif name.endswith(".keys"):
            try:
                found.update(dict.fromkeys(_hex_in(json.loads(_read(path))), "Km"))
            except ValueError:
                pass  # a test's broken file
        elif name.startswith("kek") and len(_read(path)) == 32:
            found[_read(path)] = "KEK"
        elif name.endswith(".key"):
            for line in re.findall(rb"^-----BEGIN .*PRIVATE KEY-----\n([A-Za-z0-9+/]{64})$", _read(path), re.M):
                found[base64.b64decode(line)] = "private key"  # all but its last octets; what follows is public
        elif name == "keyring":
            shutil.copy(tool, lab.bin)  # run as the daemons' user, whose files these are
            for kek in glob.glob(os.path.join(os.path.dirname(path), "..", "kek*")):
                p = subprocess.run(lab.wrapped([os.path.join(lab.bin, os.path.basename(tool)), path, kek]), capture_output=True, text=True)
                if p.returncode == 0:
                    found.update({bytes.fromhex(line): "keyring key" for line in p.stdout.split()})
    return found


def of_folder(folder):
    """Paths of the logs in a lab's folder, the audit logs too."""
    return [p for pattern in ("*.log", "*.out") for p in glob.glob(os.path.join(folder, "**", pattern), recursive=True)]


def search(paths, secrets):
    """What was found: (path, what)."""
    found, needles = [], Needles({key: what for key, what in secrets.items() if len(key) >= 16})
    for path in paths:
        octets = _read(path)
        found += [(path, what) for what in Hay(octets).which(needles)]
        if NEVER.search(octets):
            found.append((path, "private key, as PEM"))
    return found


def keep(name, lab, secrets, tool):
    """A class ends: its logs and secrets for the end of the run. Raises if one is in the other already."""
    mine = of_lab(lab, tool)
    mine.update({k: mine.get(k, "of the test") for k in secrets})
    SECRETS.update(mine)
    folder = os.path.join(KEPT, name)
    os.makedirs(folder, exist_ok=True)
    paths = of_folder(lab.dir)
    for i, path in enumerate(paths):
        shutil.copyfile(path, os.path.join(folder, f"{i}-{os.path.basename(path)}"))
    found = search(paths, mine)
    if found:
        raise AssertionError(f"a key stands in a log: {found}")

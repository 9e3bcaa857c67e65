# SPDX-License-Identifier: BSD-2-Clause
"""The servers' metrics, as a lab shows them: scraped, and in the textfile."""
import re
import shutil
import subprocess
import urllib.request

from case import lablib

PORTS = {}
SAMPLE = re.compile(r'(m2m_[a-z0-9_]+){([^{}]*)} (-?[0-9.]+)')
LABEL = re.compile(r'([a-z]+)="([^"]*)"')
_file = None


def show(lab):
    """Before the lab is made: each server gets a listener, the MAS a file too."""
    global _file
    _file = lab.mas.path("mas.prom")
    for d in (lab.mas, lab.mtf, lab.csf):
        PORTS[d.name] = lablib.free_port()
        _extend(lab, d, f'metrics-listen = "127.0.0.1:{PORTS[d.name]}"\n'
                + (f'metrics-file = "{_file}"\nmetrics-interval = 1s\n' if d is lab.mas else ""))


def _extend(lab, d, lines):
    make = getattr(lab, f"_{d.name}_conf")

    def longer():
        make()
        with open(d.conf, "a") as f:
            f.write(lines)
    setattr(lab, f"_{d.name}_conf", longer)


def scrape(name):
    """{(metric, (label, value) …): number}. Every line is one of OpenMetrics 1.0, in order: a family is described, then its samples."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORTS[name]}/metrics", timeout=30) as r:
        kind = r.headers["Content-Type"]
        text = r.read().decode()
    if kind != "application/openmetrics-text; version=1.0.0; charset=utf-8":
        raise AssertionError(kind)
    if not text.endswith("\n# EOF\n"):
        raise AssertionError("no end")
    values, family = {}, None
    for line in text.splitlines()[:-1]:
        if line.startswith("# HELP "):
            family = line.split()[2]
            continue
        if re.fullmatch(rf"# (TYPE {family} (counter|gauge|histogram)|UNIT {family} [a-z]+)", line):
            continue
        found = SAMPLE.fullmatch(line)
        if not found or not found[1].startswith(family):
            raise AssertionError(line)
        key = (found[1], *sorted(LABEL.findall(found[2])))
        if key in values:
            raise AssertionError(f"twice: {line}")
        values[key] = float(found[3])
    return values


def file_text():
    with open(_file) as f:
        return f.read()


def promtool(*args, **kw):
    tool = shutil.which("promtool", path="/usr/local/bin:/usr/bin:/bin")
    if not tool:
        raise AssertionError("promtool is missing: scripts/setup installs it")
    done = subprocess.run([tool, *args], capture_output=True, text=True, check=False, **kw)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"promtool {args}: {done.stdout}{done.stderr}")

# SPDX-License-Identifier: BSD-2-Clause
"""What every measurement shares: the machine in words, medians with their spread, tables, JSON."""
import json
import os
import platform
import statistics
import time


def _first(path, key):
    try:
        with open(path) as f:
            return next((line.split(":", 1)[1].strip() for line in f if line.startswith(key)), "?")
    except OSError:
        return "?"


def machine(folder):
    """The host, and the disk that folder is on."""
    fs = os.statvfs(folder)
    return {"cpu": _first("/proc/cpuinfo", "model name"), "cores": len(os.sched_getaffinity(0)),
            "hypervisor": "hypervisor" in _first("/proc/cpuinfo", "flags").split(),
            "memory_gib": round(int(_first("/proc/meminfo", "MemTotal").split()[0]) / 2**20, 1),
            "kernel": platform.release(), "disk_free_gib": round(fs.f_bavail * fs.f_frsize / 2**30, 1),
            "load_before": os.getloadavg()[0], "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def median(values):
    """{median, low, high, n} of a list."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "n": len(values)}


def short(x):
    """A number for a table: three or four digits that mean something."""
    if x is None:
        return "-"
    if isinstance(x, str):
        return x
    if x == int(x) and abs(x) < 1e15:
        return f"{int(x):,}"
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


def spread(m, scale=1):
    """median (low to high)"""
    return f"{short(m['median'] * scale)} ({short(m['low'] * scale)} to {short(m['high'] * scale)})"


def table(title, columns, rows):
    cells = [[short(c) for c in row] for row in rows]
    width = [max(len(r[i]) for r in [columns, *cells]) for i in range(len(columns))]
    print(f"\n{title}\n")
    for r in [columns, ["-" * w for w in width], *cells]:
        print("  " + "  ".join(c.rjust(w) for c, w in zip(r, width)))


def save(path, result):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")

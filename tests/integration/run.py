# SPDX-License-Identifier: BSD-2-Clause
"""Runs the integration tests, several classes at once: each has a lab of its own, and most of its time it waits for daemons.
    M2M_BUILD=BUILD python3 -B tests/integration/run.py [PATTERN…]
PATTERN: as unittest's -k. What the labs logged is searched for keys at the end (test_zz_logs)."""
import concurrent.futures
import io
import multiprocessing
import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import logs  # noqa: E402

LAST = "test_zz_logs"


def classes(patterns):
    """The names of the test classes, each with its count of tests, most tests first; LAST's apart."""
    loader = unittest.TestLoader()
    loader.testNamePatterns = [p if "*" in p else f"*{p}*" for p in patterns] or None
    counts, todo = {}, [loader.discover(HERE, top_level_dir=HERE)]
    if loader.errors:
        sys.exit("\n".join(loader.errors))
    while todo:
        for t in todo.pop():
            if isinstance(t, unittest.TestSuite):
                todo.append(t)
            else:
                counts.setdefault(f"{type(t).__module__}.{type(t).__qualname__}", []).append(t._testMethodName)
    return sorted(((n, t) for n, t in counts.items() if not n.startswith(LAST)), key=lambda c: -len(c[1])), \
        [(n, t) for n, t in counts.items() if n.startswith(LAST)]


def run(name, tests):
    """One class. Returns its name, what unittest printed of it, its counts and the secrets that it had."""
    began, out = time.monotonic(), io.StringIO()
    suite = unittest.defaultTestLoader.loadTestsFromNames([f"{name}.{t}" for t in tests])
    result = unittest.TextTestRunner(stream=out, verbosity=2).run(suite)
    return name, out.getvalue(), result.testsRun, result.wasSuccessful(), time.monotonic() - began, logs.SECRETS


def main():
    side_by_side, last = classes(sys.argv[1:])
    ran, bad = 0, []
    fork = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(int(os.environ.get("M2M_JOBS", "4")), fork) as pool:
        futures = [pool.submit(run, *c) for c in side_by_side]
        done = (f.result() for f in concurrent.futures.as_completed(futures))
        for name, text, n, good, seconds, secrets in done:
            print(f"=== {name}: {seconds:.0f} s\n{text}", flush=True)
            logs.SECRETS.update(secrets)
            ran += n
            bad += [] if good else [name]
    for c in last:
        name, text, n, good, _, _ = run(*c)
        print(f"=== {name}\n{text}")
        ran += n
        bad += [] if good else [name]
    return ran, bad


if __name__ == "__main__":
    total, failed = main()
    print(f"classes that failed: {' '.join(failed)}" if failed else "no class failed")
    print(f"Ran {total} tests, all classes together")
    sys.exit(bool(failed))

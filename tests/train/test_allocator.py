"""Freed memory really leaves the process, here and in processes started from here."""

import subprocess
import sys

import pytest

PROBE = """
import sys
from pathlib import Path
import numpy as np

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6

def held():
    # a freed block of 24 MB is what raises glibc's threshold; then 100 of 1 MB, each tenth kept
    big = np.ones(24 << 20, dtype=np.uint8); del big
    before = resident()
    blocks = [np.ones(1 << 20, dtype=np.uint8) for _ in range(100)]
    kept = blocks[::10]
    del blocks
    return resident() - before, kept
"""


def run(code: str) -> float:
    command = [sys.executable, "-c", PROBE + code]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_what_is_freed_is_given_back():
    lean = "from leadsman.train.allocator import return_freed_memory as f; assert f();"
    usual = run("print(held()[0])")
    given_back = run(lean + "print(held()[0])")
    assert given_back < 15  # ten blocks of a megabyte are kept
    assert usual > 60


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_processes_started_from_here_inherit_it():
    parent = (
        "import subprocess;"
        "from leadsman.train.allocator import return_freed_memory_everywhere as f; assert f();"
        f"print(subprocess.run([sys.executable, '-c', {PROBE + 'print(held()[0])'!r}],"
        "capture_output=True, text=True, check=True).stdout)"
    )
    assert run(parent) < 15

"""What all tests share: a real headless Chromium, and markers that skip with a reason."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

# With one worker a core, threads of their own would only make the workers wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

NEEDS = {
    "LEADSMAN_DATASETS": "tables of real training runs",
    "LEADSMAN_CORPORA": "corpora of real text",
}


def pytest_collection_modifyitems(config, items):
    missing = [name for name in NEEDS if not Path(os.environ.get(name, "/nowhere")).is_dir()]
    for item in items:
        if item.get_closest_marker("datasets") and missing:
            reason = f"set {', '.join(missing)} to the directory of {NEEDS[missing[0]]}"
            item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("gpu") and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=8000",
)  # fmt: skip


@dataclass(frozen=True)
class Opened:
    """A page after its scripts ran.

    Attributes:
        dom: the document as HTML.
        errors: what the scripts complained of.
    """

    dom: str
    errors: list[str]


class Browser:
    def __init__(self, program: str, profile: Path) -> None:
        self.command = [program, *FLAGS, f"--user-data-dir={profile}"]

    def open(self, page: Path) -> Opened:
        result = self._run(["--dump-dom", page.resolve().as_uri()])
        complaints = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
        return Opened(dom=result.stdout, errors=complaints)

    def screenshot(self, page: Path, png: Path, *, width: int = 1100, height: int = 1400) -> Path:
        size = f"--window-size={width},{height}"
        self._run([size, f"--screenshot={png}", page.resolve().as_uri()])
        return png

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments], capture_output=True, text=True, timeout=120, check=True
        )


@pytest.fixture
def browser(tmp_path) -> Browser:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    return Browser(program, tmp_path / "profile")

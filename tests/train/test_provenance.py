from __future__ import annotations

import subprocess

import pytest

from leadsman.runs import Ledger
from leadsman.train import provenance
from leadsman.train.ladder import TrunkJob, run_trunk


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A working directory under git with one commit; gives its hash."""

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").write_text("one")
    git("init", "-q")
    git("add", "notes")
    git("commit", "-q", "-m", "one")
    provenance.git_commit.cache_clear()
    yield git("rev-parse", "HEAD")
    provenance.git_commit.cache_clear()


def test_the_commit_of_the_working_directory(repository, tmp_path, monkeypatch):
    assert provenance.git_commit() == repository[:12]
    (tmp_path / "notes").write_text("two")
    provenance.git_commit.cache_clear()
    assert provenance.git_commit() == repository[:12] + "+"
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    provenance.git_commit.cache_clear()
    assert provenance.git_commit() == ""


def test_a_run_tells_commit_energy_and_where_it_was_done(repository, new_recipe, paths, tmp_path):
    recipe = new_recipe(tokens=64 * 10)
    job = TrunkJob(
        recipes=(recipe,),
        sources=paths,
        held_out={"prose": paths["prose"]},
        ledger=str(tmp_path / "ledger"),
        work=str(tmp_path / "work"),
        device="cpu",
    )
    run_trunk(job)
    run = Ledger(job.ledger).get(recipe.id)
    assert run.versions["git"] == repository[:12]
    assert {"python", "torch", "leadsman"} < set(run.versions)
    assert run.settings["energy_joules"] == pytest.approx(run.seconds * provenance.CORE_WATTS)
    assert run.peak_memory_bytes > 10_000_000
    assert "cores" in run.device


def test_the_power_of_a_board_is_its_limit(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 700.00\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    provenance._board_watts.cache_clear()
    assert provenance.energy_joules(10.0, device="cuda", threads=1) == 7000
    tool.write_text("#!/bin/sh\nexit 1\n")
    provenance._board_watts.cache_clear()
    assert provenance.energy_joules(10.0, device="cuda", threads=1) != 7000
    provenance._board_watts.cache_clear()

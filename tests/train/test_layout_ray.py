"""Designs on Ray: one task a trunk or stack; a killed worker's task is done again, and goes on."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from leadsman.engine import LocalEngine, RayEngine
from leadsman.runs import Ledger
from leadsman.train.ladder import train_ladder
from leadsman.train.layout import Layout, lay_out

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class KillOnce:
    """A stop rule that never stops a run, but kills its worker the first time it is asked."""

    marker: str

    def __call__(self, curve, rivals, *, tokens):
        if not Path(self.marker).exists():
            Path(self.marker).write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return ""


@pytest.fixture
def engine(monkeypatch):
    ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    from ray import cloudpickle

    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    paths = os.pathsep.join([os.getcwd(), *filter(None, sys.path)])
    monkeypatch.setenv("PYTHONPATH", paths)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield RayEngine()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    ray.shutdown()


@pytest.mark.parametrize("stack", [1, 2])
def test_a_killed_worker_is_retried_to_the_same_results(engine, new_recipe, paths, tmp_path, stack):
    recipes = [new_recipe(tokens=64 * n, lr=lr) for lr in (0.01, 0.012) for n in (20, 40)]
    layout = Layout("stacked", workers=2, stack=stack)

    def jobs(name, **fields):
        places = {"ledger": str(tmp_path / name), "work": str(tmp_path / f"{name}-work")}
        return lay_out(recipes, layout, sources=paths, held_out=paths, **places, **fields)

    train_ladder(jobs("quiet"), LocalEngine(1))
    marker = tmp_path / "killed"
    rule = KillOnce(str(marker))
    killed = [replace(job, stop_rule=rule) for job in jobs("ray", checkpoint_seconds=0.0)]
    if stack == 1:  # the first trunk has no rival yet, so the second is killed
        train_ladder(killed[:1], engine)
        train_ladder(killed[1:], engine)
    else:
        train_ladder(killed, engine)
    assert marker.exists()
    quiet, other = (Ledger(str(tmp_path / name)) for name in ("quiet", "ray"))
    for recipe in recipes:
        assert other.get(recipe.id).status == "finished"
        assert other.get(recipe.id).losses == quiet.get(recipe.id).losses
        assert other.curve(recipe.id).equals(quiet.curve(recipe.id))

import errno
import math
import multiprocessing
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from leadsman.errors import InputError
from leadsman.runs import Ledger, RegisteredForecast, Run

CURVE = pl.DataFrame({"step": [1, 2], "tokens": [10, 20], "loss": [5.0, 4.0], "lr": [0.1, 0.1]})


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(str(tmp_path / "ledger"))


def test_run_comes_back_as_it_went_in(ledger, recipe):
    run = Run(
        id=recipe.id,
        recipe=recipe,
        losses={"t": 3.0},
        bpb={"t": 1.5},
        seconds=2.0,
        tokens_per_second=5e4,
    )
    ledger.add(run, curve=CURVE)
    assert ledger.get(recipe.id) == run
    assert ledger.curve(recipe.id).equals(CURVE)


def test_not_a_number_survives_as_itself(ledger):
    ledger.add(Run(id="diverged", losses={"t": math.nan}, status="failed", reason="diverged"))
    assert math.isnan(ledger.get("diverged").losses["t"])


def test_unique_beginning_of_an_id_is_enough(ledger):
    for name in ("abc1", "abd2"):
        ledger.add(Run(id=name))
    assert ledger.get("abc").id == "abc1"
    with pytest.raises(InputError, match="several runs begin with 'ab'"):
        ledger.get("ab")
    with pytest.raises(InputError, match="no run begins with 'x'"):
        ledger.get("x")


def test_finished_run_is_never_replaced_but_a_failed_one_is(ledger):
    ledger.add(Run(id="a", status="failed", reason="killed"))
    ledger.add(Run(id="a", losses={"t": 1.0}))
    ledger.add(Run(id="a", losses={"t": 9.0}))
    assert ledger.get("a").losses == {"t": 1.0}


def test_directory_without_run_json_is_no_run(ledger, tmp_path):
    ledger.add(Run(id="whole"))
    half = tmp_path / "ledger" / "runs" / "half"
    half.mkdir()
    (half / "curve.parquet").write_bytes(b"PAR1")
    assert ledger.ids() == ["whole"]


def test_damaged_run_is_named(ledger, tmp_path):
    ledger.add(Run(id="a"))
    (tmp_path / "ledger/runs/a/run.json").write_text('{"id": "a"')
    with pytest.raises(InputError, match=r"a/run\.json: not a run"):
        ledger.get("a")


def test_sql_sees_runs_and_curves(ledger, recipe):
    ledger.add(Run(id=recipe.id, recipe=recipe, bpb={"t": 1.5}), curve=CURVE)
    frame = ledger.sql(
        'select r."bpb.t" as bpb, max(c.tokens) as tokens '
        "from runs r join curves c using (id) group by all"
    )
    assert frame.rows() == [(1.5, 20)]
    with pytest.raises(InputError, match="this query cannot be run"):
        ledger.sql("select nothing from nowhere")


def test_works_on_object_storage(recipe):
    ledger = Ledger("memory://bucket/ledger")
    ledger.add(Run(id=recipe.id, recipe=recipe), curve=CURVE)
    assert Ledger("memory://bucket/ledger").ids() == [recipe.id]
    assert ledger.curve(recipe.id).equals(CURVE)


def _write_many(job):
    location, writer = job
    ledger = Ledger(location)
    for number in range(20):
        ledger.add(Run(id=f"run{number}", losses={"t": float(number)}))
        ledger.add(Run(id=f"own{writer}-{number}"))


def test_many_writers_leave_whole_runs(tmp_path):
    location = str(tmp_path)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.map(_write_many, [(location, writer) for writer in range(3)])
    ledger = Ledger(location)
    assert len(ledger.ids()) == 20 + 3 * 20
    assert ledger.get("run7").losses == {"t": 7.0}
    assert not list(Path(location).rglob("*.tmp"))


def test_full_disk_leaves_nothing_and_says_so(ledger, monkeypatch, tmp_path):
    ledger.add(Run(id="before"))

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("leadsman.files.os.replace", full)
    with pytest.raises(InputError, match="No space left on device; free space"):
        ledger.add(Run(id="after"))
    assert ledger.ids() == ["before"]
    assert not list(tmp_path.rglob("*.tmp"))


def forecast(run_id: str, centre: float) -> RegisteredForecast:
    draws = np.random.default_rng(0).normal(centre, 0.01, 2000)
    return RegisteredForecast.from_draws(run_id, draws, y="bpb.t", law="power")


def test_forecast_registered_first_stands(ledger):
    ledger.register(forecast("a", 1.0))
    assert ledger.register(forecast("a", 2.0)).median == pytest.approx(1.0, abs=0.01)
    assert len(ledger.forecasts()) == 1


def test_forecast_after_the_run_is_refused(ledger):
    ledger.add(Run(id="a", bpb={"t": 1.0}))
    with pytest.raises(InputError, match="registered before its run"):
        ledger.register(forecast("a", 1.0))


def test_track_record_scores_finished_runs_only(ledger):
    for name in ("hit", "miss", "pending"):
        ledger.register(forecast(name, 1.0))
    ledger.add(Run(id="hit", bpb={"t": 1.001}))
    ledger.add(Run(id="miss", bpb={"t": 1.2}))
    record = {score.forecast.id: score for score in ledger.track_record()}
    assert record.keys() == {"hit", "miss"}
    assert record["hit"].inside["0.95"]
    assert not record["miss"].inside["0.95"]
    assert record["miss"].relative_error == pytest.approx(1 / 1.2 - 1, rel=1e-2)
    assert ledger.book.scores() == ledger.track_record()


def test_crps_of_a_normal_forecast_matches_its_closed_form():
    """CRPS of N(0, 1) at 0.5 is 0.3313 (Gneiting and Raftery 2007, with Phi and phi at 0.5)."""
    from scipy.stats import norm

    from leadsman.runs import ForecastScore

    draws = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    ours = ForecastScore.of(
        RegisteredForecast.from_draws("a", draws, y="y", law="normal", keep=999), 0.5
    ).crps
    exact = 0.5 * (2 * norm.cdf(0.5) - 1) + 2 * norm.pdf(0.5) - 1 / np.sqrt(np.pi)
    assert ours == pytest.approx(exact, rel=5e-3)

"""The register of forecasts: what tampering it shows, and many writers at once."""

import hashlib
import json
import math
import multiprocessing
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from leadsman.errors import InputError
from leadsman.files import Directory
from leadsman.runs import Ledger, RegisteredForecast, Run, TrackRecord
from leadsman.runs.register.chain import GENESIS, Chain


def forecast(run_id: str, centre: float = 1.0, spread: float = 0.01) -> RegisteredForecast:
    draws = np.random.default_rng(0).normal(centre, spread, 2000)
    return RegisteredForecast.from_draws(run_id, draws, y="bpb.t", law="power")


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    ledger = Ledger(str(tmp_path / "ledger"))
    for name in "abcd":
        ledger.register(forecast(name))
    for name, result in zip("abc", (1.001, 1.2, 0.99)):
        ledger.add(Run(id=name, bpb={"t": result}))
    ledger.book.score()
    return ledger


def entry(ledger: Ledger, number: int) -> Path:
    return Path(ledger.location) / f"registry/{number:08d}.json"


def fault_of(ledger: Ledger, **options):
    fault = Ledger(ledger.location).book.verify(**options)
    return None if fault is None else (fault.number, fault.why)


def rewritten(path: Path, **changes) -> None:
    """Change an entry as somebody would who knows how the hash is made."""
    plain = json.loads(path.read_text()) | changes
    del plain["hash"]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    plain["hash"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(plain))


def test_untouched_chain_is_sound(ledger):
    assert fault_of(ledger) is None
    assert len(ledger.book.chain) == 4 + 3
    assert json.loads(entry(ledger, 1).read_text())["previous"] == GENESIS


def test_hash_is_that_of_the_canonical_json(ledger):
    plain = json.loads(entry(ledger, 2).read_text())
    claimed = plain.pop("hash")
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == claimed
    assert plain["previous"] == json.loads(entry(ledger, 1).read_text())["hash"]


def test_late_edit_of_a_forecast_shows(ledger):
    path = entry(ledger, 2)
    plain = json.loads(path.read_text())
    plain["body"]["median"] = 1.2
    path.write_text(json.dumps(plain))
    assert fault_of(ledger) == (
        2,
        "was changed after it was written: its hash does not fit its content",
    )


def test_edit_with_a_new_hash_shows_in_the_next_entry(ledger):
    body = json.loads(entry(ledger, 2).read_text())["body"]
    rewritten(entry(ledger, 2), body=body | {"median": 1.2})
    number, why = fault_of(ledger)
    assert number == 3
    assert "does not follow" in why


@pytest.mark.parametrize("removed", [1, 3, 6])
def test_removed_entry_shows(ledger, removed):
    entry(ledger, removed).unlink()
    number, why = fault_of(ledger)
    assert (number, "removed" in why) == (removed, True)


def test_entry_removed_and_the_rest_moved_up_shows(ledger):
    entry(ledger, 3).unlink()
    for number in range(4, 8):
        entry(ledger, number).rename(entry(ledger, number - 1))
    number, why = fault_of(ledger)
    assert number == 3
    assert "moved here" in why


def test_back_dated_entry_shows(ledger):
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    rewritten(entry(ledger, 7), time=yesterday)
    number, why = fault_of(ledger)
    assert number == 7
    assert "dated back" in why


def test_entry_from_the_future_shows(ledger):
    rewritten(entry(ledger, 7), time=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    assert fault_of(ledger)[0] == 7
    assert "in the future" in fault_of(ledger)[1]


def test_cut_end_and_rewritten_chain_show_by_the_head_noted_before(ledger):
    head = ledger.book.chain.head
    assert fault_of(ledger, head=head) is None
    entry(ledger, 7).unlink()
    assert fault_of(ledger) is None
    number, why = fault_of(ledger, head=head)
    assert number == 7
    assert "noted earlier" in why


def test_earlier_head_is_still_found_after_more_entries(ledger):
    head = ledger.book.chain.head
    ledger.register(forecast("e"))
    assert fault_of(ledger, head=head[:16]) is None


def test_result_changed_after_its_score_shows(ledger):
    path = Path(ledger.location) / "runs/b/run.json"
    path.write_text(path.read_text().replace("1.2", "1.0"))
    number, why = fault_of(ledger)
    assert number == 6
    assert "changed afterwards" in why


def test_forecast_written_while_its_run_was_going_shows(ledger):
    began = datetime.now(UTC) - timedelta(hours=1)
    run = Run(id="d", bpb={"t": 1.0}, seconds=3000.0, created=datetime.now(UTC).isoformat())
    assert began < datetime.now(UTC)
    ledger.add(run)
    number, why = fault_of(ledger)
    assert number == 4
    assert "after run d had begun" in why


def test_damaged_entry_is_named(ledger):
    entry(ledger, 5).write_text("{")
    number, why = fault_of(ledger)
    assert number == 5
    assert "not an entry" in why
    with pytest.raises(InputError, match=r"registry/00000005\.json: not an entry"):
        Ledger(ledger.location).book.scores()


def test_scores_are_written_once_and_read_back(ledger):
    before = ledger.book.chain.head
    assert [score.actual for score in Ledger(ledger.location).book.score()] == [1.001, 1.2, 0.99]
    assert Ledger(ledger.location).book.chain.head == before
    assert ledger.book.scores() == ledger.track_record()


def test_result_of_a_run_elsewhere_is_scored_as_told(ledger):
    ledger.book.score({"d": 1.004})
    assert ledger.book.scores()[-1].actual == 1.004
    assert fault_of(ledger) is None
    with pytest.raises(InputError, match="no forecast is registered about run 'nope'"):
        ledger.book.score({"nope": 1.0})
    with pytest.raises(InputError, match="run 'a' is in the ledger"):
        ledger.book.score({"a": 1.0})


def test_score_without_the_forecast_column_names_it(ledger):
    ledger.add(Run(id="d", bpb={"other": 1.0}))
    with pytest.raises(InputError, match=r"run d has no 'bpb.t'"):
        ledger.book.score()


def test_track_record_by_hand(ledger):
    """Coverage, sharpness and error computed here from the definition."""
    record = ledger.book.record()
    assert (record.count, record.pending) == (3, 1)
    standing = forecast("x")
    for level, (low, high) in standing.intervals.items():
        assert record.hits[level] == sum(low <= x <= high for x in (1.001, 1.2, 0.99))
        assert record.sharpness[level] == pytest.approx((high - low) / standing.median)
    errors = [standing.median / x - 1 for x in (1.001, 1.2, 0.99)]
    assert record.errors == pytest.approx(errors)
    assert record.bias == pytest.approx(np.mean(errors))
    assert record.mean_absolute_error == pytest.approx(np.mean(np.abs(errors)))


def test_calibrated_forecasts_are_covered_as_promised():
    """500 results drawn from what was forecast: coverage within three standard errors."""
    from leadsman.runs import ForecastScore

    results = np.random.default_rng(1).normal(1.0, 0.01, 500)
    scores = [ForecastScore.of(forecast(str(k)), float(x)) for k, x in enumerate(results)]
    record = TrackRecord.of(scores)
    for level in (0.5, 0.8, 0.95):
        assert record.coverage(level) == pytest.approx(
            level, abs=3 * math.sqrt(level * (1 - level) / 500)
        )


def _write_many(job):
    location, writer = job
    ledger = Ledger(location)
    for number in range(8):
        ledger.register(forecast(f"shared{number}", centre=1.0 + writer))
        ledger.register(forecast(f"own{writer}-{number}"))


def test_many_writers_make_one_sound_chain(tmp_path):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.map(_write_many, [(str(tmp_path), writer) for writer in range(3)])
    ledger = Ledger(str(tmp_path))
    assert ledger.book.verify() is None
    assert len(ledger.book.chain) == 8 + 3 * 8
    assert not list(tmp_path.rglob("*.tmp"))


def test_chain_works_on_object_storage():
    directory = Directory("memory://bucket/chain")
    first, second = Chain(directory), Chain(directory)
    assert [first.append("note", {"n": 1}).number, second.append("note", {"n": 2}).number] == [1, 2]
    assert first.append("note", {"n": 3}).previous == second.entries()[1].hash
    assert second.verify() is None


def test_copy_of_a_ledger_stays_sound(ledger, tmp_path):
    shutil.copytree(ledger.location, tmp_path / "copy")
    assert Ledger(str(tmp_path / "copy")).book.verify(head=ledger.book.chain.head) is None

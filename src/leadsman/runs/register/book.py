"""The register of a ledger: forecasts written down before their runs, scores after.

Both are entries of one chain (:mod:`leadsman.runs.register.chain`). Of several forecasts about
one run, the first stands. A score is written once, when the run's result is there; the result it
was given is part of the entry, so a run that is changed afterwards shows too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadsman.errors import InputError
from leadsman.runs.register.chain import Chain, Entry, Fault
from leadsman.runs.register.forecast import ForecastScore, RegisteredForecast
from leadsman.runs.register.record import TrackRecord
from leadsman.runs.run import Run

if TYPE_CHECKING:
    from leadsman.runs.ledger import Ledger

FORECAST, SCORE = "forecast", "score"
CLOCK_GRAIN = timedelta(seconds=2)
"""Runs are dated to the second."""


class ForecastBook:
    """Forecasts and scores of one ledger.

    >>> import tempfile
    >>> import numpy as np
    >>> from leadsman.runs import Ledger
    >>> ledger = Ledger(tempfile.mkdtemp())
    >>> draws = np.random.default_rng(0).normal(2.0, 0.1, 1000)
    >>> forecast = RegisteredForecast.from_draws("big", draws, y="loss.val", law="power")
    >>> ledger.register(forecast).id
    'big'
    >>> ledger.add(Run(id="big", losses={"val": 2.05}))
    >>> [score.inside["0.95"] for score in ledger.book.score()]
    [True]
    >>> ledger.book.verify() is None
    True
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.chain = Chain(ledger.directory)

    def register(self, forecast: RegisteredForecast) -> RegisteredForecast:
        """Write a forecast down; the one written first stands and is returned.

        Raises:
            InputError: the run is already in the ledger, so this would be no forecast.
        """

        def same(entry: Entry) -> bool:
            return entry.kind == FORECAST and entry.body["id"] == forecast.id

        for entry in self.chain.entries():
            if same(entry):
                return RegisteredForecast.from_dict(entry.body)
        if forecast.id in self.ledger:
            raise InputError(
                f"run {forecast.id} is already done; a forecast is registered before its run",
                file=self.ledger.location,
            )
        return RegisteredForecast.from_dict(
            self.chain.append(FORECAST, forecast.to_dict(), unless=same).body
        )

    def forecasts(self) -> dict[str, tuple[Entry, RegisteredForecast]]:
        """The forecast that stands for each run, with its entry, in order of registration."""
        standing: dict[str, tuple[Entry, RegisteredForecast]] = {}
        for entry in self.chain.entries():
            if entry.kind == FORECAST and entry.body["id"] not in standing:
                forecast = RegisteredForecast.from_dict(entry.body)
                standing[forecast.id] = (entry, forecast)
        return standing

    def scores(self) -> list[ForecastScore]:
        """What has been scored, in order of registration; nothing is computed or written."""
        written = {
            entry.body["id"]: entry.body
            for entry in reversed(self.chain.entries())
            if entry.kind == SCORE
        }
        return [
            _score_from(written[run_id], forecast)
            for run_id, (_, forecast) in self.forecasts().items()
            if run_id in written
        ]

    def score(self, actual: Mapping[str, float] | None = None) -> list[ForecastScore]:
        """Score every forecast whose result is known, write what is new, and return all scores.

        Args:
            actual: results by run id, for runs that are not in the ledger.

        Raises:
            InputError: ``actual`` names a run without a forecast, or one the ledger itself knows;
                or a finished run lacks the column that was forecast.
        """
        told = dict(actual or {})
        standing = self.forecasts()
        for run_id in told:
            if run_id not in standing:
                raise InputError(
                    f"no forecast is registered about run {run_id!r}", file=self.ledger.location
                )
            if run_id in self.ledger:
                raise InputError(
                    f"run {run_id!r} is in the ledger; its result is taken from there",
                    file=self.ledger.location,
                )
        done = {entry.body["id"] for entry in self.chain.entries() if entry.kind == SCORE}
        for run_id, (_, forecast) in standing.items():
            result = told[run_id] if run_id in told else self._result(forecast)
            if run_id in done or result is None:
                continue
            self._write(forecast, result, "told" if run_id in told else "ledger")
        return self.scores()

    def record(self) -> TrackRecord | None:
        """The track record so far; ``None`` before the first score."""
        scores = self.scores()
        return TrackRecord.of(scores, pending=len(self.forecasts()) - len(scores))

    def verify(self, *, head: str | None = None) -> Fault | None:
        """The first entry at fault: changed, removed, dated back, or against the ledger's runs.

        Args:
            head: hash of the last entry as it was noted earlier.
        """
        chain = Chain(self.ledger.directory)
        fault = chain.verify(head=head)
        end = len(chain) if fault is None else fault.number - 1
        sound = [chain.read(number) for number in range(1, end + 1)]
        standing = {entry.body["id"]: entry for entry in reversed(sound) if entry.kind == FORECAST}
        for entry in sound:
            why = ""
            if entry.kind == FORECAST and standing[entry.body["id"]] is entry:
                why = self._after_its_run(entry)
            elif entry.kind == SCORE:
                why = self._against_the_run(entry, standing.get(entry.body["id"]))
            if why:
                return Fault(entry.number, why)
        return fault

    def unchained(self) -> int:
        """Forecasts that an older Leadsman stored outside the chain; they are not counted."""
        return len(self.ledger.directory.glob("forecasts/*.json"))

    def _result(self, forecast: RegisteredForecast) -> float | None:
        if forecast.id not in self.ledger:
            return None
        run = self.ledger.get(forecast.id)
        if run.status != "finished":
            return None
        row = run.row()
        if not isinstance(row.get(forecast.y), int | float):
            raise InputError(
                f"run {run.id} has no {forecast.y!r}, which was forecast for it",
                file=self.ledger.location,
            )
        return float(row[forecast.y])

    def _write(self, forecast: RegisteredForecast, result: float, source: str) -> None:
        plain = ForecastScore.of(forecast, result).to_dict()
        del plain["forecast"]  # stands in its own entry
        body = plain | {"id": forecast.id, "from": source}
        self.chain.append(
            SCORE, body, unless=lambda entry: entry.kind == SCORE and entry.body["id"] == body["id"]
        )

    def _after_its_run(self, entry: Entry) -> str:
        run_id = entry.body["id"]
        if run_id not in self.ledger:
            return ""
        began = _began(self.ledger.get(run_id))
        if began is None or datetime.fromisoformat(entry.time) <= began + CLOCK_GRAIN:
            return ""
        return (
            f"was registered at {entry.time}, after run {run_id} had begun "
            f"({began.isoformat(timespec='seconds')})"
        )

    def _against_the_run(self, entry: Entry, forecast: Entry | None) -> str:
        body = entry.body
        if forecast is None or forecast.number > entry.number:
            return f"scores run {body['id']}, about which no forecast was registered before"
        expected = ForecastScore.of(RegisteredForecast.from_dict(forecast.body), body["actual"])
        if dict(expected.inside) != body["inside"]:
            return f"does not follow from the forecast of run {body['id']} and its result"
        if body["from"] == "ledger":
            if body["id"] not in self.ledger:
                return f"scores run {body['id']}, which is no longer in the ledger"
            now = self.ledger.get(body["id"]).row().get(forecast.body["y"])
            if now != body["actual"]:
                return (
                    f"scored {body['actual']}, but run {body['id']} now says {now}: the run was "
                    f"changed afterwards"
                )
        return ""


def _score_from(body: Mapping[str, Any], forecast: RegisteredForecast) -> ForecastScore:
    names = ("actual", "relative_error", "inside", "crps")
    return ForecastScore(forecast=forecast, **{name: body[name] for name in names})


def _began(run: Run) -> datetime | None:
    """When a run began, as well as it is known: its end, less the time it took."""
    try:
        ended = datetime.fromisoformat(run.created)
    except ValueError:
        return None
    if ended.tzinfo is None:
        return None
    seconds = run.seconds if run.seconds == run.seconds else 0.0
    return ended - timedelta(seconds=seconds)

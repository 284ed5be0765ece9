"""The ledger: an append-only directory of runs, safe with many writers.

    LEDGER/runs/RUN_ID/run.json        written last: a run without it does not exist
                       curve.parquet   step, tokens, loss (nats per token), lr
                       scores.parquet  per-item results, where an evaluator kept them
           registry/                   forecasts and scores (:mod:`leadsman.runs.register.book`)

Every file is written under a temporary name and renamed (:mod:`leadsman.files`), so a
process killed at any moment leaves either the whole run or none of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import PurePosixPath

import duckdb
import polars as pl

from leadsman.errors import InputError
from leadsman.files import Directory
from leadsman.runs.register.book import ForecastBook
from leadsman.runs.register.forecast import ForecastScore, RegisteredForecast
from leadsman.runs.run import Run


class Ledger:
    """Every run under one directory or fsspec URL.

    Args:
        location: path or URL; made on the first write.

    >>> import tempfile
    >>> ledger = Ledger(tempfile.mkdtemp())
    >>> ledger.add(Run(id="pilot", settings={"params": 1e6}, losses={"val": 3.2}))
    >>> "pilot" in ledger, ledger.get("pilot").losses
    (True, {'val': 3.2})
    """

    def __init__(self, location: str) -> None:
        self.location = str(location)
        self.directory = Directory(self.location)

    def add(
        self, run: Run, *, curve: pl.DataFrame | None = None, scores: pl.DataFrame | None = None
    ) -> None:
        """Write a run; a finished one of the same id stays as it is, any other is replaced.

        Args:
            run: what was done and what came of it.
            curve: columns ``step``, ``tokens``, ``loss`` (nats per token), ``lr``.
            scores: per-item results of evaluations.
        """
        if run.id in self and self.get(run.id).status == "finished":
            return
        for name, frame in (("curve", curve), ("scores", scores)):
            if frame is not None:
                self.directory.write_frame(f"runs/{run.id}/{name}.parquet", frame)
        self.directory.write_json(f"runs/{run.id}/run.json", run.to_dict())

    def __contains__(self, run_id: object) -> bool:
        return self.directory.exists(f"runs/{run_id}/run.json")

    def ids(self) -> list[str]:
        """Ids of all runs, sorted."""
        return sorted(
            PurePosixPath(path).parent.name for path in self.directory.glob("runs/*/run.json")
        )

    def get(self, run_id: str) -> Run:
        """One run.

        Raises:
            InputError: there is none of that id (a unique beginning of one is enough).
        """
        if run_id not in self:
            matches = [known for known in self.ids() if known.startswith(run_id)] if run_id else []
            if len(matches) != 1:
                found = "several runs begin" if matches else "no run begins"
                raise InputError(f"{found} with {run_id!r}", file=self.location)
            run_id = matches[0]
        try:
            return Run.from_dict(json.loads(self.directory.read(f"runs/{run_id}/run.json")))
        except (json.JSONDecodeError, TypeError, InputError) as error:
            raise InputError(
                f"not a run ({error}); delete its directory to do the run again",
                file=f"{self.location}/runs/{run_id}/run.json",
            ) from error

    def __iter__(self) -> Iterator[Run]:
        return (self.get(run_id) for run_id in self.ids())

    def curve(self, run_id: str) -> pl.DataFrame:
        """The training curve of a run; an empty frame if none was kept."""
        path = f"runs/{self.get(run_id).id}/curve.parquet"
        if not self.directory.exists(path):
            return pl.DataFrame(
                schema={"step": pl.Int64, "tokens": pl.Int64, "loss": pl.Float64, "lr": pl.Float64}
            )
        return self.directory.read_frame(path)

    def frame(self) -> pl.DataFrame:
        """All runs, one flat row each (columns as in :meth:`Run.row`)."""
        rows = [run.row() for run in self]
        return pl.DataFrame(rows, infer_schema_length=None) if rows else pl.DataFrame()

    def sql(self, query: str) -> pl.DataFrame:
        """A DuckDB query over the tables ``runs`` (as :meth:`frame`) and ``curves``.

        Raises:
            InputError: the query cannot be run; DuckDB's reason is given.
        """
        connection = duckdb.connect()
        try:
            connection.register("runs", self.frame().to_arrow())
            if "curves" in query:
                connection.register("curves", self._curves().to_arrow())
            return pl.DataFrame(connection.sql(query).to_arrow_table())
        except duckdb.Error as error:
            raise InputError(f"this query cannot be run: {error}", column="sql") from error
        finally:
            connection.close()

    @cached_property
    def book(self) -> ForecastBook:
        """The register of forecasts: written before their runs, scored after, chained by hash."""
        return ForecastBook(self)

    def register(self, forecast: RegisteredForecast) -> RegisteredForecast:
        """Store a forecast before its run; the one stored first stands and is returned.

        Raises:
            InputError: the run is already in the ledger, so this would be no forecast.
        """
        return self.book.register(forecast)

    def forecasts(self) -> list[RegisteredForecast]:
        """The registered forecast of each run, in order of registration."""
        return [forecast for _, forecast in self.book.forecasts().values()]

    def track_record(self) -> list[ForecastScore]:
        """Score every registered forecast whose run is finished; scores are written down once."""
        return self.book.score()

    def _curves(self) -> pl.DataFrame:
        frames = [self.curve(run_id).with_columns(id=pl.lit(run_id)) for run_id in self.ids()]
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame({"id": []})

"""The ledger: every run, its settings, curve and results; and every forecast, before and after."""

from leadsman.runs.ledger import Ledger
from leadsman.runs.recipe import Mixture, Recipe, Schedule
from leadsman.runs.registered import ForecastScore, RegisteredForecast
from leadsman.runs.registered_book import ForecastBook
from leadsman.runs.registered_record import TrackRecord
from leadsman.runs.run import Run, RunStatus
from leadsman.runs.shape import ModelShape

__all__ = [
    "ForecastBook",
    "ForecastScore",
    "Ledger",
    "Mixture",
    "ModelShape",
    "Recipe",
    "RegisteredForecast",
    "Run",
    "RunStatus",
    "Schedule",
    "TrackRecord",
]

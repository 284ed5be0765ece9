"""The ledger: every run, its settings, curve and results; and every forecast, before and after."""

from leadsman.runs.batches import BatchPlan
from leadsman.runs.ledger import Ledger
from leadsman.runs.recipe import MODEL_VERSION, Mixture, Packing, Precision, Recipe, Schedule
from leadsman.runs.register.book import ForecastBook
from leadsman.runs.register.forecast import ForecastScore, RegisteredForecast
from leadsman.runs.register.record import TrackRecord
from leadsman.runs.run import Run, RunStatus
from leadsman.runs.shape import ModelShape

__all__ = [
    "MODEL_VERSION",
    "BatchPlan",
    "ForecastBook",
    "ForecastScore",
    "Ledger",
    "Mixture",
    "ModelShape",
    "Packing",
    "Precision",
    "Recipe",
    "RegisteredForecast",
    "Run",
    "RunStatus",
    "Schedule",
    "TrackRecord",
]

"""From runs to forecasts: one file per law; fitting, calibration, back-tests."""

from leadsman.laws.base import FittedLaw, Law
from leadsman.laws.forecast import Forecast
from leadsman.laws.forecasting import forecast_runs
from leadsman.laws.score_results import ScoreTest

__all__ = ["FittedLaw", "Forecast", "Law", "ScoreTest", "forecast_runs"]

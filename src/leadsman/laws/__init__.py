"""From runs to forecasts: one file per law; fitting, calibration, back-tests."""

from leadsman.laws.base import FittedLaw, Law
from leadsman.laws.forecast import Forecast
from leadsman.laws.forecasting import forecast_runs

__all__ = ["FittedLaw", "Forecast", "Law", "forecast_runs"]

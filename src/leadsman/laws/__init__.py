"""From runs to forecasts: one file per law; fitting, calibration, back-tests."""

from leadsman.laws.base import FittedLaw, Law
from leadsman.laws.forecast import Forecast

__all__ = ["FittedLaw", "Forecast", "Law"]

"""What history says about the error of extrapolations."""

from leadsman.laws.calibration.error_model import ErrorModel, Origin, Parts
from leadsman.laws.calibration.history import bundled_history, bundled_model
from leadsman.laws.calibration.learn import Past, constants, learn, past_errors

__all__ = [
    "ErrorModel",
    "Origin",
    "Parts",
    "Past",
    "bundled_history",
    "bundled_model",
    "constants",
    "learn",
    "past_errors",
]

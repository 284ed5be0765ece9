"""What history says about the error of extrapolations."""

from leadsman.laws.calibration.error_model import ErrorModel, Origin, Parts
from leadsman.laws.calibration.history import bundled_history, bundled_model
from leadsman.laws.calibration.learn import Past, learn, past_errors, rounded_constants

__all__ = [
    "ErrorModel",
    "Origin",
    "Parts",
    "Past",
    "bundled_history",
    "bundled_model",
    "learn",
    "past_errors",
    "rounded_constants",
]

"""What history says about the error of extrapolations."""

from leadsman.laws.calibration.error_model import ErrorModel, Origin, Parts, Scale
from leadsman.laws.calibration.history import bundled_history, bundled_model
from leadsman.laws.calibration.learn import PastCase, learn, past_cases

__all__ = [
    "ErrorModel",
    "Origin",
    "Parts",
    "PastCase",
    "Scale",
    "bundled_history",
    "bundled_model",
    "learn",
    "past_cases",
]

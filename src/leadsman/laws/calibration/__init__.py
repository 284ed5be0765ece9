"""What history says about the error of extrapolations."""

from leadsman.laws.calibration.error_model import ErrorModel, Parts

__all__ = ["ErrorModel", "Parts"]

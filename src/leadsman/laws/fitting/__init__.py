"""The fitting core: variable projection, robust loss, bootstrap, identifiability."""

from leadsman.laws.fitting.power_sum import (
    Optimum,
    PowerSum,
    fit,
    log_curves,
    polish,
    refit,
    robust_scale,
)

__all__ = ["Optimum", "PowerSum", "fit", "log_curves", "polish", "refit", "robust_scale"]

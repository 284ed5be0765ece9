"""The fitting core: variable projection, robust loss, bootstrap, identifiability."""

from leadsman.laws.fitting.variable_projection import (
    Optimum,
    PowerSum,
    fit,
    log_curves,
    polish,
    refit,
    robust_scale,
)

__all__ = ["Optimum", "PowerSum", "fit", "log_curves", "polish", "refit", "robust_scale"]

"""Speed of a Chinchilla fit: 4,500 starts and 400 bootstrap refits, against NumPy.

    python -m benchmarks.laws.fit_speed

The reference is what a careful user writes: scipy's L-BFGS-B over log E, log A, log B, alpha, beta
with analytic gradients in NumPy, one start after the other. It runs a sample of the starts and of
the refits in the same process; its time for all is in proportion. Data: 240 points from published
parameters with 1 % noise and five outliers.
"""

from __future__ import annotations

import itertools
import json
import platform
import time

import numpy as np
from scipy.optimize import minimize

from leadsman.laws.fitting import PowerSum, fit, refit

DELTA = 1e-3
SAMPLE = 45


def runs(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log params, log tokens, log loss of 240 planted runs."""
    rng = np.random.default_rng(seed)
    params = 10 ** rng.uniform(7.5, 10, 240)
    tokens = params * 10 ** rng.uniform(0.5, 2.2, 240)
    loss = 1.82 + 482 / params**0.348 + 2085 / tokens**0.366
    loss *= np.exp(0.01 * rng.standard_normal(240))
    loss[:5] *= 1.3
    return np.log(params), np.log(tokens), np.log(loss)


def reference(log_n, log_d, log_y, weights, start):
    """One L-BFGS-B descent with analytic gradients."""

    def value(theta):
        e, a, b, alpha, beta = theta
        terms = np.stack([np.full_like(log_n, e), a - alpha * log_n, b - beta * log_d])
        top = terms.max(axis=0)
        shares = np.exp(terms - top)
        total = shares.sum(axis=0)
        shares /= total
        r = top + np.log(total) - log_y
        size = np.abs(r)
        loss = np.where(size <= DELTA, r * r / 2, DELTA * (size - DELTA / 2))
        slope = weights * np.clip(r, -DELTA, DELTA)
        gradient = [
            slope @ shares[0],
            slope @ shares[1],
            slope @ shares[2],
            -(slope * shares[1]) @ log_n,
            -(slope * shares[2]) @ log_d,
        ]
        return weights @ loss, np.array(gradient)

    options = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-10}
    return minimize(value, start, jac=True, method="L-BFGS-B", options=options)


def main() -> None:
    """Time both and print the ratios."""
    log_n, log_d, log_y = runs()
    n = len(log_y)
    features = np.zeros((n, 3, 2))
    features[:, 1, 0], features[:, 2, 1] = -log_n, -log_d
    problem = PowerSum(
        features=features,
        log_y=log_y,
        weights=np.ones(n),
        base=np.zeros((n, 3)),
        power=1.0,
        delta=DELTA,
        lower=np.array([-20.0, -20, -20, 0.01, 0.01]),
        upper=np.array([10.0, 60, 60, 3, 3]),
        prior_mean=np.zeros(5),
        prior_precision=np.zeros(5),
    )
    grid = [(0.0, 0.5, 1.0, -1.0), (0, 5, 10, 15, 20), (0, 5, 10, 15, 20)]
    exponents = (0.1, 0.4, 0.7, 1.0, 1.3, 1.6, 1.9)
    starts = np.array(list(itertools.product(*grid, exponents, exponents)))[:4500]
    ours = np.ascontiguousarray(
        np.array(list(itertools.product(np.linspace(0.05, 1.5, 67), repeat=2)))[:4500]
    )
    fit(problem, ours[:50])
    rng = np.random.default_rng(1)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=400).astype(float)
    began = time.perf_counter()
    optimum = fit(problem, ours[:4500])
    fit_seconds = time.perf_counter() - began
    began = time.perf_counter()
    refit(problem, optimum.theta, weights)
    refit_seconds = time.perf_counter() - began
    chosen = rng.choice(len(starts), SAMPLE, replace=False)
    began = time.perf_counter()
    found = [reference(log_n, log_d, log_y, np.ones(n), starts[k]) for k in chosen]
    reference_fit = (time.perf_counter() - began) / SAMPLE * len(ours)
    began = time.perf_counter()
    for row in weights[:SAMPLE]:
        reference(log_n, log_d, log_y, row, optimum.theta)
    reference_refit = (time.perf_counter() - began) / SAMPLE * len(weights)
    best = min(found, key=lambda each: each.fun)
    print(
        json.dumps(
            {
                "machine": platform.processor() or platform.machine(),
                "python": platform.python_version(),
                "numpy": np.__version__,
                "starts": len(ours),
                "fit_seconds": round(fit_seconds, 3),
                "numpy_fit_seconds": round(reference_fit, 1),
                "fit_ratio": round(reference_fit / fit_seconds, 1),
                "refit_seconds": round(refit_seconds, 3),
                "numpy_refit_seconds": round(reference_refit, 1),
                "refit_ratio": round(reference_refit / refit_seconds, 1),
                "objective": optimum.value,
                "numpy_objective": float(best.fun),
                "theta": optimum.theta.round(5).tolist(),
                "numpy_theta": best.x.round(5).tolist(),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()

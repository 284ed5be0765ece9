"""Width and depth: the planted shape law is found, and says what each is worth."""

import numpy as np
import polars as pl

from leadsman.laws.methods.width_depth import WidthDepth


def truth(width, depth, tokens):
    return 1.6 + 60 * width**-0.9 + 1.2 * depth**-1.0 + 400 * tokens**-0.3


def test_planted_law_is_found():
    grid = np.meshgrid([128, 256, 512, 1024], [2, 4, 8, 16], np.geomspace(1e8, 1e10, 4))
    width, depth, tokens = (each.ravel().astype(float) for each in grid)
    rng = np.random.default_rng(3)
    loss = truth(width, depth, tokens) * np.exp(0.002 * rng.standard_normal(len(width)))
    runs = pl.DataFrame({"width": width, "depth": depth, "tokens": tokens, "loss": loss})
    fitted = WidthDepth().fit(runs, seed=0)
    drawn = fitted.parameter_draws(draws=400)
    for name, true in {"a": 0.9, "b": 1.0, "c": 0.3}.items():
        low, high = np.quantile(drawn[name], [0.001, 0.999])
        assert low < true < high, name
    point = pl.DataFrame({"width": [2048.0], "depth": [24.0], "tokens": [1e11]})
    low, high = fitted.predict(point).interval(0.99)[0]
    assert low < truth(2048, 24, 1e11) < high

"""Shape parameters: places on a grid and between its points."""

import numpy as np
import pytest

from leadsman.laws.fitting.shapes import ShapeAxes
from leadsman.testing.planted import planted
from leadsman.testing.planted_cases import CASES

BY_NAME = {case.name: case for case in CASES}


def test_places_are_the_inverse_of_values():
    axes = ShapeAxes.of([(a, b) for a in (0.0, 1.0, 10.0) for b in (2.0, 8.0)])
    places = np.array([[0.0, 0.0], [0.25, 1.0], [1.5, 0.5], [2.0, 0.9]])
    values = axes.values(places)
    assert values[:, 0] == pytest.approx([0.0, 0.25, 10**0.5, 10.0])
    assert values[:, 1] == pytest.approx([2.0, 8.0, 4.0, 2 * 4**0.9])
    for place, value in zip(places, values):
        assert axes.places(value) == pytest.approx(place)


@pytest.mark.parametrize("name", ["shifted-power", "kaplan", "broken-power", "data-constrained"])
def test_shape_parameters_are_found_between_grid_points(name):
    case = BY_NAME[name]
    runs = planted(case.law, case.runs, case.theta, y="loss", noise=1e-6, seed=0)
    fitted = case.law.fit(runs)
    shapes = [shape.name for shape in case.law.shapes]
    for shape in shapes:
        # Noise of 1e-6 moves the least determined of them by a few thousandths.
        assert fitted.parameters()[shape] == pytest.approx(case.theta[shape], rel=0.02)


@pytest.mark.parametrize("name", ["shifted-power", "kaplan", "broken-power", "data-constrained"])
def test_many_shapes_at_once_are_each_alone(name):
    case = BY_NAME[name]
    x = case.law.read(case.runs)
    grid = np.array(case.law.shape_grid(x))[::7][:5]
    features, base, powers = case.law.terms_at_each(x, grid)
    for k, shape in enumerate(grid.tolist()):
        alone = case.law.terms_at(x, tuple(shape))
        np.testing.assert_array_equal(features[k], alone[0])
        np.testing.assert_array_equal(base[k], alone[1])
        assert powers[k] == alone[2]

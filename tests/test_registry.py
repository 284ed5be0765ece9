import importlib.metadata
import inspect

import pytest
from sklearn.base import clone

from leadsman import registry
from leadsman.errors import InputError, MethodError
from leadsman.methods import KINDS
from leadsman.registry import methods
from leadsman.select.base import Selector
from leadsman.testing.hyperparameters import check_hyperparameters


class Longest(Selector):
    """Prefers long documents."""

    name = "longest"

    def fit(self, raw, target, *, seed=0):
        return self

    def score(self, batch):
        return batch.column("text")


class NotAMethod:
    """Has a name but no verb."""

    name = "impostor"


def offer(monkeypatch, value):
    point = importlib.metadata.EntryPoint("third", "somewhere:Thing", "leadsman.selectors")
    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda self: value)
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [point] if group == "leadsman.selectors" else []
    )
    registry.methods.cache_clear()


@pytest.fixture(autouse=True)
def fresh_cache():
    yield
    registry.methods.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_every_method_of_a_kind_has_a_name_and_says_what_it_does(kind):
    for name, cls in registry.methods(kind).items():
        assert cls.name == name
        assert cls.kind == kind
        assert len(cls.summary()) > 15


# What these cannot do without has no default.
NEEDED = {
    "adaptive_shape": {
        "laws": [
            {"width": width, "floor": 2.0, "scale": 30.0, "exponent": 0.1} for width in (32, 64)
        ]
    },
    "ofa": {"source": "model", "tokenizer": "tokenizer.json", "vectors": "words.vec"},
    "progressive_family": {"sizes": [{"width": 32, "tokens": 1000}]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_constructors_store_hyperparameters_untouched(kind):
    for name, cls in registry.methods(kind).items():
        check_hyperparameters(cls(**NEEDED.get(name, {})))


def test_a_constructor_that_changes_what_it_is_given_is_caught():
    class Rounding(Longest):
        """Keeps another number than it was given."""

        name = "rounding"

        def __init__(self, share=0.5):
            self.share = round(share)

    with pytest.raises(AssertionError, match="share"):
        check_hyperparameters(Rounding())


def test_third_party_method_is_found_by_its_entry_point(monkeypatch):
    offer(monkeypatch, Longest)
    assert registry.method("selector", "longest") is Longest


def test_entry_point_that_is_no_method_is_named(monkeypatch):
    offer(monkeypatch, NotAMethod)
    with pytest.raises(MethodError, match=r"third.*somewhere:Thing"):
        registry.methods("selector")


def test_two_methods_of_one_name_are_refused(monkeypatch):
    class Usurper(Longest):
        """Takes a name that is taken."""

        name = "dsir"

    offer(monkeypatch, Usurper)
    with pytest.raises(MethodError, match="two selectors are called 'dsir'"):
        registry.methods("selector")


def test_unknown_name_lists_the_nearest():
    with pytest.raises(InputError, match="did you mean dsir"):
        registry.method("selector", "dsirr")


def instances():
    for kind in KINDS:
        for name, cls in methods(kind).items():
            needed = [
                each
                for each in inspect.signature(cls).parameters.values()
                if each.default is inspect.Parameter.empty
            ]
            if not needed:
                yield pytest.param(cls, id=f"{kind}-{name}")


@pytest.mark.parametrize("cls", [*instances()])
def test_hyperparameters_follow_the_conventions_of_scikit_learn(cls):
    method = cls()
    settings = method.get_params()
    again = clone(method)  # checks that the constructor stored each argument untouched
    assert type(again) is cls
    assert again.get_params() == settings
    assert repr(again).startswith(f"{cls.__name__}(")
    assert method.set_params(**settings) is method


def test_set_params_checks_as_the_constructor_does():
    law = methods("law")["chinchilla"]()
    assert law.set_params(delta=0.01).delta == 0.01
    with pytest.raises(MethodError, match="delta must be above zero"):
        law.set_params(delta=-1)
    with pytest.raises(MethodError, match="no hyperparameter 'width'; it has delta"):
        law.set_params(width=1)
    assert law.get_params()["delta"] == 0.01

"""What a recipe asks for, made: its first model, its optimizer, the methods that act on its run."""

from __future__ import annotations

from dataclasses import asdict, replace

import torch

from leadsman.errors import InputError
from leadsman.registry import methods
from leadsman.runs import MODEL_VERSION, Recipe
from leadsman.train.base import OptimizerMethod, RunMethod, run_method_classes
from leadsman.train.model import Decoder
from leadsman.train.parametrization import initialize


def initial_model(recipe: Recipe, start: Decoder | None) -> Decoder:
    """The model before its first step.

    Raises:
        InputError: the recipe is of another version of the model, continues from weights that
            are not given, or these are of another shape.
    """
    if recipe.model_version != MODEL_VERSION:
        raise InputError(
            f"this recipe is of version {recipe.model_version} of the model and this is version "
            f"{MODEL_VERSION}; make the recipe again",
            column="model_version",
        )
    if not recipe.start:
        model = Decoder(recipe.shape)
        initialize(model, seed=recipe.seed)
        return model
    if start is None:
        raise InputError(
            f"the weights to continue from ({recipe.start}) are not given", column="start"
        )
    if start.shape != recipe.shape:
        have, wanted = asdict(start.shape), asdict(recipe.shape)
        apart = [name for name in wanted if have[name] != wanted[name]]
        raise InputError(
            f"the weights to continue from have "
            f"{', '.join(f'{name} {have[name]}' for name in apart)}, the recipe "
            f"{', '.join(str(wanted[name]) for name in apart)}",
            column="start",
        )
    return start


def run_methods(recipe: Recipe) -> list[RunMethod]:
    """What acts on the run: the recipe's methods but the optimizer's options, by name.

    Raises:
        InputError: a method or an option is not known, or two weigh the loss.
        MethodError: an option is out of bounds.
    """
    chosen: list[RunMethod] = []
    for cls in run_method_classes(recipe):
        try:
            chosen.append(cls(**recipe.methods[cls.name]))
        except TypeError as error:
            raise InputError(f"{error}", column=f"methods.{cls.name}") from error
    weighing = [m.name for m in chosen if type(m).reduce is not RunMethod.reduce]
    if len(weighing) > 1:
        raise InputError(f"{' and '.join(weighing)} both weigh the loss; use one", column="methods")
    return chosen


def chosen_optimizer(recipe: Recipe) -> OptimizerMethod:
    """The recipe's optimizer with its options.

    Raises:
        InputError: the optimizer or one of its options is not known.
        MethodError: an option is out of bounds.
    """
    known = {
        name: cls for name, cls in methods("training").items() if issubclass(cls, OptimizerMethod)
    }
    if recipe.optimizer not in known:
        raise InputError(
            f"no optimizer is called {recipe.optimizer!r}; there are {', '.join(known)}",
            column="optimizer",
        )
    options = dict(recipe.methods.get(recipe.optimizer, {}))
    try:
        return known[recipe.optimizer](**options)
    except TypeError as error:
        raise InputError(f"{error}", column=f"methods.{recipe.optimizer}") from error


def build_optimizer(model: Decoder, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer over the model's parameter groups, at the model's present shape.

    Raises:
        InputError: the optimizer or one of its options is not known.
        MethodError: an option is out of bounds, or the model cannot be trained with it.
    """
    return chosen_optimizer(recipe).apply(model, replace(recipe, shape=model.shape))

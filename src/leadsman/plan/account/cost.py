"""What a run costs, what serving its model takes, and the memory of its training step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from leadsman.plan.inference import serving_cost
from leadsman.plan.project import Project
from leadsman.plan.soundings import memory_limit, memory_setting_of, serve_flops
from leadsman.runs import ModelShape, Recipe
from leadsman.train.memory import estimate_memory


def cost_of(project: Project, flops: float, precision: str) -> dict[str, Any]:
    """Hours, money, energy and carbon of training FLOPs on the project's hardware.

    ``flops_per_second`` is the speed in the precision, ``budget_flops_per_second`` the one that the
    budget is counted at.
    """
    budget = project.budget
    hardware = budget.on_hardware()
    speed = budget.speed(precision).ratio
    rate = None if budget.flops_rate is None else speed * budget.flops_rate
    hours = None if rate is None else flops / rate / 3600
    return {
        "hardware": budget.hardware,
        "devices": budget.devices,
        "flops_per_second": rate,
        "budget_flops_per_second": budget.flops_rate,
        "utilisation": None if hardware is None else hardware.utilisation,
        "utilisation_from": None if hardware is None else hardware.source,
        "price_per_hour": budget.price,
        "currency": budget.currency,
        "hours": hours,
        "money": None if hours is None or budget.price is None else hours * budget.price,
        "energy_kwh": None if hardware is None else hardware.energy_kwh(flops / speed),
        "carbon_kg": None if hardware is None else hardware.carbon_kg(flops / speed),
    }


def serving_of(project: Project, shape: ModelShape) -> dict[str, Any] | None:
    """What serving the model takes."""
    spec, hardware = project.serving, project.budget.on_hardware()
    if spec is None:
        return None
    found: dict[str, Any] = {
        "tokens": spec.tokens,
        "prompt_tokens": spec.prompt_tokens,
        "output_tokens": spec.output_tokens,
        "flops_per_token": serve_flops(shape, spec),
        "in_budget": spec.in_budget,
        "seconds_per_million": None,
        "money": None,
    }
    if hardware is not None:
        cost = serving_cost(shape, spec, hardware.accelerator, precision=hardware.precision)
        found["seconds_per_million"] = cost.seconds_per_million
        if hardware.price_per_hour is not None:
            hours = cost.seconds_per_million * spec.tokens / 1e6 / 3600
            found["money"] = hours * hardware.price_per_hour.value
    return found


def memory_of(project: Project, recipe: Recipe) -> dict[str, Any]:
    """Peak of a training step by part, and the limit."""
    sequences = max(1, recipe.batch_tokens // recipe.shape.seq_len)
    setting = replace(memory_setting_of(recipe.shape), sequences=sequences)
    if recipe.precision == "float32":
        setting = replace(setting, precision="float32")
    estimate = estimate_memory(setting).to_dict()
    total, moment = estimate.pop("total"), estimate.pop("moment")
    limit = memory_limit(project)
    return {"total_bytes": total, "limit_bytes": limit, "moment": moment, "parts": estimate}

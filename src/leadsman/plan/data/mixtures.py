"""The mixtures to sound, what they hold of each source, and how much there is of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from leadsman.plan.project import Project
from leadsman.plan.settings.axes import SELECTED
from leadsman.runs import Mixture


def mixtures(project: Project, prepared: Mapping[str, Any]) -> list[Mixture]:
    """The mixtures to sound, as shares of the token sets.

    ``natural`` draws each source by its full size (as declared, less what deduplication would take
    from the rest at the same rate), ``uniform`` draws all sources alike, ``selected`` draws from
    the selected documents. Sources with a price are in none: a plan that buys one moves a share of
    the tokens to it.
    """
    priced = {source.name for source in project.priced}
    kept = {
        source["name"]: source["kept_bytes"] * source["declared_bytes"] / source["bytes"]
        for source in prepared["sources"]
        if source["name"] not in priced
    }
    weights: dict[str, dict[str, float]] = {
        "natural": kept,
        "uniform": dict.fromkeys(kept, 1.0),
        "selected": {SELECTED: 1.0},
    }
    return [Mixture(name, weights[name]) for name in project.soundings.mixtures]


def shares_by_source(mixture: Mixture, selected: Mapping[str, Any]) -> dict[str, float]:
    """Share of each source in a mixture, selected documents counted under theirs."""
    shares: dict[str, float] = {}
    for name, weight in mixture.weights.items():
        parts = selected["sets"][name]["by_source"] if name in selected["sets"] else {name: 1}
        total = sum(parts.values())
        for source, size in parts.items():
            shares[source] = shares.get(source, 0.0) + weight * size / total
    return shares


def full_tokens(
    prepared: Mapping[str, Any], selected: Mapping[str, Any], tokens: Mapping[str, Any]
) -> dict[str, float]:
    """Tokens of each token set at the full size its sources declare.

    What is readable, scaled up by declared over readable bytes; of a selection, source by source.
    """
    scale = {each["name"]: each["declared_bytes"] / each["bytes"] for each in prepared["sources"]}
    full = {}
    for name, each in tokens["sets"].items():
        if name in selected["sets"]:
            parts = selected["sets"][name]["by_source"]
            factor = sum(size * scale[source] for source, size in parts.items())
            full[name] = each["tokens"] * factor / max(sum(parts.values()), 1)
        elif name in scale:
            full[name] = each["tokens"] * scale[name]
    return full


def readable_tokens(tokens: Mapping[str, Any], priced: Collection[str]) -> dict[str, float]:
    """Tokens that can be read here of each token set but those of sources with a price."""
    return {
        name: float(tokens["sets"][name]["tokens"]) for name in tokens["full"] if name not in priced
    }

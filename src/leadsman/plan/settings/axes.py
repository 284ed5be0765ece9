"""What is tried beside mixture and size, and where a recipe stands on it.

The ladder's runs are all at the reference settings. Each further small run departs from them in one
setting only, so that it has a twin on the ladder. In tables a setting is a column:

    lr, batch_tokens            numbers
    keep                        selection rate of the ``selected`` mixture, as a name
    optimizer, precision        names
    method                      training methods switched on, as a name (``none``)
    add.SOURCE                  share of the tokens moved from the mixture to one source

and ``mixture`` is the mixture that was moved. A moved mixture carries its base first in its name
(``selected + 25 % docstrings``); token sets of further selection rates are ``selected@0.1``.
A series of a given model (:mod:`leadsman.plan.starts`) is a mixture of its own, and what is fixed
for the series is its reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from leadsman.humanize import PLUS, base_of, way_and_mixture
from leadsman.plan.settings.vary import VarySpec
from leadsman.runs import Mixture, Recipe, Run

SELECTED = "selected"
"""Name of the token set of selected documents, beside those of the sources."""
NONE = "none"
NUMBERS = ("lr", "batch_tokens")
NAMES = ("keep", "optimizer", "precision", "method")
ADD = "add."
DIGITS = 6
"""Of a share: what is moved and what is told from the weights again must be the same number."""
Row = dict[str, float | str]


@dataclass(frozen=True)
class Departure:
    """One setting at a value other than the reference.

    Attributes:
        axis: column of the setting.
        value: tried, as it stands in the column.
        options: of training methods, where the axis is ``method``.
    """

    axis: str
    value: float | str
    options: Mapping[str, Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Axes:
    """The reference settings of a project, and every departure from them that is tried.

    Attributes:
        references: the sounded mixtures, by name.
        keep: reference selection rate.
        reference: the reference settings, by axis.
        departures: what is tried.
        fixed: settings that a series of a given model has for its own, by mixture.
        ways: what is done with the model (``continue tiny``), by mixture.
    """

    references: Mapping[str, Mixture]
    keep: float
    reference: Row
    departures: tuple[Departure, ...]
    fixed: Mapping[str, Row] = field(default_factory=dict)
    ways: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        spec: VarySpec,
        references: Sequence[Mixture],
        sources: Sequence[str],
        reference: Recipe,
        *,
        keep: float,
        beside: Sequence[Recipe] = (),
    ) -> Axes:
        """The axes of a project; tried values that are the reference are left out.

        Args:
            spec: what is to be tried.
            references: the sounded mixtures.
            sources: that a share of the tokens can be moved to.
            reference: a recipe at the reference settings.
            keep: reference selection rate.
            beside: series of given models.
        """
        mixtures = [*references, *(each.mixture for each in beside)]
        fixed: dict[str, Row] = {
            each.mixture.name: {"lr": each.lr, "method": method_name(each.methods)}
            for each in beside
        }
        ways = {
            each.mixture.name: way_and_mixture(each.mixture.name, each.start)[0] for each in beside
        }
        bare = cls({each.name: each for each in mixtures}, keep, {}, (), fixed, ways)
        return replace(
            bare,
            reference=bare.settings(reference),
            departures=_departures(spec, bare.references, sources, reference, keep),
        )

    @property
    def additions(self) -> list[str]:
        """Sources that a share can be moved to."""
        found = (each.axis for each in self.departures if each.axis.startswith(ADD))
        return [name.removeprefix(ADD) for name in dict.fromkeys(found)]

    def measured(self, table: pl.DataFrame) -> Axes:
        """The same with the departures that a table of runs holds."""
        kept = tuple(
            each
            for each in self.departures
            if each.axis in table.columns and (table[each.axis] == each.value).any()
        )
        return replace(self, departures=kept)

    def row(self, recipe: Recipe) -> Row:
        """The columns of a recipe: scale, mixture it was moved from, settings."""
        scale: Row = {
            "params": float(recipe.shape.non_embedding_params),
            "tokens": float(recipe.trained_tokens),
            "flops": recipe.flops,
            "mixture": base_of(recipe.mixture.name),
        }
        return scale | self.settings(recipe)

    def settings(self, recipe: Recipe) -> Row:
        """Where a recipe stands on every axis; what its series fixes is the reference."""
        base = base_of(recipe.mixture.name)
        added = self._added(recipe.mixture, base)
        row: Row = {
            "lr": recipe.lr,
            "batch_tokens": float(recipe.batch_tokens),
            "keep": self._keep(recipe.mixture),
            "optimizer": recipe.optimizer,
            "precision": recipe.precision,
            "method": method_name(recipe.methods),
        }
        for name, value in self.fixed.get(base, {}).items():
            if row[name] == value:
                row[name] = self.reference[name]
        return row | {ADD + name: added.get(name, 0.0) for name in self.additions}

    def departed(self, recipe: Recipe) -> Row:
        """The settings of a recipe that are not the reference."""
        row = self.settings(recipe)
        return {name: row[name] for name in row if row[name] != self.reference.get(name, 0.0)}

    def label(self, recipe: Recipe) -> str:
        """The mixture and what departs beside it: ``selected + 25 % docs, lr 0.0045``."""
        rest = [
            f"{name} {value:.3g}" if isinstance(value, float) and name == "lr"
            else f"{name.removesuffix('_tokens')} {value:,.0f}" if isinstance(value, float)
            else str(value)
            for name, value in self.departed(recipe).items()
            if not name.startswith(ADD) and name != "keep"
        ]  # fmt: skip
        return ", ".join([recipe.mixture.name, *rest])

    def points(self, recipes: Sequence[Recipe]) -> pl.DataFrame:
        """One row a recipe."""
        return pl.DataFrame([self.row(recipe) for recipe in recipes])

    def table(self, runs: Sequence[Run], y: str) -> pl.DataFrame:
        """One row a finished run that has the result ``y``."""
        rows = []
        for run in runs:
            result = run.row().get(y)
            if run.status == "finished" and run.recipe is not None and result is not None:
                rows.append(self.row(run.recipe) | {"id": run.id, y: float(result)})
        return pl.DataFrame(rows, infer_schema_length=None)

    def moved(self, recipe: Recipe, row: Mapping[str, Any]) -> Recipe:
        """A recipe of a sounded mixture at the settings of a row; scale is left as it is."""
        methods = {
            str(each.value): each.options or {} for each in self.departures if each.axis == "method"
        }
        fixed = self.fixed.get(recipe.mixture.name, {})
        row = {name: each for name, each in row.items() if name not in fixed}
        seq_len = recipe.shape.seq_len
        batch = max(1, round(float(row.get("batch_tokens", recipe.batch_tokens)) / seq_len))
        return replace(
            recipe,
            mixture=self._mixture(recipe.mixture.name, row),
            lr=float(row.get("lr", recipe.lr)),
            batch_tokens=batch * seq_len,
            optimizer=str(row.get("optimizer", recipe.optimizer)),
            precision=row.get("precision", recipe.precision),
            methods=recipe.methods if fixed else methods.get(str(row.get("method", NONE)), {}),
        )

    def _mixture(self, name: str, row: Mapping[str, Any]) -> Mixture:
        weights = dict(self.references[name].weights)
        parts = [name]
        keep = str(row.get("keep", rate(self.keep)))
        if SELECTED in weights and keep != rate(self.keep):
            weights[f"{SELECTED}@{keep}"] = weights.pop(SELECTED)
            parts.append(f"keep {keep}")
        added = {each: round(float(row.get(ADD + each, 0.0)), DIGITS) for each in self.additions}
        rest = 1 - sum(added.values())
        weights = {source: rest * weight for source, weight in weights.items()}
        for source, share in added.items():
            if share > 0:
                weights[source] = weights.get(source, 0.0) + share
                parts.append(f"{100 * share:.3g} % {source}")
        return Mixture(PLUS.join(parts), weights)

    def _keep(self, mixture: Mixture) -> str:
        for source in mixture.weights:
            if source.startswith(f"{SELECTED}@"):
                return source.partition("@")[2]
        return rate(self.keep)

    def _added(self, mixture: Mixture, base: str) -> dict[str, float]:
        """Shares moved from the base: what is left when as much of it as can be is taken out."""
        if base not in self.references or base == mixture.name:
            return {}
        before = self.references[base].weights
        now: dict[str, float] = {}
        for source, weight in mixture.weights.items():
            name = SELECTED if source.startswith(f"{SELECTED}@") else source
            now[name] = now.get(name, 0.0) + weight
        rest = min(now.get(source, 0.0) / weight for source, weight in before.items() if weight)
        added = {source: each - rest * before.get(source, 0.0) for source, each in now.items()}
        rounded = {source: round(each, DIGITS) for source, each in added.items()}
        return {source: each for source, each in rounded.items() if each > 0}


def _departures(
    spec: VarySpec,
    references: Mapping[str, Mixture],
    sources: Sequence[str],
    reference: Recipe,
    keep: float,
) -> tuple[Departure, ...]:
    found = [Departure("lr", each) for each in spec.lr if each != reference.lr]
    found += [
        Departure("batch_tokens", float(each))
        for each in spec.batch_tokens
        if each != reference.batch_tokens and each % reference.shape.seq_len == 0
    ]
    if SELECTED in references:
        found += [Departure("keep", rate(each)) for each in spec.rates(keep)]
    found += [Departure("optimizer", each) for each in spec.optimizer]
    found += [
        Departure("precision", each) for each in spec.precision if each != reference.precision
    ]
    found += [Departure("method", method_name(each), each) for each in spec.methods]
    if spec.added_share:
        share = round(spec.added_share, DIGITS)
        found += [Departure(ADD + name, share) for name in sources]
    return tuple(found)


def method_name(methods: Mapping[str, Mapping[str, Any]]) -> str:
    """Training methods as a name.

    >>> method_name({"gstack": {"factor": 2}}), method_name({})
    ('gstack(factor=2)', 'none')
    """
    said = [
        f"{name}({', '.join(f'{key}={value}' for key, value in options.items())})"
        for name, options in sorted(methods.items())
    ]
    return ", ".join(said) or NONE


def rate(keep: float) -> str:
    """A selection rate as a name."""
    return f"{keep:.3g}"

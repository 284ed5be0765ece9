"""A project file: sources, target, budget, and how to sound; read strictly.

Every field is checked, an unknown one is an error, and the error names file, line and field.
Relative paths are relative to the project file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from leadsman.errors import InputError
from leadsman.humanize import DataWords
from leadsman.plan.budget import Budget
from leadsman.plan.inference import ServingSpec
from leadsman.plan.money import Money, common_currency
from leadsman.plan.settings.vary import VarySpec
from leadsman.plan.sources import EPOCHS
from leadsman.plan.starts import StartSpec
from leadsman.registry import method
from leadsman.strict_yaml import Strict, load_yaml

_UNITS = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

MixtureName = Literal["natural", "uniform", "selected"]


def _parse_bytes(value: Any) -> Any:
    """``12``, ``"300 MB"`` or ``"1.5GB"`` as a number of bytes."""
    if not isinstance(value, str):
        return value
    number = value.strip().rstrip("kKMGTB ")
    unit = value.strip()[len(number) :].strip()
    try:
        return round(float(number) * _UNITS[unit])
    except (KeyError, ValueError):
        raise ValueError(f"not a size: {value!r}; write for example 300 MB or 1.5 GB") from None


Bytes = Annotated[int, BeforeValidator(_parse_bytes), Field(gt=0)]


class SourceSpec(Strict):
    """Text offered for training."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    path: str = Field(description="JSONL, Parquet, a text tree, or a corpus directory")
    declared_bytes: Bytes | None = Field(
        None, description="full size, where only a part is readable"
    )
    price: Money | None = Field(None, description="of the whole source; 500 or 500 USD")
    licence: str | None = Field(None, description="tag that decision.exclude_licences may name")


class TargetSpec(Strict):
    """Documents that say what good means."""

    name: str = Field("target", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    path: str
    held_out: float = Field(
        0.5, gt=0, lt=1, description="share kept for evaluation; the selector never sees it"
    )
    held_out_bytes: Bytes = Field(
        200_000, description="most text to evaluate on: more is less noisy and slower"
    )


class SelectionSpec(Strict):
    """How documents are selected towards the target."""

    method: str = Field("dsir", description="a selector; `leadsman methods --kind selector`")
    options: dict[str, Any] = Field({}, description="hyperparameters of the selector")
    keep: float = Field(0.25, gt=0, le=1, description="share of the readable bytes to keep")
    rule: Literal["top", "resample"] = Field(
        "top", description="take the highest scores, or draw with weights exp(score)"
    )
    effective_size: float | None = Field(
        None, gt=1, description="documents; sets the temperature of the draw (rule: resample)"
    )


class TokenizerSpec(Strict):
    """A byte-level BPE trained on the sources."""

    vocab_size: int = Field(2048, ge=512, le=262_144)


class SoundingSpec(Strict):
    """The small runs."""

    minutes: float = Field(
        6.0, gt=0, description="on a two-core machine; decides the size of the ladder"
    )
    mixtures: tuple[MixtureName, ...] = get_args(MixtureName)
    widths: tuple[Annotated[int, Field(ge=16, multiple_of=8)], ...] | None = Field(
        None, min_length=3, description="of the models, one a size; by default from the minutes"
    )

    @field_validator("mixtures", "widths")
    @classmethod
    def _each_once(cls, value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        for each in value or ():
            if value is not None and value.count(each) > 1:
                raise ValueError(f"{each} is named twice")
        return value

    @model_validator(mode="after")
    def _has_naive(self) -> SoundingSpec:
        if "natural" not in self.mixtures:
            raise ValueError("mixtures must contain natural, the naive choice plans are held to")
        return self


class DecisionSpec(Strict):
    """What the plan is chosen by, and what it must respect beside the budget."""

    objective: Literal["mean", "quantile"] = "mean"
    quantile: float = Field(0.9, gt=0, lt=1, description="for objective: quantile")
    memory_gb: float | None = Field(None, gt=0, description="1e9 bytes of one device, for training")
    exclude_licences: tuple[str, ...] = Field(
        (), description="sources with such a tag are left out"
    )
    max_epochs: float | None = Field(
        None, gt=0, description="passes over any source at its full size; none is no limit"
    )
    money_for_data: Money | None = Field(
        None, description="for sources with a price, beside the budget; else out of it"
    )
    regret_tolerance: float = Field(
        0.0, ge=0, description="expected regret below which no further sounding is worth it"
    )


class Project(Strict):
    """Everything ``leadsman plan`` needs to know."""

    name: str = "project"
    sources: tuple[SourceSpec, ...] = Field(min_length=1)
    target: TargetSpec
    budget: Budget
    selection: SelectionSpec = SelectionSpec()
    tokenizer: TokenizerSpec = TokenizerSpec()
    soundings: SoundingSpec = SoundingSpec()
    vary: VarySpec = VarySpec()
    decision: DecisionSpec = DecisionSpec()
    serving: ServingSpec | None = None
    starts: tuple[StartSpec, ...] = Field(
        (), description="base models whose continued training is weighed beside a fresh start"
    )
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _names_differ(self) -> Project:
        for kind, given in (("sources", self.sources), ("starts", self.starts)):
            names = [each.name for each in given]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"two {kind} are called {name!r}")
        return self

    @model_validator(mode="after")
    def _one_currency(self) -> Project:
        prices = {f"source {each.name!r}": each.price for each in self.sources}
        prices["decision.money_for_data"] = self.decision.money_for_data
        try:
            common_currency({**self.budget.prices(), **prices})
        except InputError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _some_source_allowed(self) -> Project:
        excluded = set(self.decision.exclude_licences)
        if all(source.licence in excluded for source in self.sources):
            raise ValueError(
                f"decision.exclude_licences ({', '.join(sorted(excluded))}) leaves no source"
            )
        return self

    @model_validator(mode="after")
    def _priced_sources_can_be_paid(self) -> Project:
        priced = [each.name for each in self.sources if each.price and each.price.value]
        if not priced:
            return self
        if len(priced) == len(self.sources):
            raise ValueError(
                "every source has a price; plan needs one that is free to sound with (a source "
                "that is bought already has none)"
            )
        if self.budget.money is None and self.decision.money_for_data is None:
            raise ValueError(
                f"source {priced[0]!r} has a price, but the budget is not money; give "
                f"decision.money_for_data"
            )
        if not self.vary.added_share:
            raise ValueError(
                f"source {priced[0]!r} has a price, and vary.added_share is 0: nothing would tell "
                f"what it is worth"
            )
        return self

    @property
    def priced(self) -> list[SourceSpec]:
        """Sources that must be bought."""
        return [each for each in self.sources if each.price and each.price.value]

    @property
    def words(self) -> DataWords:
        """What people read for the names of mixtures."""
        spec = self.selection
        return DataWords(spec.keep, method("selector", spec.method).__name__)

    def most_passes(self, source: str) -> float | None:
        """Passes that are allowed over a source; ``None`` for any number."""
        bought = source in {each.name for each in self.priced}
        return self.decision.max_epochs or (EPOCHS if bought else None)

    def allowed(self) -> Project:
        """The project without sources whose licence is excluded."""
        excluded = set(self.decision.exclude_licences)
        kept = tuple(each for each in self.sources if each.licence not in excluded)
        return self.model_copy(update={"sources": kept})


def load_project(path: Path) -> Project:
    """Read and check a project file.

    Args:
        path: a YAML file.

    Raises:
        InputError: the file is missing, not YAML, or a field is unknown, missing or of the wrong
            kind; file, line and field are named.
    """
    project = load_yaml(path, Project, hint="`leadsman init DIR` writes one")
    return project.model_copy(
        update={
            "sources": tuple(
                source.model_copy(update={"path": str(_beside(path, source.path))})
                for source in project.sources
            ),
            "target": project.target.model_copy(
                update={"path": str(_beside(path, project.target.path))}
            ),
            "starts": tuple(_start_beside(path, start) for start in project.starts),
        }
    )


def _start_beside(project_file: Path, start: StartSpec) -> StartSpec:
    places = {"path": start.path, "tokenizer": start.tokenizer}
    found = {name: str(_beside(project_file, each)) for name, each in places.items() if each}
    return start.model_copy(update=found)


def _beside(project_file: Path, path: str) -> str | Path:
    return path if "://" in path else project_file.parent / path

"""What a sweep tries: methods, amounts, seeds, and the two ways to make amounts comparable."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal, cast, get_args

from leadsman.errors import InputError
from leadsman.registry import method as find_method
from leadsman.registry import method_settings
from leadsman.select.base import Selector
from leadsman.select.policy import Rule

ProxyName = Literal["ngram", "neural"]
View = Literal["own size", "equal compute"]
RANDOM, NEAREST_SOURCE = "random", "most similar source"
BASELINES = (RANDOM, NEAREST_SOURCE)


@dataclass(frozen=True)
class Arm:
    """One proxy of a sweep.

    Attributes:
        method: a selector, written ``NAME`` or ``NAME:SETTING=VALUE:...``, or a baseline.
        seed: of the part of the target it selects by, of its draws, and of the proxy.
        view: ``own size`` trains once on all that was chosen; ``equal compute`` trains every
            amount on the same number of bytes.
        amount: share of the pool's bytes that is chosen.
    """

    method: str
    seed: int
    view: View
    amount: float


@dataclass(frozen=True, kw_only=True)
class SweepDesign:
    """What a sweep tries.

    Attributes:
        methods: selectors, each ``NAME`` or ``NAME:SETTING=VALUE:...``; the baselines *random* and
            *most similar source* are always tried too.
        amounts: shares of the pool's bytes, each in (0, 1].
        seeds: repetitions; each selects by its own part of the target.
        rule: ``top`` or ``resample``.
        effective_size: wanted effective sample size of a draw, in documents.
        proxy: ``ngram`` or ``neural``.
        equal_compute: whether every amount is trained once more, on the same number of bytes.
        equal_bytes: training bytes in the view at equal compute; by default the smallest amount
            under ``ngram`` (counting a text twice teaches it nothing) and the largest under
            ``neural`` (where smaller ones are repeated).
        held_out: share of the target's text to measure on.
        held_out_bytes: most text to measure on.
        reference_share: share of the rest that one seed selects by.
        pool_bytes: most text of the sources to sweep over; a random part of more is taken.
        seed: of the target's split and the pool's sample.

    Raises:
        InputError: a value that cannot be.
    """

    methods: tuple[str, ...]
    amounts: tuple[float, ...]
    seeds: int = 3
    rule: Rule = "top"
    effective_size: float | None = None
    proxy: ProxyName = "ngram"
    equal_compute: bool = True
    equal_bytes: int | None = None
    held_out: float = 0.5
    held_out_bytes: int = 2_000_000
    reference_share: float = 0.8
    pool_bytes: int = 200_000_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.amounts or not all(0 < amount <= 1 for amount in self.amounts):
            raise InputError(
                f"must be shares in (0, 1], as 0.01,0.1, not {self.amounts}", column="sweep"
            )
        if self.seeds < 1:
            raise InputError(f"must be at least 1, not {self.seeds}", column="seeds")
        if self.rule not in ("top", "resample"):
            raise InputError(f"a sweep takes top or resample, not {self.rule!r}", column="rule")
        if self.proxy not in get_args(ProxyName):
            raise InputError(f"must be ngram or neural, not {self.proxy!r}", column="proxy")
        if not 0 < self.reference_share <= 1:
            raise InputError(
                f"must be in (0, 1], not {self.reference_share}", column="reference_share"
            )
        for name in ("pool_bytes", "held_out_bytes", "equal_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"must be at least 1, not {value}", column=name)
        for method in self.methods:
            parse_method(method)

    @property
    def all_methods(self) -> tuple[str, ...]:
        """Baselines first."""
        return (*BASELINES, *dict.fromkeys(self.methods))

    @property
    def all_amounts(self) -> tuple[float, ...]:
        """In ascending order, each once."""
        return tuple(sorted(set(self.amounts)))

    @property
    def views(self) -> tuple[View, ...]:
        """How amounts are compared."""
        return get_args(View) if self.equal_compute else ("own size",)

    def arms(self) -> Iterator[Arm]:
        """Every proxy, amounts of one method and seed together and in ascending order."""
        seeds = range(self.seeds)
        return itertools.starmap(
            Arm, itertools.product(self.all_methods, seeds, self.views, self.all_amounts)
        )

    def arm_key(self, arm: Arm, corpora: str) -> str:
        """Name under which an arm's result is kept: all it depends on, hashed.

        Args:
            arm: the arm.
            corpora: fingerprints of pool, reference and held-out documents.
        """
        # Neither the other methods nor the number of seeds change an arm: both may grow later.
        own = asdict(self) | dict.fromkeys(("methods", "seeds", "amounts", "equal_compute"))
        if arm.view == "equal compute" and self.equal_bytes is None:
            own["amounts"] = self.all_amounts[0 if self.proxy == "ngram" else -1]
        text = json.dumps([own, asdict(arm), corpora], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def parse_method(text: str) -> Selector:
    """A selector from ``NAME`` or ``NAME:SETTING=VALUE:...``; values are JSON or plain text.

    Raises:
        InputError: there is no such selector or setting.
        MethodError: a setting it cannot have.

    >>> parse_method("dsir:n=3:length_normalised=true").n
    3
    """
    name, *settings = text.split(":")
    cls = cast("type[Selector]", find_method("selector", name))
    return cls(**method_settings(cls, settings))

"""The verb: find proportions for a target, and measure them against the natural ones.

OUT/mixture.yaml   the block ``mixture:`` of a recipe file
    report.json    shares, and bits per byte on held-out target text with its noise
    runs/          results of cheap runs; a rerun continues from them
    work/          the target's two parts, and the sources without what they hold
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from scipy.stats import t as student

from leadsman.corpus import Corpus, decontaminate, deduplicate
from leadsman.corpus.shards.split import split_target
from leadsman.engine import ThreadEngine
from leadsman.errors import InputError
from leadsman.files import Directory
from leadsman.mix.base import Mixer
from leadsman.mix.problem import Floats, MixingProblem, Watch
from leadsman.runs import Mixture

HELD_OUT_BYTES = 2_000_000


@dataclass(frozen=True, kw_only=True)
class MixReport:
    """Proportions, and what they are worth on text that nothing was tuned by.

    Attributes:
        mixer: name of the method.
        weights: share of each source.
        natural: share of each source by size.
        most: largest share each source can give.
        proxy_bytes: text each cheap run was trained on.
        bpb: bits per byte on held-out target text, one a seed.
        natural_bpb: the same with natural proportions, same seeds and documents.
        gain: mean of ``natural_bpb - bpb``.
        gain_ci: 95 % interval of it over seeds (Student's t); ``None`` with one seed.
    """

    mixer: str
    weights: Mapping[str, float]
    natural: Mapping[str, float]
    most: Mapping[str, float]
    proxy_bytes: int
    bpb: Sequence[float]
    natural_bpb: Sequence[float]
    gain: float
    gain_ci: tuple[float, float] | None

    @property
    def mixture(self) -> Mixture:
        """For a recipe."""
        return Mixture(self.mixer, self.weights)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


def mix(
    sources: Corpus | Sequence[Corpus],
    target: Corpus,
    out: str | Path,
    *,
    mixer: Mixer,
    proxy_bytes: int | None = None,
    training_bytes: int | None = None,
    max_epochs: float = 4.0,
    held_out: float = 0.5,
    seeds: int = 5,
    seed: int = 0,
    engine: ThreadEngine | None = None,
    watch: Watch = lambda done, total, what: None,
) -> MixReport:
    """Find proportions and measure them.

    Args:
        sources: what to mix; the column ``source`` tells them apart.
        target: what the mixture should be good for; split, so that nothing is measured on what
            was tuned by. Sources lose what either half holds.
        out: directory on a local disk.
        mixer: the method.
        proxy_bytes, training_bytes, max_epochs: see :class:`~leadsman.mix.problem.MixingProblem`.
        held_out: share of the target to measure on.
        seeds: cheap runs on each of the two mixtures that are compared.
        seed: of the split and the mixer.
        engine: threads for cheap runs; one a core by default.
        watch: called with (done, to do, what).

    Raises:
        InputError: fewer than two sources, a target too small to split, or a setting that
            cannot be.
    """
    if seeds < 1:
        raise InputError(f"must be at least 1, not {seeds}", column="seeds")
    engine = engine or ThreadEngine()
    place, directory = Path(out) / "work", Directory(str(out))
    watch(0, 1, "preparing")
    unique = deduplicate(target, place / "target", engine=engine).corpus
    reference, measured_on = split_target(
        unique, place / "split", held_out=held_out, held_out_bytes=HELD_OUT_BYTES, seed=seed
    )
    clean = decontaminate(
        Corpus.join(sources), [reference, measured_on], place / "clean", engine=engine
    ).corpus
    problem = MixingProblem(
        clean, reference, proxy_bytes=proxy_bytes, training_bytes=training_bytes,
        max_epochs=max_epochs, work=directory, engine=engine, watch=watch,
    )  # fmt: skip
    found = mixer.fit(problem, seed=seed)
    natural = problem.mixture("natural", problem.natural)
    both = [mixture for mixture in (found, natural) for _ in range(seeds)]
    # Other seeds than the mixer's, so that its own draws are not praised.
    draws = [1000 + seed + number for number in range(seeds)] * 2
    losses = problem.losses(both, draws, on=measured_on)
    report = _report(mixer, problem, found, natural, losses[:seeds], losses[seeds:])
    directory.write_json("report.json", report.to_dict())
    shares = {name: round(share, 6) for name, share in report.weights.items()}
    directory.write("mixture.yaml", yaml.safe_dump({"mixture": shares}).encode())
    return report


def _report(
    mixer: Mixer,
    problem: MixingProblem,
    found: Mixture,
    natural: Mixture,
    own: Floats,
    others: Floats,
) -> MixReport:
    """Compare ``found`` with ``natural`` by their losses, bits per byte, each shape (seeds,)."""
    gains = others - own
    gain_ci = None
    if len(gains) > 1:
        reach = student.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / len(gains) ** 0.5
        gain_ci = (float(gains.mean() - reach), float(gains.mean() + reach))
    return MixReport(
        mixer=mixer.name,
        weights=dict(found.weights),
        natural=dict(natural.weights),
        most=dict(zip(problem.names, problem.most.tolist())),
        proxy_bytes=problem.proxy_bytes,
        bpb=own.tolist(),
        natural_bpb=others.tolist(),
        gain=float(gains.mean()),
        gain_ci=gain_ci,
    )

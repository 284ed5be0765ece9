"""A file made concrete: text tokenised, defaults derived, every combination a recipe."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leadsman.corpus import read_source
from leadsman.errors import InputError
from leadsman.runs import Mixture, ModelShape, Packing, Recipe, Schedule
from leadsman.strict_yaml import load_yaml
from leadsman.train.build import chosen_optimizer, run_methods
from leadsman.train.defaults import WARMUP_TOKENS, default_recipe, shape_of_width
from leadsman.train.feed import data_id
from leadsman.train.files.failure import failure_recorded
from leadsman.train.files.schema import DataFile, LadderFile, RecipeFile, ScheduleFile
from leadsman.train.ladder import TrunkJob, plan_trunks
from leadsman.train.schedule import rewarmed
from leadsman.train.start import start_id
from leadsman.train.tokens import TokenSet, load_tokenizer, tokenize_corpus, train_tokenizer

TOKENIZER_SAMPLE_BYTES = 4_000_000
BUCKET_CYCLES = 8


@dataclass(frozen=True, kw_only=True)
class Design:
    """A file made concrete: tokens written, recipes derived.

    Attributes:
        recipes: every run.
        fields: of every job (:class:`~leadsman.train.ladder.TrunkJob`): where data and results
            live, and how to run.
        held_out_tokens: tokens each run is evaluated on.
        stop_margin: how much worse than its best rival a run may be forecast before it is given
            up, as a share of the loss; ``None`` never gives up.
    """

    recipes: list[Recipe]
    fields: Mapping[str, Any]
    held_out_tokens: int
    stop_margin: float | None = None

    @property
    def jobs(self) -> list[TrunkJob]:
        """Trunks that carry the runs out, each alone."""
        return plan_trunks(self.recipes, **self.fields)


def load_recipe_file(path: Path, *, record_failure: bool = False) -> Design:
    """Read a recipe file, tokenise what is not yet, and lay out its one run.

    Args:
        path: of the file.
        record_failure: write a failed run into the ledger if the file's values cannot be a run.

    Raises:
        InputError: the file, a source or a value in it cannot be; file and field are named.
        MethodError: an option of an optimizer or a method is out of bounds.
    """
    file = load_yaml(path, RecipeFile)
    with failure_recorded(file, path, role="run", wanted=record_failure):
        return _run(file, path)


def _run(file: RecipeFile, path: Path) -> Design:
    data = _prepare(file, path)
    model = file.model.model_dump(exclude_none=True, exclude={"width"})
    if "heads" in model:
        model.setdefault("kv_heads", model["heads"])
    shape = replace(data.shape(file.model.width), **model)
    mixture = Mixture("file", file.mixture) if file.mixture else data.natural
    common = _common(file, path, longest=file.tokens)
    recipe = _recipe(data, shape, mixture, file.tokens, common, lr=file.lr, seed=file.seed)
    return data.design([recipe], file, path, role="run", models=str(data.out / "models"))


def load_ladder_file(path: Path, *, record_failure: bool = False) -> Design:
    """Read a ladder file, tokenise what is not yet, and lay out its runs.

    Arguments and errors are those of :func:`load_recipe_file`.
    """
    file = load_yaml(path, LadderFile)
    with failure_recorded(file, path, role="proxy", wanted=record_failure):
        return _ladder(file, path)


def _ladder(file: LadderFile, path: Path) -> Design:
    data = _prepare(file, path)
    mixtures = [Mixture(name, weights) for name, weights in file.mixtures.items()]
    lrs: list[float | None] = [*file.lrs] or [None]
    common = _common(file, path, longest=max(file.tokens))
    recipes = [
        _recipe(data, data.shape(width), mixture, tokens, common, lr=lr, seed=seed)
        for width, mixture, tokens, lr, seed in itertools.product(
            file.widths, mixtures or [data.natural], file.tokens, lrs, file.seeds
        )
    ]
    return data.design(recipes, file, path, role="proxy", models="")


@dataclass(frozen=True, kw_only=True)
class _Data:
    out: Path
    sources: Mapping[str, TokenSet]
    held_out: Mapping[str, TokenSet]
    vocab_size: int
    seq_len: int

    @property
    def natural(self) -> Mixture:
        return Mixture("natural", {name: float(len(s)) for name, s in self.sources.items()})

    def shape(self, width: int) -> ModelShape:
        return shape_of_width(width, vocab_size=self.vocab_size, seq_len=self.seq_len)

    def design(
        self, recipes: list[Recipe], file: DataFile, path: Path, *, role: str, models: str
    ) -> Design:
        fields: dict[str, Any] = {
            "sources": {name: str(tokens.path) for name, tokens in self.sources.items()},
            "held_out": {name: str(tokens.path) for name, tokens in self.held_out.items()},
            "ledger": str(self.out / "ledger"),
            "work": str(self.out / "work"),
            "role": role,
            "start": _beside(path, file.start) if file.start else "",
            "models": models,
            "threads": file.threads,
            "device": file.device,
            "compiled": file.compiled,
            "checkpoint_seconds": file.checkpoint_seconds,
        }
        held_out_tokens = sum(len(tokens) for tokens in self.held_out.values())
        return Design(
            recipes=recipes,
            fields=fields,
            held_out_tokens=held_out_tokens,
            stop_margin=getattr(file, "stop_margin", None),
        )


def _common(file: DataFile, path: Path, *, longest: int) -> dict[str, Any]:
    """Fields of every recipe of a file; those left out keep their derived defaults."""
    if file.schedule is not None:
        schedule = Schedule(**file.schedule.model_dump())
    elif file.start:
        schedule = rewarmed(warmup_tokens=WARMUP_TOKENS)
    else:
        schedule = Schedule(**ScheduleFile().model_dump())
    packing = Packing()
    if file.packing.name == "buckets":
        cycle = file.packing.cycle_tokens or max(1, longest // BUCKET_CYCLES)
        packing = Packing(**file.packing.model_dump() | {"cycle_tokens": cycle})
    elif file.packing.name == "documents":
        packing = Packing(name="documents")
    given = {
        "batch_tokens": file.batch_tokens,
        "weight_decay": file.weight_decay,
        "precision": file.precision,
    }
    return {name: value for name, value in given.items() if value is not None} | {
        "schedule": schedule,
        "packing": packing,
        "start": start_id(_beside(path, file.start)) if file.start else "",
        "optimizer": file.optimizer,
        "grad_clip": file.grad_clip,
        "methods": file.methods,
    }


def _recipe(
    data: _Data,
    shape: ModelShape,
    mixture: Mixture,
    tokens: int,
    common: Mapping[str, Any],
    *,
    lr: float | None,
    seed: int,
) -> Recipe:
    base = default_recipe(
        shape,
        mixture,
        data_id(data.sources),
        tokens,
        seed=seed,
        precision=common.get("precision"),
        schedule=common["schedule"],
        batch_tokens=common.get("batch_tokens"),
    )
    recipe = replace(base, lr=base.lr if lr is None else lr, **common)
    chosen_optimizer(recipe)
    run_methods(recipe)
    return recipe


def _prepare(file: DataFile, path: Path) -> _Data:
    """Token sets of all sources and held-out sets; text is tokenised under ``out/tokens``."""
    out = path.parent / file.out
    places = {
        f"{field}.{name}": _beside(path, place)
        for field, group in (("sources", file.sources), ("held_out", file.held_out))
        for name, place in group.items()
    }
    texts = {field: place for field, place in places.items() if not _is_token_set(place)}
    sets = {field: TokenSet(place) for field, place in places.items() if field not in texts}
    if texts:
        tokenizer_path = Path(
            _beside(path, file.tokenizer.path or str(Path(file.out) / "tokenizer.json"))
        )
        if file.tokenizer.path is None and not tokenizer_path.exists():
            samples = [_sample(place) for field, place in texts.items() if field[0] == "s"]
            train_tokenizer(samples, vocab_size=file.tokenizer.vocab_size, path=tokenizer_path)
        tokenizer = load_tokenizer(tokenizer_path)
        for field, place in texts.items():
            sets[field] = tokenize_corpus(
                read_source(place), tokenizer, out / "tokens" / field, key=_key(place)
            )
    sizes = {tokens.manifest.vocab_size for tokens in sets.values()}
    if len({tokens.manifest.tokenizer for tokens in sets.values()}) != 1:
        raise InputError(
            f"token sets come from different tokenizers (vocabularies {sorted(sizes)}); "
            f"tokenise all with one",
            file=path,
            column="sources",
        )
    return _Data(
        out=out,
        sources={name: sets[f"sources.{name}"] for name in file.sources},
        held_out={name: sets[f"held_out.{name}"] for name in file.held_out},
        vocab_size=max(sizes),
        seq_len=file.seq_len,
    )


def _beside(file: Path, place: str) -> str:
    return place if "://" in place else str(file.parent / place)


def _is_token_set(place: str) -> bool:
    return Path(place, "documents.npy").exists() and Path(place, "manifest.json").exists()


def _sample(place: str) -> Iterable[str]:
    """The first documents of a source: enough to train a tokenizer on."""
    size = 0
    for batch in read_source(place):
        for text in batch.column("text").to_pylist():
            yield text
            size += len(text)
            if size >= TOKENIZER_SAMPLE_BYTES:
                return


def _key(place: str) -> str:
    """Identity of local files by name, size and time of change; empty for a URL."""
    if "://" in place:
        return ""
    root = Path(place)
    files = sorted(root.rglob("*")) if root.is_dir() else sorted(root.parent.glob(root.name))
    facts = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

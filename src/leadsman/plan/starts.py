"""Base models that a plan may continue from, weighed beside training from fresh weights.

A start gives one series of runs for each mixture and learning rate: full-parameter continued
training of a fixed size, re-warmed from a tenth of the peak rate (Gupta et al. 2023, catalogue 71)
under a ``wsd`` schedule, so that all token counts branch off one trunk. A series carries what is
done in the name of its mixture (``continue tiny on natural``) and has a curve of its own in tokens.
What the model's own training cost is spent already and in no budget.

All models of a plan read the same tokens, so the project takes the tokenizer of its starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from leadsman.errors import InputError
from leadsman.humanize import ON
from leadsman.runs import Mixture, ModelShape, Recipe, Schedule
from leadsman.strict_yaml import Strict
from leadsman.train.defaults import DECAY_FRACTION, LR, WARMUP_TOKENS, default_recipe
from leadsman.train.ladder.design import LEAST_TOKENS
from leadsman.train.schedule import REWARMED_RATIO
from leadsman.train.start import start_id
from leadsman.train.tokens import TokenSet, load_tokenizer
from leadsman.train.tokens.tokenizer import end_of_text

TOKENIZER = "tokenizer.json"


class StartSpec(Strict):
    """A base model whose continued training is weighed."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    path: str = Field(description="folder in Hugging Face Llama format, as `leadsman train` saves")
    tokenizer: str | None = Field(
        None, description="its tokenizer.json; else in the folder, or two above it (models/ID)"
    )
    lr: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (LR / 2,), min_length=1, description="peak rates, each a series of its own"
    )


@dataclass(frozen=True)
class Start:
    """A base model that was looked at.

    Attributes:
        spec: as the project names it.
        id: of its weights (``Recipe.start``).
        shape: as it will be trained.
        tokenizer: file of its tokenizer.
        vocabulary: the tokenizer itself, as text.
        vocab_size: entries of the tokenizer; the shape may hold more.
    """

    spec: StartSpec
    id: str
    shape: ModelShape
    tokenizer: Path
    vocabulary: str
    vocab_size: int

    def series(self, mixtures: Sequence[Mixture], data: str, *, seed: int) -> list[Recipe]:
        """One recipe a mixture and rate; its tokens are left to be chosen."""
        schedule = Schedule(
            name="wsd",
            warmup_tokens=WARMUP_TOKENS,
            start_lr_ratio=REWARMED_RATIO,
            decay_fraction=DECAY_FRACTION,
        )
        several = len(self.spec.lr) > 1
        found = []
        for lr in self.spec.lr:
            way = f"continue {self.spec.name}" + (f" at lr {lr:g}" if several else "")
            for mixture in mixtures:
                named = Mixture(f"{way}{ON}{mixture.name}", mixture.weights)
                recipe = default_recipe(
                    self.shape, named, data, LEAST_TOKENS, seed=seed, schedule=schedule
                )
                found.append(replace(recipe, start=self.id, lr=lr))
        return found

    def bpb(self, held_out: str) -> float:
        """Bits per byte of the model as it is on a token set, in windows of the runs' length."""
        from leadsman.train.held_out import held_out_loss
        from leadsman.train.hf import load_hf

        model = load_hf(self.spec.path, most_seq_len=self.shape.seq_len)
        return held_out_loss(model, TokenSet(held_out)).bpb

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "name": self.spec.name,
            "path": str(Path(self.spec.path).resolve()),
            "weights": self.id,
            "params": self.shape.non_embedding_params,
            "lr": list(self.spec.lr),
        }


def open_starts(specs: Sequence[StartSpec], *, seq_len: int) -> list[Start]:
    """Read the base models of a project and check that they can be continued together.

    Args:
        specs: of the project.
        seq_len: of all runs.

    Raises:
        InputError: a model or its tokenizer is missing, damaged or not a plain Llama, reads shorter
            sequences than the runs have, or two models have different tokenizers.
    """
    starts = [_open(spec, seq_len) for spec in specs]
    for each in starts[1:]:
        if each.vocabulary != starts[0].vocabulary:
            raise InputError(
                f"{starts[0].spec.name!r} and {each.spec.name!r} have different tokenizers; one "
                f"plan compares models of one tokenizer, so plan with them separately",
                file=each.tokenizer,
                column="starts",
            )
    return starts


def _open(spec: StartSpec, seq_len: int) -> Start:
    from leadsman.train.hf import load_hf

    shape = load_hf(spec.path, most_seq_len=seq_len).shape
    if shape.seq_len < seq_len:
        raise InputError(
            f"{spec.name!r} reads sequences of at most {shape.seq_len} tokens; runs of a plan have "
            f"{seq_len}",
            file=Path(spec.path, "config.json"),
            column="max_position_embeddings",
        )
    file = _tokenizer_of(spec)
    tokenizer = load_tokenizer(file)
    end_of_text(tokenizer)
    size = tokenizer.get_vocab_size()
    if size > shape.vocab_size:
        raise InputError(
            f"the tokenizer of {spec.name!r} has {size:,} entries, its model only "
            f"{shape.vocab_size:,}; they do not belong together",
            file=file,
        )
    return Start(spec, start_id(spec.path), shape, file, tokenizer.to_str(), size)


def _tokenizer_of(spec: StartSpec) -> Path:
    """As named, else in the folder, else where a working directory of Leadsman keeps it."""
    folder = Path(spec.path)
    tried = [folder / TOKENIZER, folder.parent.parent / TOKENIZER]
    places = tried if spec.tokenizer is None else [Path(spec.tokenizer)]
    found = next((each for each in places if each.is_file()), None)
    if found is None:
        raise InputError(
            f"start {spec.name!r} has no tokenizer there; put its tokenizer.json beside the "
            f"weights, or name it in starts.tokenizer",
            file=places[0],
        )
    return found

"""The neural proxy of a sweep: a small decoder, trained for each amount of each method.

The shape follows the rules of :mod:`leadsman.train.defaults`. The tokenizer (byte-level BPE) is
trained once, on a random part of the pool, so that no method's choice shapes it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leadsman.corpus import Corpus
from leadsman.corpus.ngrams.proxy import Floats, Mask, chosen_batches, sample_mask
from leadsman.errors import InputError, MissingExtraError
from leadsman.runs import Mixture, Recipe

WIDTH = 64
VOCABULARY = 2048
SEQUENCE = 256
TOKENIZER_BYTES = 2_000_000
_NAME = "chosen"


class NeuralProxy:
    """Trains a small decoder from scratch on what was chosen.

    Args:
        pool: what is chosen from.
        held_out: what is measured on; one unit.
        work: directory for the tokenizer and token sets.
        width: of the model.

    Raises:
        MissingExtraError: torch is not installed.
    """

    def __init__(self, pool: Corpus, held_out: Corpus, work: Path, *, width: int = WIDTH) -> None:
        try:
            import torch  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("train", "a sweep with --proxy neural") from error
        from leadsman.train.tokens import load_tokenizer, tokenize_corpus, train_tokenizer

        self.pool, self.work, self.width = pool, work, width
        self.sizes = np.array([held_out.text_bytes])
        file = work / "tokenizer.json"
        if not file.exists():
            everything = np.ones(pool.documents, np.bool_)
            part = sample_mask(pool, everything, TOKENIZER_BYTES, seed=0)
            train_tokenizer([chosen_batches(pool, part)], vocab_size=VOCABULARY, path=file)
        self.tokenizer = load_tokenizer(file)
        self.held_out = tokenize_corpus(
            held_out.batches(["text"]), self.tokenizer, work / "held-out",
            key=held_out.fingerprint,
        )  # fmt: skip

    def losses(
        self, masks: Sequence[Mask], *, training_bytes: int | None, seed: int
    ) -> list[Floats]:
        """See :class:`~leadsman.select.sweep.proxies.Proxy`; smaller sets are repeated."""
        return [np.array([self._train(mask, training_bytes, seed)]) for mask in masks]

    def _train(self, mask: Mask, training_bytes: int | None, seed: int) -> float:
        from leadsman.train.feed import data_id
        from leadsman.train.held_out import held_out_loss
        from leadsman.train.loop import Trainer
        from leadsman.train.tokens import tokenize_corpus

        place = self.work / f"tokens-{seed}"
        try:
            tokens = tokenize_corpus(chosen_batches(self.pool, mask), self.tokenizer, place)
            count = len(tokens)
            if training_bytes is not None:
                count = round(training_bytes * count / tokens.manifest.bytes)
            recipe = proxy_recipe(
                count, vocabulary=self.tokenizer.get_vocab_size(), width=self.width, seed=seed,
                data=data_id({_NAME: tokens}),
            )  # fmt: skip
            trainer = Trainer(recipe, {_NAME: tokens})
            trainer.advance(recipe, recipe.steps)
            return held_out_loss(trainer.model, self.held_out, bf16=recipe.precision == "bf16").nats
        finally:
            shutil.rmtree(place, ignore_errors=True)


def proxy_recipe(
    tokens: int, *, vocabulary: int = VOCABULARY, width: int = WIDTH, seed: int = 0, data: str = ""
) -> Recipe:
    """The run of one proxy.

    Raises:
        InputError: too few tokens for the warm-up and a decay.
    """
    from leadsman.train.defaults import default_recipe, shape_of_width

    shape = shape_of_width(width, vocab_size=vocabulary, seq_len=SEQUENCE)
    try:
        return default_recipe(shape, Mixture(_NAME, {_NAME: 1.0}), data, tokens, seed=seed)
    except InputError as error:
        raise InputError(
            f"an amount of {tokens} tokens is too small for the neural proxy ({error}); "
            f"leave it out, or use --proxy ngram",
            column="sweep",
        ) from error

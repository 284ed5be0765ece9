"""A byte-level BPE: trained on the sources, or read from a ``tokenizer.json``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from leadsman.errors import InputError
from leadsman.files import Directory
from leadsman.train.tokens.text import Text, texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"


def train_tokenizer(
    corpora: Iterable[Iterable[Text]], *, vocab_size: int, path: str | Path
) -> Tokenizer:
    """Train a byte-level BPE and save it as ``path`` (Hugging Face ``tokenizer.json``).

    The same texts in the same order give the same tokenizer.

    Args:
        corpora: for each source, texts or Arrow batches with a column ``text``.
        vocab_size: entries, 257 or more (all bytes and the end-of-text token).
        path: file to write, all or nothing.

    Raises:
        InputError: the vocabulary is too small, or there is no text.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if vocab_size <= len(alphabet):
        raise InputError(
            f"{vocab_size} is too small: the 256 bytes and {END_OF_TEXT} must fit in",
            column="vocab_size",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        (text for corpus in corpora for text in texts(corpus)), trainer=trainer
    )
    if tokenizer.get_vocab_size() <= len(alphabet) + 1:
        raise InputError("no text to train a tokenizer on", column="sources")
    path = Path(path)
    Directory(str(path.parent)).write(path.name, tokenizer.to_str(pretty=True).encode())
    return tokenizer


def load_tokenizer(path: str | Path) -> Tokenizer:
    """A ``tokenizer.json``.

    Raises:
        InputError: the file is missing or not a tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(Path(path).read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises bare Exception
        raise InputError(f"not a tokenizer.json: {error}", file=path) from error


def tokenizer_hash(tokenizer: Tokenizer) -> str:
    """SHA-256 of the tokenizer's JSON."""
    return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()


def end_of_text(tokenizer: Tokenizer) -> int:
    """The id that ends a document.

    Raises:
        InputError: the tokenizer has none.
    """
    for token in (END_OF_TEXT, "<|end_of_text|>", "</s>"):
        token_id = tokenizer.token_to_id(token)
        if token_id is not None:
            return int(token_id)
    raise InputError(f"the tokenizer has no end-of-text token; add {END_OF_TEXT}")

"""Text to tokens, once: a byte-level BPE and memory-mapped token sets."""

from leadsman.train.tokens.encode import tokenize_corpus
from leadsman.train.tokens.text import texts
from leadsman.train.tokens.token_set import TokenManifest, TokenSet
from leadsman.train.tokens.tokenizer import (
    END_OF_TEXT,
    load_tokenizer,
    tokenizer_hash,
    train_tokenizer,
)

__all__ = [
    "END_OF_TEXT",
    "TokenManifest",
    "TokenSet",
    "load_tokenizer",
    "texts",
    "tokenize_corpus",
    "tokenizer_hash",
    "train_tokenizer",
]

"""Where the coordinates of a new vocabulary come from, and the embedding they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadsman.errors import InputError
from leadsman.train.methods._structured import StructuredMatrix

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

CHUNK = 4096


class FactoredEmbedding(StructuredMatrix):
    """An embedding matrix ``coordinates @ basis``, ``[vocabulary, rank]`` and ``[rank, width]``."""

    def __init__(self, coordinates: Tensor, basis: Tensor) -> None:
        super().__init__()
        self.coordinates, self.basis = nn.Parameter(coordinates), nn.Parameter(basis)

    def rows(self, tokens: Tensor) -> Tensor:
        """Embeddings of tokens: ``[...]`` to ``[..., width]``."""
        return torch.matmul(F.embedding(tokens, self.coordinates), self.basis)

    def forward(self, x: Tensor) -> Tensor:
        """Logits: ``[..., width]`` to ``[..., vocabulary]``."""
        return F.linear(F.linear(x, self.basis), self.coordinates)

    def dense(self) -> Tensor:
        """The embedding matrix."""
        return torch.matmul(self.coordinates, self.basis)


def factorize(embedding: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best ``coordinates [vocabulary, rank]`` and orthonormal ``basis [rank, width]``."""
    left, values, right = torch.linalg.svd(embedding, full_matrices=False)
    return left[:, :rank] * values[:rank], right[:rank].contiguous()


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words and their vectors, ``[words, size]``."""

    words: list[str]
    values: NDArray[np.float32]

    @classmethod
    def read(cls, path: str | Path) -> WordVectors:
        """Read word2vec's text format: ``<words> <size>``, then a word and its numbers a line.

        Raises:
            InputError: the file is missing, or a line has another count of numbers.
        """
        words: list[str] = []
        rows: list[NDArray[np.float32]] = []
        try:
            with open(path, encoding="utf-8") as lines:
                size = int(next(lines).split()[1])
                for number, line in enumerate(lines, start=2):
                    word, *numbers = line.rstrip().split(" ")
                    if len(numbers) != size:
                        raise InputError(
                            f"has {len(numbers)} numbers after the word; the first line says "
                            f"{size}",
                            file=path,
                            line=number,
                        )
                    words.append(word)
                    rows.append(np.array(numbers, dtype=np.float32))
        except (OSError, ValueError, IndexError, StopIteration) as error:
            raise InputError(f"not word vectors in text format: {error}", file=path) from error
        return cls(words, np.stack(rows) if rows else np.empty((0, size), np.float32))

    def of_subwords(self, tokenizer: Tokenizer) -> tuple[Tensor, Tensor]:
        """Mean vector over the words that contain each subword.

        A word counts as it stands at the start of a text and after a space.

        Returns:
            Unit vectors ``[vocabulary, size]``, and whether a subword is in any word.
        """
        size = tokenizer.get_vocab_size()
        sums = np.zeros((size, self.values.shape[1]), np.float32)
        for word, value in zip(self.words, self.values, strict=True):
            for text in (word, f" {word}"):
                sums[list(set(tokenizer.encode(text, add_special_tokens=False).ids))] += value
        unknown = getattr(tokenizer.model, "unk_token", None)
        if unknown is not None:
            sums[tokenizer.token_to_id(unknown)] = 0  # it is in every word it stands for
        known = np.linalg.norm(sums, axis=1) > 0
        return F.normalize(torch.from_numpy(sums), dim=1), torch.from_numpy(known)


@dataclass(frozen=True, eq=False)
class Placement:
    """How each subword of the new vocabulary is made of the old ones.

    Attributes:
        same: id in the old vocabulary, or -1, ``[new]``.
        neighbours: old ids, ``[new, k]``.
        weights: of the neighbours, ``[new, k]``; zero where a subword has no vector.
    """

    same: Tensor
    neighbours: Tensor
    weights: Tensor

    @classmethod
    def of(
        cls,
        old: Tokenizer,
        new: Tokenizer,
        vectors: WordVectors,
        *,
        neighbours: int,
        temperature: float,
    ) -> Placement:
        """Compare the subwords of two tokenizers."""
        old_ids, new_ids = old.get_vocab(), new.get_vocab()
        same = torch.full((new.get_vocab_size(),), -1)
        for subword, number in new_ids.items():
            same[number] = old_ids.get(subword, -1)
        of_old, old_known = vectors.of_subwords(old)
        of_new, new_known = vectors.of_subwords(new)
        count = min(neighbours, int(old_known.sum()))
        found = torch.zeros(len(of_new), max(count, 1), dtype=torch.int64)
        weights = torch.zeros(len(of_new), max(count, 1))
        for first in range(0, len(of_new) if count else 0, CHUNK):
            part = slice(first, first + CHUNK)
            cosine = torch.matmul(of_new[part], of_old.T).masked_fill(~old_known, -torch.inf)
            top = cosine.topk(count, dim=1)
            found[part], weights[part] = top.indices, (top.values / temperature).softmax(dim=1)
        return cls(same, found, weights * new_known[:, None])

    def place(self, coordinates: Tensor, *, seed: int) -> Tensor:
        """Coordinates ``[new, rank]`` from those of the old vocabulary, ``[old, rank]``."""
        generator = torch.Generator().manual_seed(seed)
        old = coordinates.cpu()
        made = torch.einsum("nk,nkr->nr", self.weights, old[self.neighbours])
        draws = torch.randn(made.shape, generator=generator) * old.std(dim=0) + old.mean(dim=0)
        made = torch.where(self.weights.sum(dim=1, keepdim=True) > 0, made, draws)
        made = torch.where(self.same[:, None] >= 0, old[self.same.clamp(min=0)], made)
        return made.to(coordinates.device)

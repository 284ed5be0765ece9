"""OFA: extend a trained model's vocabulary with well-placed embeddings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from leadsman.errors import MethodError
from leadsman.methods import Paper
from leadsman.train.base import RunMethod, require
from leadsman.train.methods._compatibility import refuse_combination, refuse_start

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from leadsman.runs import Recipe
    from leadsman.train.methods._ofa import WordVectors
    from leadsman.train.model import Decoder


class OFA(RunMethod):
    """Continues from a model with another vocabulary, new subwords placed by aligned word vectors.

        E = F P                                    SVD of the source embedding, F its coordinates
        u_t = mean of the vectors of the words that contain subword t
        F_t = F_s                                  for a subword both vocabularies have
        F_t = sum over neighbours s of softmax(cos(u_t, u_s) / temperature) F_s       otherwise

    A new subword in no word with a vector gets a draw from the normal distribution of the source's
    coordinates. With ``rank`` below the width, ``F`` and ``P`` are trained in place of ``E``
    (``rank (vocabulary + width)`` parameters); the export is the plain product. Claims: faster
    convergence of continued pretraining, fewer parameters, better zero-shot transfer.

    Args:
        source: directory of the trained model (Hugging Face format, with its ``tokenizer.json``).
        tokenizer: the new ``tokenizer.json``, of the recipe's data.
        vectors: word vectors in word2vec's text format, all languages in one space.
        rank: of the factorised embedding; ``None`` for the full width, not factorised.
        neighbours: source subwords a new one is made of.
        temperature: of their weights.

    Raises:
        MethodError: a value out of bounds, a source of another shape, a tokenizer that does not
            match the recipe's vocabulary, or a factorised embedding without tied embeddings.
        InputError: a file that cannot be read.
    """

    name = "ofa"
    paper = Paper(
        "OFA: A Framework of Initializing Unseen Subword Embeddings for Efficient Large-scale "
        "Multilingual Continued Pretraining",
        2023,
        468,
    )

    def __init__(
        self,
        *,
        source: str,
        tokenizer: str,
        vectors: str,
        rank: int | None = None,
        neighbours: int = 10,
        temperature: float = 0.1,
    ) -> None:
        require(1 if rank is None else rank, "rank")
        require(neighbours, "neighbours")
        require(temperature, "temperature")
        self.source, self.tokenizer, self.vectors = source, tokenizer, vectors
        self.rank, self.neighbours, self.temperature = rank, neighbours, temperature

    def apply(
        self, model: Decoder, old: Tokenizer, new: Tokenizer, vectors: WordVectors, *, seed: int = 0
    ) -> Decoder:
        """A decoder for the new vocabulary; the given one is left as it is.

        Args:
            model: trained with ``old``, without replicas.
            old, new: tokenizers.
            vectors: of words.
            seed: of the draws for subwords without a vector.
        """
        import copy

        from torch import nn

        from leadsman.train.methods._ofa import FactoredEmbedding, Placement, factorize

        shape = replace(model.shape, vocab_size=new.get_vocab_size())
        rank = self.rank or shape.width
        if rank > shape.width:
            raise MethodError(f"rank {rank} is above the width {shape.width}")
        if self.rank and not shape.tie_embeddings:
            raise MethodError("a factorised embedding must be tied; leave rank out")
        placement = Placement.of(
            old, new, vectors, neighbours=self.neighbours, temperature=self.temperature
        )
        made = copy.deepcopy(model)
        made.shape = shape
        for name in ("embedding", *(() if shape.tie_embeddings else ("head",))):
            coordinates, basis = factorize(model.get_parameter(name).detach(), rank)
            placed = placement.place(coordinates, seed=seed)
            delattr(made, name)
            factored = FactoredEmbedding(placed, basis)
            value = factored if self.rank else nn.Parameter(factored.dense().detach())
            setattr(made, name, value)
        return made

    def prepare(self, model: Decoder, recipe: Recipe) -> Decoder:
        """The source model with the recipe's vocabulary; the given initial model is not used."""
        from pathlib import Path

        from leadsman.train.hf import load_hf
        from leadsman.train.methods._ofa import WordVectors
        from leadsman.train.tokens import load_tokenizer

        refuse_combination(self.name, recipe)
        refuse_start(self.name, recipe)
        trained = load_hf(self.source)
        expected = replace(recipe.shape, vocab_size=trained.shape.vocab_size)
        if trained.shape != expected:
            raise MethodError(
                f"the source model is {trained.shape}, the recipe asks for {expected}"
            )
        old = load_tokenizer(Path(self.source, "tokenizer.json"))
        new = load_tokenizer(Path(self.tokenizer))
        if new.get_vocab_size() != recipe.shape.vocab_size:
            raise MethodError(
                f"{self.tokenizer} has {new.get_vocab_size()} entries, the recipe's data "
                f"{recipe.shape.vocab_size}"
            )
        vectors = WordVectors.read(self.vectors)
        return self.apply(trained, old, new, vectors, seed=recipe.seed).to(model.embedding.device)

    def finish(self, model: Decoder) -> Decoder:
        """The plain product in place of the factors."""
        from leadsman.train.methods._structured import densify

        return densify(model)

"""OFA on vocabularies and vectors whose right answer is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from leadsman.errors import InputError, MethodError
from leadsman.train.hf import load_hf, save_hf
from leadsman.train.loop import Trainer
from leadsman.train.methods._ofa import Placement, WordVectors, factorize
from leadsman.train.methods._structured import densify
from leadsman.train.methods.ofa import OFA


def word_tokenizer(words: list[str]):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


OLD = ["<unk>", "sea", "ship", "deep", "code"]
NEW = ["<unk>", "mer", "ship", "navire", "zzz"]
VECTORS = {
    "sea": [1.0, 0.0, 0.0],
    "ship": [0.0, 1.0, 0.0],
    "deep": [0.8, 0.6, 0.0],
    "code": [0.0, 0.0, 1.0],
    "mer": [2.0, 0.0, 0.0],
    "navire": [0.0, 1.0, 1.0],
}


@pytest.fixture
def vectors():
    return WordVectors(list(VECTORS), np.array(list(VECTORS.values()), np.float32))


def test_new_subwords_are_weighed_sums_of_their_neighbours(vectors):
    placement = Placement.of(
        word_tokenizer(OLD), word_tokenizer(NEW), vectors, neighbours=2, temperature=0.1
    )
    old = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    placed = placement.place(old, seed=0)
    assert torch.equal(placed[[0, 2]], old[[0, 2]])
    # mer: cosines 1 (sea), 0.8 (deep); weights e^10 and e^8.
    share = math.exp(2) / (1 + math.exp(2))
    torch.testing.assert_close(placed[1], share * old[1] + (1 - share) * old[3])
    # navire: cosine 1 / sqrt 2 to ship and to code alike.
    torch.testing.assert_close(placed[3], (old[2] + old[4]) / 2)
    # zzz is in no word with a vector: a draw, another with another seed.
    assert not torch.equal(placed[4], placement.place(old, seed=1)[4])


def test_a_subwords_vector_is_the_mean_of_the_words_that_contain_it():
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1, "c": 2, "ab": 3}, [("a", "b")]))
    vectors = WordVectors(["abc", "ab", "c"], np.array([[1, 0], [1, 4], [3, 0]], np.float32))
    found, known = vectors.of_subwords(tokenizer)
    assert known.tolist() == [False, False, True, True]
    torch.testing.assert_close(found[3], torch.tensor([2.0, 4.0]) / math.sqrt(20))
    torch.testing.assert_close(found[2], torch.tensor([1.0, 0.0]))


def test_the_factorisation_is_the_best_and_whole_at_full_rank():
    embedding = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    coordinates, basis = factorize(embedding, 3)
    values = np.linalg.svd(embedding.double().numpy(), compute_uv=False)
    error = float((coordinates @ basis - embedding).square().sum())
    assert error == pytest.approx((values[3:] ** 2).sum(), rel=1e-5)
    coordinates, basis = factorize(embedding, 8)
    torch.testing.assert_close(coordinates @ basis, embedding, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_the_same_vocabulary_gives_the_same_model(tied, new_model, logits, vectors):
    words = [f"w{k}" for k in range(319)] + ["<unk>"]
    tokenizer = word_tokenizer(words)
    model = new_model(tie_embeddings=tied)
    ofa = OFA(source="", tokenizer="", vectors="")
    made = ofa.apply(model, tokenizer, tokenizer, vectors)
    torch.testing.assert_close(logits(made), logits(model), rtol=1e-4, atol=1e-4)


def test_a_factorised_embedding_is_smaller_and_exports_its_product(new_model, logits, vectors):
    tokenizer = word_tokenizer([f"w{k}" for k in range(319)] + ["<unk>"])
    model = new_model()
    ofa = OFA(source="", tokenizer="", vectors="", rank=8)
    made = ofa.apply(model, tokenizer, tokenizer, vectors)
    saved = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in made.parameters())
    assert saved == 320 * 32 - 8 * (320 + 32)
    torch.testing.assert_close(logits(made), logits(ofa.finish(made)), rtol=1e-4, atol=1e-4)
    coordinates, basis = factorize(model.embedding.detach(), 8)
    torch.testing.assert_close(densify(made).embedding.detach(), coordinates @ basis)


@pytest.fixture
def project(tmp_path, new_model, texts):
    """A trained model with its own vocabulary, and word vectors."""
    from leadsman.train.tokens import train_tokenizer

    old = train_tokenizer([texts["code"]], vocab_size=300, path=tmp_path / "old/tokenizer.json")
    assert old.get_vocab_size() == 300
    save_hf(new_model(vocab_size=300), tmp_path / "old")
    generator = np.random.default_rng(0)
    words = sorted({word for docs in texts.values() for doc in docs for word in doc.split()})
    lines = [f"{len(words)} 6"] + [
        " ".join([word, *(f"{value:.4f}" for value in generator.normal(size=6))]) for word in words
    ]
    (tmp_path / "words.vec").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("rank", [None, 8])
def test_a_recipe_continues_from_the_extended_model(rank, project, new_recipe, token_sets):
    tokenizer = str(token_sets["prose"].path.parent / "tokenizer.json")
    options = {
        "source": str(project / "old"),
        "tokenizer": tokenizer,
        "vectors": str(project / "words.vec"),
    }
    recipe = new_recipe(methods={"ofa": options | ({"rank": rank} if rank else {})})
    whole, again = Trainer(recipe, token_sets), Trainer(recipe, token_sets)
    block = load_hf(project / "old").blocks[1].down
    assert torch.equal(whole.model.blocks[1].down, block)
    whole.advance(recipe, 7)
    again.load(whole.state())
    for trainer in (whole, again):
        trainer.advance(recipe, 12)
    assert whole.curve.loss == again.curve.loss
    with whole.evaluated() as plain:
        assert plain.shape == recipe.shape


def test_bad_input_is_named(project, new_recipe, token_sets):
    (project / "short.vec").write_text("2 3\na 1 2 3\nb 1 2\n")
    with pytest.raises(InputError, match="has 2 numbers after the word; the first line says 3"):
        WordVectors.read(project / "short.vec")
    with pytest.raises(InputError, match="not word vectors"):
        WordVectors.read(project / "none.vec")
    good = {"source": str(project / "old"), "vectors": str(project / "words.vec")}
    good["tokenizer"] = str(project / "old/tokenizer.json")
    with pytest.raises(MethodError, match="has 300 entries, the recipe's data 320"):
        Trainer(new_recipe(methods={"ofa": good}), token_sets)
    shape = replace(new_recipe().shape, layers=1)
    with pytest.raises(MethodError, match="the source model is"):
        Trainer(new_recipe(shape=shape, methods={"ofa": good}), token_sets)

"""What text is worth that a small model reads several times.

    LEADSMAN_CORPORA=DIR python -m benchmarks.plan.repetition [--out DIR]    (about 20 minutes)

Models of 48 and 72 channels (154k and 272k parameters, 56k and 125k without embeddings) are
trained on books and on source code, on text sets of TOKENS / 2^k tokens, k = 0..4, up to TOKENS in
total; branches end at every halving above one pass. The fresh set (k = 0) gives the loss against
fresh tokens; where a repeated run's loss lies on that curve says what its tokens were worth. ``R``
is the decay constant of ``worth = 1 + R (1 - exp(-(passes - 1) / R))``. Stopped and started again,
it goes on where it was. What is learned from it: benchmarks/plan/repetition_prior.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
import polars as pl
from benchmarks.machine import machine
from scipy.interpolate import PchipInterpolator

from leadsman.engine import LocalEngine
from leadsman.runs import Ledger, Mixture, Recipe
from leadsman.train.defaults import default_recipe, shape_of_width
from leadsman.train.feed import data_id
from leadsman.train.ladder import plan_trunks, train_ladder
from leadsman.train.tokens import TokenSet, load_tokenizer, tokenize_corpus, train_tokenizer

WIDTHS = (48, 72)
TEXTS = {"books": "books.parquet", "code": "sympy_code.parquet"}
WHOLE_FILES = ("code",)
"""Cut into pieces first, as the books are: a set of a few files is not text of the same kind."""
PIECE = 2000
TOKENS = 3 << 19
HALVINGS = 5
HELD_OUT_BYTES = 250_000
VOCABULARY = 2048
SEED = 0
RESULT = Path(__file__).parent / "results/repetition.json"


def token_sets(name: str, out: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Directories of nested sets of TOKENS / 2^k tokens, and of a held-out set."""
    corpora = Path(os.environ["LEADSMAN_CORPORA"])
    texts = pl.read_parquet(corpora / TEXTS[name], columns=["text"])["text"]
    texts = texts.sample(fraction=1, shuffle=True, seed=SEED)
    size = texts.str.len_bytes().cum_sum()
    held, rest = texts.filter(size <= HELD_OUT_BYTES), texts.filter(size > HELD_OUT_BYTES)
    if name in WHOLE_FILES:
        pieces = pl.Series([piece for text in rest for piece in pieces_of(text)])
        rest = pieces.sample(fraction=1, shuffle=True, seed=SEED)
    file = out / "tokenizer.json"
    if not file.exists():
        train_tokenizer([rest.head(300).to_list()], vocab_size=VOCABULARY, path=file)
    tokenizer = load_tokenizer(file)
    counts = np.cumsum([len(each.ids) + 1 for each in tokenizer.encode_batch(rest.to_list())])
    if counts[-1] < TOKENS:
        raise SystemExit(f"{name} holds {counts[-1]:,} tokens; {TOKENS:,} are needed")
    places = {}
    for k in range(HALVINGS):
        part = rest.head(int(np.searchsorted(counts, TOKENS / 2**k)) + 1).to_list()
        places[f"{name}-{2**k}"] = str(out / f"{2**k}")
        tokenize_corpus(part, tokenizer, out / f"{2**k}", key=f"{name} {k} {SEED} {TOKENS}")
    tokenize_corpus(held.to_list(), tokenizer, out / "held-out", key=f"{name} {SEED}")
    return places, {"target": str(out / "held-out")}


def pieces_of(text: str) -> list[str]:
    """A text cut at line ends into pieces of about PIECE characters."""
    pieces: list[list[str]] = [[]]
    size = 0
    for line in text.splitlines(keepends=True):
        if size >= PIECE:
            pieces.append([])
            size = 0
        pieces[-1].append(line)
        size += len(line)
    return ["".join(each) for each in pieces]


def recipes_of(name: str, sets: dict[str, TokenSet], width: int) -> list[Recipe]:
    """The fresh run with its branches, and the repeated ones above one pass."""
    shape = shape_of_width(width, vocab_size=VOCABULARY, seq_len=256)
    data = data_id(sets)
    found = []
    for k in range(HALVINGS):
        mixture = Mixture(f"{name}-{2**k}", {f"{name}-{2**k}": 1.0})
        ends = range(HALVINGS) if k == 0 else range(k)
        found += [
            default_recipe(shape, mixture, data, TOKENS // 2**end, seed=SEED, precision="bf16")
            for end in ends
        ]
    return found


def worth_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Of one text and size: what each repeated run's tokens were worth, and its R*."""
    from benchmarks.plan.repetition_prior import constant_of

    fresh = rows.filter(pl.col("halving") == 0).sort("loss")
    curve = PchipInterpolator(np.log(fresh["loss"]), np.log(fresh["tokens"]), extrapolate=False)
    again = rows.filter(pl.col("halving") > 0).sort("unique_tokens", "tokens")
    worth = np.exp(curve(np.log(again["loss"].to_numpy())))
    passes = (again["tokens"] / again["unique_tokens"]).to_numpy()
    unique = again["unique_tokens"].to_numpy()
    return again.with_columns(
        passes=pl.Series(passes),
        worth=pl.Series(worth / unique),
        R=pl.Series([constant_of(p, w / u) for p, w, u in zip(passes, worth, unique)]),
    )


def rows_of(ledger: str, sizes: dict[str, int]) -> pl.DataFrame:
    """One row a finished run."""
    rows = []
    for run in Ledger(ledger):
        if run.status == "finished" and run.recipe is not None:
            name, _, part = run.recipe.mixture.name.rpartition("-")
            rows.append(
                {
                    "text": name,
                    "halving": int(np.log2(int(part))),
                    "params": run.recipe.shape.non_embedding_params,
                    "tokens": run.recipe.trained_tokens,
                    "unique_tokens": sizes[run.recipe.mixture.name],
                    "loss": run.losses["target"],
                }
            )
    return pl.DataFrame(rows)


def main() -> None:
    """Train what is missing, write one JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", default="/tmp/leadsman-repetition")
    parser.add_argument("--read", action="store_true", help="train nothing, read what is there")
    options = parser.parse_args()
    out = Path(options.out)
    sizes: dict[str, int] = {}
    for name in TEXTS:
        (out / name).mkdir(parents=True, exist_ok=True)
        sources, held_out = token_sets(name, out / name)
        sets = {each: TokenSet(path) for each, path in sources.items()}
        sizes |= {each: tokens.manifest.tokens for each, tokens in sets.items()}
        if options.read:
            continue
        recipes = [each for width in WIDTHS for each in recipes_of(name, sets, width)]
        jobs = plan_trunks(
            recipes,
            sources=sources,
            held_out=held_out,
            ledger=str(out / "ledger"),
            work=str(out / "work"),
        )
        runs = train_ladder(jobs, LocalEngine(1))
        print(name, len(runs), "runs", file=sys.stderr, flush=True)
    rows = rows_of(str(out / "ledger"), sizes)
    again = pl.concat([worth_of(group) for group in rows.partition_by("text", "params")])
    result = machine("leadsman", "torch", "numpy") | {
        "seed": SEED,
        "tokens": TOKENS,
        "fresh": rows.filter(pl.col("halving") == 0).drop("halving").to_dicts(),
        "repeated": again.drop("halving").to_dicts(),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(again)


if __name__ == "__main__":
    main()

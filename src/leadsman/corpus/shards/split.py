"""Cuts a target in two: documents to select by, and documents to measure on, never the same.

A document's side follows from a hash of its id and the seed, so it does not depend on the order
or number of the others (docs/decisions/0004).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from leadsman.corpus.corpus import Corpus
from leadsman.corpus.kernels.text import texts
from leadsman.corpus.shards.job import Job
from leadsman.corpus.shards.subset import publish, write_subset
from leadsman.engine import ThreadEngine
from leadsman.errors import InputError


def split_target(
    target: Corpus, out: str | Path, *, held_out: float, held_out_bytes: int, seed: int
) -> tuple[Corpus, Corpus]:
    """Write ``OUT/reference`` (to select by) and ``OUT/held-out`` (to measure on).

    Args:
        target: documents without near copies of each other.
        out: directory of both.
        held_out: share of the text to hold out, in (0, 1).
        held_out_bytes: most text to hold out.
        seed: of the hash.

    Raises:
        InputError: there are fewer than two documents, or ``held_out`` cannot be.
    """
    if not 0 < held_out < 1:
        raise InputError(f"must lie between 0 and 1, not {held_out}", column="held_out")
    if target.documents < 2:
        raise InputError(
            f"holds {target.documents} different documents; at least two are needed, one to "
            f"select by and one to measure on",
            file=target.location,
        )
    sizes, order = [], []
    for batch in target.batches(["id", "text"]):
        sizes.append(texts(batch).lengths)
        order += [hash_of(identity, seed) for identity in batch.column("id").to_pylist()]
    text_bytes = np.concatenate(sizes)
    ranked = np.array(sorted(range(len(order)), key=lambda number: (order[number], number)))
    ahead = np.cumsum(text_bytes[ranked]) - text_bytes[ranked]
    kept_back = np.zeros(len(order), np.bool_)
    kept_back[ranked[ahead < min(held_out * text_bytes.sum(), held_out_bytes)]] = True
    kept_back[ranked[-1]] = False  # one document stays to select by, however long the first was
    settings = {"held_out": held_out, "held_out_bytes": held_out_bytes, "seed": seed}
    parts = []
    for name, mask in (("reference", ~kept_back), ("held-out", kept_back)):
        job = Job(f"{out}/{name}", f"split-{name}", settings, [target])
        if not job.finished:
            part = write_subset(target, mask, text_bytes, job, engine=ThreadEngine())
            publish(part, job)
        parts.append(Corpus.open(f"{out}/{name}"))
    return parts[0], parts[1]


def hash_of(identity: str, seed: int) -> bytes:
    """Eight bytes that decide where a document goes."""
    return hashlib.blake2b(f"{seed}:{identity}".encode(), digest_size=8).digest()

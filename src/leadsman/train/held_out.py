"""Loss on held-out tokens: nats per token and bits per byte.

The set is read as one stream, ``<eot> doc <eot> doc ...``, in windows of the model's sequence
length; every token of the text is predicted once. End-of-text tokens are read but not scored, so
that ``bits per byte = nats / ln 2 / UTF-8 bytes of the text`` is about the text alone. A model
trained without attention across documents is evaluated without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from leadsman.train.model import Decoder
from leadsman.train.tokens import TokenSet

WINDOW_TOKENS = 8192


@dataclass(frozen=True, kw_only=True)
class HeldOutLoss:
    """Result on one held-out set.

    Attributes:
        nats: summed over the text's tokens.
        tokens: tokens scored.
        bytes: UTF-8 bytes of the text.
    """

    nats: float
    tokens: int
    bytes: int

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

    @property
    def bpb(self) -> float:
        """Bits per byte.

        >>> HeldOutLoss(nats=math.log(2) * 30, tokens=10, bytes=20).bpb
        1.5
        """
        return self.nats / math.log(2) / self.bytes


def held_out_loss(
    model: Decoder, held_out: TokenSet, *, bf16: bool = False, across_documents: bool = True
) -> HeldOutLoss:
    """Loss of a model (without replicas) on all of a held-out set.

    Args:
        model: the decoder.
        held_out: tokens of the same tokenizer.
        bf16: autocast the matrix products, as in training.
        across_documents: whether attention sees documents before the present one.
    """
    device = model.embedding.device
    seq_len, end_of_text = model.shape.seq_len, held_out.manifest.end_of_text
    stream = np.concatenate(([end_of_text], held_out.read(0, len(held_out))))
    separator = None if across_documents else end_of_text
    nats, scored = 0.0, 0
    rows = max(1, WINDOW_TOKENS // seq_len)
    whole = (len(stream) - 1) // seq_len * seq_len
    starts = [*range(0, whole, rows * seq_len)]
    spans = [(start, min(rows * seq_len, whole - start), seq_len) for start in starts]
    if len(stream) - 1 > whole:
        spans.append((whole, len(stream) - 1 - whole, len(stream) - 1 - whole))
    for start, count, length in spans:
        ids = torch.from_numpy(stream[start : start + count + 1]).to(device)
        tokens, targets = ids[:-1].view(-1, length), ids[1:].view(-1, length)
        with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            logits = model(tokens, separator)
        losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
        text = targets.flatten() != end_of_text
        nats += float(losses[text].double().sum())
        scored += int(text.sum())
    return HeldOutLoss(nats=nats, tokens=scored, bytes=held_out.manifest.bytes)

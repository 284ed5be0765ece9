"""A compact Llama-style decoder: one model, or many of one shape side by side.

RMSNorm, rotary positions, SwiGLU, grouped-query attention (Touvron et al. 2023), tied or untied
embeddings. With ``replicas``, every parameter and every batch has a leading dimension of that
many models, which step together as one batched computation; without, parameters are plain
matrices. Query, key and value share a matrix, and so do gate and up.

The model holds no width multipliers: muP lives in the initial values and the learning rates
(:mod:`leadsman.train.parametrization`), so what is trained is a Hugging Face Llama as it stands.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadsman.runs import ModelShape
from leadsman.train.model.layers import (
    attention,
    embed,
    linear,
    rms_norm,
    rotary_tables,
    rotate,
    within_documents,
)


class Block(nn.Module):
    """Attention and SwiGLU, each behind an RMSNorm and added to the residual stream."""

    def __init__(self, shape: ModelShape, replicas: int | None) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = shape.heads, shape.kv_heads, shape.head_width
        qkv_width = (shape.heads + 2 * shape.kv_heads) * shape.head_width
        self.attention_norm = _gain(replicas, shape.width)
        self.qkv = _matrix(replicas, qkv_width, shape.width)
        self.attention_out = _matrix(replicas, shape.width, shape.width)
        self.ffn_norm = _gain(replicas, shape.width)
        self.gate_up = _matrix(replicas, 2 * shape.ffn_width, shape.width)
        self.down = _matrix(replicas, shape.width, shape.ffn_width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, visible: Tensor | None = None) -> Tensor:
        """One block; ``x`` is ``[(replicas,) sequences, seq_len, width]``."""
        mixed = self._attend(rms_norm(x, self.attention_norm), cos, sin, visible)
        x = x + linear(mixed, self.attention_out)
        gate, up = linear(rms_norm(x, self.ffn_norm), self.gate_up).chunk(2, dim=-1)
        return x + linear(F.silu(gate) * up, self.down)

    def _attend(self, x: Tensor, cos: Tensor, sin: Tensor, visible: Tensor | None) -> Tensor:
        lead, seq_len = x.shape[:-2], x.shape[-2]
        qkv = linear(x, self.qkv).view(-1, seq_len, self.heads + 2 * self.kv_heads, self.head_width)
        q, kv = qkv.transpose(1, 2).tensor_split([self.heads], dim=1)
        k, v = kv.chunk(2, dim=1)
        mixed = attention(rotate(q, cos, sin), rotate(k, cos, sin), v, visible)
        return mixed.transpose(1, 2).reshape(*lead, seq_len, self.heads * self.head_width)


class Decoder(nn.Module):
    """A decoder, or ``replicas`` decoders of one shape.

    Args:
        shape: layers, widths, heads, vocabulary.
        replicas: number of models side by side; ``None`` for one without the dimension.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: ModelShape, *, replicas: int | None = None) -> None:
        super().__init__()
        self.shape, self.replicas = shape, replicas
        self.embedding = _matrix(replicas, shape.vocab_size, shape.width)
        self.blocks = nn.ModuleList(Block(shape, replicas) for _ in range(shape.layers))
        self.final_norm = _gain(replicas, shape.width)
        self.head = (
            None if shape.tie_embeddings else _matrix(replicas, shape.vocab_size, shape.width)
        )
        cos, sin = rotary_tables(shape.seq_len, shape.head_width)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens: Tensor, separator: int | None = None) -> Tensor:
        """Logits.

        Args:
            tokens: int64 ``[(replicas,) sequences, seq_len]``, not longer than the shape's
                ``seq_len``.
            separator: the token before each document, which attention then does not cross; by
                default it sees the whole sequence.

        Returns:
            ``[(replicas,) sequences, seq_len, vocab_size]``.
        """
        seq_len = tokens.shape[-1]
        cos, sin = self.cos[:seq_len], self.sin[:seq_len]
        visible = None if separator is None else within_documents(tokens, separator)
        x = embed(tokens, self.embedding)
        for block in self.stack:
            x = block(x, cos, sin, visible)
        return linear(rms_norm(x, self.final_norm), self.output_matrix)

    @property
    def stack(self) -> list[Block]:
        """The blocks, first to last."""
        return cast(list[Block], list(self.blocks))

    def replica(self, number: int) -> Decoder:
        """A copy of one of several replicas, as a model of its own."""
        alone = Decoder(self.shape).to(self.embedding.device)
        with torch.no_grad():
            for name, param in alone.named_parameters():
                param.copy_(self.get_parameter(name)[number])
        return alone

    @property
    def output_matrix(self) -> Tensor:
        """The matrix that turns the residual stream into logits."""
        return self.embedding if self.head is None else self.head

    def loss(self, tokens: Tensor, targets: Tensor, separator: int | None = None) -> Tensor:
        """Mean cross-entropy in nats per token: a scalar, or ``[replicas]``."""
        losses = self.token_losses(tokens, targets, separator)
        return losses.mean() if self.replicas is None else losses.flatten(1).mean(dim=1)

    def token_losses(self, tokens: Tensor, targets: Tensor, separator: int | None = None) -> Tensor:
        """Cross-entropy of each target in nats, in the shape of ``targets``."""
        logits = self(tokens, separator).float()
        flat = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none")
        return flat.view(targets.shape)


def _matrix(replicas: int | None, rows: int, columns: int) -> nn.Parameter:
    lead = () if replicas is None else (replicas,)
    return nn.Parameter(torch.empty(*lead, rows, columns))


def _gain(replicas: int | None, width: int) -> nn.Parameter:
    lead = () if replicas is None else (replicas,)
    return nn.Parameter(torch.ones(*lead, width))

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

ROPE_THETA = 10_000.0
NORM_EPS = 1e-6
PLAIN_ATTENTION_SEQ_LEN = 512


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

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """One block; ``x`` is ``[(replicas,) sequences, seq_len, width]``."""
        x = x + linear(self._attend(rms_norm(x, self.attention_norm), cos, sin), self.attention_out)
        gate, up = linear(rms_norm(x, self.ffn_norm), self.gate_up).chunk(2, dim=-1)
        return x + linear(F.silu(gate) * up, self.down)

    def _attend(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        lead, seq_len = x.shape[:-2], x.shape[-2]
        qkv = linear(x, self.qkv).view(-1, seq_len, self.heads + 2 * self.kv_heads, self.head_width)
        q, kv = qkv.transpose(1, 2).tensor_split([self.heads], dim=1)
        k, v = kv.chunk(2, dim=1)
        mixed = attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
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

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits.

        Args:
            tokens: int64 ``[(replicas,) sequences, seq_len]``, not longer than the shape's
                ``seq_len``.

        Returns:
            ``[(replicas,) sequences, seq_len, vocab_size]``.
        """
        seq_len = tokens.shape[-1]
        cos, sin = self.cos[:seq_len], self.sin[:seq_len]
        x = embed(tokens, self.embedding)
        for block in self.stack:
            x = block(x, cos, sin)
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

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats per token: a scalar, or ``[replicas]``."""
        logits = self(tokens).float()
        flat = F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none")
        return flat.mean() if self.replicas is None else flat.view(self.replicas, -1).mean(dim=1)


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """``x @ weight.T``; ``weight`` is ``[(replicas,) out, in]``."""
    if weight.dim() == 2:
        return F.linear(x, weight)
    flat = torch.bmm(x.flatten(1, -2), weight.transpose(1, 2))
    return flat.view(*x.shape[:-1], weight.shape[1])


def embed(tokens: Tensor, table: Tensor) -> Tensor:
    """Rows of the table ``[(replicas,) vocab_size, width]``."""
    if table.dim() == 2:
        return F.embedding(tokens, table)
    replicas, vocab_size, width = table.shape
    offset = torch.arange(replicas, device=tokens.device).view(-1, 1, 1) * vocab_size
    return F.embedding(tokens + offset, table.view(-1, width))


def rms_norm(x: Tensor, gain: Tensor) -> Tensor:
    """``gain * x / rms(x)`` over the last dimension; ``gain`` is ``[(replicas,) width]``."""
    scaled = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + NORM_EPS)
    return scaled * (gain if gain.dim() == 1 else gain[:, None, None, :])


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention; ``q`` is ``[batch, heads, seq, head]``, ``k`` and ``v`` ``kv_heads``.

    On a CPU the compiled plain formula trains short sequences up to 15 % faster than torch's
    flash kernel, whose backward pass is slow there (docs/log.md, train).
    """
    shared = q.shape[1] // k.shape[1]
    short = q.shape[2] <= PLAIN_ATTENTION_SEQ_LEN and q.device.type == "cpu"
    if not (torch.compiler.is_compiling() and short):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=shared > 1)
    k, v = k.repeat_interleave(shared, dim=1), v.repeat_interleave(shared, dim=1)
    scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    weights = scores.masked_fill(later, -torch.inf).softmax(dim=-1).to(v.dtype)
    return torch.matmul(weights, v)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, halves paired as Hugging Face pairs them; ``x`` is ``[..., seq, head]``."""
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)


def rotary_tables(seq_len: int, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each ``[seq_len, head_width]``."""
    frequency = ROPE_THETA ** -(torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
    angle = torch.outer(torch.arange(seq_len, dtype=torch.float32), frequency)
    return torch.cat((angle, angle), -1).cos(), torch.cat((angle, angle), -1).sin()


def _matrix(replicas: int | None, rows: int, columns: int) -> nn.Parameter:
    lead = () if replicas is None else (replicas,)
    return nn.Parameter(torch.empty(*lead, rows, columns))


def _gain(replicas: int | None, width: int) -> nn.Parameter:
    lead = () if replicas is None else (replicas,)
    return nn.Parameter(torch.ones(*lead, width))

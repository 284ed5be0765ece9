"""The pieces of the decoder, each with or without the dimension of replicas."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadsman.runs.shape import NORM_EPS, ROPE_THETA

PLAIN_ATTENTION_SEQ_LEN = 512


def linear(x: Tensor, weight: Tensor | nn.Module) -> Tensor:
    """``x @ weight.T``; ``weight`` is ``[(replicas,) out, in]``, or a module that stands for it."""
    if isinstance(weight, nn.Module):
        return cast(Tensor, weight(x))
    if weight.dim() == 2:
        return F.linear(x, weight)
    flat = torch.bmm(x.flatten(1, -2), weight.transpose(1, 2))
    return flat.view(*x.shape[:-1], weight.shape[1])


def embed(tokens: Tensor, table: Tensor | nn.Module) -> Tensor:
    """Rows of the table ``[(replicas,) vocab_size, width]``, or of a module's ``rows(tokens)``."""
    if isinstance(table, nn.Module):
        return cast(Tensor, cast(Any, table).rows(tokens))
    if table.dim() == 2:
        return F.embedding(tokens, table)
    replicas, vocab_size, width = table.shape
    offset = torch.arange(replicas, device=tokens.device).view(-1, 1, 1) * vocab_size
    return F.embedding(tokens + offset, table.view(-1, width))


def rms_norm(x: Tensor, gain: Tensor) -> Tensor:
    """``gain * x / rms(x)`` over the last dimension; ``gain`` is ``[(replicas,) width]``."""
    scaled = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + NORM_EPS)
    return scaled * (gain if gain.dim() == 1 else gain[:, None, None, :])


def attention(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None = None) -> Tensor:
    """Causal attention; ``q`` is ``[batch, heads, seq, head]``, ``k`` and ``v`` ``kv_heads``.

    ``visible`` ``[batch, 1, seq, seq]`` says which positions a position sees; without it, all up
    to its own. On a CPU the compiled plain formula trains short sequences up to 15 % faster than
    torch's flash kernel, whose backward pass is slow there (docs/log.md, train).
    """
    shared = q.shape[1] // k.shape[1]
    short = q.shape[2] <= PLAIN_ATTENTION_SEQ_LEN and q.device.type == "cpu"
    if not (torch.compiler.is_compiling() and short):
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=visible, is_causal=visible is None, enable_gqa=shared > 1
        )
    k, v = k.repeat_interleave(shared, dim=1), v.repeat_interleave(shared, dim=1)
    scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    if visible is None:
        visible = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    weights = scores.masked_fill(~visible, -torch.inf).softmax(dim=-1).to(v.dtype)
    return torch.matmul(weights, v)


def within_documents(tokens: Tensor, separator: int) -> Tensor:
    """Which positions a position sees when attention stays within a document.

    The separator begins a document, as it does for the loss: what follows is predicted from it.
    Positions need no reset, since rotary attention knows differences of positions only.

    Args:
        tokens: ``[..., seq]``.
        separator: the token before each document.

    Returns:
        ``[product of the leading dimensions, 1, seq, seq]``, true where seen.

    >>> within_documents(torch.tensor([[5, 0, 5]]), 0)[0, 0].int().tolist()
    [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    """
    document = (tokens == separator).flatten(0, -2).cumsum(-1)
    same = document[:, None, :, None] == document[:, None, None, :]
    return same & torch.ones(same.shape[-2:], dtype=torch.bool, device=tokens.device).tril()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, halves paired as Hugging Face pairs them; ``x`` is ``[..., seq, head]``."""
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)


def rotary_tables(seq_len: int, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each ``[seq_len, head_width]``."""
    frequency = ROPE_THETA ** -(torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)
    angle = torch.outer(torch.arange(seq_len, dtype=torch.float32), frequency)
    return torch.cat((angle, angle), -1).cos(), torch.cat((angle, angle), -1).sin()

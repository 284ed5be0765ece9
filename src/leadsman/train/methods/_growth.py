"""Larger decoders from trained ones: wider and deeper, with the same function or stacked."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from leadsman.errors import MethodError
from leadsman.runs import ModelShape
from leadsman.train.matrices import row_parts
from leadsman.train.model import Decoder


def narrower(shape: ModelShape, width: int) -> ModelShape:
    """The shape whose sides are those of ``shape`` over ``shape.width / width``.

    Raises:
        MethodError: the ratio is not whole, or does not divide heads and hidden size.
    """
    factor, rest = divmod(shape.width, width)
    sides = {"heads": shape.heads, "kv_heads": shape.kv_heads, "ffn_width": shape.ffn_width}
    bad = [f"{name} {value}" for name, value in sides.items() if value % max(factor, 1)]
    if rest or bad:
        raise MethodError(
            f"width {width} does not grow into width {shape.width}: the ratio must be whole and "
            f"divide heads, kv_heads and ffn_width{' (' + ', '.join(bad) + ')' if bad else ''}"
        )
    return replace(
        shape,
        width=width,
        heads=shape.heads // factor,
        kv_heads=shape.kv_heads // factor,
        ffn_width=shape.ffn_width // factor,
    )


@torch.no_grad()
def widen(model: Decoder, factor: int, *, seed: int) -> Decoder:
    """A decoder ``factor`` times as wide that computes the same function.

    Channels, heads and hidden units are repeated; a matrix that reads repeated inputs shares its
    weight out among them, ``W / factor`` each plus noise that sums to zero over the copies. The
    noise lets copies part ways in training; it brings the entries to the size they would have in
    a fresh model of that width (``W``'s over the root of ``factor``).

    Args:
        model: without replicas; left as it is.
        factor: times the width, heads and hidden size.
        seed: of the noise.
    """
    small = model.shape
    shape = replace(
        small,
        width=factor * small.width,
        heads=factor * small.heads,
        kv_heads=factor * small.kv_heads,
        ffn_width=factor * small.ffn_width,
    )
    wide = Decoder(shape).to(model.embedding.device)
    generator = torch.Generator().manual_seed(seed)
    for name, param in wide.named_parameters():
        value, kind = model.get_parameter(name), name.rpartition(".")[2]
        if kind == "embedding":
            made = value.repeat(1, factor)
        elif kind == "final_norm":
            # With tied embeddings the logits sum over the copies; an untied head shares out.
            made = value.repeat(factor) / (factor if small.tie_embeddings else 1)
        elif value.dim() == 1:
            made = value.repeat(factor)
        elif kind == "head":
            made = _shared_out(value, factor, generator)
        else:
            parts = torch.split(value, row_parts(small, kind))
            made = torch.cat([_shared_out(p.repeat(factor, 1), factor, generator) for p in parts])
        param.copy_(made)
    return wide


def _shared_out(weight: Tensor, factor: int, generator: torch.Generator) -> Tensor:
    """``[rows, columns]`` to ``[rows, factor * columns]`` with the same sum over the copies."""
    rows, columns = weight.shape
    noise = torch.randn(rows, factor, columns, generator=generator).to(weight.device)
    size = float(weight.square().mean()) ** 0.5 * factor**-0.5
    noise = (noise - noise.mean(dim=1, keepdim=True)) * size
    made: Tensor = weight[:, None, :] / factor + noise
    return made.flatten(1)


@torch.no_grad()
def deepen(model: Decoder, layers: int) -> Decoder:
    """A decoder with more blocks that computes the same function.

    Each block is followed by copies of itself whose output matrices are zero, as those of a fresh
    model are.

    Args:
        model: left as it is.
        layers: blocks of the result, not fewer than the model's.
    """
    old = model.shape.layers
    sources = [number * old // layers for number in range(layers)]
    deep = _with_blocks(model, sources)
    for number, source in enumerate(sources):
        if number and source == sources[number - 1]:
            deep.stack[number].attention_out.zero_()
            deep.stack[number].down.zero_()
    return deep


def stack_depth(model: Decoder, factor: int) -> Decoder:
    """A decoder whose blocks are the model's, ``factor`` times over (G_stack)."""
    return _with_blocks(model, [*range(model.shape.layers)] * factor)


@torch.no_grad()
def _with_blocks(model: Decoder, sources: list[int]) -> Decoder:
    made = Decoder(replace(model.shape, layers=len(sources)), replicas=model.replicas)
    made.to(model.embedding.device)
    for name, param in made.named_parameters():
        part, _, rest = name.partition(".")
        if part == "blocks":
            number, _, kind = rest.partition(".")
            name = f"blocks.{sources[int(number)]}.{kind}"
        param.copy_(model.get_parameter(name))
    return made

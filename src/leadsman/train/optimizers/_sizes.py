"""Sizes of the matrices optimizers see, from the shape alone."""

from __future__ import annotations

from leadsman.runs import ModelShape


def block_matrices(shape: ModelShape) -> list[tuple[int, int]]:
    """(rows, columns) of every block matrix: qkv, attention_out, gate_up, down in each layer."""
    qkv = (shape.heads + 2 * shape.kv_heads) * shape.head_width
    width, ffn = shape.width, shape.ffn_width
    return [(qkv, width), (width, width), (2 * ffn, width), (width, ffn)] * shape.layers

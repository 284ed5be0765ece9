"""The block matrices of a decoder one by one, from the shape alone.

The model keeps query, key and value in one matrix, and gate and up in another; papers that
factorise or project "each matrix" mean the parts.
"""

from __future__ import annotations

from leadsman.runs import ModelShape


def row_parts(shape: ModelShape, kind: str) -> list[int]:
    """Rows of the matrices that stand in the block parameter ``kind``, top to bottom.

    >>> shape = ModelShape(layers=1, width=64, heads=4, kv_heads=2, ffn_width=192,
    ...                    vocab_size=1000, seq_len=256)
    >>> row_parts(shape, "qkv"), row_parts(shape, "down")
    ([64, 32, 32], [64])
    """
    kv_width = shape.kv_heads * shape.head_width
    return {
        "qkv": [shape.width, kv_width, kv_width],
        "attention_out": [shape.width],
        "gate_up": [shape.ffn_width, shape.ffn_width],
        "down": [shape.width],
    }[kind]


def columns(shape: ModelShape, kind: str) -> int:
    """Columns of the block parameter ``kind``: its input's size."""
    return shape.ffn_width if kind == "down" else shape.width


BLOCK_MATRICES = ("qkv", "attention_out", "gate_up", "down")


def block_matrices(shape: ModelShape) -> list[tuple[int, int]]:
    """(rows, columns) of every matrix of every block: q, k, v, out, gate, up, down."""
    one = [(r, columns(shape, kind)) for kind in BLOCK_MATRICES for r in row_parts(shape, kind)]
    return one * shape.layers

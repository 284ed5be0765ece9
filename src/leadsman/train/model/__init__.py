"""A compact Llama-style decoder, alone or many side by side."""

from leadsman.train.model.decoder import Block, Decoder
from leadsman.train.model.layers import (
    attention,
    embed,
    linear,
    rms_norm,
    rotary_tables,
    rotate,
    within_documents,
)

__all__ = [
    "Block",
    "Decoder",
    "attention",
    "embed",
    "linear",
    "rms_norm",
    "rotary_tables",
    "rotate",
    "within_documents",
]

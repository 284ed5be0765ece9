"""The shape of a decoder and what it costs: exact parameter and FLOP counts, without torch.

One multiply-add is two FLOPs. A training token costs three times its forward pass (the backward
pass computes two products for each of the forward's). Attention is counted causally: a token at
position t reads t keys, (seq_len + 1) / 2 on average. Norms, activations, softmax, rotary
embedding and the embedding look-up are left out (under 1 % together from width 64 up); the output
projection is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leadsman.errors import InputError

ROPE_THETA = 10_000.0
NORM_EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """A Llama-style decoder: RMSNorm, rotary positions, SwiGLU, grouped-query attention.

    Attributes:
        layers: number of blocks.
        width: size of the residual stream.
        heads: query heads; divides ``width``.
        kv_heads: key and value heads; divides ``heads``.
        ffn_width: hidden size of the SwiGLU block.
        vocab_size: tokens in the vocabulary.
        seq_len: tokens in a training sequence.
        tie_embeddings: one matrix serves as input and output embedding.

    Raises:
        InputError: sizes that do not divide, or a size below one.

    >>> shape = ModelShape(layers=2, width=64, heads=4, kv_heads=4, ffn_width=192,
    ...                    vocab_size=1000, seq_len=256)
    >>> shape.params, shape.non_embedding_params
    (170816, 106816)
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    ffn_width: int
    vocab_size: int
    seq_len: int
    tie_embeddings: bool = True

    def __post_init__(self) -> None:
        for field in ("layers", "width", "heads", "kv_heads", "ffn_width", "vocab_size", "seq_len"):
            value = getattr(self, field)
            if not isinstance(value, int) or value < 1:
                raise InputError(
                    f"must be a whole number of at least 1, not {value!r}", column=field
                )
        if self.width % self.heads:
            raise InputError(
                f"{self.heads} heads do not divide width {self.width}; "
                f"width must be a multiple of heads",
                column="heads",
            )
        if self.head_width % 2:
            raise InputError(
                f"width / heads is {self.head_width}; rotary positions need an even number",
                column="heads",
            )
        if self.heads % self.kv_heads:
            raise InputError(
                f"{self.kv_heads} key-value heads do not divide {self.heads} heads",
                column="kv_heads",
            )

    @property
    def head_width(self) -> int:
        """Size of one attention head."""
        return self.width // self.heads

    @property
    def block_matrix_params(self) -> int:
        """Parameters in the matrices of one block (attention and SwiGLU)."""
        kv_width = self.kv_heads * self.head_width
        attention = 2 * self.width * self.width + 2 * self.width * kv_width
        return attention + 3 * self.width * self.ffn_width

    @property
    def non_embedding_params(self) -> int:
        """All parameters but the embedding matrices; the ``N`` of most scaling laws."""
        return self.layers * (self.block_matrix_params + 2 * self.width) + self.width

    @property
    def params(self) -> int:
        """All parameters."""
        embeddings = 1 if self.tie_embeddings else 2
        return self.non_embedding_params + embeddings * self.vocab_size * self.width

    @property
    def forward_flops_per_token(self) -> float:
        """FLOPs of the forward pass for one token, averaged over positions of a full sequence."""
        attention = 2 * 2 * self.width * (self.seq_len + 1) / 2
        blocks = self.layers * (2 * self.block_matrix_params + attention)
        return blocks + 2 * self.width * self.vocab_size

    @property
    def train_flops_per_token(self) -> float:
        """FLOPs of forward and backward pass for one token."""
        return 3 * self.forward_flops_per_token

    def hf_config(self) -> dict[str, Any]:
        """Fields of the Hugging Face ``config.json`` of this shape."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.width,
            "intermediate_size": self.ffn_width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_width,
            "vocab_size": self.vocab_size,
            "max_position_embeddings": self.seq_len,
            "rms_norm_eps": NORM_EPS,
            "rope_theta": ROPE_THETA,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": self.tie_embeddings,
        }

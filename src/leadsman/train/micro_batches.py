"""How many sequences go through the model at once."""

from __future__ import annotations

MICRO_TOKENS = {"cpu": 8192, "cuda": 65_536}


def micro_sequences(sequences: int, seq_len: int, device: str, *, replicas: int = 1) -> int:
    """Sequences in one forward pass: the largest divisor of the batch within MICRO_TOKENS."""
    limit = max(1, MICRO_TOKENS[device] // (seq_len * replicas))
    return max(n for n in range(1, sequences + 1) if sequences % n == 0 and n <= limit)

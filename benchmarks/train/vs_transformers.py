"""One training step of a 2.7M-parameter Llama: ours against transformers, eager and compiled.

    python -m benchmarks.train.vs_transformers

Same shape, batch (4 x 256 tokens), AdamW (fused), clipping and bf16 autocast, one thread, one
process; rounds take turns. Rates are per second of processor time (see rates.py).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import torch
import transformers
from benchmarks.train.result import write_result

from leadsman.train.defaults import shape_of_width
from leadsman.train.hf import hf_config
from leadsman.train.loop import compiled_losses
from leadsman.train.model import Decoder
from leadsman.train.parametrization import initialize
from leadsman.train.provenance import device_name

WIDTH, ROWS, ROUNDS, STEPS = 192, 4, 6, 6


def stepper(
    model: torch.nn.Module, loss_of: Callable[[torch.Tensor], torch.Tensor], ids: torch.Tensor
) -> Callable[[], None]:
    """A function that does one optimizer step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(ids)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def main() -> None:
    """Time the four, print one JSON."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    torch.set_num_threads(1)
    shape = shape_of_width(WIDTH, vocab_size=2048, seq_len=256)
    ids = torch.randint(2048, (ROWS, 257), generator=torch.Generator().manual_seed(0))
    ours = Decoder(shape)
    initialize(ours, seed=0)
    config = transformers.LlamaConfig(**hf_config(shape))
    theirs = transformers.LlamaForCausalLM(config)
    fast = compiled_losses()
    compiled = torch.compile(theirs, dynamic=False)

    def hf_loss(model: Callable[..., transformers.modeling_outputs.CausalLMOutputWithPast]):
        return lambda ids: model(input_ids=ids[:, :-1], labels=ids[:, :-1], use_cache=False).loss

    steps = {
        "leadsman eager": stepper(ours, lambda ids: ours.loss(ids[:, :-1], ids[:, 1:]), ids),
        "leadsman compiled": stepper(
            ours, lambda ids: fast(ours, ids[:, :-1], ids[:, 1:], None).mean(), ids
        ),
        "transformers eager": stepper(theirs, hf_loss(theirs), ids),
        "transformers compiled": stepper(theirs, hf_loss(compiled), ids),
    }
    for step in steps.values():
        step()
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            start = time.process_time()
            for _ in range(STEPS):
                step()
            times[name].append((time.process_time() - start) / STEPS)
    rates = {
        name: ROWS * shape.seq_len / statistics.median(values) for name, values in times.items()
    }
    best = max(rate for name, rate in rates.items() if name.startswith("transformers"))
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": device_name("cpu"),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "params": shape.params,
        "tokens_per_second": {name: round(rate) for name, rate in rates.items()},
        "ratio_to_best_transformers": round(rates["leadsman compiled"] / best, 3),
    }
    write_result("vs_transformers", result)


if __name__ == "__main__":
    main()

"""Estimated against measured peak memory of real training steps.

    python -m benchmarks.plan.memory > benchmarks/plan/results/memory.json

Each configuration runs in a process of its own: a Hugging Face Llama (with a peft adapter where
asked), three steps in the manner of the Trainer (the loss alone is kept, gradients are set to
None). Measured is the peak resident memory above what the process holds after the libraries are
loaded and a tiny model of the same kind has made a step. Twice: with an allocator that gives
freed tensors back at once (``MALLOC_MMAP_THRESHOLD_``), and with glibc's defaults, where freed
memory may stay. Saved tensors are counted beside it through autograd's own hooks.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

from leadsman.runs import ModelShape
from leadsman.train.memory import TrainingSetting, estimate_memory
from leadsman.train.memory.activations import kept_bytes

STEPS = 3
EXACT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def _shape(**changes: Any) -> ModelShape:
    base = {
        "layers": 6, "width": 384, "heads": 6, "kv_heads": 6, "ffn_width": 1024,
        "vocab_size": 8192, "seq_len": 512,
    }  # fmt: skip
    return ModelShape(**(base | changes))


def _large(**changes: Any) -> ModelShape:
    base = {"layers": 8, "width": 512, "heads": 8, "kv_heads": 8, "ffn_width": 1376}
    return _shape(**(base | {"vocab_size": 16384, "seq_len": 256} | changes))


def configurations() -> dict[str, TrainingSetting]:
    """Configurations of different kind, by name."""
    every = ("q", "k", "v", "o", "gate", "up", "down")
    settings = {
        "full, seq 128": {"shape": _shape(seq_len=128), "sequences": 16},
        "full, seq 512": {"shape": _shape(), "sequences": 4},
        "full, seq 1024": {"shape": _shape(seq_len=1024), "sequences": 2},
        "full, seq 2048": {"shape": _shape(seq_len=2048), "sequences": 1},
        "full, large, small batch": {"shape": _large(), "sequences": 1},
        "full, wide vocabulary": {"shape": _shape(vocab_size=32768, width=256, heads=4, kv_heads=4),
                                  "sequences": 2},
        "full, untied, grouped heads": {
            "shape": _large(tie_embeddings=False, kv_heads=2), "sequences": 4},
        "full, deep": {"shape": _shape(layers=16, width=256, heads=4, kv_heads=4, ffn_width=688),
                       "sequences": 4},
        "full, accumulated": {"shape": _shape(), "sequences": 4, "accumulate": True},
        "full, eager, seq 512": {"shape": _shape(), "sequences": 4, "attention": "eager"},
        "full, eager, seq 1024": {
            "shape": _shape(seq_len=1024), "sequences": 1, "attention": "eager"},
        "checkpointing, seq 1024": {
            "shape": _large(seq_len=1024), "sequences": 2, "checkpointing": True},
        "checkpointing, seq 2048": {
            "shape": _shape(seq_len=2048), "sequences": 2, "checkpointing": True},
        "checkpointing, eager": {
            "shape": _shape(), "sequences": 8, "checkpointing": True, "attention": "eager"},
        "lora 8 on q, v": {"shape": _large(seq_len=512), "sequences": 4, "lora_rank": 8},
        "lora 16 on all": {
            "shape": _large(), "sequences": 8, "lora_rank": 16, "lora_targets": every},
        "lora 8, checkpointing": {
            "shape": _large(seq_len=1024), "sequences": 2, "lora_rank": 8, "checkpointing": True},
        "lora 64 on all, seq 128": {
            "shape": _large(seq_len=128), "sequences": 8, "lora_rank": 64, "lora_targets": every},
        "galore 32": {
            "shape": _large(), "sequences": 2, "optimizer": "galore", "optimizer_rank": 32},
        "galore 64, seq 1024": {
            "shape": _shape(seq_len=1024), "sequences": 2,
            "optimizer": "galore", "optimizer_rank": 64},
        "sgd": {"shape": _large(seq_len=512), "sequences": 2, "optimizer": "sgd"},
        "sgd with momentum": {"shape": _large(), "sequences": 2, "optimizer": "sgd-momentum"},
        "lion": {"shape": _large(), "sequences": 2, "optimizer": "lion"},
        "muon": {"shape": _large(), "sequences": 2, "optimizer": "muon"},
        "bf16 mixed": {"shape": _shape(), "sequences": 8, "precision": "bf16-mixed"},
        "bf16 mixed, checkpointing": {
            "shape": _large(seq_len=1024), "sequences": 2,
            "precision": "bf16-mixed", "checkpointing": True},
        "bf16": {"shape": _large(seq_len=512), "sequences": 4, "precision": "bf16"},
        "lora 16 on all, bf16": {
            "shape": _large(seq_len=512), "sequences": 4, "precision": "bf16",
            "lora_rank": 16, "lora_targets": every},
    }  # fmt: skip
    return {name: TrainingSetting(**each) for name, each in settings.items()}


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(field)


def _model(setting: TrainingSetting) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = setting.shape
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=shape.width, intermediate_size=shape.ffn_width,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads, vocab_size=shape.vocab_size,
            max_position_embeddings=shape.seq_len, tie_word_embeddings=shape.tie_embeddings,
            use_cache=False, attn_implementation=setting.attention,
        )
    )  # fmt: skip
    if setting.precision == "bf16":
        model = model.to(torch.bfloat16)
    if setting.lora_rank is not None:
        from peft import LoraConfig, get_peft_model

        names = [f"{name}_proj" for name in setting.lora_targets]
        config = LoraConfig(r=setting.lora_rank, target_modules=names, task_type="CAUSAL_LM")
        model = get_peft_model(model, config, autocast_adapter_dtype=False)
    if setting.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if setting.lora_rank is not None:
            model.enable_input_require_grads()
    return model.train()


def _optimizers(setting: TrainingSetting, model: Any) -> list[Any]:
    import torch

    params = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for n, p in model.named_parameters() if p.requires_grad and "_proj" in n]
    rest = [p for n, p in model.named_parameters() if p.requires_grad and "_proj" not in n]
    if setting.optimizer == "adamw":
        return [torch.optim.AdamW(params, lr=1e-4)]
    if setting.optimizer in ("sgd", "sgd-momentum"):
        momentum = 0.9 if setting.optimizer == "sgd-momentum" else 0.0
        return [torch.optim.SGD(params, lr=1e-4, momentum=momentum)]
    groups = [{"params": params, "lr": 1e-4, "weight_decay": 0.0}]
    if setting.optimizer == "lion":
        from leadsman.train.optimizers._signed import SignedMomentum

        return [SignedMomentum(groups, beta1=0.9, beta2=0.99)]
    if setting.optimizer == "muon":
        return [torch.optim.Muon(matrices, lr=1e-4), torch.optim.AdamW(rest, lr=1e-4)]
    from leadsman.train.optimizers._projected import GaLoreAdam

    groups = [{"params": matrices, "lr": 1e-4, "weight_decay": 0.0}]
    galore = GaLoreAdam(groups, rank=setting.optimizer_rank, refresh=200, scale=0.25)
    return [galore, torch.optim.AdamW(rest, lr=1e-4)]


def _loss(setting: TrainingSetting, model: Any, ids: Any) -> Any:
    import torch

    with torch.autocast("cpu", torch.bfloat16, enabled=setting.precision == "bf16-mixed"):
        return model(input_ids=ids, labels=ids).loss


def _train(setting: TrainingSetting, steps: int, count: bool) -> int:
    """Some steps; returns the bytes autograd kept in the first, if they are counted."""
    import torch

    model = _model(setting)
    optimizers = _optimizers(setting, model)
    size = (setting.sequences, setting.shape.seq_len)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def see(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    for step in range(steps):
        ids = torch.randint(setting.shape.vocab_size, size)
        if setting.accumulate:
            _loss(setting, model, ids).backward()
        if count and step == 0:
            with torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor):
                loss = _loss(setting, model, ids)
        else:
            loss = _loss(setting, model, ids)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    return sum(kept.values())


def child(name: str) -> None:
    """One configuration, measured in this process; prints JSON."""
    import torch

    setting = configurations()[name]
    torch.set_num_threads(1)
    small = ModelShape(
        layers=2, width=64, heads=2, kv_heads=1, ffn_width=128, vocab_size=256, seq_len=64
    )
    tiny = TrainingSetting(**(vars(setting) | {"shape": small, "optimizer_rank": 8}))
    _train(tiny, 2, False)
    base = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    kept = _train(setting, STEPS, not setting.checkpointing)
    print(json.dumps({"base": base, "peak": _status("VmHWM") - base, "kept": kept}))


def measure(name: str, env: dict[str, str]) -> dict[str, int]:
    """One configuration in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.plan.memory", "--child", name]
    answer = subprocess.run(
        command, env=os.environ | env, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise SystemExit(f"{name}: {answer.stderr[-2000:]}")
    found: dict[str, int] = json.loads(answer.stdout.splitlines()[-1])
    return found


def main(only: list[str]) -> None:
    """Measure all, print one JSON."""
    rows = []
    for name, setting in configurations().items():
        if only and not any(part in name for part in only):
            continue
        exact, default = measure(name, EXACT), measure(name, {})
        estimate = estimate_memory(setting)
        rows.append(
            {
                "name": name,
                "estimate": estimate.to_dict(),
                "measured": exact["peak"],
                "error": estimate.total / exact["peak"] - 1,
                "measured_default_malloc": default["peak"],
                "error_default_malloc": estimate.total / default["peak"] - 1,
                "process_before": exact["base"],
                "kept_estimate": kept_bytes(setting),
                "kept_counted": exact["kept"],
                "setting": asdict(setting),
            }
        )
        print(
            f"{name:32} {estimate.total / 1e6:8.0f} {exact['peak'] / 1e6:8.0f} "
            f"{rows[-1]['error']:+.1%} default {default['peak'] / 1e6:8.0f} "
            f"{rows[-1]['error_default_malloc']:+.1%} {estimate.moment} kept "
            f"{kept_bytes(setting) / 1e6:.0f}/{exact['kept'] / 1e6:.0f}",
            file=sys.stderr,
        )
    errors = [abs(row["error"]) for row in rows]
    summary = {
        "configurations": len(rows),
        "within_10_percent": sum(error <= 0.1 for error in errors),
        "worst": max(errors),
        "median": statistics.median(errors),
        "within_10_percent_default_malloc": sum(
            abs(row["error_default_malloc"]) <= 0.1 for row in rows
        ),
    }
    machine_facts = machine("torch", "transformers", "peft", "leadsman")
    print(json.dumps({"machine": machine_facts, "summary": summary, "rows": rows}, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main(sys.argv[1:])

"""Train a recipe with the Hugging Face Trainer.

    python train.py [--max_steps 100] [--output_dir out] [any argument of TrainingArguments]

Beside this file: recipe.json (what to train), arguments.json (TrainingArguments), model/ (config
and initial weights), tokens.json (directory of the token set of each source: shards of token ids
and a manifest.json). It needs torch, transformers, accelerate and numpy, and nothing else.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent


class Mixture:
    """Sequences drawn from token sets so that every source keeps its share at any moment."""

    def __init__(self, recipe: dict[str, Any], places: dict[str, str]) -> None:
        weights = {name: share for name, share in recipe["mixture"]["weights"].items() if share}
        missing = sorted(set(weights) - set(places))
        if missing:
            sys.exit(f"tokens.json does not say where the tokens of {missing[0]!r} are")
        self.seq_len, self.seed = recipe["shape"]["seq_len"], recipe["seed"]
        self.count = recipe["tokens"] // recipe["batch_tokens"]
        self.count *= recipe["batch_tokens"] // self.seq_len
        self.sources = [read_tokens(Path(places[name])) for name in weights]
        shares, drawn = np.array(list(weights.values())), np.zeros(len(weights), dtype=np.int64)
        self.plan = np.empty((self.count, 2), dtype=np.int64)
        for number in range(self.count):
            source = int(np.argmax(shares * (number + 1) - drawn))
            self.plan[number] = source, drawn[source]
            drawn[source] += 1

    def __len__(self) -> int:
        return int(self.count)

    def __getitem__(self, number: int) -> dict[str, Any]:
        source, rank = (int(value) for value in self.plan[number])
        tokens = self.sources[source]
        windows = (len(tokens) - 1) // self.seq_len
        epoch, place = divmod(rank, windows)
        order = np.random.default_rng([self.seed, source, epoch]).permutation(windows)
        start = int(order[place]) * self.seq_len
        ids = tokens[start : start + self.seq_len + 1].astype(np.int64)
        return {"input_ids": ids, "labels": ids}


def read_tokens(place: Path) -> np.ndarray[Any, Any]:
    """All token ids of a set, memory-mapped if it is one shard."""
    manifest = json.loads((place / "manifest.json").read_text())
    shards = [
        np.memmap(place / f"tokens-{number:05d}.bin", dtype=manifest["dtype"], mode="r")
        for number in range(len(manifest["shards"]))
    ]
    return shards[0] if len(shards) == 1 else np.concatenate(shards)


def parameter_groups(model: Any, recipe: dict[str, Any]) -> list[dict[str, Any]]:
    """Learning rate and weight decay by kind of parameter (maximal update parametrization)."""
    m = 64 / recipe["shape"]["width"]
    lr, decay = recipe["lr"], recipe["weight_decay"]
    tied = recipe["shape"]["tie_embeddings"]
    groups: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in model.named_parameters():
        if "embed_tokens" in name:
            kind = (12 * lr, 0.0)
        elif name.endswith("model.norm.weight"):
            kind = (lr * m if tied else lr, 0.0)
        elif "norm" in name:
            kind = (lr, 0.0)
        elif "lm_head" in name:
            kind = (lr * m, 0.0)
        else:
            kind = (lr * m, decay / m)
        groups.setdefault(kind, []).append(parameter)
    return [
        {"params": members, "lr": rate, "weight_decay": wd}
        for (rate, wd), members in groups.items()
    ]


def factor_at(step: int, steps: int, recipe: dict[str, Any]) -> float:
    """Learning rate of a step over its peak."""
    schedule = recipe["schedule"]
    warmup = -(-schedule["warmup_tokens"] // recipe["batch_tokens"])
    if step < warmup:
        first = schedule["start_lr_ratio"]
        return float(first + (1 - first) * (step + 1) / warmup)
    begin = {
        "constant": steps,
        "cosine": warmup,
        "wsd": steps - max(1, round(schedule["decay_fraction"] * steps)),
    }[schedule["name"]]
    if step < begin:
        return 1.0
    progress = min((step - begin) / max(steps - begin, 1), 1.0)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    shape = cosine if schedule["name"] == "cosine" else 1 - progress
    last = schedule["final_lr_ratio"]
    return float(last + (1 - last) * shape)


def load_model(recipe: dict[str, Any]) -> Any:
    """The model with the recipe's initial weights, or with its own where there are none."""
    from transformers import AutoConfig, AutoModelForCausalLM, set_seed

    set_seed(recipe["seed"])
    if (HERE / "model/model.safetensors").exists():
        return AutoModelForCausalLM.from_pretrained(HERE / "model", dtype="float32")
    return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(HERE / "model"))


def main() -> None:
    """Train, and save the model into the output directory."""
    import torch
    from transformers import HfArgumentParser, Trainer, TrainingArguments

    recipe = json.loads((HERE / "recipe.json").read_text())
    stored = json.loads((HERE / "arguments.json").read_text())
    given = [f"--{name}={json.dumps(value) if isinstance(value, dict) else value}"
             for name, value in stored.items()]  # fmt: skip
    parser = HfArgumentParser(TrainingArguments)
    (arguments,) = parser.parse_args_into_dataclasses([*given, *sys.argv[1:]])
    model = load_model(recipe)
    print(json.dumps({"parameters": sum(each.numel() for each in model.parameters())}))
    optimizer = torch.optim.AdamW(
        parameter_groups(model, recipe),
        betas=(arguments.adam_beta1, arguments.adam_beta2),
        eps=arguments.adam_epsilon,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: factor_at(step, stored["max_steps"], recipe)
    )
    data = Mixture(recipe, json.loads((HERE / "tokens.json").read_text()))

    class InOrder(Trainer):  # type: ignore[misc]
        """Keeps the order of the mixture; the Trainer's own sampler would shuffle it."""

        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return torch.utils.data.SequentialSampler(data)

    trainer = InOrder(
        model=model,
        args=arguments,
        train_dataset=data,
        optimizers=(optimizer, schedule),
        data_collator=lambda rows: {
            key: torch.as_tensor(np.stack([row[key] for row in rows])) for key in rows[0]
        },
    )
    trainer.train()
    trainer.save_model(arguments.output_dir)


if __name__ == "__main__":
    main()

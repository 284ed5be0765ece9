"""``leadsman cost memory|serving|hardware``: what a run or a model will take, before it is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadsman.cli.wrapped import echo_wrapped

if TYPE_CHECKING:
    from leadsman.runs import ModelShape

Params = Annotated[
    float | None, typer.Option("--params", help="Non-embedding parameters; the shape follows.")
]
Width = Annotated[int | None, typer.Option("--width", help="Width, instead of --params.")]
Layers = Annotated[int | None, typer.Option("--layers", help="Blocks, with --width.")]
Heads = Annotated[int | None, typer.Option("--heads", help="Attention heads, with --width.")]
KvHeads = Annotated[int | None, typer.Option("--kv-heads", help="Key-value heads.")]
Ffn = Annotated[int | None, typer.Option("--ffn-width", help="Width of the SwiGLU block.")]
Vocab = Annotated[int, typer.Option("--vocab", help="Entries of the vocabulary.")]
SeqLen = Annotated[int, typer.Option("--seq-len", help="Tokens in a sequence.")]
Device = Annotated[str | None, typer.Option("--hardware", help="An accelerator of the table.")]
TableFile = Annotated[
    Path | None, typer.Option("--hardware-file", help="YAML table of your own over the bundled.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    cost = typer.Typer(
        help="Memory, serving cost and hardware, before anything is run.", no_args_is_help=True
    )
    cost.command("memory")(memory)
    cost.command("serving")(serving)
    cost.command("hardware")(hardware)
    app.add_typer(cost, name="cost")


def memory(
    params: Params = None,
    width: Width = None,
    layers: Layers = None,
    heads: Heads = None,
    kv_heads: KvHeads = None,
    ffn_width: Ffn = None,
    vocab: Vocab = 32_000,
    seq_len: SeqLen = 2048,
    sequences: Annotated[int, typer.Option(help="Sequences in one pass on one device.")] = 1,
    precision: Annotated[
        str, typer.Option(help="float32, bf16-mixed (autocast), bf16 or bf16-master.")
    ] = "bf16-mixed",
    optimizer: Annotated[
        str, typer.Option(help="sgd, sgd-momentum, adamw, adamw-8bit, lion, muon or galore.")
    ] = "adamw",
    optimizer_rank: Annotated[int | None, typer.Option(help="Rank of galore.")] = None,
    lora_rank: Annotated[int | None, typer.Option(help="Rank of a LoRA adapter.")] = None,
    lora_targets: Annotated[str, typer.Option(help="Of q,k,v,o,gate,up,down.")] = "q,v",
    checkpointing: Annotated[bool, typer.Option(help="Recompute activations.")] = False,
    attention: Annotated[str, typer.Option(help="sdpa or eager.")] = "sdpa",
    accumulate: Annotated[bool, typer.Option(help="Gradients are accumulated.")] = False,
    zero_stage: Annotated[int, typer.Option(help="ZeRO stage, 0 to 3.")] = 0,
    devices: Annotated[int, typer.Option(help="Data-parallel devices.")] = 1,
    device: Device = None,
    table: TableFile = None,
) -> None:
    """Peak memory of a training step on one device, by what holds it."""
    from typing import Any

    from leadsman.plan.hardware import find_accelerator
    from leadsman.train.memory import TrainingSetting, estimate_memory

    fields: dict[str, Any] = {
        "precision": precision,
        "optimizer": optimizer,
        "attention": attention,
    }
    setting = TrainingSetting(
        shape=_shape(params, width, layers, heads, kv_heads, ffn_width, vocab, seq_len),
        sequences=sequences,
        optimizer_rank=optimizer_rank,
        lora_rank=lora_rank,
        lora_targets=tuple(each.strip() for each in lora_targets.split(",")),
        checkpointing=checkpointing,
        accumulate=accumulate,
        zero_stage=zero_stage,
        devices=devices,
        **fields,
    )
    estimate = estimate_memory(setting)
    limit = None if device is None else find_accelerator(device, table).memory_gb
    echo_wrapped(_describe(setting.shape))
    for part in ("weights", "gradients", "optimizer", "activations", "logits", "scratch"):
        typer.echo(f"  {part:12} {getattr(estimate, part) / 1e9:10.3f} GB")
    typer.echo(f"  {'peak':12} {estimate.total / 1e9:10.3f} GB, reached at: {estimate.moment}")
    low, high = estimate.resident(lean=False)
    lean, _ = estimate.resident(lean=True)
    echo_wrapped(
        f"Tensors only. A process on a CPU holds {low / 1e9:.3g} to {high / 1e9:.3g} GB with its "
        f"libraries: glibc keeps freed memory. With `leadsman train --lean` "
        f"(MALLOC_MMAP_THRESHOLD_=65536) it holds {lean / 1e9:.3g} GB, for 1.3 to "
        f"1.5 times the time."
    )
    if limit is not None:
        verdict = "fits" if estimate.total <= 1e9 * limit else "does not fit"
        typer.echo(f"{device} has {limit:g} GB: {verdict}")


def serving(
    device: Annotated[str, typer.Option("--hardware", help="An accelerator of the table.")],
    params: Params = None,
    width: Width = None,
    layers: Layers = None,
    heads: Heads = None,
    kv_heads: KvHeads = None,
    ffn_width: Ffn = None,
    vocab: Vocab = 32_000,
    tokens: Annotated[float, typer.Option(help="Tokens served in the model's life.")] = 1e9,
    prompt: Annotated[int, typer.Option(help="Prompt tokens of a request.")] = 512,
    output: Annotated[int, typer.Option(help="Output tokens of a request.")] = 128,
    batch: Annotated[int, typer.Option(help="Requests decoded together.")] = 16,
    weight_bytes: Annotated[float, typer.Option(help="Bytes a weight.")] = 2.0,
    table: TableFile = None,
) -> None:
    """Prefill, decode, KV cache and price of serving a model, on an idealised machine."""
    from pydantic import ValidationError

    from leadsman.errors import InputError
    from leadsman.plan.hardware import find_accelerator
    from leadsman.plan.inference import ServingSpec, serving_cost

    try:
        spec = ServingSpec(
            tokens=tokens,
            prompt_tokens=prompt,
            output_tokens=output,
            batch=batch,
            weight_bytes=weight_bytes,
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        said = wrong["msg"].removeprefix("Input ")
        raise InputError(f"{said}, not {wrong['input']}", column=str(wrong["loc"][0])) from error
    shape = _shape(params, width, layers, heads, kv_heads, ffn_width, vocab, prompt + output)
    accelerator = find_accelerator(device, table)
    cost = serving_cost(shape, spec, accelerator)
    echo_wrapped(_describe(shape))
    typer.echo(f"  weights {cost.weight_bytes / 1e9:.3f} GB; ", nl=False)
    typer.echo(f"KV cache {cost.kv_cache_bytes / 1e6:.1f} MB a request")
    typer.echo(f"  prefill {cost.prefill_flops:.3g} FLOPs, {1e3 * cost.prefill_seconds:.3g} ms")
    typer.echo(f"  decode  {cost.decode_flops:.3g} FLOPs, {1e3 * cost.decode_seconds:,.0f} ms,")
    typer.echo(f"          bound by {cost.bound} (batch of {batch})")
    hours = cost.seconds_per_million * tokens / 1e6 / 3600
    typer.echo(f"  {tokens:.3g} tokens: {hours:,.2f} device hours", nl=False)
    price = accelerator.price_per_hour
    typer.echo(f", {hours * price.value:,.2f} {price.currency or ''}" if price else "")


def hardware(table: TableFile = None) -> None:
    """The table of accelerators; prices are defaults to be edited."""
    from leadsman.plan.hardware import load_accelerators, price_date

    known = load_accelerators(table)
    typer.echo(f"{'name':16} {'bf16 TFLOP/s':>12} {'GB':>6} {'GB/s':>6} {'W':>5}  price an hour")
    for name, each in known.items():
        typer.echo(
            f"{name:16} {each.peak_flops('bf16') / 1e12:12g} {each.memory_gb:6g} "
            f"{each.bandwidth_gb_s:6g} {_plain(each.watts):>5}  {each.price_per_hour or '?'}"
        )
    typer.echo(f"Prices of {price_date()}, rounded; give your own with --hardware-file.")


def _shape(
    params: float | None,
    width: int | None,
    layers: int | None,
    heads: int | None,
    kv_heads: int | None,
    ffn_width: int | None,
    vocab: int,
    seq_len: int,
) -> ModelShape:
    from dataclasses import replace
    from typing import Any

    from leadsman.errors import InputError
    from leadsman.train.defaults import shape_of_params, shape_of_width

    if (params is None) == (width is None):
        raise InputError("give either --params or --width", column="params")
    if params is not None:
        return shape_of_params(params, vocab_size=vocab, seq_len=seq_len)
    assert width is not None
    shape = shape_of_width(width, vocab_size=vocab, seq_len=seq_len)
    given: dict[str, Any] = {
        "layers": layers,
        "heads": heads,
        "kv_heads": kv_heads if kv_heads is not None else heads,
        "ffn_width": ffn_width,
    }
    return replace(shape, **{name: each for name, each in given.items() if each is not None})


def _plain(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _describe(shape: ModelShape) -> str:
    return (
        f"{shape.non_embedding_params:,} parameters without embeddings, {shape.params:,} in all "
        f"({shape.layers} layers, width {shape.width}, ffn {shape.ffn_width}, "
        f"{shape.heads}/{shape.kv_heads} heads)"
    )

"""Readers of public tables of training runs, as back-test cases.

Each reader takes the directory of one data set (named below LEADSMAN_DATASETS) and returns its
cases. Rows are left out only for reasons stated in the case's note. Sources and licences stand in
the directory's own README.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from leadsman.errors import InputError
from leadsman.humanize import counted
from leadsman.laws.backtest.cases import Case
from leadsman.laws.table import thin

CURVE_POINTS = 40
"""Checkpoints kept of one training curve, evenly spaced in log tokens."""


def load_cases(root: str | Path, *, only: str | None = None) -> list[Case]:
    """Every case of every data set found under ``root``.

    Args:
        root: directory with one folder a data set.
        only: one data set by name.

    Raises:
        InputError: no data set is there, or ``only`` names none.
    """
    root = Path(root)
    if only is not None and only not in READERS:
        raise InputError(f"no data set {only!r}; known are {', '.join(READERS)}")
    names = [only] if only else list(READERS)
    cases = [
        case
        for name in names
        if (root / READERS[name][0]).is_dir()
        for case in READERS[name][1](root / READERS[name][0])
    ]
    if not cases:
        raise InputError(
            "no known data set is here; expected folders such as porian_isoflop", file=root
        )
    return cases


def _csv(path: Path) -> pl.DataFrame:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return pl.read_csv(data, infer_schema_length=None)


def _curves(frame: pl.DataFrame, by: str | list[str]) -> pl.DataFrame:
    parts = frame.partition_by(by, maintain_order=True)
    return pl.concat([thin(part, "tokens", CURVE_POINTS) for part in parts])


def _gadre(folder: Path) -> Iterator[Case]:
    frame = _csv(folder / "models_104.csv").rename({"N": "params", "D": "tokens"})
    losses = [name for name in frame.columns if name.startswith("loss_")]
    for corpus in frame["dataset_name"].unique(maintain_order=True):
        mine = frame.filter(pl.col("dataset_name") == corpus)
        for name in losses:
            if "upper" not in name and "lower" not in name:
                runs = mine.select("params", "tokens", "flops", loss=name).drop_nulls()
                yield Case(
                    "gadre", "gadre", f"{corpus}/{name[5:]}", runs, note="loss, nats per token"
                )


def _gadre_tasks(folder: Path) -> Iterator[Case]:
    frame = _csv(folder / "models_104.csv").rename({"N": "params", "D": "tokens"})
    tasks = ("avg", "avg_subset", "hellaswag", "lambada_openai", "arc_easy", "piqa")
    for corpus in frame["dataset_name"].unique(maintain_order=True):
        mine = frame.filter(pl.col("dataset_name") == corpus)
        for task in tasks:
            runs = mine.select("params", "tokens", "flops", loss=f"err_{task}").drop_nulls()
            yield Case("gadre", "gadre_tasks", f"{corpus}/{task}", runs, note="error rate")


def _porian(folder: Path) -> Iterator[Case]:
    frame = _csv(folder / "porian_isoflop.csv").rename({"n_params": "params"})
    settings = ["dataset", "hparams", "warmup", "decay", "param_count", "split"]
    for part in frame.partition_by(settings, maintain_order=True):
        name = "/".join(part[setting][0] for setting in settings)
        runs = part.filter(pl.col("loss") <= 5).select("params", "tokens", "flops", "loss")
        yield Case(
            "porian", "porian", name, runs, note="nats per token; rows with loss > 5 left out"
        )


def _olmo_ladder(folder: Path) -> Iterator[Case]:
    rows = []
    for path in sorted(folder.glob("*.csv")):
        size = path.stem.split("-")[0]
        frame = _csv(path)
        last = frame.sort("_step").tail(1)
        rows.append(last.with_columns(size=pl.lit(size), run=pl.lit(path.stem)))
    table = pl.concat(rows, how="diagonal_relaxed").rename({"throughput/total_tokens": "tokens"})
    # The file of sizes lacks 3B; a 1xC run has 20 tokens per parameter by definition.
    once = table.filter(pl.col("run").str.ends_with("-1xC")).select(
        "size", params=pl.col("tokens") / 20
    )
    table = table.join(once, on="size")
    losses = [name for name in table.columns if name.endswith("/CrossEntropyLoss")]
    bpb = [name for name in table.columns if name.endswith("val_rc_5shot_bpb")]
    for name in [*losses, *bpb]:
        runs = table.select("params", "tokens", loss=name).drop_nulls()
        title = name.removeprefix("eval/").removesuffix("/CrossEntropyLoss")
        yield Case(
            "olmo_ladder",
            "olmo_ladder",
            title,
            runs,
            note="final checkpoints; nats per token or bpb",
        )


def _contour(folder: Path) -> Iterator[Case]:
    frame = _csv(folder / "datablations_contour_losses.csv")
    runs = frame.select(
        params="num_params",
        tokens="token_num",
        unique_tokens=pl.col("token_num") / pl.col("epochs"),
        loss="openLM_loss",
    ).drop_nulls()
    x = ("params", "tokens", "unique_tokens")
    yield Case(
        "datablations",
        "datablations",
        "contour",
        runs,
        x=x,
        note="nats per token; final checkpoints",
    )


def _datablations_curves(folder: Path) -> Iterator[Case]:
    frame = _csv(folder / "datablations_losses.csv.gz").filter(
        (pl.col("epochs") == 1) & (pl.col("loss") <= 5)
    )
    frame = frame.with_columns(
        params=pl.col("num_params").map_elements(counted, return_dtype=pl.Float64)
    )
    for corpus in ("c4", "oscar"):
        mine = frame.filter(pl.col("data") == corpus).rename({"token_num": "tokens"})
        runs = _curves(mine, "params").select("params", "tokens", "loss")
        yield Case(
            "datablations",
            "datablations_curves",
            corpus,
            runs,
            note="training curves, one epoch; loss <= 5",
        )


def _opt(folder: Path) -> Iterator[Case]:
    frame = _csv(folder / "opt_trajectories.csv")
    runs = frame.select(
        params=pl.col("model_size").map_elements(counted, return_dtype=pl.Float64),
        tokens=10.0 ** pl.col("num_token"),
        loss=pl.col("ppl").log(),
    )
    yield Case("opt", "opt", "validation", runs, note="log perplexity along training curves")


GPT3 = {
    "small": 125e6,
    "medium": 350e6,
    "large": 760e6,
    "xl": 1.3e9,
    "2.7b": 2.7e9,
    "6.7b": 6.7e9,
    "13b": 13e9,
    "175b": 175e9,
}


def _gpt3(folder: Path) -> Iterator[Case]:
    frame = _csv(folder / "gpt3_curves.csv.gz")
    for column in ("train_loss", "val_loss"):
        runs = frame.select(
            params=pl.col("model").replace_strict(GPT3),
            tokens=pl.col("step") * 1e9,
            loss=pl.col(column).cast(pl.Float64, strict=False),
        ).drop_nulls()
        yield Case(
            "gpt3", "gpt3", column, _curves(runs, "params"), note="digitised curves, nats per token"
        )


def _t5(folder: Path) -> Iterator[Case]:
    sizes = {"base": 248e6, "large": 783e6, "xl": 2.85e9, "xxl": 11.1e9}
    frame = _csv(folder / "t5_pile.csv.gz").with_columns(
        pl.col("val_perplexity").cast(pl.Float64, strict=False)
    )
    runs = (
        frame.filter((pl.col("steps") > 0) & (pl.col("val_perplexity") > 0.5))
        .select(
            params=pl.col("model_name").replace_strict(sizes),
            tokens=pl.col("steps") * 2048.0 * 1024.0,
            loss="val_perplexity",
        )
        .drop_nulls()
    )
    yield Case(
        "t5", "t5_pile", "validation", _curves(runs, "params"), note="log perplexity along curves"
    )


def _revisiting(file: str, dataset: str, domain: str) -> Callable[[Path], Iterator[Case]]:
    def read(folder: Path) -> Iterator[Case]:
        frame = _csv(folder / file).filter(pl.col("Domain") == domain)
        frame = frame.rename({"Seen Examples": "tokens", "Loss": "loss", "Model": "model"})
        for part in frame.partition_by("Task", maintain_order=True):
            runs = _curves(part.filter(pl.col("loss") > 0), "model").select(
                "model", "tokens", "loss"
            )
            name = str(part["Task"][0])
            yield Case(
                "revisiting",
                dataset,
                name,
                runs,
                x=("tokens",),
                group="model",
                note="x: examples seen",
            )

    return read


def _rectified(folder: Path) -> Iterator[Case]:
    for path in sorted(folder.glob("*.csv")):
        frame = _csv(path)
        sizes = [name for name in frame.columns if name.isdigit() and name != "0"]
        runs = (
            frame.select("config name", *sizes)
            .unpivot(index="config name", variable_name="tokens", value_name="loss")
            .rename({"config name": "model"})
            .with_columns(pl.col("tokens").cast(pl.Float64))
            .drop_nulls()
        )
        yield Case(
            "finetune", "finetune", path.stem, runs, x=("tokens",), group="model", note="x: samples"
        )


def _routing(folder: Path) -> Iterator[Case]:
    frame = _csv(folder / "curves.csv.gz")
    last = frame.filter(pl.col("step") >= 240000).sort("step").group_by("hyper_id").last()
    last = last.filter((pl.col("k") == 1) & (pl.col("routing_frequency") == 0.5)).sort("hyper_id")
    losses = [name for name in frame.columns if name.startswith("loss_")]
    for router in ("S-Base", "RL-R", "Hash"):
        mine = last.filter(pl.col("router_type").is_in([router, "Dense"]))
        for name in losses:
            runs = mine.select(
                params="dense_parameter_count",
                experts=pl.col("num_experts").cast(pl.Float64),
                flops=pl.col("flops_per_step") * pl.col("step"),
                loss=name,
            ).drop_nulls()
            x = ("params", "experts")
            yield Case(
                "routing",
                "routing_moe",
                f"{router}/{name[5:]}",
                runs,
                x=x,
                note="nats per token, end",
            )


def _pythia(folder: Path) -> Iterator[Case]:
    frame = _csv(folder / "pythia_evals_v1.csv.gz").filter(
        (pl.col("step") >= 1000) & ~pl.col("model").str.contains("BS|bf16")
    )
    wanted = [
        ("lambada_openai", "ppl"),
        ("lambada_openai", "acc"),
        ("arc_easy", "acc"),
        ("piqa", "acc"),
        ("sciq", "acc"),
    ]
    for suite in ("deduped", "standard"):
        deduped = pl.col("model").str.ends_with("deduped")
        mine = frame.filter(deduped if suite == "deduped" else ~deduped)
        for task, metric in wanted:
            rows = mine.filter(
                (pl.col("task") == task)
                & (pl.col("metric") == metric)
                & (pl.col("shots").str.contains("zero"))
            )
            value = pl.col("value").log() if metric == "ppl" else 1 - pl.col("value")
            runs = rows.select("params", tokens=pl.col("tokens").cast(pl.Float64), loss=value)
            note = "log perplexity" if metric == "ppl" else "error rate"
            yield Case(
                "pythia", "pythia", f"{suite}/{task}/{metric}", runs, note=f"{note}; steps >= 1000"
            )


def _obsscaling(folder: Path) -> Iterator[Case]:
    frame = _csv(folder / "base_llm_benchmark_eval.csv")
    for task in ("MMLU", "ARC-C", "HellaSwag", "Winograd", "TruthfulQA", "XWinograd"):
        runs = frame.select(
            params=pl.col("Model Size (B)") * 1e9,
            tokens=pl.col("Pretraining Data Size (T)") * 1e12,
            flops=pl.col("FLOPs (1E21)") * 1e21,
            loss=1 - pl.col(task),
        ).drop_nulls()
        yield Case(
            "obsscaling",
            "obsscaling",
            task,
            runs,
            note="error rate of public models of all families",
        )


def _olmo_curves(folder: Path) -> Iterator[Case]:
    frame = _csv(folder / "olmo.csv.gz")
    names = [name for name in frame.columns if name.endswith("CrossEntropyLoss")]
    for name in sorted(names):
        runs = (
            frame.select(
                "model_name",
                tokens=pl.col("Step").cast(pl.Float64),
                loss=pl.col(name).cast(pl.Float64, strict=False),
            )
            .drop_nulls()
            .filter(pl.col("loss") > 0)
        )
        if len(runs) >= 600:
            runs = _curves(runs, "model_name")
            yield Case(
                "olmo",
                "olmo_curves",
                name.split("/")[0],
                runs,
                x=("tokens",),
                group="model_name",
                note="x: steps of a training curve",
            )


READERS: dict[str, tuple[str, Callable[[Path], Iterator[Case]]]] = {
    "gadre": ("gadre_overtraining", _gadre),
    "gadre_tasks": ("gadre_overtraining", _gadre_tasks),
    "porian": ("porian_isoflop", _porian),
    "olmo_ladder": ("olmo_ladder", _olmo_ladder),
    "datablations": ("colpret", _contour),
    "datablations_curves": ("colpret", _datablations_curves),
    "opt": ("colpret", _opt),
    "gpt3": ("colpret", _gpt3),
    "t5_pile": ("colpret", _t5),
    "nmt": ("colpret", _revisiting("revisiting_lang.csv", "nmt", "NMT")),
    "lm_curves": ("colpret", _revisiting("revisiting_lang.csv", "lm_curves", "LM")),
    "bigbench": ("colpret", _revisiting("revisiting_lang.csv", "bigbench", "BB")),
    "vision": ("colpret", _revisiting("revisiting_vision.csv.gz", "vision", "IC")),
    "finetune": ("rectified_finetune", _rectified),
    "routing_moe": ("routing_moe", _routing),
    "pythia": ("pythia_evals", _pythia),
    "obsscaling": ("obsscaling", _obsscaling),
    "olmo_curves": ("colpret", _olmo_curves),
}
"""Data set -> folder and reader."""

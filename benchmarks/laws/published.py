"""Published forecasting figures against ours, on the rows that were published.

Reads the tables under ``LEADSMAN_DATASETS`` (or ``--datasets``), writes
``results/published.json`` and the table ``docs/claims-laws.md``. About three minutes on one core.

    python -m benchmarks.laws.published --datasets DIR [--only gadre,regmix,...]
    python -m benchmarks.laws.published --datasets DIR --only ""      # renew the page alone
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from benchmarks.machine import machine
from scipy.stats import spearmanr

from leadsman.laws.base import Law
from leadsman.laws.methods.accept_then_stop import AcceptThenStop, best_law
from leadsman.laws.methods.collaborative import Collaborative
from leadsman.laws.methods.curve_transfer import CurveTransfer, early_part
from leadsman.laws.methods.exponential_mixing import ExponentialMixing
from leadsman.laws.methods.finetune_power import FinetunePower
from leadsman.laws.methods.loss_to_error import LossToError
from leadsman.laws.methods.multipower import MultiPower
from leadsman.laws.methods.over_training import OverTraining
from leadsman.laws.methods.rectified import Rectified
from leadsman.laws.methods.regmix import RegMix
from leadsman.testing.planted_cases import CASES

SEED = 0
RESULT = Path(__file__).parent / "results" / "published.json"
PAGE = Path(__file__).parents[2] / "docs" / "claims-laws.md"
NOT_VERSIONS = ("date", "processor", "cores")
Row = dict[str, Any]


def row(
    figure: str, rows: str, theirs: str, ours: float | str, verdict: str, reason: str = ""
) -> Row:
    """One line of the table."""
    shown = ours if isinstance(ours, str) else float(f"{ours:.4g}")
    return {
        "figure": figure,
        "rows": rows,
        "theirs": theirs,
        "ours": shown,
        "verdict": verdict,
        "reason": reason,
    }


def against(ours: float, theirs: float, *, higher: bool = False) -> str:
    """``reached`` if ours is at least as good."""
    return "reached" if (ours >= theirs if higher else ours <= theirs) else "not reached"


def inside(bounds: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Whether each interval contains its truth."""
    return (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])


def gadre(data: Path) -> list[Row]:
    """Five small RedPajama runs predict two large ones; six predict their task error."""
    table = pl.read_csv(data / "gadre_overtraining/models_104.csv").filter(
        pl.col("dataset_name") == "rpj"
    )
    table = table.rename({"N": "params", "D": "tokens"})
    model, ratio = pl.col("model_name"), pl.col("tok_mult")
    smallest = "d=96_l=8_h=4"
    small = [smallest, "d=512_l=8_h=4", "d=576_l=24_h=8", "d=1024_l=24_h=8"]
    fit = table.filter(
        (model.is_in(small) & (ratio == 20)) | ((model == smallest) & (ratio == 320))
    )
    more = pl.concat([fit, table.filter((model == "open_lm_1b") & (ratio == 20))])
    law = OverTraining().fit(fit, y="loss_c4_val", seed=SEED)
    error = LossToError(x="loss_c4_val").fit(more, y="err_avg_subset", seed=SEED)
    result = []
    for name, which, loss_bar, error_bar in (
        ("1.4B, 640 tokens/param", (model == "open_lm_1b") & (ratio == 640), 0.71, 3.64),
        ("6.9B, 20 tokens/param", model == "open_lm_7b", 0.73, 0.05),
    ):
        target = table.filter(which)
        forecast = law.predict(target, seed=SEED)
        loss = law.curve(target)
        truth = target["loss_c4_val"].to_numpy()
        off = 100 * float(abs(loss[0] / truth[0] - 1))
        held = "95 % interval contains it" if inside(forecast.interval(0.95), truth)[0] else ""
        result.append(
            row(
                f"Gadre, C4 loss of {name} (relative error, %)",
                "5 RedPajama runs of 11M-411M",
                str(loss_bar),
                off,
                against(off, loss_bar),
                held,
            )
        )
        at = target.with_columns(pl.Series("loss_c4_val", loss))
        truth = target["err_avg_subset"].to_numpy()
        found = error.curve(at)
        off = 100 * float(abs(found[0] / truth[0] - 1))
        held = inside(error.predict(at, seed=SEED).interval(0.95), truth)[0]
        reason = "95 % interval contains it" if held else "95 % interval misses it"
        if off > error_bar:
            reason += f"; off by {100 * abs(found[0] - truth[0]):.2f} points of error"
        result.append(
            row(
                f"Gadre, error over 17 tasks of {name} (relative error, %)",
                "the same 5 and 1.4B at 20",
                str(error_bar),
                off,
                against(off, error_bar),
                reason,
            )
        )
    return result


def _mixtures(data: Path, kind: str) -> pl.DataFrame:
    mixture = pl.read_csv(data / f"regmix/{kind.replace('LOSS', 'mixture')}.csv")
    loss = pl.read_csv(data / f"regmix/{kind.replace('LOSS', 'pile_loss')}.csv")
    mixture = mixture.rename(
        {c: "mix." + c.removeprefix("train_the_pile_") for c in mixture.columns if c != "index"}
    )
    loss = loss.rename(
        {
            c: "loss." + c.removeprefix("metric/the_pile_").removesuffix("_val_loss")
            for c in loss.columns
            if c != "index"
        }
    )
    return mixture.join(loss, on="index")


def regmix(data: Path) -> list[Row]:
    """512 mixtures at 1M parameters rank 64 mixtures at 1B, domain by domain."""
    train, test = _mixtures(data, "train_LOSS_1m"), _mixtures(data, "test_LOSS_1B")
    domains = [name for name in train.columns if name.startswith("loss.")]
    result = []
    laws: list[tuple[str, Law, float]] = [
        ("RegMix, boosted trees", RegMix(), 0.950),
        ("exponential mixing law, for comparison", ExponentialMixing(), 0.950),
    ]
    for name, law, bar in laws:
        found = [
            spearmanr(law.fit(train, y=domain, seed=SEED).curve(test), test[domain].to_numpy())[0]
            for domain in domains
        ]
        mean = float(np.mean(found))
        by = ", ".join(f"{d[5:]} {f:.3f}" for d, f in zip(domains, found, strict=True))
        result.append(
            row(
                f"{name}: 1M to 1B, mean Spearman over {len(domains)} domains",
                f"{len(train)} runs of 1M; {len(test)} of 1B",
                str(bar),
                mean,
                against(mean, bar, higher=True),
                by,
            )
        )
    return result


def multipower(data: Path) -> list[Row]:
    """Three short curves of one model predict six under other schedules or horizons."""
    train = ("cosine_24000", "constant_24000", "wsdcon_9")
    test = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000")
    test += ("wsdcon_3", "wsdcon_18")
    published = {"25": (0.110, 0.409), "100": (0.142, 0.583), "400": (0.168, 0.995)}

    def curve(size: str, name: str) -> pl.DataFrame:
        frame = pl.read_csv(data / f"multipower/csv_{size}/{name}.csv")
        return frame.with_columns(pl.col("lr").cast(pl.Float64), run=pl.lit(name))

    result, means, worsts = [], [], []
    for size, (mean_bar, worst_bar) in published.items():
        fitted = MultiPower().fit(pl.concat([curve(size, n) for n in train]), seed=SEED)
        mean, worst, where = [], [], {}
        for name in test:
            frame = curve(size, name)
            off = 100 * np.abs(fitted.curve(frame) / frame["loss"].to_numpy() - 1)
            mean.append(off.mean())
            worst.append(off.max())
            where[name] = f"{name} {off.mean():.3f}"
        means.append(np.mean(mean))
        worsts.append(np.mean(worst))
        rows = f"{size}M: fit {', '.join(train)}; 6 unseen curves"
        found = float(means[-1])
        result.append(
            row(
                f"MultiPower {size}M, mean relative error (%)",
                rows,
                str(mean_bar),
                found,
                against(found, mean_bar),
                ", ".join(where.values()),
            )
        )
        found = float(worsts[-1])
        result.append(
            row(
                f"MultiPower {size}M, worst error of a curve, mean over curves (%)",
                rows,
                str(worst_bar),
                found,
                against(found, worst_bar),
                f"largest error anywhere {max(worst):.2f} %",
            )
        )
    for name, found, bar in (("mean", np.mean(means), 0.17), ("worst", max(worsts), 1.0)):
        result.append(
            row(
                f"MultiPower, {name} over the three sizes (%)",
                "as above",
                str(bar),
                float(found),
                against(float(found), bar),
            )
        )
    return result


def rectified(data: Path) -> list[Row]:
    """30 models x 3 tasks: in-sample error of the law, and ranking models from 1/8 of the data."""
    sizes = np.array([200 * 2**power for power in range(14)], dtype=float)
    largest = pl.DataFrame({"tokens": [sizes[-1]]})
    selection: dict[str, Callable[[], Law]] = {
        "rectified law": Rectified,
        "accept-then-stop": AcceptThenStop,
        "line through the last three sizes": lambda: AcceptThenStop(stop=0.0),
    }
    lines = [AcceptThenStop(), *(AcceptThenStop(accept=k, stop=0.0) for k in (3, 4, 5, 6))]
    rolling = "line chosen by rolling origin within those sizes"
    wrong: dict[str, list[float]] = {"rectified": [], "plain power law": []}
    correlation: dict[str, list[str]] = {name: [] for name in (*selection, rolling)}
    lowest = dict.fromkeys(correlation, 1.0)
    tasks = ("flan", "wmt19", "gigaword")
    for task in tasks:
        table = pl.read_csv(data / f"rectified_finetune/{task}.csv")
        predicted: dict[str, list[float]] = {name: [] for name in selection}
        truth, seen = [], []
        for model in table.iter_rows(named=True):
            losses = np.array([model[str(int(size))] for size in sizes])
            runs = pl.DataFrame({"tokens": sizes, "loss": losses})
            for name, law in (("rectified", Rectified()), ("plain power law", FinetunePower())):
                off = np.log(law.fit(runs, seed=SEED).curve(runs) / losses)
                wrong[name].append(float(np.sqrt(np.mean(off**2))))
            part = runs.filter(pl.col("tokens") <= sizes[-1] / 8)
            for name, make in selection.items():
                predicted[name].append(float(make().fit(part, seed=SEED).curve(largest)[0]))
            truth.append(losses[-1])
            seen.append(part)
        # Which line: the one that would have predicted the largest size seen, from an eighth.
        chosen = best_law(seen, lines, reach=8)
        predicted[rolling] = [float(chosen.fit(part).curve(largest)[0]) for part in seen]
        for name in correlation:
            found = float(np.corrcoef(predicted[name], truth)[0, 1])
            correlation[name].append(f"{task} {found:.3f}")
            lowest[name] = min(lowest[name], found)
    result = [
        row(
            f"Fine-tuning, log-RMSD of the {name}",
            "30 models x 3 tasks x 14 sizes, in sample",
            bar,
            float(np.mean(wrong[name])),
            against(float(np.mean(wrong[name])), float(bar)) if name == "rectified" else "baseline",
        )
        for name, bar in (("rectified", "0.008"), ("plain power law", "0.036"))
    ]
    for name, found in lowest.items():
        verdict = "reached" if found > 0.91 else "not reached"
        reason = ", ".join(correlation[name])
        if name == "accept-then-stop":
            reason += "; the paper's own rule, published .909 / .989 / .989"
        result.append(
            row(
                f"Fine-tuning, lowest Pearson of predicted and true loss by {name}",
                "11 sizes up to 1/8 of the data, 30 models",
                "> .91",
                found,
                verdict,
                reason,
            )
        )
    return result


def peft(data: Path) -> list[Row]:
    """The final accuracy of adapters never seen, from the first part of their runs."""
    history = json.loads((data / "peft_comparison/peft_results_history.json").read_text())
    runs = [
        each
        for each in history
        if each["task"] == "MetaMathQA" and each["nev"] == 20 and each["trainable"] is not None
    ]
    curves = pl.DataFrame(
        [
            {"run": str(index), "step": step, "loss": loss, "accuracy": accuracy}
            for index, each in enumerate(runs)
            for step, loss, accuracy in each["traj"][:20]
        ]
    )
    ends = pl.DataFrame(
        {
            "run": [str(index) for index in range(len(runs))],
            "group": [each["exp"] for each in runs],
            "score": [each["score"] for each in runs],
        }
    )
    result = []
    for share, until, bar in (("20 %", 1000, 2.7), ("50 %", 2500, 1.7)):
        early = early_part(curves, columns=("loss", "accuracy"), until=until)
        table = early.join(ends, on="run", maintain_order="left")
        truth = table["score"].to_numpy()
        found, held = np.empty(len(table)), np.empty(len(table), dtype=bool)
        for group in table["group"].unique(maintain_order=True):
            out = table["group"] == group
            fitted = CurveTransfer().fit(table.filter(~out), y="score", seed=SEED)
            new, at = table.filter(out), out.to_numpy()
            found[at] = fitted.curve(new)
            held[at] = inside(fitted.predict(new, seed=SEED).interval(0.9), truth[at])
        off = 100 * (found - truth)
        for name, which in (
            ("adapters that end above 30 %", truth > 0.3),
            ("all adapters, also those that fail", truth >= 0),
        ):
            error = float(np.sqrt(np.mean(off[which] ** 2)))
            result.append(
                row(
                    f"PEFT, final accuracy from {share} of the steps, RMSE in points: {name}",
                    f"{int(which.sum())} runs, each configuration left out in turn",
                    str(bar),
                    error,
                    against(error, bar),
                    f"90 % intervals cover {100 * held[which].mean():.0f} %; median error "
                    f"{np.median(np.abs(off[which])):.2f} points",
                )
            )
    return result


def observational(data: Path) -> list[Row]:
    """Hidden cells of a table of public models by benchmarks."""
    table = pl.read_csv(data / "obsscaling/base_llm_benchmark_eval.csv")
    tasks = ["MMLU", "ARC-C", "HellaSwag", "Winograd", "TruthfulQA", "GSM8K", "XWinograd"]
    tasks.append("HumanEval")
    cells = table.rename({"Model": "model", "Model Size (B)": "params"}).unpivot(
        tasks, index=["model", "params"], variable_name="task", value_name="score"
    )
    cells = cells.filter(pl.col("score").is_not_null())
    fold = np.random.default_rng(SEED).permutation(len(cells)) % 5
    off, held = np.empty(len(cells)), np.empty(len(cells), dtype=bool)
    for part in range(5):
        out = pl.Series(fold == part)
        fitted = Collaborative(factors=["params"]).fit(cells.filter(~out), seed=SEED)
        new, at = cells.filter(out), fold == part
        truth = new["score"].to_numpy()
        off[at] = fitted.curve(new) - truth
        held[at] = inside(fitted.predict(new, seed=SEED).interval(0.9), truth)
    error = 100 * float(np.mean(np.abs(off)))
    return [
        row(
            "Collaborative prediction, hidden benchmark cells, mean absolute error in points",
            f"{len(cells)} cells of {len(table)} base models x {len(tasks)} benchmarks, 5 folds",
            "~2.9 (secondary source)",
            error,
            against(error, 2.9),
            f"90 % intervals cover {100 * held.mean():.0f} %",
        )
    ]


SECTIONS: dict[str, Callable[[Path], list[Row]]] = {
    "gadre": gadre,
    "regmix": regmix,
    "multipower": multipower,
    "rectified": rectified,
    "peft": peft,
    "observational": observational,
}

NOTES = """
## What the misses are

- **Gadre, error of 6.9B.** The published 0.05 % is 0.02 points of error, far finer than six runs
  can know (our 95 % interval is nine points wide). Ours is off by a fifth of a point.
- **MultiPower.** Published figures are the authors' repository table: mean over the six unseen
  curves of each curve's mean and largest relative error. Their fit includes the warm-up as a rise
  of the rate, which the printed formula leaves open; so does ours. What we miss is the 72,000-step
  cosine, three times the fitted horizon, which every fit of these three curves that reaches its
  optimum predicts too low; the authors stop theirs early.
- **Fine-tuning selection.** Four parameters on eleven points extrapolate worse than a line through
  the power phase. "Accept then stop" as published gives .904 on FLAN (published .909, itself below
  the bar). Keeping to the last three sizes was first seen to be better on these very data; choosing
  between it, the published rule and longer lines by rolling origin (which would have predicted the
  largest size seen from an eighth of it?) needs no look at the answer and passes the bar.
- **PEFT.** The source of the bar does not say which runs it is over. The twelve configurations that
  end below 30 % have few neighbours to learn from when left out, and make up the difference
  between the two rows; choosing by how a run ended flatters the first row. At half of the steps
  neither row reaches the baseline's 1.7.
- **Collaborative prediction.** The 2.9 points come from a secondary source (leave-one-out); we
  hide a fifth of all cells at once, which is harder, and know of no first-hand figure.
"""


PLANTED_NOTES = """
- **Too wide.** The runs planted for over-training harm, loss-to-loss and density hardly determine
  their parameters (the fit warns for the first); intervals there are a prior's as much as the
  runs', and cover a little more than they say.
- **What was measured when.** Overtraining-harm, loss-to-loss, density, step-law and
  step-law-tokens: just before a quarter of the walkers along a valley were made to keep to the
  tangent plane. The first 40 or 60 replicates of the other laws without a shape parameter:
  before walks along valleys were added, which these laws do not use. The distribution that is
  drawn from is the same throughout.
"""


def planted_truth(file: Path) -> str:
    """What ``coverage.py`` measured, as a section."""
    if not file.exists():
        return ""
    measured = json.loads(file.read_text())
    lines = [
        "",
        "## Planted truth",
        "",
        "Share of replicates whose interval of a parameter contains the planted value, the lowest",
        "and the highest over the parameters of each law; made by `benchmarks/laws/coverage.py`,",
        "Python " + measured["python"] + ". Each replicate loses another 15 % of the settings.",
        "",
        "| law | replicates | runs | outliers | parameters | 50 % | 80 % | 95 % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, law in measured["laws"].items():
        shares = np.array(list(law["parameters"].values()))
        ranges = [f"{100 * column.min():.0f} to {100 * column.max():.0f}" for column in shares.T]
        cells = [name, law["replicates"], law["rows"], law["outliers"], len(shares), *ranges]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    counts = sorted({law["replicates"] for law in measured["laws"].values()})
    known = ", ".join(f"{196 * (0.16 / count) ** 0.5:.0f} at {count}" for count in counts)
    missing = [case.name for case in CASES if case.name not in measured["laws"]]
    lines += [
        "",
        f"Points within which a share of 80 % is known, by replicates: {known}. "
        f"Not measured yet: {', '.join(missing) or 'none'}. More than three standard deviations "
        f"from nominal: {', '.join(_outside(measured)) or 'none'}.",
    ]
    return "\n".join(lines) + "\n" + PLANTED_NOTES


def _outside(measured: dict[str, Any]) -> list[str]:
    """Laws with a parameter whose share is not the nominal one, with level and range."""
    found = []
    for name, law in measured["laws"].items():
        shares = np.array(list(law["parameters"].values()))
        for level, column in zip(measured["levels"], shares.T, strict=True):
            spread = 3 * np.sqrt(level * (1 - level) / law["replicates"])
            if column.min() < level - spread or column.max() > level + spread:
                span = f"{100 * column.min():.0f} to {100 * column.max():.0f}"
                found.append(f"{name} ({span} at {100 * level:.0f} %)")
    return found


def markdown(results: dict[str, list[Row]], setting: str) -> str:
    """The results as a page."""
    lines = ["# Published forecasting figures, and ours", "", setting, ""]
    lines += [
        "| figure | rows used | theirs | ours | verdict | detail |",
        "|---|---|---|---|---|---|",
    ]
    keys = ("figure", "rows", "theirs", "ours", "verdict", "reason")
    for rows in results.values():
        lines += ["| " + " | ".join(str(each[key]) for key in keys) + " |" for each in rows]
    coverage = planted_truth(Path(__file__).parent / "results" / "coverage.json")
    return "\n".join(lines) + "\n" + NOTES + coverage


def main() -> None:
    """Measure, print, and write the JSON and the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", default=os.environ.get("LEADSMAN_DATASETS"))
    parser.add_argument("--only", default=",".join(SECTIONS))
    options = parser.parse_args()
    if not options.datasets:
        parser.error("name the directory with --datasets or LEADSMAN_DATASETS")
    results: dict[str, list[Row]] = {}
    made: dict[str, str] = {}
    if RESULT.exists():
        kept = json.loads(RESULT.read_text())
        results, made = kept["results"], kept["machine"]
    for name in filter(None, options.only.split(",")):
        results[name] = SECTIONS[name](Path(options.datasets))
        for each in results[name]:
            print(each["figure"], "| theirs", each["theirs"], "| ours", each["ours"], "|",
                  each["verdict"], "|", each["reason"], flush=True)  # fmt: skip
        made = machine("numpy", "scipy", "polars", "lightgbm", "scikit-learn")
    results = {name: results[name] for name in SECTIONS if name in results}
    content = {"machine": made, "seed": SEED, "results": results}
    RESULT.write_text(json.dumps(content, indent=1) + "\n")
    versions = [f"{name} {value}" for name, value in made.items() if name not in NOT_VERSIONS]
    setting = (
        f"Made by `benchmarks/laws/published.py` on {made['date']}, seed {SEED}: "
        f"{made['cores']} cores, {made['processor']}; {', '.join(versions)}."
    )
    PAGE.write_text(markdown(results, setting))


if __name__ == "__main__":
    main()

"""Adaptive soundings against fixed grids, live: small models trained on this machine's text.

    python -m benchmarks.plan.live_adaptive WORK SEED... [--real] > results/live_adaptive.json
    ... live_adaptive.py WORK DEMO...      # directories of finished demos (``make demo``)

For each seed (of the text drawn, the weights and the plan) a project with five sources is made. Its
target is a blend of three kinds of text, so no mixture is far ahead of the others. The whole ladder
is trained (four sizes of 14 to 151 thousand parameters, four lengths, three mixtures). Then each
way decides from its own part of it:

    whole     every run of the ladder
    shorter   each series without its longest run: half the compute
    sparser   every second series of the grid of sizes and mixtures: half the compute
    adaptive  ``leadsman.plan.adaptive``, which trains what it asks for and the ladder lacks

A run's id is its recipe's hash, so a run that the adaptive way asks for is the ladder's where the
ladder has it: what it would have trained itself is the same. Compute is what each way alone would
have trained. Each way's choice is judged by the forecast from all runs, and, with ``--real``, by
training every different choice at the budget. Killed and started again it goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from benchmarks.machine import machine

from leadsman.corpus.harvest import harvest_source
from leadsman.engine import LocalEngine
from leadsman.plan import data
from leadsman.plan.adaptive import sound_adaptively
from leadsman.plan.conclude import Y, conclude
from leadsman.plan.designed import Designed
from leadsman.plan.project import load_project
from leadsman.plan.settings.runs import compute_of
from leadsman.plan.soundings import sounding_recipes
from leadsman.plan.workspace import Silent, Workspace
from leadsman.runs import Recipe, Run
from leadsman.train.ladder import plan_trunks, train_ladder

SOURCES = {
    "stdlib-code": 5_000_000,
    "package-code": 8_000_000,
    "docstrings": 5_000_000,
    "readmes": 1_500_000,
    "manuals": 6_000_000,
}
DECLARED = {"package-code": "20 MB"}
TARGET = {"target": 700_000, "manuals": 350_000, "stdlib-code": 350_000}
OTHER = 1000
"""Added to the seed where text of a source's kind is drawn for the target."""
BUDGET = 1e13
MINUTES = 1.5
WIDTHS = [24, 40, 56, 80]


class Rounds(Silent):
    """What the adaptive way said, and when each round began."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun: list[int] = []

    def stage(self, title: str) -> None:
        """``Sound: n runs, m before``."""
        if title.startswith("Sound:"):
            self.begun.append(int(title.split(",")[-1].split()[0]))

    def note(self, text: str) -> None:
        """Kept."""
        self.said.append(text)


def write_project(folder: Path, seed: int) -> Path:
    """Sources, a blended target, and the project file."""
    file = folder / "leadsman.yaml"
    if file.exists():
        return file
    sources = []
    for name, size in SOURCES.items():
        harvest_source(name, folder / "sources", seed=seed, max_bytes=size)
        sources.append({"name": name, "path": f"sources/{name}.jsonl"})
        if name in DECLARED:
            sources[-1]["declared_bytes"] = DECLARED[name]
    lines = []
    for name, size in TARGET.items():
        kind_seed = seed if name == "target" else seed + OTHER
        harvest = harvest_source(name, folder / "parts", seed=kind_seed, max_bytes=size)
        assert harvest.path is not None
        lines += harvest.path.read_text().splitlines()
    (folder / "target.jsonl").write_text("\n".join(lines) + "\n")
    project = {
        "name": f"live-{seed}",
        "sources": sources,
        "target": {"path": "target.jsonl", "held_out_bytes": "150 kB"},
        "selection": {"options": {"length_normalised": True}, "keep": 0.5},
        "tokenizer": {"vocab_size": 1024},
        "soundings": {"minutes": MINUTES, "widths": WIDTHS},
        "vary": {"lr": [], "batch_tokens": [], "keep": [], "added_share": 0},
        "budget": {"flops": BUDGET},
        "seed": seed,
    }
    file.write_text(yaml.safe_dump(project))
    return file


def designed(file: Path, workspace: Workspace) -> tuple[Designed, dict[str, Any]]:
    """The project with its ladder, from the stages that ``leadsman plan`` left; and the places."""
    project = load_project(file)
    prepared, selected, tokens = (workspace.result(n) for n in ("prepare", "select", "tokenise"))
    mixtures = data.mixtures(project, prepared)
    tokens |= {"full": data.full_tokens(prepared, selected, tokens)}
    ladder = sounding_recipes(
        project.soundings,
        mixtures,
        vocab_size=tokens["vocab_size"],
        data=tokens["data"],
        seed=project.seed,
    )
    places = {
        "sources": data.token_directories(workspace, tokens),
        "held_out": data.held_out_directories(workspace),
        "ledger": workspace.ledger.location,
        "work": str(workspace.path / "training"),
    }
    return Designed(project, mixtures, tokens, ladder), places


def shorter(ladder: Sequence[Recipe]) -> list[Recipe]:
    """Each series without its longest run."""
    longest: dict[str, int] = {}
    for each in ladder:
        longest[each.trunk_id] = max(longest.get(each.trunk_id, 0), each.tokens)
    return [each for each in ladder if each.tokens < longest[each.trunk_id]]


def sparser(ladder: Sequence[Recipe]) -> list[Recipe]:
    """Series of sizes and mixtures as the black fields of a chessboard."""
    sizes = sorted({each.shape.width for each in ladder})
    names = list(dict.fromkeys(each.mixture.name for each in ladder))
    return [
        each
        for each in ladder
        if (sizes.index(each.shape.width) + names.index(each.mixture.name)) % 2 == 0
    ]


def decided(found: Designed, runs: Sequence[Run], scratch: Path) -> dict[str, Any]:
    """The choice from some runs, and what it expects of all options."""
    plan = conclude(found, runs, Workspace(scratch))["plan"]
    options = [plan["chosen"], *plan["alternatives"]]
    options += [] if plan["naive"] == plan["chosen"] else [plan["naive"]]
    return {
        "choice": plan["chosen"]["recipe"],
        "name": name_of(Recipe.from_dict(plan["chosen"]["recipe"])),
        "forecasts": {
            name_of(Recipe.from_dict(each["recipe"])): each["forecast"]["mean"] for each in options
        },
    }


def name_of(recipe: Recipe) -> str:
    """Mixture and width."""
    return f"{recipe.mixture.name}/{recipe.shape.width}"


def case(work: Path, name: str, *, real: bool) -> dict[str, Any]:
    """All ways for one seed, or for the project of a demo."""
    folder = work / name if name.isdigit() else Path(name)
    file = write_project(folder, int(name)) if name.isdigit() else folder / "leadsman.yaml"
    if not (folder / "work/plan.json").exists():
        command = [sys.executable, "-m", "leadsman", "plan", str(file), "--workers", "1"]
        with (folder / "plan.log").open("a") as log:
            subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=True)
    workspace = Workspace(folder / "work")
    found, places = designed(file, workspace)
    engine = LocalEngine(1)
    ways: dict[str, Any] = {}
    parts = {
        "whole": list(found.ladder),
        "shorter": shorter(found.ladder),
        "sparser": sparser(found.ladder),
    }
    for name, recipes in parts.items():
        runs = [workspace.ledger.get(each.id) for each in recipes]
        ways[name] = {"runs": len(runs), "flops": compute_of(recipes), "rounds": 1}
        ways[name] |= decided(found, runs, work / "ways" / folder.name / name)
    rounds = Rounds()
    watched = Workspace(folder / "work", rounds)
    began = time.perf_counter()
    runs = sound_adaptively(found, watched, engine, y=Y, places=places)
    recipes = [run.recipe for run in runs if run.recipe is not None]
    ways["adaptive"] = {
        "runs": len(runs),
        "flops": compute_of(recipes),
        "rounds": len(rounds.begun),
        "flops_if_begun_again": sum(
            compute_of(recipes[low:high])
            for low, high in zip(rounds.begun, [*rounds.begun[1:], len(recipes)])
        ),
        "seconds": time.perf_counter() - began,
        "said": rounds.said,
        "asked": [f"{name_of(each)}/{each.tokens}" for each in recipes],
        "round_sizes": rounds.begun,
    }
    ways["adaptive"] |= decided(found, runs, work / "ways" / folder.name / "adaptive")
    judge(ways, [*ways["whole"]["forecasts"]])
    if real:
        choices = {each["name"]: Recipe.from_dict(each["choice"]) for each in ways.values()}
        jobs = [j for r in choices.values() for j in plan_trunks([r], **places, role="final")]
        results = {run.id: run.row()[Y] for run in train_ladder(jobs, engine)}
        for each in ways.values():
            each["real"] = results[Recipe.from_dict(each["choice"]).id]
    for each in ways.values():
        del each["choice"], each["forecasts"]
    return {"case": name, "budget": found.project.budget.total_flops, "ways": ways}


def judge(ways: dict[str, Any], options: Sequence[str]) -> None:
    """What each choice loses by the forecast from the whole ladder, and its compute as a share."""
    known = ways["whole"]["forecasts"]
    best = min(known[name] for name in options)
    for each in ways.values():
        each["share"] = each["flops"] / ways["whole"]["flops"]
        each["lost_by_the_forecast"] = known[each["name"]] - best


def main() -> None:
    """Each seed in turn; print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("cases", nargs="+", help="seeds, or directories of finished demos")
    parser.add_argument("--real", action="store_true", help="train the choices at the budget")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    cases = [case(asked.work, name, real=asked.real) for name in asked.cases]
    print(json.dumps({"machine": machine("torch", "numpy", "leadsman"), "cases": cases}, indent=1))


if __name__ == "__main__":
    main()

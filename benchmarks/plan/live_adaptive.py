"""Adaptive soundings against the whole ladder, live: small models trained on this machine's text.

    python benchmarks/plan/live_adaptive.py WORK [--board PNG] > results/live_adaptive.json

A project of harvested text is planned with ``--adaptive`` (and, with ``--board``, watched by
``leadsman board`` in headless Chromium), then with the whole ladder in a copy that keeps what was
made. Reported: compute of either, what each chose, and what the adaptive choice loses by the
forecast from the whole ladder. Models have 7 to 56 thousand parameters.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from leadsman.corpus.harvest import harvest_source
from leadsman.runs import Ledger
from machine import machine

SOURCES = ("stdlib-code", "docstrings", "readmes", "manuals")
BUDGET = 1e12
MINUTES = 0.5
WIDTHS = [16, 24, 32, 48]


def write_project(folder: Path) -> Path:
    """Half a megabyte of each source."""
    sources = []
    for name in SOURCES:
        harvest_source(name, folder / "sources", seed=0, max_bytes=600_000, revealed=1.0)
        sources.append({"name": name, "path": f"sources/{name}.jsonl"})
    harvest_source("target", folder, seed=0, max_bytes=200_000)
    project = {
        "name": "live",
        "sources": sources,
        "target": {"path": "target.jsonl", "held_out_bytes": "40 kB"},
        "selection": {"options": {"length_normalised": True}, "keep": 0.5},
        "tokenizer": {"vocab_size": 512},
        "soundings": {"minutes": MINUTES, "widths": WIDTHS},
        "vary": {"lr": [], "batch_tokens": [], "keep": [], "added_share": 0},
        "budget": {"flops": BUDGET},
    }
    file = folder / "leadsman.yaml"
    file.write_text(yaml.safe_dump(project))
    return file


def plan(file: Path, *options: str) -> subprocess.Popen[str]:
    """The command, its output in plan.log beside the file."""
    command = [sys.executable, "-m", "leadsman", "plan", str(file), "--workers", "1", *options]
    log = (file.parent / f"plan{''.join(options)}.log").open("w")
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)


def watch(process: subprocess.Popen[str], folder: Path, png: Path) -> dict[str, Any]:
    """The board in Chromium while the plan runs: a picture once its forecast has narrowed."""
    from playwright.sync_api import sync_playwright

    while not (folder / "work").is_dir() and process.poll() is None:
        time.sleep(0.5)
    command = [sys.executable, "-m", "leadsman", "board", str(folder), "--port", "0"]
    board = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert board.stdout is not None
    address = board.stdout.readline().split()[1]
    program = shutil.which("chromium") or shutil.which("google-chrome")
    seen: dict[str, Any] = {"errors": [], "forecasts": 0}
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 1300})
        page.on("pageerror", lambda error: seen["errors"].append(str(error)))
        page.goto(address)
        while process.poll() is None:
            state = json.loads(page.request.get(f"{address}state.json").text())
            told = sum("intervals" in each for each in state["history"])
            if told > seen["forecasts"]:
                seen["forecasts"] = told
                page.wait_for_timeout(1500)
                page.screenshot(path=png, full_page=True)
            time.sleep(1)
        browser.close()
    board.terminate()
    board.wait()
    return seen


def facts(folder: Path) -> dict[str, Any]:
    """Compute of the proxies, and the decision."""
    stored = json.loads((folder / "work/plan.json").read_text())
    proxies = [run for run in Ledger(str(folder / "work/ledger")) if run.role == "proxy"]
    longest: dict[str, float] = {}
    for run in proxies:
        if run.recipe is not None:
            key = run.recipe.trunk_id
            longest[key] = max(longest.get(key, 0.0), run.recipe.flops)
    recipe = stored["chosen"]["recipe"]
    options = [stored["chosen"], stored["naive"], *stored["alternatives"]]
    return {
        "runs": len(proxies),
        "flops": sum(longest.values()),
        "mixture": recipe["mixture"]["name"],
        "width": recipe["shape"]["width"],
        "next": stored["next"]["why"],
        "forecasts": {
            f"{each['recipe']['mixture']['name']}/{each['recipe']['shape']['width']}": each[
                "forecast"
            ]["mean"]
            for each in options
        },
    }


def main() -> None:
    """Both ways; print JSON."""
    folder = Path(sys.argv[1])
    png = Path(sys.argv[3]) if sys.argv[2:3] == ["--board"] else None
    adaptive, whole = folder / "adaptive", folder / "whole"
    adaptive.mkdir(parents=True, exist_ok=True)
    file = adaptive / "leadsman.yaml"
    if not file.exists():
        write_project(adaptive)
    process = plan(file, "--adaptive")
    seen = watch(process, adaptive, png) if png is not None else {}
    process.wait()
    if not whole.exists():
        shutil.copytree(adaptive, whole)
    plan(whole / "leadsman.yaml").wait()
    first, second = facts(adaptive), facts(whole)
    known = second["forecasts"]
    chosen = f"{first['mixture']}/{first['width']}"
    print(
        json.dumps(
            {
                "machine": machine("torch", "numpy", "leadsman"),
                "seed": 0,
                "adaptive": first,
                "whole": second,
                "share_of_compute": first["flops"] / second["flops"],
                "lost_by_the_whole_ladders_forecast": known[chosen] - min(known.values()),
                "board": seen,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()

"""A project made of this machine's own text, as a person would write it for theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import yaml

from leadsman.corpus.harvest import DEFAULT_HELD_OUT, SOURCES, Harvest, harvest_source
from leadsman.engine import Engine
from leadsman.errors import InputError
from leadsman.files import Directory
from leadsman.humanize import megabytes
from leadsman.plan.project import SoundingSpec, TokenizerSpec
from leadsman.plan.soundings import demo_budget
from leadsman.plan.workspace import Watcher, Workspace

PARTIAL_SOURCE = "package-code"
REVEALED = 0.1
SOURCE_BYTES = 10_000_000
TARGET_BYTES = 3_000_000

_HEADER = """\
# Written by `leadsman demo` from text that is on this machine; run it with
#   leadsman plan {name} --do
# {partial} is offered in part: a tenth of its files can be read, its full size is declared.
# The target is the documentation in {held_out}, which no source contains.
"""


def write_demo_project(
    out: Path, *, minutes: float, seed: int, engine: Engine, watcher: Watcher
) -> Path:
    """Harvest sources and target and write the project file.

    Args:
        out: directory of the project.
        minutes: length of the soundings on two cores; the final run's budget follows from it.
        seed: of text, order and weights.
        engine: where to harvest.
        watcher: told what happens.

    Returns:
        The project file.

    Raises:
        InputError: fewer than four sources, or no target, can be made of this machine's text.
    """
    workspace = Workspace(out / "work", watcher)
    found = workspace.stage(
        "harvest",
        "Harvest: text that is already on this machine",
        {"seed": seed, "revealed": REVEALED, "bytes": [SOURCE_BYTES, TARGET_BYTES]},
        lambda: _harvest(out, seed, engine, watcher),
    )
    harvests = [Harvest(**{**each, "path": _path(each["path"])}) for each in found]
    sources = [each for each in harvests if each.name != "target" and each.path is not None]
    for each in harvests:
        if each.path is None:
            watcher.note(f"{each.name}: none on this machine; skipped")
    if len(sources) < 4 or harvests[-1].path is None:
        raise InputError(
            f"only {len(sources)} kinds of text and {harvests[-1].documents} target documents "
            f"are on this machine; install the project with `make setup` first",
            column="sources",
        )
    watcher.table(
        "",
        ["source", "documents", "readable", "full size"],
        [
            [
                each.name,
                f"{each.documents:,}",
                megabytes(each.revealed_bytes),
                megabytes(each.full_bytes),
            ]
            for each in [*sources, harvests[-1]]
        ],
    )
    project_file = out / "leadsman.yaml"
    text = _project_text(sources, minutes=minutes, seed=seed)
    Directory(str(out)).write(project_file.name, text.encode())
    return project_file


def _harvest(
    out: Path, seed: int, engine: Engine, watcher: Watcher
) -> list[dict[str, str | int | None]]:
    names = ["docstrings", *(name for name in SOURCES if name != "docstrings"), "target"]
    work = partial(harvest_one, out=out, seed=seed)
    done: dict[str, Harvest] = {}
    for name, harvest in engine.map(work, names):  # the slowest first
        done[name] = harvest
        watcher.progress(len(done), len(names), "reading")
    return [
        asdict(done[name]) | {"path": str(done[name].path) if done[name].path else None}
        for name in [*SOURCES, "target"]
    ]


def harvest_one(name: str, *, out: Path, seed: int) -> Harvest:
    """One source, or the target, of the demo."""
    return harvest_source(
        name,
        out if name == "target" else out / "sources",
        seed=seed,
        max_bytes=TARGET_BYTES if name == "target" else SOURCE_BYTES,
        revealed=REVEALED if name == PARTIAL_SOURCE else 1.0,
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _project_text(sources: Sequence[Harvest], *, minutes: float, seed: int) -> str:
    budget = demo_budget(SoundingSpec(minutes=minutes), vocab_size=TokenizerSpec().vocab_size)
    project = {
        "name": "demo",
        "sources": [
            {"name": each.name, "path": f"sources/{each.name}.jsonl"}
            | (
                {"declared_bytes": f"{each.full_bytes / 1e6:.1f} MB"}
                if each.name == PARTIAL_SOURCE
                else {}
            )
            for each in sources
        ],
        "target": {"path": "target.jsonl"},
        "selection": {"method": "dsir", "options": {"length_normalised": True}, "keep": 0.25},
        "budget": {"flops": float(f"{budget:.4g}")},
        "soundings": {"minutes": minutes},
        "seed": seed,
    }
    header = _HEADER.format(
        name="leadsman.yaml",
        partial=PARTIAL_SOURCE,
        held_out=" and ".join(sorted(set(DEFAULT_HELD_OUT) - {"scikit_learn", "scikit-learn"})),
    )
    return header + yaml.safe_dump(project, sort_keys=False)

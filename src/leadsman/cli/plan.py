"""``leadsman init``, ``leadsman plan``: from a project file to a decision, and on to the run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TEMPLATE = """\
# A Leadsman project. Run it:  leadsman plan leadsman.yaml
# Paths are relative to this file. Sizes may be written 300 MB or 1.5 GB.
name: {name}

# Text offered for training: JSONL (plain, .gz, .zst) or Parquet with a column `text`,
# a directory of text or Markdown files, or a Leadsman corpus.
sources:
  - name: web
    path: data/web.jsonl
  - name: code
    path: data/code.jsonl
    # declared_bytes: 1.5 GB   # full size, where only a part is readable yet
    # price: 20 USD            # of all of it; the plan says whether it is worth buying
    # licence: cc-by-nc        # a tag that decision.exclude_licences may name

# Documents that say what good means. A share is kept for evaluation; the selector never sees it.
target:
  path: data/target.jsonl
  # held_out: 0.5
  # held_out_bytes: 200 kB

# The run to plan: training FLOPs, or hours or money on named hardware
# (hours: 2 and flops_per_second: 2.0e+14; money: 100 and price_per_hour: 2.5 too).
budget:
  flops: 3.0e+13
  # max_params: 1000000        # largest model that can be served (non-embedding parameters)
  # or: money: 500 USD, hardware: H100-SXM, devices: 8   (`leadsman cost hardware` lists them)

# Tokens the model will serve in its life; their compute is taken from the budget.
# serving: {{tokens: 1.0e+9, prompt_tokens: 512, output_tokens: 128}}

# Models to continue from, weighed beside a fresh start; the project takes their tokenizer.
# starts:
#   - {{name: base.hf, path: models/base.hf}}   # Hugging Face Llama, or saved by `leadsman train`

# decision:
#   objective: quantile        # choose what is good also in bad worlds; default mean
#   memory_gb: 24              # of one device
#   max_epochs: 4              # passes over any source at its full size
#   exclude_licences: [cc-by-nc]
#   money_for_data: 200 USD    # for sources with a price, beside the budget; else out of it

selection:
  method: dsir                 # leadsman methods --kind selector
  options: {{length_normalised: true}}   # whole documents would differ by length above all
  keep: 0.25                   # share of the readable bytes
  # rule: resample             # draw instead of taking the highest scores
  # effective_size: 5000       # documents; sets how much chance the draw leaves

# What follows may be left out; these are the defaults.
tokenizer:
  vocab_size: 2048
soundings:
  minutes: 6                   # of small runs, on two cores
  mixtures: [natural, uniform, selected]
  # widths: [48, 72, 96, 128]  # of the models, one a size; by default they follow from the minutes
vary:                          # settings tried by further small runs around the first choice
  share: 0.25                  # most compute for them, as a share of the soundings'
  certainty: 0.8               # least chance of being better for a setting to be planned
  lr: [0.003, 0.012]           # beside the default 0.006
  batch_tokens: [512, 2048]    # beside the default 1024
  keep: [0.1, 0.5]             # selection rates beside selection.keep
  added_share: 0.25            # of the tokens, moved to one source after the other
  optimizer: []                # beside adamw: muon, lion, ...
  precision: []                # bf16, float32
  methods: []                  # such as {{gstack: {{factor: 2, after_tokens: 65536}}}}
seed: 0
"""


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.command("init")(init)
    app.command("plan")(plan)


def init(
    directory: Annotated[Path, typer.Argument(help="Where the project file goes.")],
) -> None:
    """Write a commented project file to start from."""
    from leadsman.errors import InputError
    from leadsman.files import Directory

    file = directory / "leadsman.yaml"
    if file.exists():
        raise InputError("is already there; remove it or choose another directory", file=file)
    text = TEMPLATE.format(name=directory.resolve().name)
    Directory(str(directory)).write(file.name, text.encode())
    typer.echo(f"Wrote {file}. Put your sources and target in it, then: leadsman plan {file}")


def plan(
    project: Annotated[Path, typer.Argument(help="The project file (YAML).")],
    do: Annotated[
        bool, typer.Option("--do", help="Then do the planned run and a naive one, and score.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and how long it would take.")
    ] = False,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Choose soundings in rounds, by what they save.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes at once; 0: one a core.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the plan there as JSON.")
    ] = None,
) -> None:
    """Select, sound, try settings, forecast and decide; the report goes beside the project file."""
    run_project(project, do=do, dry_run=dry_run, workers=workers, adaptive=adaptive, out=out)


def run_project(
    project_file: Path,
    *,
    do: bool,
    dry_run: bool,
    workers: int,
    adaptive: bool = False,
    out: Path | None = None,
) -> None:
    """What ``plan`` and ``demo`` share."""
    from leadsman.cli.watch import TerminalWatcher
    from leadsman.engine import LocalEngine
    from leadsman.files import Directory
    from leadsman.plan.pipeline import carry_out, make_plan
    from leadsman.plan.project import load_project
    from leadsman.plan.tell import dry_run as tell_dry_run
    from leadsman.plan.workspace import Workspace
    from leadsman.report import write_report

    project = load_project(project_file)
    engine = LocalEngine(workers)
    with TerminalWatcher() as watcher:
        if dry_run:
            tell_dry_run(project, engine.workers, watcher)
            return
        work = project_file.parent / "work"
        workspace = Workspace(work, watcher)
        workspace.files.write("project.yaml", project_file.read_bytes())
        decided = make_plan(project, workspace, engine, adaptive=adaptive, here=do)
        if out is not None:
            Directory(str(out.parent)).write_json(out.name, decided.to_dict())
            watcher.note(f"Plan: {out}")
        if do:
            carry_out(project, decided, workspace, engine)
        report = write_report(work, project_file.parent / "report.html")
        watcher.note(f"Report: {report}")

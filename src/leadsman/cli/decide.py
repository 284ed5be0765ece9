"""``leadsman decide`` and ``leadsman next``: a decision from runs, and the next run to make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadsman.cli.run_tables import X
from leadsman.cli.wrapped import echo_wrapped

if TYPE_CHECKING:
    from leadsman.plan.table import TablePlan


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.command("decide")(decide)
    app.command("next")(next_)


Runs = Annotated[Path, typer.Argument(help="CSV, JSONL or Parquet table of runs, or a ledger.")]
SpecFile = Annotated[Path, typer.Argument(help="YAML: y, space, budget and limits.")]


def decide(
    runs: Runs,
    spec: SpecFile,
    x: X = "",
    out: Annotated[Path | None, typer.Option("--out", help="Write the plan as JSON.")] = None,
) -> None:
    """Choose settings under a budget from runs that are there, and say what it beats."""
    plan = _plan(runs, spec, x)
    decision = plan.decision
    low, median, high = _quantiles(decision.draws)
    echo_wrapped(f"Choose: {_point(decision.point)}", indent="  ")
    typer.echo(f"  result {median:.4g} (80 %: {low:.4g} to {high:.4g}); law: {plan.law}")
    typer.echo(f"  expected regret {decision.expected_regret:.2g}")
    binding = [name for name, slack in decision.slacks.items() if slack < 1e-3]
    typer.echo(f"  bound by: {', '.join(binding) or 'nothing'}")
    for name, point, gap in plan.rules:
        echo_wrapped(f"Beats {name} ({_point(point)}) by {gap:.2g}", indent="  ")
    if len(decision.alternatives) > 1:
        typer.echo("Alternatives (probability of being the best of them):")
        for point, value, first in decision.alternatives:
            typer.echo(f"  {first:6.1%}  {value:.4g}  {_point(point)}")
    typer.echo("Cost against quality:")
    for each in plan.front:
        typer.echo(f"  {each.cost:.3g}: {each.median:.4g}  {_point(each.point)}")
    if plan.purchase is not None:
        bought = ", ".join(plan.purchase.bought) or "nothing"
        typer.echo(f"Buy: {bought} for {plan.purchase.price:,.2f}")
        for name, worth in plan.purchase.worth.items():
            typer.echo(f"  {name} is worth {worth:.2g} of the result")
    for note in plan.notes:
        echo_wrapped(f"Note: {note}", indent="  ")
    if out is not None:
        _write(plan, out)
        typer.echo(f"Wrote {out}")


def next_(
    runs: Annotated[Path, typer.Argument(help="A table of runs, or a project file (YAML).")],
    spec: Annotated[Path | None, typer.Argument(help="YAML as for decide, with a table.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Runs to print.")] = 5,
    x: X = "",
) -> None:
    """Print the small runs that would lower the regret of the decision most for their cost."""
    from leadsman.errors import InputError

    if runs.suffix in (".yaml", ".yml"):
        _next_of_project(runs, count)
        return
    if spec is None:
        raise InputError("a table of runs needs a second file: y, space, budget (YAML)")
    plan = _plan(runs, spec, x)
    echo_wrapped(f"{'Stop' if plan.next.stop else 'Go on'}: {plan.next.why}")
    for each in plan.next.runs[:count]:
        point = plan.next_points.row(each.row, named=True)
        typer.echo(f"  {each.value:.2g} for {each.cost:.3g} FLOPs: {_point(point)}")


def _next_of_project(project: Path, count: int) -> None:
    from leadsman.errors import InputError
    from leadsman.humanize import count as count_of
    from leadsman.humanize import setting_name, setting_value
    from leadsman.report.read import read_stage, words_of

    stored = project.parent / "work" / "plan.json"
    if not stored.exists():
        raise InputError("no plan has been made yet; run `leadsman plan` first", file=project)
    plan = json.loads(stored.read_text())
    found = plan.get("next")
    if found is None:
        raise InputError("the plan is of an older version; run `leadsman plan` again", file=stored)
    stage = stored.parent / "stages/select.json"
    words = words_of(read_stage(stage) if stage.exists() else {})
    echo_wrapped(f"{'Stop' if found['stop'] else 'Go on'}: {found['why']}")
    if found["stop"] and found["runs"]:
        echo_wrapped("The best of those that are not worth it (what each is expected to save):")
    for each in found["runs"][:count]:
        guess = " (not yet tried; valued like the settings that were)" if each.get("guess") else ""
        echo_wrapped(
            f"  {each['value']:.2g} for {each['flops']:.2e} FLOPs: {words.short(each['mixture'])}, "
            f"{count_of(each['params'])} parameters, {count_of(each['tokens'])} tokens{guess}",
            indent="    ",
        )
    for each in plan.get("kept", ()):
        name, kept = setting_name(each["axis"]), setting_value(each["kept"], each["axis"])
        echo_wrapped(f"Not measured: {name}, kept at {kept} ({each['why']})", indent="  ")


def _plan(runs: Path, spec: Path, x: str) -> TablePlan:
    from leadsman.cli.run_tables import read_runs
    from leadsman.plan.table import TableSpec, plan_table
    from leadsman.strict_yaml import load_yaml

    asked = load_yaml(spec, TableSpec)
    return plan_table(read_runs(runs, x, asked.y)[0], asked)


def _quantiles(draws: Any) -> list[float]:
    import numpy as np

    return [float(each) for each in np.quantile(draws, [0.1, 0.5, 0.9])]


def _point(point: Mapping[str, float | str]) -> str:
    from leadsman.humanize import count

    return ", ".join(
        f"{name} {each if isinstance(each, str) else _number(name, each, count)}"
        for name, each in point.items()
    )


def _number(name: str, value: float, count: Any) -> str:
    return str(count(value)) if name in ("params", "tokens", "batch_tokens") else f"{value:.3g}"


def _write(plan: TablePlan, out: Path) -> None:
    from leadsman.files import Directory

    decision = plan.decision
    low, median, high = _quantiles(decision.draws)
    value = {
        "chosen": decision.point,
        "median": median,
        "low": low,
        "high": high,
        "expected_regret": decision.expected_regret,
        "slacks": decision.slacks,
        "alternatives": [
            {"point": point, "value": value, "probability_best": first}
            for point, value, first in decision.alternatives
        ],
        "pareto": [
            {"cost": p.cost, "point": p.point, "median": p.median, "low": p.low, "high": p.high}
            for p in plan.front
        ],
        "rules": [{"rule": n, "point": p, "gap": gap} for n, p, gap in plan.rules],
        "next": {
            "stop": plan.next.stop,
            "why": plan.next.why,
            "runs": [
                {"value": each.value, "cost": each.cost}
                | plan.next_points.row(each.row, named=True)
                for each in plan.next.runs[:10]
            ],
        },
        "purchases": None
        if plan.purchase is None
        else {
            "bought": list(plan.purchase.bought),
            "price": plan.purchase.price,
            "worth": plan.purchase.worth,
        },
        "notes": list(plan.notes),
        "law": plan.law,
    }
    Directory(str(out.parent)).write_json(out.name, value)

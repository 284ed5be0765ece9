"""What a person reads while a project advances: the words, kept apart from the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from leadsman.humanize import (
    DataWords,
    count,
    duration,
    megabytes,
    percent,
    setting_name,
    setting_value,
    way_and_mixture,
)
from leadsman.plan.check import check_project, size_notes
from leadsman.plan.data import HELD_OUT
from leadsman.plan.plan import Plan
from leadsman.plan.project import Project
from leadsman.plan.settings.axes import Axes
from leadsman.plan.soundings import (
    final_options,
    looked_at,
    reference_seconds,
    refusal,
    sounding_recipes,
)
from leadsman.plan.workspace import Watcher, Workspace
from leadsman.runs import ForecastScore, Mixture, Recipe, Run
from leadsman.train.ladder import TrunkProgress
from leadsman.train.machine_speed import machine_ratio


def dry_run(project: Project, workers: int, watcher: Watcher) -> None:
    """What a plan would do and how long it would take, without doing it.

    Raises:
        InputError: a file is not there, or a method is not known.
        BudgetError: the budget, or the minutes of sounding, are too small.
    """
    notes = check_project(project)
    project = project.allowed()
    mixtures = [Mixture(name, {name: 1.0}) for name in project.soundings.mixtures]
    project, starts = looked_at(project)
    vocab_size = project.tokenizer.vocab_size
    refused = [refusal(project, start) for start in starts]
    beside = [
        recipe
        for start, why in zip(starts, refused, strict=True)
        if why is None
        for recipe in start.series(mixtures, "", seed=project.seed)
    ]
    recipes = sounding_recipes(
        project.soundings,
        mixtures,
        vocab_size=vocab_size,
        data="",
        seed=project.seed,
        beside=beside,
    )
    options = final_options(project, mixtures[:1], vocab_size=vocab_size, data="", beside=beside)
    watcher.stage(f"Dry run of {project.name}: nothing is read or written")
    watcher.note(f"sources: {', '.join(source.path for source in project.sources)}")
    watcher.note(f"target: {project.target.path}; selector: {project.selection.method}")
    tell_mixtures(mixtures, project.words, watcher)
    watcher.note("each size and length with each mixture:")
    watcher.table(
        "",
        ["params", "tokens", "steps", "FLOPs"],
        [
            [
                count(recipe.shape.non_embedding_params),
                count(recipe.tokens),
                f"{recipe.steps:,}",
                f"{recipe.flops:.2e}",
            ]
            for recipe in recipes
            if recipe.mixture is mixtures[0]
        ],
    )
    tell_starts(
        [s.to_dict() | {"left_out": why} for s, why in zip(starts, refused, strict=True)], watcher
    )
    ratio = machine_ratio()
    watcher.note(
        f"{len(recipes)} soundings, {sum(recipe.flops for recipe in recipes):.3g} FLOPs: about "
        f"{duration(ratio * reference_seconds(recipes, workers))} here"
    )
    axes = Axes.of(
        project.vary,
        mixtures,
        [source.name for source in project.sources],
        recipes[0],
        keep=project.selection.keep,
    )
    if axes.departures:
        watcher.note(
            f"then up to {len(axes.departures)} runs that try settings, with at most "
            f"{100 * project.vary.share:.0f} % of that compute"
        )
    fresh = [each for each in options if not each.start] or options
    middle = fresh[len(fresh) // 2]
    watcher.note(
        f"The run being planned costs {project.budget.total_flops:.3g} FLOPs: about "
        f"{duration(ratio * reference_seconds([middle], 1))} here with "
        f"{count(middle.shape.non_embedding_params)} parameters"
    )
    for note in notes + size_notes(project, options):
        watcher.note(f"Note: {note}")


def tell_starts(starts: Sequence[Mapping[str, Any]], watcher: Watcher) -> None:
    """Each base model: its size, its result as it is, and whether continuing it is weighed."""
    for each in starts:
        said = f"base model {each['name']}: {count(each['params'])} parameters"
        if each.get("as_it_is") is not None:
            said += f", {each['as_it_is']:.4f} bits/byte as it is"
        watcher.note(said + (f"; left out: {each['left_out']}" if each["left_out"] else ""))
    if starts:
        watcher.note("What their own training cost is spent already; no budget here counts it")


def tell_prepared(prepared: Mapping[str, Any], watcher: Watcher) -> None:
    """What became of the sources, as a table."""
    watcher.table(
        "",
        ["source", "documents", "readable", "full size", "duplicates", "in target", "kept"],
        [
            [
                source["name"],
                f"{source['documents']:,}",
                megabytes(source["bytes"]),
                megabytes(source["declared_bytes"]),
                f"{source['duplicates']:,}",
                f"{source['contaminated']:,}",
                f"{source['kept_documents']:,}",
            ]
            for source in prepared["sources"]
        ],
    )
    for warning in prepared["warnings"]:
        watcher.note(f"Note: {warning}")
    watcher.note(
        f"Target: {prepared['reference_documents']:,} documents to select by, "
        f"{prepared['held_out_documents']:,} ({megabytes(prepared['held_out_bytes'])}) held out "
        f"to evaluate on"
    )


def tell_tokens(tokens: Mapping[str, Any], words: DataWords, watcher: Watcher) -> None:
    """What was tokenised, in a line."""
    sizes = ", ".join(
        f"{words.token_set(name)} {count(each['tokens'])}"
        for name, each in sorted(tokens["sets"].items())
        if name != HELD_OUT
    )
    watcher.note(f"{tokens['vocab_size']:,} entries in the vocabulary; tokens: {sizes}")


def tell_mixtures(mixtures: Sequence[Mixture], words: DataWords, watcher: Watcher) -> None:
    """What the names of the mixtures stand for, where they first occur."""
    watcher.note("Mixtures of text, by the names the ledger keeps:")
    for each in mixtures:
        watcher.note(f"  {each.name}: tokens{words.after_tokens(each.name)}")


def tell_remaining(recipes: Sequence[Recipe], workspace: Workspace, workers: int) -> None:
    """What is done already, and how long the rest will take here."""
    todo = [recipe for recipe in recipes if recipe.id not in workspace.ledger]
    if len(todo) < len(recipes):
        workspace.watcher.note(f"{len(recipes) - len(todo)} of {len(recipes)} done before; kept")
    if todo:
        seconds = machine_ratio() * reference_seconds(todo, workers)
        workspace.watcher.note(f"about {duration(seconds)} here, {workers} at once")


def progress_to(watcher: Watcher) -> Callable[[Sequence[TrunkProgress]], None]:
    """Draws the state of trunks on a watcher's bar."""

    def show(states: Sequence[TrunkProgress]) -> None:
        done = sum(state.tokens for state in states)
        total = sum(state.total_tokens for state in states)
        busy = [state.label for state in states if 0 < state.tokens < state.total_tokens]
        watcher.progress(done, total, ", ".join(busy[:2]) or "training")

    return show


def tell_plan(plan: Plan, words: DataWords, watcher: Watcher) -> None:
    """The recommended recipe, the best of each other mixture, and the saving."""
    best: dict[str, list[str]] = {}
    for option in (plan.chosen, plan.naive, *plan.alternatives):
        low, high = option.forecast.intervals["0.95"]
        mixture = words.short(option.label or option.recipe.mixture.name)
        marks = [(plan.chosen, "recommended"), (plan.naive, "naive")]
        best.setdefault(
            mixture,
            [
                next((mark for each, mark in marks if option is each), ""),
                mixture,
                count(option.recipe.shape.non_embedding_params),
                count(option.recipe.tokens),
                f"{option.forecast.median:.4f}",
                f"{low:.4f} to {high:.4f}",
            ],
        )
    header = ["", "data", "params", "tokens", "bits/byte", "95 % interval"]
    watcher.table(f"Forecast for {plan.budget_flops:.3g} FLOPs", header, list(best.values()))
    recipe = plan.chosen.recipe
    way, _ = way_and_mixture(recipe.mixture.name, recipe.start)
    way = f"{way or 'start fresh'}, " if plan.details.get("starts") else ""
    watcher.note(
        f"Plan: {way}{count(recipe.shape.non_embedding_params)} parameters ({recipe.shape.layers} "
        f"layers, width {recipe.shape.width}) on {count(recipe.tokens)} tokens"
        f"{words.after_tokens(recipe.mixture.name)}; learning rate {recipe.lr:g}, batch "
        f"{recipe.batch_tokens:,} tokens, {recipe.schedule.name} schedule"
    )
    sure = plan.details.get("certainty")
    if sure:
        watcher.note(
            f"These data and settings are best with a chance of {percent(sure['data'])}; the size "
            f"is within {sure['tolerance']:.2g} of their best with {percent(sure['size'])}"
        )
    _tell_details(plan, words, watcher)
    if plan.saving is not None:
        more = "at least " if plan.saving.censored else ""
        watcher.note(
            f"Saves {more}{100 * plan.saving.fraction:.0f} % of the compute at the quality of the "
            f"naive choice (80 %: {100 * plan.saving.low:.0f} to {100 * plan.saving.high:.0f} %)"
        )
    for warning in plan.chosen.forecast.warnings:
        watcher.note(f"Note: {warning}")


def _tell_details(plan: Plan, words: DataWords, watcher: Watcher) -> None:
    """Settings tried and kept, purchases, what would change the choice, the next run."""
    details = plan.details
    for each in details.get("settings", ()):
        if each["chosen"]:
            watcher.note(
                f"{setting_name(each['axis'])}: {setting_value(each['value'], each['axis'])} "
                f"instead of {setting_value(each['reference'], each['axis'])} changes bits/byte by "
                f"{100 * each['effect']:+.1f} % (80 %: {100 * each['low']:+.1f} to "
                f"{100 * each['high']:+.1f} %)" + (f"; {each['note']}" if "note" in each else "")
            )
    kept = [
        f"{setting_name(each['axis'])} ({setting_value(each['kept'], each['axis'])})"
        for each in details.get("kept", ())
    ]
    if kept:
        watcher.note(f"Not measured, kept: {', '.join(kept)}")
    for each in details.get("purchases", ()):
        if each["worth"] is None:
            said = "was not tried, so it is not bought"
        else:
            said = f"is worth {each['worth']:.2g}: " + ("bought" if each["bought"] else "left")
        watcher.note(f"{each['source']} for {each['price']:,.2f} {each['currency'] or ''} {said}")
    for each in details.get("epochs", ()):
        if "warning" in each:
            watcher.note(f"Note: {each['warning']}")
    for each in details.get("starts", ()):
        if "warning" in each:
            watcher.note(f"Note: {each['warning']}")
    for each in details.get("would_change", ()):
        watcher.note(each["text"])
    ask = details.get("next") or {}
    if ask.get("runs") and not ask["stop"]:
        first = ask["runs"][0]
        watcher.note(
            f"Next small run most worth its cost: {words.short(first['mixture'])}, "
            f"{count(first['params'])} parameters, {count(first['tokens'])} tokens "
            f"({first['flops']:.2g} FLOPs)"
        )


def tell_scores(
    scores: Sequence[ForecastScore], runs: Sequence[Run], words: DataWords, watcher: Watcher
) -> None:
    """Predicted, interval, actual, inside or not."""
    by_id = {score.forecast.id: score for score in scores}
    rows = []
    for run in runs:
        if run.id in by_id and run.recipe is not None:
            score = by_id[run.id]
            low, high = score.forecast.intervals["0.95"]
            rows.append(
                [
                    run.role,
                    words.short(run.recipe.mixture.name),
                    f"{score.forecast.median:.4f}",
                    f"{low:.4f} to {high:.4f}",
                    f"{score.actual:.4f}",
                    f"{100 * score.relative_error:+.2f} %",
                    "inside" if score.inside["0.95"] else "OUTSIDE",
                ]
            )
    header = ["run", "data", "forecast", "95 % interval", "actual", "error", "95 %"]
    watcher.table("", header, rows)

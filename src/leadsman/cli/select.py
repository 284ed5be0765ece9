"""``leadsman select``: choose documents for a target."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from leadsman.cli.inputs import (
    AsJson,
    DryRun,
    EngineOption,
    Explain,
    Inputs,
    MaxRejectRate,
    Metadata,
    Out,
    Seed,
    as_it_is,
    open_inputs,
    print_estimate,
    shown_sources,
    size_of,
    together,
)
from leadsman.cli.sweep import amounts_of, run_sweep

if TYPE_CHECKING:
    from leadsman.corpus import Corpus
    from leadsman.select import Policy, Selection, Selector
    from leadsman.select.sweep import SweepDesign


FAR = 1.0
"""Nats of KL(target || sources) from which on a warning is due. Of 200 PEPs against PEPs, RFCs and
books together it is 0.2, of French pages against those 1.2, of Chinese sentences 5.1."""

Wanted = Annotated[list[str], typer.Option("--target", "-t", help="Documents that are good.")]
MethodOption = Annotated[
    str, typer.Option(help="A selector: see 'leadsman methods'. Several, by comma, to sweep.")
]
Keep = Annotated[float | None, typer.Option(help="Share of the text to keep, 0 to 1.")]
Documents = Annotated[int | None, typer.Option(help="Documents to keep.")]
TextBytes = Annotated[str | None, typer.Option("--bytes", help="Text to keep: bytes, or 10M, 1G.")]
Tokens = Annotated[str | None, typer.Option(help="Tokens to keep: 500000, or 5M.")]
Tokenizer = Annotated[str | None, typer.Option(help="tokenizer.json that says what a token is.")]
BytesPerToken = Annotated[float, typer.Option(help="Used for --tokens without a tokenizer.")]
RuleOption = Annotated[
    str | None, typer.Option(help="top, resample or threshold; resample by default.")
]
Temperature = Annotated[float, typer.Option(help="Divides the scores before a draw.")]
EffectiveSize = Annotated[
    float | None, typer.Option(help="Effective sample size that sets the temperature.")
]
Threshold = Annotated[float | None, typer.Option(help="Lowest score kept.")]
Quota = Annotated[
    list[str] | None, typer.Option(help="SOURCE=SHARE: most of the amount from a source.")
]
Setting = Annotated[
    list[str] | None, typer.Option("--set", help="NAME=VALUE: a setting of the method.")
]
Sweep = Annotated[
    str | None,
    typer.Option(help="Shares to try, as 0.01,0.03,0.1: what is each worth? Chooses nothing."),
]
ProxyOption = Annotated[str, typer.Option(help="Trained by --sweep: ngram or neural.")]
Seeds = Annotated[int, typer.Option(help="Repetitions of --sweep.")]
EqualCompute = Annotated[
    bool, typer.Option(help="Whether --sweep trains every amount on as many bytes, too.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("select")(select)


def select(
    inputs: Inputs,
    target: Wanted,
    out: Out,
    method: MethodOption = "dsir",
    keep: Keep = None,
    documents: Documents = None,
    text_bytes: TextBytes = None,
    tokens: Tokens = None,
    tokenizer: Tokenizer = None,
    bytes_per_token: BytesPerToken = 4.0,
    rule: RuleOption = None,
    temperature: Temperature = 1.0,
    effective_size: EffectiveSize = None,
    threshold: Threshold = None,
    quota: Quota = None,
    setting: Setting = None,
    sweep: Sweep = None,
    proxy: ProxyOption = "ngram",
    seeds: Seeds = 3,
    equal_compute: EqualCompute = True,
    seed: Seed = 0,
    metadata: Metadata = None,
    engine: EngineOption = "local",
    max_reject_rate: MaxRejectRate = 0.01,
    dry_run: DryRun = False,
    explain: Explain = None,
    as_json: AsJson = False,
) -> None:
    """Choose the documents that serve a target; with --sweep, say what each amount is worth."""
    opened = open_inputs(inputs, out, max_reject_rate, metadata)
    raw = opened.joined
    if explain is not None:
        _print_explained(raw, out, explain)
        return
    wanted = open_inputs(target, out, max_reject_rate).joined
    if sweep is not None:
        _check_nothing_chosen(keep, documents, text_bytes, tokens)
        design = _design(
            sweep, method, setting, seeds=seeds, rule=cast(Any, rule or "top"),
            effective_size=effective_size, proxy=cast(Any, proxy), seed=seed,
            equal_compute=equal_compute,
        )  # fmt: skip
        run_sweep(raw, wanted, out, design, dry_run=dry_run, as_json=as_json)
        if not dry_run:
            opened.keep_rejects(out)
        return
    _check_amount(keep, documents, text_bytes, tokens, rule=rule, tokenizer=tokenizer)
    policy = _policy(
        rule=cast(Any, rule or "resample"), fraction=keep, documents=documents,
        text_bytes=size_of(text_bytes, "--bytes"), tokens=size_of(tokens, "--tokens"),
        threshold=threshold, temperature=temperature, effective_size=effective_size,
        quotas=_quotas(quota or []),
    )  # fmt: skip
    make = _maker(method, setting)
    if dry_run:
        _print_dry_run(raw, wanted, make)
        return
    report = _run(
        raw, wanted, out, selector=make(), policy=policy, tokenizer=tokenizer,
        bytes_per_token=bytes_per_token, seed=seed, engine=engine,
    )  # fmt: skip
    opened.keep_rejects(out)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
        return
    _print(report)


def _print_explained(raw: Corpus, out: str, document: str) -> None:
    from leadsman.select.explain import explain_choice
    from leadsman.select.selection import read_report

    typer.echo(json.dumps(explain_choice(raw, read_report(out), document), indent=1))


def _check_nothing_chosen(*amounts: object) -> None:
    from leadsman.errors import InputError

    if any(amount is not None for amount in amounts):
        raise InputError("chooses nothing; leave the amount to keep out", column="--sweep")


def _check_amount(*amounts: object, rule: str | None, tokenizer: str | None) -> None:
    """What the policy would say too, in the names of the options; and a tokenizer not used."""
    from leadsman.errors import InputError

    given = sum(amount is not None for amount in amounts)
    if given > 1 or (not given and rule != "threshold"):
        raise InputError(
            f"give exactly one of --keep, --documents, --bytes and --tokens, not {given}"
        )
    if tokenizer is not None and amounts[-1] is None:
        raise InputError("counts the tokens of --tokens; give that", column="--tokenizer")


def _design(sweep: str, method: str, setting: list[str] | None, **options: Any) -> SweepDesign:
    from leadsman.select.sweep import SweepDesign

    methods = tuple(":".join([name, *(setting or [])]) for name in method.split(","))
    return SweepDesign(methods=methods, amounts=amounts_of(sweep), **options)


def _policy(**options: Any) -> Policy:
    from leadsman.select import Policy

    return Policy(**options)


def _maker(method: str, setting: list[str] | None) -> Callable[[], Selector]:
    """Makes the selector, its settings checked."""
    from leadsman.errors import InputError
    from leadsman.registry import method as find_method
    from leadsman.registry import method_settings

    if "," in method:
        raise InputError("several selectors need --sweep", column="--method")
    selector = cast("type[Selector]", find_method("selector", method))
    return partial(selector, **method_settings(selector, setting or []))


def _run(raw: Corpus, wanted: Corpus, out: str, *, engine: str, **options: Any) -> Selection:
    from leadsman.engine import open_engine
    from leadsman.select import select as run

    return run(raw, wanted, out, engine=open_engine(engine, threads=True), **options)


def _print_dry_run(raw: Corpus, wanted: Corpus, make: Callable[[], Selector]) -> None:
    from leadsman.corpus.shards.estimate import estimate
    from leadsman.select import Policy
    from leadsman.select import select as run
    from leadsman.select.selection import MEMORY_PER_DOCUMENT

    def work(corpus: Corpus, place: Path) -> object:
        return run(corpus, wanted, place, selector=make(), policy=Policy(fraction=0.1))

    print_estimate(estimate(raw, work, memory_per_document=MEMORY_PER_DOCUMENT))


def _quotas(given: list[str]) -> dict[str, float]:
    from leadsman.errors import InputError

    quotas = {}
    for item in given:
        source, _, share = item.rpartition("=")
        try:
            quotas[source] = float(share)
        except ValueError as error:
            raise InputError(f"{item!r} is not SOURCE=SHARE", column="--quota") from error
    return quotas


def _print(report: Selection) -> None:
    from rich.console import Console
    from rich.table import Table

    from leadsman.humanize import count, megabytes

    table = Table(box=None, pad_edge=False)
    table.add_column("source")
    for heading in ("documents", "text", "chosen", "text chosen", "share of choice"):
        table.add_column(heading, justify="right")
    total = sum(extent.text_bytes for extent in report.kept.values())
    for name, sources in shown_sources(report.offered).items():
        offered, kept = (together(each, sources) for each in (report.offered, report.kept))
        table.add_row(
            as_it_is(name),
            count(offered.documents),
            megabytes(offered.text_bytes),
            count(kept.documents),
            megabytes(kept.text_bytes),
            f"{kept.text_bytes / max(total, 1):.1%}",
        )
    Console().print(table)
    typer.echo(
        f"KL to the target {'falls' if report.kl_reduction >= 0 else 'rises'} from "
        f"{report.kl_raw:.4f} to {report.kl_raw - report.kl_reduction:.4f} nats\n"
        f"effective sample size {report.effective_size:,.1f} documents at temperature "
        f"{report.temperature:.4g}; {report.overlap_with_top:.0%} of the choice are the highest "
        f"scores"
    )
    if report.tokens is not None and report.token_rate is not None:
        rate = report.token_rate
        how = (
            f"counted with {rate['tokenizer']}"
            if rate["tokenizer"]
            else f"estimated at {rate['bytes_per_token']:g} bytes a token; --tokenizer counts them"
        )
        typer.echo(f"{report.tokens:,} tokens, {how}")
    for reason, extent in report.reasons.items():
        typer.echo(
            f"not chosen, {reason}: {count(extent.documents)} documents, "
            f"{megabytes(extent.text_bytes)}"
        )
    chosen = sum(extent.documents for extent in report.kept.values())
    if chosen == sum(extent.documents for extent in report.offered.values()):
        _warn("this is all there is: the amount asked for is not less than that")
    elif report.policy["rule"] == "resample" and report.effective_size < 0.1 * chosen:
        _warn(
            "the scores spread so wide that this draw is hardly one: it takes nearly the highest "
            f"scores. Give --effective-size {chosen} (or more) for a real draw."
        )
    if report.kl_raw > FAR:
        _warn(
            f"the sources are far from the target ({report.kl_raw:.1f} nats): another language or "
            f"kind of text, or a target too small to tell"
        )
    typer.echo(f"chosen: {report.location}")


def _warn(message: str) -> None:
    typer.secho(f"warning: {message}", err=True, fg="yellow")

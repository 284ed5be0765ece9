"""What commands that read documents share: their options, and the one place that opens inputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.text import Text

    from leadsman.corpus import ConvertReport, Corpus, Extent
    from leadsman.corpus.dedup.settings import DedupSettings
    from leadsman.corpus.readers.rejects import Reject
    from leadsman.corpus.shards.estimate import Estimate

MOST_SOURCES = 30
"""Rows of a table of sources."""

Inputs = Annotated[
    list[str],
    typer.Argument(help="Corpora, or files, directories, patterns and URLs to read as such."),
]
Out = Annotated[str, typer.Option("--out", "-o", help="Directory or URL of the result.")]
MaxRejectRate = Annotated[
    float, typer.Option(min=0, max=1, help="Largest share of unusable rows in an input.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what it would take, from a 1 % sample.")
]
Explain = Annotated[
    str | None, typer.Option("--explain", metavar="ID", help="Say what became of a document.")
]
EngineOption = Annotated[
    str, typer.Option("--engine", help="local, or ray: a cluster; RAY_ADDRESS says which.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")]
Metadata = Annotated[
    list[str] | None, typer.Option(help="A field of the rows to keep, beside id, text and source.")
]
MaxSourceLoss = Annotated[
    float,
    typer.Option(min=0, max=1, help="Warn when a source loses more than this share of its text."),
]
StopSourceLoss = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Stop when a source loses this share or more; 1: when nothing stays."
    ),
]


@dataclass(frozen=True)
class OpenedInputs:
    """The inputs of a command.

    Attributes:
        corpora: one for each path that holds documents.
        converted: those that were made of other files now.
        unreadable: the first problem of each path of which no document can be read.
    """

    corpora: list[Corpus]
    converted: list[Corpus]
    unreadable: list[Reject]

    @property
    def joined(self) -> Corpus:
        """All of them, read as one."""
        from leadsman.corpus import Corpus

        return Corpus.join(self.corpora)

    def tell(self) -> None:
        """Say, on the error stream, what was not read."""
        from leadsman.corpus.convert import ConvertReport

        for reject in self.unreadable:
            typer.echo(f"no document can be read of {reject}", err=True)
        left_out: set[str] = set()
        for corpus in self.converted:
            report = ConvertReport.of(corpus)
            tell_unread(report)
            left_out |= set(report.left_out)
        shared = set(self.joined.schema)
        partly = {name for corpus in self.corpora for name in corpus.schema} - shared
        tell_left_out(left_out - partly)
        if partly:
            fields = ", ".join(sorted(partly))
            typer.echo(f"fields not kept, for not all inputs have them: {fields}", err=True)

    def keep_rejects(self, out: str) -> None:
        """Copy what is known of unusable rows to ``OUT/rejects``."""
        from leadsman.corpus.convert import keep_rejects

        keep_rejects(self.converted, out, self.unreadable)


def open_inputs(
    paths: list[str],
    out: str,
    max_reject_rate: float,
    metadata: list[str] | None = None,
    sketch: DedupSettings | None = None,
) -> OpenedInputs:
    """The inputs as corpora; what is none is converted under ``OUT.inputs``.

    What could not be read is said; a path of which nothing can be read is left out while the others
    hold enough documents. With ``sketch``, the first step of that deduplication is done on the way.

    Raises:
        InputError: no document can be read, or too large a share of the rows cannot.
    """
    from leadsman.corpus import open_or_convert
    from leadsman.corpus.readers.rejects import NothingReadableError

    cache = f"{out.rstrip('/')}.inputs"
    options: dict[str, Any] = {
        "max_reject_rate": max_reject_rate,
        "metadata": tuple(metadata or ()),
    }
    corpora: list[Corpus] = []
    converted: list[Corpus] = []
    failed: list[NothingReadableError] = []
    for path in paths:
        try:
            corpora.append(open_or_convert(path, cache, sketch=sketch, **options))
        except NothingReadableError as error:
            failed.append(error)
            continue
        if corpora[-1].location != path:
            converted.append(corpora[-1])
    unusable = sum(error.count for error in failed)
    rows = unusable + sum(corpus.documents for corpus in corpora)
    if failed and (not corpora or unusable > max_reject_rate * rows):
        raise failed[0]
    opened = OpenedInputs(corpora, converted, [error.first for error in failed])
    opened.tell()
    return opened


def tell_unread(report: ConvertReport) -> None:
    """Say what of an input could not be used, and what was skipped."""
    if report.rejected:
        typer.echo(
            f"{report.rejected} rows could not be used; the first: {report.first_reject}", err=True
        )
    for reason, count in report.skipped.items():
        typer.echo(f"skipped, {reason}: {count}", err=True)


def tell_left_out(fields: Collection[str]) -> None:
    """Say which fields a corpus will not have."""
    if fields:
        names = sorted(fields)
        option = " ".join(f"--metadata {name}" for name in names)
        typer.echo(f"fields not kept: {', '.join(names)} (keep them with {option})", err=True)


def shown_sources(extents: Mapping[str, Extent]) -> dict[str, list[str]]:
    """Rows of a table of sources: the largest by name, and the others in one row.

    Args:
        extents: what there is of each source; a crawl has thousands of them.

    Returns:
        Names of the sources in each row, by its heading, in the order given.
    """
    if len(extents) <= MOST_SOURCES:
        return {name: [name] for name in extents}
    ranked = sorted(extents, key=lambda name: -extents[name].text_bytes)
    largest = set(ranked[: MOST_SOURCES - 1])
    rows = {name: [name] for name in extents if name in largest}
    rest = [name for name in extents if name not in largest]
    return rows | {f"({len(rest):,} smaller sources)": rest}


def together(extents: Mapping[str, Extent], names: Collection[str]) -> Extent:
    """All that there is of some sources."""
    from leadsman.corpus import Extent

    return sum((extents[name] for name in names if name in extents), Extent())


def as_it_is(name: str) -> Text:
    """A name for a cell of a table: brackets are no markup, and a line stays one."""
    from rich.text import Text

    return Text(name.replace("\n", "\\n"))


def print_estimate(estimate: Estimate) -> None:
    """What a job would take."""
    from leadsman.humanize import count, duration, megabytes

    typer.echo(
        f"{count(estimate.documents)} documents, {megabytes(estimate.text_bytes)} of text\n"
        f"about {duration(estimate.seconds)} and {megabytes(estimate.memory_bytes)} of memory "
        f"beyond the program's own (tried on {estimate.sample_share:.2%} of it)"
    )


def size_of(text: str | None, option: str) -> int | None:
    """``5000000``, ``5M`` or ``1G`` as a number; ``None`` stays.

    Raises:
        InputError: that is no size.
    """
    from leadsman.errors import InputError
    from leadsman.humanize import counted

    if text is None:
        return None
    size = counted(text)
    if size is None:
        raise InputError(f"{text!r} is no size; write 5000000, 5M or 1G", column=option)
    return int(size)

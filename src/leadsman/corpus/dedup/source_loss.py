"""The guard against a job that wipes out a source: who lost how much, in a few sentences."""

from __future__ import annotations

from collections.abc import Mapping

from leadsman.corpus.corpus import Extent
from leadsman.errors import InputError

SMALL = 100
"""Documents below which a source has no warning of its own: a small web domain may well be one
page and its copies, and a crawl has millions of domains."""
MOST = 10
"""Sources with a warning of their own, the largest losses first."""


def check_sources(
    offered: Mapping[str, Extent],
    lost: Mapping[str, Extent],
    *,
    warn: float,
    stop: float | None,
    location: str,
) -> list[str]:
    """Warnings of sources that lose more than a share of their text.

    Args:
        offered: what there was of each source.
        lost: what goes of it; a source that loses nothing may be left out.
        warn: share of a source's bytes beyond which there is a warning.
        stop: share from which on the job stops (1: only where nothing stays); ``None``: never.
        location: of the corpus, for messages.

    Raises:
        InputError: a source loses ``stop`` or more of its text.

    >>> check_sources({"web": Extent(200, 900)}, {"web": Extent(150, 600)}, warn=0.5, stop=None,
    ...               location="raw")
    ["source 'web' loses 67% of its text; look into rejects/ before you trust this"]
    """
    large: list[tuple[int, str]] = []
    small, emptied = 0, 0
    for name, gone in lost.items():
        whole = offered[name]
        empty = gone.documents == whole.documents
        share = 1.0 if empty else gone.text_bytes / max(whole.text_bytes, 1)
        what = (
            f"becomes empty: all its {whole.documents} documents are removed"
            if empty
            else f"loses {share:.0%} of its text"
        )
        if stop is not None and share >= stop and gone.documents:
            raise InputError(
                f"source {name!r} {what}, and {stop:.0%} stops the job; leave it out, or put it "
                f"first, or loosen the settings",
                file=location,
            )
        if share <= warn and not empty:
            continue
        if whole.documents < SMALL:
            small, emptied = small + 1, emptied + empty
        else:
            large.append((gone.text_bytes, f"source {name!r} {what}"))
    large.sort(key=lambda pair: -pair[0])
    advice = "look into rejects/ before you trust this"
    warnings = [f"{sentence}; {advice}" for _, sentence in large[:MOST]]
    if len(large) > MOST:
        warnings.append(f"{len(large) - MOST} more sources lose more than {warn:.0%}; {advice}")
    if small:
        warnings.append(
            f"{small} of {len(offered)} sources lose more than {warn:.0%} of their text and have "
            f"fewer than {SMALL} documents; {emptied} of them become empty"
        )
    return warnings

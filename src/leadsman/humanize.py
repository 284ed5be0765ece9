"""Numbers as people read them."""

from __future__ import annotations


def count(value: float | None) -> str:
    """A count with a letter: ``8.13M``.

    >>> count(8_126_464), count(512), count(None)
    ('8.13M', '512', '')
    """
    if value is None:
        return ""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def megabytes(value: float) -> str:
    """A size in megabytes.

    >>> megabytes(12_340_000)
    '12.3 MB'
    """
    return f"{value / 1e6:.1f} MB" if value >= 1e5 else f"{value / 1e3:.1f} kB"


def duration(seconds: float) -> str:
    """A time a person can plan with.

    >>> duration(42), duration(372)
    ('42 s', '6 min 12 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

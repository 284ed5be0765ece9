"""Numbers and settings as people read them."""

from __future__ import annotations

import re

DAY = 86_400
LETTERS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
_COUNT = re.compile(r"([+-]?\d[\d.]*(?:e[+-]?\d+)?)([KMBGT]?)", re.IGNORECASE)
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?[a-z]?", re.IGNORECASE)


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


def percent(chance: float) -> str:
    """A chance; ``over 99 %`` where draws cannot tell it from certainty.

    >>> percent(0.873), percent(0.999), percent(0.0)
    ('87 %', 'over 99 %', 'under 1 %')
    """
    if 0.01 <= chance <= 0.99:
        return f"{100 * chance:.0f} %"
    return "over 99 %" if chance > 0.5 else "under 1 %"


def counted(text: str) -> float | None:
    """A count as people write it, ``None`` if it is none.

    >>> counted("6.9B"), counted("410 M"), counted("1,000,000"), counted("2e9"), counted("big")
    (6900000000.0, 410000000.0, 1000000.0, 2000000000.0, None)
    """
    text = text.strip().replace(" ", "")
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    found = _COUNT.fullmatch(text)
    try:
        return float(found[1]) * LETTERS[found[2].upper()] if found else None
    except ValueError:
        return None


def megabytes(value: float) -> str:
    """A size in megabytes, or in what a small one is read in.

    >>> megabytes(12_340_000), megabytes(4_200), megabytes(30)
    ('12.3 MB', '4.2 kB', '30 bytes')
    """
    if value < 1e3:
        return f"{value:.0f} bytes"
    return f"{value / 1e6:.1f} MB" if value >= 1e5 else f"{value / 1e3:.1f} kB"


def duration(seconds: float) -> str:
    """A time a person can plan with.

    >>> duration(42), duration(372), duration(10_720), duration(1e6), duration(7e8)
    ('42 s', '6 min 12 s', '2 h 58 min', '11.6 days', '22 years')
    """
    minutes, rest = divmod(round(seconds), 60)
    if seconds >= 2 * 365 * DAY:
        return f"{seconds / 365 / DAY:,.0f} years"
    if seconds >= 2 * DAY:
        return f"{seconds / DAY:,.1f} days"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


ON = " on "


def way_and_mixture(name: str, start: str) -> tuple[str, str]:
    """What a run does with the weights it begins with, and its text, from its mixture's name.

    Args:
        name: of the mixture.
        start: of the weights (``Recipe.start``); a fresh start has none, and its mixture any name.

    >>> way_and_mixture("continue tiny on selected + 25 % docs", "3f1c")
    ('continue tiny', 'selected + 25 % docs')
    >>> way_and_mixture("notes on law", "")
    ('', 'notes on law')
    """
    way, on, mixture = name.partition(ON)
    return (way, mixture) if start and on else ("", name)


def setting_name(column: str) -> str:
    """A setting of a run by its column.

    >>> setting_name("batch_tokens"), setting_name("add.docs")
    ('batch (tokens)', 'share moved to docs')
    """
    known = {"lr": "learning rate", "batch_tokens": "batch (tokens)", "keep": "selection rate"}
    if column.startswith("add."):
        return f"share moved to {column.removeprefix('add.')}"
    return known.get(column, column.replace("_", " "))


def setting_value(value: float | str) -> str:
    """The value of a setting.

    >>> setting_value(1024.0), setting_value(0.0045), setting_value("muon")
    ('1,024', '0.0045', 'muon')
    """
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

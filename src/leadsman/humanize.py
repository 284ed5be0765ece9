"""Numbers and settings as people read them."""

from __future__ import annotations

DAY = 86_400


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


def megabytes(value: float) -> str:
    """A size in megabytes.

    >>> megabytes(12_340_000)
    '12.3 MB'
    """
    return f"{value / 1e6:.1f} MB" if value >= 1e5 else f"{value / 1e3:.1f} kB"


def duration(seconds: float) -> str:
    """A time a person can plan with.

    >>> duration(42), duration(372), duration(10_720), duration(1e6), duration(7e8)
    ('42 s', '6 min 12 s', '2 h 59 min', '11.6 days', '22 years')
    """
    minutes, rest = divmod(round(seconds), 60)
    if seconds >= 2 * 365 * DAY:
        return f"{seconds / 365 / DAY:,.0f} years"
    if seconds >= 2 * DAY:
        return f"{seconds / DAY:,.1f} days"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


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

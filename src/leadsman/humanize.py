"""Numbers and settings as people read them."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
PLUS = " + "


def base_of(mixture: str) -> str:
    """The mixture that one was moved from, as its name says.

    >>> base_of("selected + 25 % docstrings"), base_of("natural")
    ('selected', 'natural')
    """
    return mixture.partition(PLUS)[0]


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


_BASES = {
    "natural": ("all sources by size", "all sources by their size"),
    "uniform": ("all sources alike", "all sources alike"),
    "selected": ("{}", "the {} of the text"),
}
"""Mixtures that a plan sounds: in a column, and in a sentence after ``from``."""
_PARTS = {0.5: "better half", 0.333: "best third", 0.25: "best quarter", 0.2: "best fifth",
          0.1: "best tenth"}  # fmt: skip


def best_part(keep: float | str) -> str:
    """The best documents at a selection rate.

    >>> best_part("0.1"), best_part(0.5), best_part(0.02)
    ('best tenth', 'better half', 'best 2 %')
    """
    return _PARTS.get(round(float(keep), 3), f"best {100 * float(keep):.3g} %")


@dataclass(frozen=True)
class DataWords:
    """What a person reads for the data of a run, whose mixture the ledger calls
    ``selected + keep 0.1 + 50 % docstrings``.

    A name may begin with what is done (``continue tiny on ...``) and end with settings (``, lr
    0.003``); both stay. Mixtures that no plan makes keep their names.

    Attributes:
        keep: selection rate behind ``selected``, where it is known.
        selector: what selected, as its paper calls it.
    """

    keep: float | None = None
    selector: str = ""

    def short(self, name: str) -> str:
        """For a column, a legend, or within a sentence.

        >>> words = DataWords(0.25, "DSIR")
        >>> words.short("natural"), words.short("selected, lr 0.003")
        ('all sources by size', 'best quarter, lr 0.003')
        >>> words.short("selected + keep 0.1 + 50 % docs")
        'half best tenth, half docs'
        >>> words.short("continue tiny on uniform + 25 % docs")
        'continue tiny on 75 % all sources alike, 25 % docs'
        """
        found = self._parts(name, 0)
        if found is None:
            return name
        way, parts, settings = found
        said = ", ".join(f"{share} {part}".strip() for share, part in parts)
        return f"{way}{said}{settings}"

    def after_tokens(self, name: str) -> str:
        """For a sentence, right after the word ``tokens``; what is done with the model is left out.

        >>> words = DataWords(0.25, "DSIR")
        >>> words.after_tokens("selected + keep 0.1 + 50 % docs")
        ': half from the best tenth of the text by DSIR, half from docs'
        >>> words.after_tokens("natural"), words.after_tokens("my own")
        (' from all sources by their size', ' of the my own mixture')
        """
        found = self._parts(name, 1)
        if found is None:
            return f" of the {name} mixture"
        _, parts, settings = found
        said = ", ".join(f"{share} from {part}" for share, part in parts)
        return f"{':' if len(parts) > 1 else ''} {said.strip()}{settings}"

    def way(self, name: str) -> str:
        """What is done with the weights a run begins with; empty for training from fresh ones.

        >>> DataWords().way("continue tiny on natural"), DataWords().way("natural")
        ('continue tiny', '')
        """
        found = self._parts(name, 0)
        return found[0].removesuffix(ON) if found else ""

    def token_set(self, name: str) -> str:
        """A source, or a selection at one of its rates.

        >>> words = DataWords(0.25)
        >>> words.token_set("selected"), words.token_set("selected@0.1"), words.token_set("docs")
        ('best quarter', 'best tenth', 'docs')
        """
        base, _, rate = name.partition("@")
        return self._selected(rate) if base == "selected" else name

    def _parts(self, name: str, form: int) -> tuple[str, list[tuple[str, str]], str] | None:
        """What is done, shares with their text, settings; ``None`` for an unknown mixture."""
        data, comma, settings = name.partition(", ")
        way, on, mixture = data.rpartition(ON)
        base, *moves = mixture.split(PLUS)
        if base not in _BASES:
            return None
        rate = next((each.removeprefix("keep ") for each in moves if each.startswith("keep ")), "")
        by = f" by {self.selector}" if form and base == "selected" and self.selector else ""
        text = _BASES[base][form].format(self._selected(rate)) + by
        moved = [each.partition(" % ")[::2] for each in moves if " % " in each]
        rest = 100 - sum(float(share) for share, _ in moved)
        shares = [(rest, text), *((float(share), source) for share, source in moved)]
        halves = [share for share, _ in shares] == [50, 50]
        parts = [
            ("half" if halves else f"{share:.3g} %" if moved else "", part)
            for share, part in shares
        ]
        return way + on, parts, comma + settings

    def _selected(self, rate: str) -> str:
        known = rate or self.keep
        return best_part(known) if known else "best text"


def setting_name(column: str) -> str:
    """A setting of a run by its column.

    >>> setting_name("batch_tokens"), setting_name("add.docs")
    ('batch (tokens)', 'share moved to docs')
    """
    known = {"lr": "learning rate", "batch_tokens": "batch (tokens)", "keep": "selection"}
    if column.startswith("add."):
        return f"share moved to {column.removeprefix('add.')}"
    return known.get(column, column.replace("_", " "))


def setting_value(value: float | str, column: str = "") -> str:
    """The value of a setting, as its column wants it.

    >>> setting_value(1024.0), setting_value(0.0045), setting_value("muon")
    ('1,024', '0.0045', 'muon')
    >>> setting_value("0.1", "keep"), setting_value(0.5, "add.docs"), setting_value(0.0, "add.docs")
    ('best tenth', '50 %', 'none')
    """
    if column == "keep":
        return best_part(value)
    if column.startswith("add."):
        return f"{100 * float(value):.3g} %" if value else "none"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

"""What every method of the field is here: a named class with its paper and one verb.

A method is one file in the room of its kind. Its constructor takes hyperparameters only,
validates them and stores them untouched; what is learned ends in ``_``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

Kind = Literal["selector", "mixer", "law", "training", "adapter", "compressor", "evaluator"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Paper:
    """Where a method comes from.

    Attributes:
        title: the paper's title.
        year: year of publication.
        catalogue_id: the method's number in the field catalogue, ``None`` if it is not there.
    """

    title: str
    year: int
    catalogue_id: int | None = None


class Method:
    """Base of all methods; a subclass sets the three attributes and implements its kind's verb.

    Attributes:
        name: how it is called on the command line and in files (lower case, ``-`` or ``_``).
        kind: which verb it has; set by the base class of its room.
        paper: its source, ``None`` for folklore and rules of thumb.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    paper: ClassVar[Paper | None] = None

    @classmethod
    def summary(cls) -> str:
        """The first line of the class docstring."""
        return (cls.__doc__ or "").strip().partition("\n")[0]

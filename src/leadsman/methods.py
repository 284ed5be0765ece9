"""What every method of the field is here: a named class with its paper and one verb.

A method is one file in the room of its kind. Its constructor takes hyperparameters only,
validates them and stores them untouched; what is learned ends in ``_``.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

from leadsman.errors import MethodError

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

    Hyperparameters are read and set as in scikit-learn, whose ``clone`` works on a method.

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

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Hyperparameters by name, as they were given.

        Args:
            deep: as in scikit-learn; no method holds another, so it changes nothing.
        """
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Change hyperparameters, checked as by the constructor; what was learned is forgotten.

        Raises:
            MethodError: one is not known, or has a value that cannot be.
        """
        known = self.get_params()
        for name in params:
            if name not in known:
                raise MethodError(
                    f"{self.name}: no hyperparameter {name!r}; it has {', '.join(known) or 'none'}"
                )
        fresh = type(self)(**known | params)
        vars(self).clear()
        vars(self).update(vars(fresh))
        return self

    def __repr__(self) -> str:
        """The class with its hyperparameters."""
        settings = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({settings})"

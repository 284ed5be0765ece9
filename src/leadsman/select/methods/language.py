"""Which language a text is in, by py3langid (extra ``language``; 97 languages, BSD licence)."""

from __future__ import annotations

from collections.abc import Sequence

from leadsman.errors import MissingExtraError

_CHARACTERS = 4000
"""Of each text that are looked at: more changes nothing."""


def languages_of(documents: Sequence[str | None]) -> list[str]:
    """ISO 639-1 code of the most likely language of each text.

    Raises:
        MissingExtraError: the extra ``language`` is not installed.
    """
    try:
        import py3langid
    except ImportError as error:
        raise MissingExtraError("language", "a filter by language") from error
    return [str(py3langid.classify((text or "")[:_CHARACTERS])[0]) for text in documents]

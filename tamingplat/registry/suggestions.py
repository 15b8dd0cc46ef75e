"""Near matches of a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near_matches(name: str, candidates: Iterable[str], *, count: int = 3) -> tuple[str, ...]:
    """The candidates that ``name`` was most likely meant to be, best first; capitals and ``_`` for ``-`` do not matter."""
    plain: dict[str, str] = {}
    for candidate in candidates:
        plain.setdefault(_plain(candidate), candidate)
    close = difflib.get_close_matches(_plain(name), plain, n=count, cutoff=0.6)
    # A word that begins or ends a longer name scores low by its length alone, and is a likely abbreviation all the same.
    words = [text for text in sorted(plain) if len(name) > 1 and text not in close and _plain(name) in text]
    return tuple(plain[text] for text in [*close, *words][:count])


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """``did you mean a, b or c?``, or an empty text where nothing is near."""
    matches = near_matches(name, candidates)
    if not matches:
        return ""
    *most, last = matches
    return f"did you mean {', '.join(most)} or {last}?" if most else f"did you mean {last}?"


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")

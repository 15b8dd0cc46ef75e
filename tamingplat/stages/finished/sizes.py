"""Sizes of images that a tokenizer takes."""

from __future__ import annotations

from tamingplat.interfaces import Problem, TamingplatError
from tamingplat.interfaces.models import Tokenizer


def size_problem(tokenizer: Tokenizer, size: tuple[int, int], where: str) -> Problem | None:
    """Why a tokenizer takes no images of a size, with the nearest one that it takes; ``None`` where it takes them."""
    try:
        tokenizer.code_space(size)
    except TamingplatError as error:
        smaller = largest_inside(tokenizer, size)
        remedy = "" if smaller is None else f"take {smaller[0]}×{smaller[1]}"
        return Problem(where, str(error), remedy)
    return None


def largest_inside(tokenizer: Tokenizer, size: tuple[int, int]) -> tuple[int, int] | None:
    """The largest size within another one that a tokenizer takes, its sides found one after the other; ``None`` if none."""
    for step in range(1, 10):
        factor = 1 << step
        fitted = (size[0] // factor * factor, size[1] // factor * factor)
        if min(fitted) > 0 and _takes(tokenizer, fitted):
            return fitted
    return None


def _takes(tokenizer: Tokenizer, size: tuple[int, int]) -> bool:
    try:
        tokenizer.code_space(size)
    except TamingplatError:
        return False
    return True

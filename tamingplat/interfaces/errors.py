"""Errors that a user can mend. What only a programmer can mend is an ``assert``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that a user got wrong.

    Attributes:
        where: The place, as exact as is known: ``file:line: field``, a path, or a component such as ``tokenizer:vqgan``.
        what: What is wrong there.
        remedy: What to do about it; empty where ``what`` already says so.
    """

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}; {self.remedy}" if self.remedy else text


class TamingplatError(ValueError):
    """A mistake that the user can mend: the command line prints it without a traceback and exits with status 2."""


class ProblemsError(TamingplatError):
    """Everything that was found wrong at once, in the order in which it was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        assert self.problems, "an error without a problem"
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnavailableError(TamingplatError):
    """Something that would have to be downloaded, or that is not installed, is not on this machine."""


class DataError(TamingplatError):
    """An image, a file or an artifact cannot be read; the message names its path."""

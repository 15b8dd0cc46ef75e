"""What a promise is, and what came of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tamingplat.testing.subject import Subject

Status = Literal["kept", "broken", "known", "not applicable"]


class NotApplicable(Exception):  # noqa: N818 - that a promise says nothing of a component is no error
    """A promise says nothing of this component, or cannot be examined here; the message says why."""


@dataclass(frozen=True)
class Promise:
    """Something that every component of a kind does.

    Attributes:
        name: Words joined by hyphens, unique within a kind.
        statement: What is promised, in one line.
        check: Raises ``AssertionError`` with what was seen and where to look, or ``NotApplicable``.
    """

    name: str
    statement: str
    check: Callable[[Subject], None]


def promise_of(check: Callable[[Subject], None]) -> Promise:
    """A function as a promise: named as the function is, and stated by the first paragraph of its docstring."""
    assert check.__doc__, f"{check.__name__} states no promise"
    statement = " ".join(check.__doc__.strip().partition("\n\n")[0].split())
    return Promise(check.__name__.replace("_", "-"), statement, check)


@dataclass(frozen=True)
class Verdict:
    """What came of one promise.

    Attributes:
        promise: Its name.
        status: ``kept``; ``broken``; ``known``, broken as its author says, with a reason; or ``not applicable``.
        message: What was promised, what was seen and what to look at, or the reason; empty where it is kept.
        subject: The component as ``kind:name``, or the plugin or folder that was examined.
    """

    promise: str
    status: Status
    message: str = ""
    subject: str = ""

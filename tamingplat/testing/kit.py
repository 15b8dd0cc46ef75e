"""The conformance kit's front: promises as pytest tests, and the same promises without pytest.

What is heavy is imported inside functions: pytest loads this module in every run, if the kit is installed.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tamingplat.testing.request import Request
from tamingplat.testing.verdicts import NotApplicable, Promise, Verdict

if TYPE_CHECKING:
    from tamingplat.testing.subject import Subject


Settings = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None


def conformance(reference: str, config: Settings = None, **options: Any) -> type:
    """A class for pytest with one test for each promise of a component's kind; give it a name that begins with ``Test``.

    Args:
        reference: ``kind:name`` of a component.
        config: Its settings, or a function that gives them when the first test runs, for a dataset whose files it has to write
            first. Small ones keep the tests short.
        options: The other attributes of ``Request``: ``parts``, ``known``, ``image_size``, ``channels``, ``spaces``, ….

    Raises:
        ValueError: ``reference`` names no kind, or ``known`` a promise that the kind does not make.
    """
    import pytest

    request = Request(reference=reference, **options)
    subjects: list[Subject] = []

    @pytest.mark.parametrize("promise", [pytest.param(promise, id=promise.name) for promise in _promises(request)])
    def test_promise(self: object, promise: Promise) -> None:
        """See the promise's statement."""
        from tamingplat.testing.subject import Subject

        if not subjects:
            subjects.append(Subject(replace(request, config=_given(config))))
            _ = subjects[0].registered
        verdict, error = _examine(promise, subjects[0])
        match verdict.status:
            case "broken":
                raise AssertionError(f"{reference} breaks the promise {promise.name}. {verdict.message}") from error
            case "known":
                pytest.xfail(verdict.message)
            case "not applicable":
                pytest.skip(verdict.message)

    return type("Conformance", (), {"test_promise": test_promise, "__doc__": f"The promises of {reference}."})


def run_promises(reference: str, config: Settings = None, **options: Any) -> list[Verdict]:
    """Examine a component and give a verdict for each promise of its kind, in order; arguments as for ``conformance``.

    Raises:
        ValueError: ``reference`` names no kind or no component, or ``known`` a promise that the kind does not make.
    """
    return list(iterate_promises(Request(reference=reference, config=_given(config), **options)))


def _given(config: Settings) -> Mapping[str, Any]:
    return config() if callable(config) else config or {}


def iterate_promises(
    request: Request, *, left_out: Collection[str] = (), begin: Callable[[str], None] = lambda name: None
) -> Iterator[Verdict]:
    """The verdicts of ``run_promises``, each as soon as it is there.

    Args:
        request: What to examine.
        left_out: Promises that are not examined.
        begin: Called with the name of each promise before it is examined.
    """
    from tamingplat.testing.subject import Subject

    subject = Subject(request)
    promises = _promises(request)
    _ = subject.registered
    for promise in promises:
        if promise.name not in left_out:
            begin(promise.name)
            yield _examine(promise, subject)[0]


def _promises(request: Request) -> tuple[Promise, ...]:
    from tamingplat.interfaces import TamingplatError
    from tamingplat.registry import did_you_mean, parse_reference
    from tamingplat.testing.promises import KINDS

    kind, _ = parse_reference(request.reference)
    promises = KINDS[kind].promises
    names = [promise.name for promise in promises]
    for name in request.known:
        if name not in names:
            remedy = did_you_mean(name, names) or f"the promises are {', '.join(names)}"
            raise TamingplatError(f"known exceptions of {request.reference}: a {kind} makes no promise {name!r}; {remedy}")
    return promises


def _examine(promise: Promise, subject: Subject) -> tuple[Verdict, Exception | None]:
    from tamingplat.testing.promises.common import LISTED

    reference, reason = subject.reference, subject.request.known.get(promise.name)
    seen = ""
    error: Exception | None = None
    try:
        with subject.reproducible():
            if promise.check not in LISTED and subject.failure is not None:
                raise NotApplicable("it was not examined; see can-be-built")
            promise.check(subject)
    except NotApplicable as why:
        return Verdict(promise.name, "not applicable", str(why), reference), None
    except AssertionError as failed:
        # pytest adds lines of its own to what it rewrites.
        seen, error = str(failed).partition("\nassert ")[0], failed
    except Exception as failed:  # noqa: BLE001 - the component's own code, and whatever it raises is its verdict
        error = failed
    if error is not None and not seen:
        message = " ".join(str(error).split())
        seen = f"it raised {type(error).__name__}{': ' + message if message else ''}. Look at {_place(error, subject)}"
    if error is None and reason is None:
        return Verdict(promise.name, "kept", subject=reference), None
    if error is None:
        message = f"it is declared as a known exception ({reason}), and it is kept: remove it from the known exceptions"
        return Verdict(promise.name, "broken", message, reference), None
    if reason is not None:
        return Verdict(promise.name, "known", f"{reason} (seen: {seen})", reference), None
    return Verdict(promise.name, "broken", f"{promise.statement} Seen: {seen}", reference), error


def _place(error: BaseException, subject: Subject) -> str:
    """The innermost line of the component's own package, else the innermost of all."""
    package = subject.component.factory.partition(":")[0].partition(".")[0]
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [frame for frame in frames if frame.f_globals.get("__name__", "").partition(".")[0] == package]
    frame = (own or frames)[-1]
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"

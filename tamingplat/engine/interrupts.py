"""Stopping a training run from outside, between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Turns SIGINT and SIGTERM into a request to stop after the current step, while the ``with`` block runs.

    A second signal acts as it would without this. Signals that the process ignores stay ignored. Python delivers signals to the
    main thread alone: in another thread only the function that is given can ask to stop.
    """

    def __init__(self, asked: Callable[[], bool]) -> None:
        """``asked`` says whether somebody else wants the run to stop; it is called once a step."""
        self._asked = asked
        self._signalled = False
        self._previous: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return self._signalled or self._asked()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                previous = signal.getsignal(number)
                if previous not in (signal.SIG_IGN, None):  # None: set by other than Python, and could not be restored
                    self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self._restore()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._signalled:
            self._restore()
            signal.raise_signal(number)
        self._signalled = True

    def _restore(self) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._previous = {}

"""Bounds for other people's code while it is imported: what it prints is heard, and it does not take for ever."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import TextIO

LONGEST = 20.0
"""Seconds that one plugin may take to be listed. Reading a few small modules takes hundredths; no network disk takes this."""

_KEPT = 200


class TookTooLongError(BaseException):
    """Raised inside code that ran out of time. No ``Exception``, so that code that catches those does not go on."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise ``TookTooLongError`` in what runs inside, once it has taken this long.

    A timer's signal interrupts the main thread wherever it is in Python, and also where it sleeps or waits for the network. A
    second thread could not be stopped, and a process of its own for every listing would cost each command a second. The signal
    has to wait while compiled code computes without end, and there is no limit in other threads and where there are no
    such timers (Windows): ``tamingplat plugins check``, which uses a process of its own, finds out what hangs there.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    inside = True

    def stop(number: int, frame: FrameType | None) -> None:
        if inside:
            raise TookTooLongError

    began = time.monotonic()
    handler = signal.signal(signal.SIGALRM, stop)
    # It comes again every second, because code that catches everything may catch this as well.
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        try:
            yield
        finally:
            inside = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler if handler is not None else signal.SIG_DFL)
        if remaining:  # somebody else's timer goes on
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, remaining - (time.monotonic() - began)), interval)


class Overheard(io.TextIOBase):
    """A stream that passes on what is written, and remembers how it begins.

    Args:
        passed_to: Where it goes.
    """

    def __init__(self, passed_to: TextIO) -> None:
        self._passed_to = passed_to
        self.text = ""

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, text: str, /) -> int:
        """Pass on."""
        self.text = (self.text + text)[:_KEPT]
        return self._passed_to.write(text)

    def flush(self) -> None:
        """Flush where it is passed to."""
        self._passed_to.flush()

"""A stage in a process of its own: started, listened to, and stopped with everything that it started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO

from tamingplat.interfaces import StageOutcome
from tamingplat_executors.tether import tethered

TAIL_BYTES = 65536
ERROR_LINES = 12
_PATIENCE_SECONDS = 5.0


class Child:
    """One running process, in a session of its own so that a terminal's interrupt reaches it through us alone.

    Raises:
        OSError: It could not be started.
    """

    def __init__(
        self, key: str, command: Sequence[str], environment: Mapping[str, str], ended: Callable[[Child], None]
    ) -> None:
        self.key = key
        self._ended = ended
        self._begin = time.perf_counter()
        self._over = threading.Event()
        self._outcome: StageOutcome | None = None
        self._process = subprocess.Popen(
            [*tethered(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        self._output, self._errors = _Tail(self._process.stdout), _Tail(self._process.stderr)
        threading.Thread(target=self._wait, daemon=True).start()

    @property
    def outcome(self) -> StageOutcome:
        """How it ended."""
        assert self._outcome is not None, "the process still runs"
        return self._outcome

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and to all that it started in its session."""
        if not self._over.is_set():
            _signal_group(self._process.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, for so long at most; returns whether it has."""
        return self._over.wait(max(0.0, seconds))

    def _wait(self) -> None:
        status = self._process.wait()
        # What it started and left behind (workers that load data, say) would keep the pipes, and perhaps a GPU, busy.
        _signal_group(self._process.pid, signal.SIGKILL)
        seconds = time.perf_counter() - self._begin
        output, errors = self._output.text(), self._errors.text()
        if status == 0:
            self._outcome = StageOutcome(self.key, "done", seconds=seconds)
        else:
            self._outcome = StageOutcome(self.key, "failed", failure(status, output, errors), seconds)
        self._over.set()
        self._ended(self)


class _Tail:
    """The end of what is written to a pipe."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), TAIL_BYTES):
                self._kept += chunk
                del self._kept[:-TAIL_BYTES]

    def text(self) -> str:
        """What was kept, once the pipe is closed; a process that fled into another session may hold it open for ever."""
        self._reader.join(_PATIENCE_SECONDS)
        return bytes(self._kept).decode(errors="replace")


def stop(children: Iterable[Child], seconds: float) -> None:
    """Interrupt the processes, terminate those that have not ended after ``seconds``, and kill what is then still there.

    An interrupt of this process meanwhile goes on to the next, sterner signal at once.
    """
    interrupted = False
    left = list(children)
    patience = {signal.SIGINT: seconds, signal.SIGTERM: _PATIENCE_SECONDS, signal.SIGKILL: _PATIENCE_SECONDS}
    for number in patience:
        for child in left:
            child.send(number)
        deadline = time.monotonic() + patience[number]
        try:
            left = [child for child in left if not child.wait(deadline - time.monotonic())]
        except KeyboardInterrupt:
            interrupted = True
        if not left:
            break
    if interrupted:
        raise KeyboardInterrupt


def failure(status: int, output: str, errors: str) -> str:
    """What went wrong, for a person: the ``error`` that the process wrote, or how it ended and its last lines.

    Several processes of one stage may each have written an error, and the first is the cause of the others.
    """
    stated = ""
    for line in reversed([line for line in output.splitlines() if line.strip()]):
        message = _stated_error(line)
        if message is None:
            break
        stated = message
    if stated:
        return stated
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        how = f"the process was ended by {name}"
        if -status == signal.SIGKILL:
            how += ", as the system does when memory runs out"
    else:
        how = f"the process ended with status {status}"
    lines = [line for line in errors.splitlines() if line.strip()][-ERROR_LINES:]
    return "\n".join([f"{how}:", *lines]) if lines else how


def _stated_error(line: str) -> str | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    error = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, str) and error else None


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left in it (what macOS says of a group of zombies is that it is not permitted)

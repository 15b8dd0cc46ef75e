"""What training costs: wall time, processor time, memory, and whether others used the machine meanwhile."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_CLEAR_REFERENCES = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_TASKS = Path("/proc/self/task")


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that a clock reads the truth."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()


class Clock:
    """Seconds of training, not counting validations and checkpoints, over all resumptions of a run.

    Attributes:
        seconds: Wall seconds.
        cpu_seconds: Processor seconds of all threads of this process; worker processes that load data are not in it.
        loading_seconds: Share of the wall seconds that training waited for data.
        logging_seconds: Share of the wall seconds that went into fetching, writing and reporting loss terms.
    """

    ENTRIES = ("seconds", "cpu_seconds", "loading_seconds", "logging_seconds")

    def __init__(self, device: torch.device) -> None:
        self.seconds = self.cpu_seconds = self.loading_seconds = self.logging_seconds = 0.0
        self._device = device
        self._since: tuple[float, float] | None = None

    def start(self) -> None:
        """Go on counting."""
        self._since = (time.perf_counter(), time.process_time())

    def stop(self) -> None:
        """Stop counting, once the device has done its work."""
        synchronize(self._device)
        if self._since is not None:  # an interruption can fall between two calls of this
            self._read()
        self._since = None

    def read(self) -> float:
        """Wall seconds up to now."""
        if self._since is not None:
            self._read()
        return self.seconds

    def _read(self) -> None:
        assert self._since is not None, "the clock does not run"
        wall, processor = self._since
        self._since = (time.perf_counter(), time.process_time())
        self.seconds += self._since[0] - wall
        self.cpu_seconds += self._since[1] - processor

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count inside."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count inside; where the clock stands still, it does so afterwards."""
        running = self._since is not None
        self.stop()
        try:
            yield
        finally:
            if running:
                self.start()

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Count what happens inside as waiting for data, too."""
        start = time.perf_counter()
        yield
        self.loading_seconds += time.perf_counter() - start

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Count what happens inside as logging, too; training steps that the device still has to do are waited for before.

        What pauses the clock in there is neither training nor logging.
        """
        synchronize(self._device)
        start = self.read()
        yield
        self.logging_seconds += self.read() - start

    def state(self) -> dict[str, float]:
        """The counts so far."""
        self.read()
        return {name: vars(self)[name] for name in self.ENTRIES}

    def restore(self, state: dict[str, float]) -> None:
        """Continue from what ``state`` returned."""
        for name in self.ENTRIES:
            vars(self)[name] = float(state[name])


class PeakMemory:
    """The most memory that training took, in bytes.

    On CUDA, what PyTorch's allocator held for tensors. On the CPU, the resident memory of this process, with the interpreter
    and the libraries; where the system cannot restart its count (outside Linux), the peak since the process began.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._earlier = 0
        self._restarted = device.type != "cuda" and _restart_peak()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def read(self) -> int:
        """The peak so far, over all resumptions of a run."""
        if self._device.type == "cuda":
            now = torch.cuda.max_memory_allocated(self._device)
        else:
            now = (_peak_since_restart() if self._restarted else None) or _peak_of_process()
        return max(self._earlier, now)

    def restore(self, earlier: int) -> None:
        """Take in the peak before this run was resumed."""
        self._earlier = earlier


def _restart_peak() -> bool:
    try:
        _CLEAR_REFERENCES.write_text("5")
    except OSError:
        return False
    return True


def _peak_since_restart() -> int | None:
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def _peak_of_process() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Contention:
    """Whether the machine's processors were contended, so that seconds should not be compared with other runs'.

    Sampled when training starts, at every validation and checkpoint, and at the end. Contended is a training whose threads were
    ready to run and had to wait for a processor for more than a twentieth of the time that they wanted one, as Linux counts it;
    this sees through pinned processors. Contended is also, everywhere, a load of the last minute above the number of processors
    by more than a quarter. Another user of a GPU goes unnoticed.
    """

    def __init__(self) -> None:
        self.seen = False
        self._ran = self._waited = 0
        self._before = _threads()
        self.sample()

    def sample(self) -> None:
        """Look at the load, and at what this process had to wait, now."""
        now = _threads()
        for thread, (ran, waited) in now.items():
            ran_before, waited_before = self._before.get(thread, (0, 0))
            self._ran += ran - ran_before
            self._waited += waited - waited_before
        self._before = now
        self.seen |= self._waited > _MOST_WAITING * (self._ran + self._waited) and self._ran > _ENOUGH
        if hasattr(os, "getloadavg"):
            self.seen |= os.getloadavg()[0] > 1.25 * (os.cpu_count() or 1)


_MOST_WAITING = 0.05
_ENOUGH = 1_000_000_000
"""Nanoseconds on a processor from which on a share is judged."""


def _threads() -> dict[str, tuple[int, int]]:
    """Nanoseconds that each thread of this process ran and waited for a processor, by number; empty where nobody counts."""
    found = {}
    for task in _TASKS.glob("*/schedstat"):
        try:
            ran, waited, _ = task.read_text().split()
        except (OSError, ValueError):  # a thread that has just ended, or a kernel that does not count
            continue
        found[task.parent.name] = int(ran), int(waited)
    return found

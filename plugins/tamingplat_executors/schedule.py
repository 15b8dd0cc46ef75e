"""Which stage can run next, and which one never will."""

from __future__ import annotations

from collections.abc import Sequence

from tamingplat.interfaces import StageOutcome, StageTask


class Schedule:
    """Stages in an order in which inputs come first, and otherwise as they were given."""

    def __init__(self, tasks: Sequence[StageTask]) -> None:
        self._labels = {task.key: task.label for task in tasks}
        assert len(self._labels) == len(tasks), "two stages have one key"
        self._waiting = {task.key: task for task in tasks}
        self._unfinished = set(self._labels)

    def take(self) -> StageTask | None:
        """The first stage whose inputs are all there, which counts as running from now on; ``None`` where there is none."""
        for task in self._waiting.values():
            if self._unfinished.isdisjoint(task.inputs):
                return self._waiting.pop(task.key)
        assert not self._waiting or self._unfinished - set(self._waiting), "stages wait for each other"
        return None

    def end(self, outcome: StageOutcome) -> list[StageOutcome]:
        """Note how a stage ended; returns those that cannot run any more because of it, as skipped."""
        if outcome.status == "done":
            self._unfinished.remove(outcome.key)
            return []
        lost, skipped = {outcome.key}, []
        found = True
        while found:
            found = False
            for task in list(self._waiting.values()):
                if not lost.isdisjoint(task.inputs):
                    del self._waiting[task.key]
                    lost.add(task.key)
                    reason = f"it needs {self._labels[outcome.key]!r}, which failed"
                    skipped.append(StageOutcome(task.key, "skipped", reason))
                    found = True
        self._unfinished -= lost
        return skipped

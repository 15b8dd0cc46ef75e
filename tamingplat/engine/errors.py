"""Errors and warnings of the engine."""

from __future__ import annotations

from tamingplat.interfaces import TamingplatError


class TrainingDivergedError(TamingplatError):
    """A loss or a weight is no longer a finite number; the message names the step."""


class CheckpointMismatchError(TamingplatError):
    """A whole checkpoint that belongs to another training run; the message names its folder and what differs."""


class EngineWarning(UserWarning):
    """Training goes on, but not in the way that was expected: a damaged checkpoint was skipped, a thread count changed, …."""

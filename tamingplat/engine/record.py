"""What a training run leaves behind beside the weights: its curve and its costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class CurvePoint:
    """Loss terms at one moment of training.

    Attributes:
        split: ``train``: means over the steps since the last such point. ``validation``: means over validation examples, with
            averaged weights where weights are averaged.
        step: Optimizer steps taken.
        images: Training images seen.
        seconds: Training seconds, not counting validations and checkpoints, over all resumptions.
        flops: Floating-point operations of training; ``None`` where they are not counted.
        terms: Loss terms by name, each ``phase/term`` where the model has several phases. A term other than a total that was
            not finite is left out.
    """

    split: Literal["train", "validation"]
    step: int
    images: int
    seconds: float
    flops: int | None
    terms: Mapping[str, float]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CurvePoint:
        """The point that ``dataclasses.asdict`` made ``value`` from."""
        return cls(**{**value, "terms": dict(value["terms"])})


@dataclass(frozen=True)
class TrainingRecord:
    """The costs and the curve of a finished training run or fit. Costs add up over resumptions.

    Attributes:
        steps: Optimizer steps taken, or steps that a fit logged.
        images: Training images seen.
        parameters: Number of parameters that were trained.
        seconds: Training seconds, not counting validations and checkpoints.
        cpu_seconds: Processor seconds of all threads of all training processes during these.
        loading_seconds: Seconds of ``seconds`` that training waited for data.
        logging_seconds: Seconds of ``seconds`` that went into fetching, writing and reporting loss terms.
        flops: Floating-point operations of all forward and backward passes; ``None`` where they are not counted, as in a fit.
        peak_memory_bytes: The most memory that one process took; see ``PeakMemory``.
        device: Where it ran: a GPU's name, or the processor's architecture.
        host: Name of the machine of process 0.
        threads: Threads per process.
        processes: Number of processes.
        contended: Whether the machine was seen to be used by others meanwhile; see ``Contention``.
        precision: Arithmetic of the forward pass.
        averaged: Whether the resulting weights are an exponential moving average.
        resumptions: How many times it was continued from a checkpoint.
        curve: Training and validation points in order of time.
    """

    steps: int
    images: int
    parameters: int
    seconds: float
    cpu_seconds: float
    loading_seconds: float
    logging_seconds: float
    flops: int | None
    peak_memory_bytes: int
    device: str
    host: str
    threads: int
    processes: int
    contended: bool
    precision: Precision
    averaged: bool
    resumptions: int
    curve: tuple[CurvePoint, ...]

    @property
    def validation_terms(self) -> Mapping[str, float]:
        """Loss terms of the last validation; empty where there was none."""
        points = [point for point in self.curve if point.split == "validation"]
        return points[-1].terms if points else {}

    def to_json(self) -> dict[str, Any]:
        """The record in JSON's types."""
        return {**asdict(self), "curve": [asdict(point) for point in self.curve]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrainingRecord:
        """The record that ``to_json`` made ``value`` from."""
        return cls(**{**value, "curve": tuple(CurvePoint.from_json(point) for point in value["curve"])})

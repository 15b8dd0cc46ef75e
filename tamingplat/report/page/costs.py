"""What a line of the table cost, number by number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tamingplat.report.formats import count, duration, number

Show = Callable[[float], str]


@dataclass(frozen=True)
class Cost:
    """A number of what something cost."""

    name: str
    label: str
    description: str
    show: Show
    better: str = "lower"


def _bytes(value: float) -> str:
    return f"{number(value / 2**20, 3)} MiB"


def _speed(value: float) -> str:
    return number(value, 3)


COSTS: tuple[Cost, ...] = (
    Cost("prior_parameters", "prior parameters", "parameters of the prior", count),
    Cost("prior_training_seconds", "prior training", "wall time, without validation and checkpoints", duration),
    Cost("prior_training_cpu_seconds", "prior CPU time", "processor time of all threads in training", duration),
    Cost("prior_training_flops", "prior FLOPs", "floating-point operations of the prior's training", count),
    Cost("prior_training_peak_memory_bytes", "prior memory", "the most memory that one training process took", _bytes),
    Cost("tokenizer_parameters", "tokenizer parameters", "parameters of the tokenizer", count),
    Cost("tokenizer_training_seconds", "tokenizer training", "wall time, without validation and checkpoints", duration),
    Cost("tokenizer_training_flops", "tokenizer FLOPs", "floating-point operations of the tokenizer's training", count),
    Cost("condition_tokenizer_parameters", "condition parameters", "parameters of a condition's own tokenizers", count),
    Cost("condition_tokenizer_training_seconds", "condition training", "wall time of their trainings", duration),
    Cost("sampling_seconds", "sampling", "wall time of all samples, decoding included", duration),
    Cost("samples_per_second", "images/s", "sampled images per second, decoding included", _speed, "higher"),
    Cost("sampling_speed_up", "speed-up", "times as many images/s as with the most codes to an image", _speed, "higher"),
    Cost("sampling_batch_size", "batch", "images sampled at a time", _speed, ""),
    Cost("sampling_peak_memory_bytes", "sampling memory", "the most memory that sampling took", _bytes),
)

HEADLINES = ("prior_parameters", "prior_training_seconds", "prior_training_flops", "samples_per_second")
TOKENIZER_HEADLINES = ("tokenizer_parameters", "tokenizer_training_seconds", "tokenizer_training_flops")

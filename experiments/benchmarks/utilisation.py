"""Model FLOPs utilisation of a GPT training on a CUDA device, against a large bfloat16 matrix product timed beside it.

    python experiments/benchmarks/utilisation.py WORK

The last line printed is JSON: ``utilisation`` is the ratio of both rates.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tamingplat.engine import make_accelerator, train
from tamingplat.engine.utilisation import matmul_rate, training_rate
from tamingplat.interfaces import CodeSpace, TrainingSettings
from tamingplat.interfaces.models import PriorBatch, VisitPlan
from tamingplat.registry import load_registry

LENGTH, VOCABULARY = 256, 1024


class RandomCodes:
    """Codes that cost nothing to load."""

    length = 4096
    validation_length = 0

    def load(self, indices: Sequence[int], epoch: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(epoch)
        return {"codes": torch.randint(VOCABULARY, (len(indices), LENGTH), generator=generator)}

    def load_validation(self, indices: Sequence[int]) -> dict[str, Tensor]:
        raise AssertionError("nothing is validated")

    def prepare(self, batch: dict[str, Tensor], *, address: int, rows: tuple[int, int], total: int) -> PriorBatch:
        codes = batch["codes"]
        plan = VisitPlan.repeat(torch.arange(LENGTH, device=codes.device), len(codes))
        return PriorBatch(codes, codes.new_zeros(len(codes), 0), plan)


def main(work: Path) -> None:
    """Train for a minute or so and print the ratio."""
    registry = load_registry()
    component = registry.find("prior", "gpt")
    config = component.config.model_validate({"layers": 12, "heads": 12, "width": 768})
    settings = TrainingSettings(steps=60, batch_size=64, precision="bfloat16", log_every=20, checkpoint_every=10_000)
    model = registry.load_class(component)(CodeSpace(((16, 16),), VOCABULARY), (), config, {})
    accelerator = make_accelerator(settings)
    record = train(model, RandomCodes(), settings, accelerator=accelerator, seed=0, work=work, report=lambda progress: None)
    rate, most = training_rate(record), matmul_rate(accelerator.device, settings.precision)
    print(f"{torch.cuda.get_device_name()}: {rate / 1e12:.1f} TFLOP/s of {most / 1e12:.1f} TFLOP/s in a matrix product")
    print(json.dumps({"utilisation": rate / most}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What the trainings of a plan will cost, before anything is trained: sizes, tokens, operations and memory.

Shape letters: B batch, C/H/W image, N code positions, P condition positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from tamingplat.engine import KnownOperations, TrainingEstimate, estimate_training, part_size
from tamingplat.interfaces import DatasetInfo, MapsInfo, TamingplatError, TrainingSettings, layout_length
from tamingplat.interfaces.models import PriorBatch, Trainable
from tamingplat.stages.build import Builder
from tamingplat.stages.plan import Plan
from tamingplat.stages.skeletons import without_memory
from tamingplat.stages.stage import Stage
from tamingplat.stages.train_classifier import TrainClassifier
from tamingplat.stages.train_prior import TrainPrior
from tamingplat.stages.train_tokenizer import TrainTokenizer
from tamingplat.store import canonical_json


@dataclass(frozen=True)
class StageEstimate:
    """What is known of a training before it begins.

    Attributes:
        kind: What is trained: ``tokenizer``, ``prior`` or ``classifier``.
        label: The component's label in the manifest.
        sizes: Number of elements of every parameter, by its name in the model.
        unused: How many of the parameters never train, because nothing that they could read is visited in time.
        phases: Number of parameters that each phase trains.
        codes_per_image: N; 0 for a classifier, which sees none.
        images: Training images that are seen, each as often as it is seen; ``None`` for what is fitted.
        processes: How many share each batch.
        training: Operations and memory; ``None`` for what is fitted, and where they cannot be found out.
        reason: Why they cannot.
    """

    kind: str
    label: str
    sizes: Mapping[str, int]
    unused: int
    phases: Mapping[str, int]
    codes_per_image: int
    images: int | None
    processes: int
    training: TrainingEstimate | None
    reason: str = ""

    @property
    def parameters(self) -> int:
        """All parameters, used or not."""
        return sum(self.sizes.values())

    @property
    def tokens(self) -> int | None:
        """Codes that are seen in training."""
        return None if self.images is None else self.images * self.codes_per_image

    def part(self, name: str) -> int:
        """Parameters whose names begin with ``name`` and a full stop, or are it; all of them for an empty name."""
        if not name:
            return self.parameters
        return sum(size for key, size in self.sizes.items() if key == name or key.startswith(f"{name}."))


@dataclass
class TrainingEstimator:
    """Estimates trainings, each kind of training once however many stages or plans have it."""

    _estimates: dict[str, StageEstimate] = field(default_factory=dict)
    _known: KnownOperations = field(default_factory=KnownOperations)

    def estimate(self, plan: Plan, stage: Stage) -> StageEstimate | None:
        """The estimate of a stage that trains or fits a model; ``None`` for any other."""
        builder = plan.builder
        if isinstance(stage, TrainTokenizer):
            seen = _seen(builder, stage)
            spec = [builder.identity(stage.tokenizer), seen.image_size, seen.channels]
            return self._once(plan, stage, stage.tokenizer.label, spec, lambda: _tokenizer(stage, seen))
        if isinstance(stage, TrainPrior):
            layout = [[part.name, part.vocab_size, part.grid] for part in stage.layout]
            ordering = builder.identity(stage.ordering)
            spec = [builder.identity(stage.prior), stage.space.grids, stage.space.vocab_size, layout, ordering]
            return self._once(plan, stage, stage.prior.label, spec, lambda: _prior(stage))
        if isinstance(stage, TrainClassifier):
            info = builder.dataset(stage.dataset).info
            spec = [builder.identity(stage.classifier), info.image_size, info.channels, info.label_names]
            return self._once(plan, stage, stage.classifier.label, spec, lambda: _classifier(stage, info))
        return None

    def _once(self, plan: Plan, stage: Stage, label: str, spec: list[Any], describe: Callable[[], _Subject]) -> StageEstimate:
        processes = _processes(plan)
        settings = stage.training and stage.training.model_dump(mode="json")
        key = canonical_json([stage.kind, spec, settings, processes])
        if key not in self._estimates:
            self._estimates[key] = self._estimate(describe(), stage.training, processes)
        return replace(self._estimates[key], label=label)

    def _estimate(self, subject: _Subject, settings: TrainingSettings | None, processes: int) -> StageEstimate:
        model, training, reason = subject.model, None, ""
        if settings is not None:
            try:
                batch = subject.batch(part_size(settings, processes))
                training = estimate_training(model, batch, settings, processes=processes, known=self._known)
            except (TamingplatError, RuntimeError) as error:
                # A plugin's model need not run on the meta device; all else is known of it.
                reason = str(error).partition("\n")[0]
        return StageEstimate(
            kind=subject.kind,
            label="",
            sizes={name: parameter.numel() for name, parameter in model.named_parameters()},
            unused=subject.unused,
            phases={
                phase: sum(parameter.numel() for group in model.phase_parameters(phase) for parameter in group.parameters)
                for phase in model.phases
            },
            codes_per_image=subject.length,
            images=None if settings is None else settings.steps * settings.batch_size,
            processes=processes,
            training=training,
            reason=reason,
        )


@dataclass(frozen=True)
class _Subject:
    """What is trained.

    Attributes:
        kind: ``tokenizer``, ``prior`` or ``classifier``.
        model: On the meta device.
        length: N.
        batch: A batch of as many images, on the meta device.
        unused: Parameters that never train.
    """

    kind: str
    model: Trainable
    length: int
    batch: Callable[[int], Any]
    unused: int = 0


def _seen(builder: Builder, stage: TrainTokenizer) -> DatasetInfo | MapsInfo:
    """The images that a tokenizer is trained on: the dataset's, or the maps of a condition."""
    info = builder.dataset(stage.dataset).info
    return info if stage.conditioner is None else builder.maps_info(stage.conditioner, info)


def _tokenizer(stage: TrainTokenizer, seen: DatasetInfo | MapsInfo) -> _Subject:
    with without_memory():
        model = stage.build(stage.builder)

    def batch(size: int) -> dict[str, torch.Tensor]:
        return {"image": torch.empty(size, seen.channels, *seen.image_size, device="meta")}

    return _Subject("tokenizer", model, model.code_space(seen.image_size).length, batch)


def _prior(stage: TrainPrior) -> _Subject:
    with without_memory():
        model = stage.build(stage.builder)
    ordering, length = stage.builder.ordering(stage.ordering), stage.space.length

    def batch(size: int) -> PriorBatch:
        codes = torch.empty(size, length, dtype=torch.int64, device="meta")
        condition = torch.empty(size, layout_length(stage.layout), dtype=torch.int64, device="meta")
        # The plan stays on the CPU: what a model does can depend on the order.
        return PriorBatch(codes, condition, ordering.plan(stage.space, size, generator=torch.Generator().manual_seed(0)))

    return _Subject("prior", model, length, batch, model.unused_parameters(batch(1).plan))


def _classifier(stage: TrainClassifier, info: DatasetInfo) -> _Subject:
    with without_memory():
        model = stage.build(stage.builder)

    def batch(size: int) -> dict[str, torch.Tensor]:
        images = torch.empty(size, info.channels, *info.image_size, device="meta")
        return {"image": images, "label": torch.empty(size, dtype=torch.int64, device="meta")}

    return _Subject("classifier", model, 0, batch)


def _processes(plan: Plan) -> int:
    """How many processes train one stage together; one where the executor cannot be had here, which ``run`` reports."""
    try:
        return plan.builder.executor(plan.manifest.executor).processes
    except TamingplatError:
        return 1

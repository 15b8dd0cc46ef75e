"""What is wrong with a whole manifest, found before anything runs: its data, what is not here, and its runtime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tamingplat.engine import check_training, resolve_device
from tamingplat.interfaces import (
    Problem,
    ProblemsError,
    TamingplatError,
    TrainingSettings,
)
from tamingplat.interfaces.models import FrozenNetwork
from tamingplat.manifest import Manifest, ResolvedComponent, tracker_problems
from tamingplat.registry import Registry
from tamingplat.stages.absent import ExpectedDataset, expectation_problems, expectation_warnings
from tamingplat.stages.build import Builder
from tamingplat.stages.trained_parts import trained_in

TrainedStage = tuple[ResolvedComponent, TrainingSettings]

_NETWORKS = ("perceptual", "feature_extractor", "classifier")


def _datasets(manifest: Manifest) -> Iterator[tuple[ResolvedComponent, str]]:
    """Every dataset of a manifest with its place, once."""
    for resolved in {id(cell.dataset): cell.dataset for cell in manifest.combinations}.values():
        yield resolved, resolved.where or f"{manifest.path}: dataset.{resolved.label}"


def manifest_problems(manifest: Manifest, builder: Builder, splits: Sequence[str]) -> Iterator[Problem]:
    """What makes the whole manifest impossible: data that cannot be read, or are not what the manifest expects."""
    for resolved, where in _datasets(manifest):
        try:
            info = builder.dataset(resolved).info
        except ProblemsError as error:
            for problem in error.problems:
                yield Problem(f"{where}: {problem.where}" if problem.where else where, problem.what, problem.remedy)
            continue
        except TamingplatError as error:
            yield Problem(where, str(error))
            continue
        for name in splits:
            if not info.splits.get(name):
                has = ", ".join(name for name, count in info.splits.items() if count) or "none"
                yield Problem(where, f"has no images in split '{name}'", f"the splits with images are {has}")
        if resolved.expected is not None:
            yield from expectation_problems(resolved.expected, info, where)


def metric_problems(manifest: Manifest, registry: Registry) -> Iterator[Problem]:
    """The metrics of priors in a manifest that has none."""
    for metric in manifest.metrics if not manifest.cells else ():
        metric_class: type[Any] = registry.load_class(metric.component)
        if metric_class.measures == "prior":
            what = f"{metric.component.reference} measures a prior, and the matrix names none"
            yield Problem(metric.where, what, "leave it out of the metrics, or name priors and orderings in [matrix]")


def absent_things(manifest: Manifest, builder: Builder) -> Iterator[Problem]:
    """What a plan can do without and a run cannot: data and weights that are not on this machine, and how to get them."""
    for resolved, where in _datasets(manifest):
        dataset = builder.dataset(resolved)
        if isinstance(dataset, ExpectedDataset):
            yield Problem(where, dataset.why, dataset.expected.download)
    for resolved in _components(manifest):
        if resolved.artifact_absence:
            yield Problem(resolved.where, resolved.artifact_absence, "import it with `tamingplat import`")
    told = set()
    for resolved in _networks(manifest):
        if resolved.train is not None or any(trained_in(builder, resolved)):
            continue
        network = builder.plain(resolved)
        if isinstance(network, FrozenNetwork) and (reason := network.missing()) and reason not in told:
            told.add(reason)  # of one file that several networks miss, once
            yield Problem(resolved.where or f"{manifest.path}: {resolved.component.reference}", reason)


def dataset_warnings(manifest: Manifest, builder: Builder) -> Iterator[Problem]:
    """Where data that are here differ from what the manifest expects, and it stops nothing."""
    for resolved, where in _datasets(manifest):
        if resolved.expected is not None:
            yield from expectation_warnings(resolved.expected, builder.dataset(resolved).info, where)


def _networks(manifest: Manifest) -> Iterator[ResolvedComponent]:
    """Every network that a component of the manifest refers to, once. Those of an imported model's loss are not needed."""
    return (resolved for resolved in _components(manifest) if resolved.kind in _NETWORKS)


def _components(manifest: Manifest) -> Iterator[ResolvedComponent]:
    """Every component of the manifest and what they refer to, once, but not what imported models refer to."""
    seen: set[int] = set()

    def walk(resolved: ResolvedComponent) -> Iterator[ResolvedComponent]:
        if id(resolved) in seen:
            return
        seen.add(id(resolved))
        yield resolved
        if resolved.artifact is None:
            for part in resolved.parts.values():
                yield from walk(part)

    for cell in manifest.combinations:
        for resolved in cell.components.values():
            yield from walk(resolved)
    for metric in manifest.metrics:
        yield from walk(metric)


def runtime_problems(manifest: Manifest, builder: Builder, trained: Sequence[TrainedStage]) -> Iterator[Problem]:
    """Why the device, the executor or a tracker cannot do on this machine what a manifest asks of them."""
    yield from tracker_problems(manifest)
    device = manifest.runtime.device
    try:
        resolve_device(device)
    except TamingplatError as error:
        yield Problem(f"{manifest.path}: runtime.device", str(error))
        return
    try:
        processes = builder.executor(manifest.executor).processes
    except TamingplatError as error:
        yield Problem(manifest.executor.where or f"{manifest.path}: runtime.executor", str(error))
        return
    for resolved, settings in trained:
        try:
            check_training(settings, device, processes)
        except TamingplatError as error:
            yield Problem(resolved.where, str(error))

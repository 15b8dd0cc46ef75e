"""What is impossible of a cell and of a metric, found before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import (
    CodeSpace,
    ConditionLayout,
    DatasetInfo,
    Problem,
    TamingplatError,
    Windows,
)
from tamingplat.interfaces.models import Metric, Ordering, PriorScope, Sampler, Visits
from tamingplat.manifest import Cell, ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.trained_parts import parts_without_weights, sampler_without_weights


def refuse(resolved: ResolvedComponent, reason: str) -> Problem:
    """A component's refusal, with its place in the manifest."""
    return Problem(resolved.where, f"{resolved.component.reference}: {reason}")


def planned_windows(cell: Cell, space: CodeSpace, layout: ConditionLayout, refusals: list[Problem]) -> Windows | None:
    """The windows that a cell's prior models; ``None`` for whole images, and with the reason among ``refusals``."""
    if cell.prior.window is None or space.grids == (cell.prior.window,):
        return None
    windows = Windows(space, layout, cell.prior.window)
    if reason := windows.refusal():
        refusals.append(refuse(cell.prior, f"window {cell.prior.window[0]}×{cell.prior.window[1]}: {reason}"))
        return None
    return windows


def cell_refusals(
    builder: Builder, cell: Cell, space: CodeSpace, layout: ConditionLayout, scope: PriorScope, *, scoped: bool = True
) -> Iterator[Problem]:
    """Why prior, ordering and sampler of a cell do not go together on such codes: which of them refuses what.

    Args:
        builder: Makes components.
        cell: The cell.
        space: The codes of an image.
        layout: The parts of an image's condition.
        scope: What the prior is trained on: the same, or a window of it.
        scoped: Whether the scope is known: it is not where the condition or the window is impossible.
    """
    prior = builder.load_class(cell.prior)
    ordering = builder.ordering(cell.ordering)
    # An imported prior is compared with what it was made for, which says more.
    if cell.prior.artifact is None and (reason := prior.refusal(scope.space, scope.layout, cell.prior.config)):
        yield refuse(cell.prior, reason)
    if reason := ordering.refusal(space) or ordering.refusal(scope.space):
        yield refuse(cell.ordering, reason)
    if ordering.grouped and not prior.grouped:
        other = cell.ordering.component.reference
        yield refuse(cell.prior, f"predicts one position at a time, and {other} visits several at a step")
    try:
        sampler = sampler_without_weights(builder, cell.sampler, builder.dataset(cell.dataset).info)
    except TamingplatError as error:
        yield refuse(cell.sampler, str(error))
        return
    if sampler.needs == "any_subset" and prior.visits == "in_order":
        other = cell.prior.component.reference
        yield refuse(cell.sampler, f"needs predictions of any position given any others; {other} predicts only the next one")
    reason = sampler.refusal(space, layout, ordering=cell.ordering.component.name)
    if reason := reason or (sampler.prior_refusal(space, layout, scope) if scoped else None):
        yield refuse(cell.sampler, reason)
    elif not ordering.refusal(space) and (reason := given_refusal(sampler, ordering, space, prior.visits)):
        yield refuse(cell.sampler, f"under {cell.ordering.component.reference}, {reason}")


def given_refusal(sampler: Sampler, ordering: Ordering, space: CodeSpace, visits: Visits) -> str | None:
    """Why the codes that a sampler takes as given cannot be, for a prior that predicts the next step alone.

    Args:
        sampler: One that does not refuse such codes.
        ordering: The same.
        space: The codes.
        visits: What the prior predicts.
    """
    mask = sampler.given_positions(space)
    if mask is None or visits == "any_subset":
        return None
    remedy = f"give what is visited first, {_BEGIN_WITH_IT}, or take a prior that predicts any subset"
    if ordering.random:
        return f"{_AT_RANDOM}; {remedy}"
    given, step, first = _visits(mask, ordering, space)
    late = int((step[given] > first).sum())
    if not late:
        return None
    return (
        f"{late} of the {int(given.sum())} codes that are given are visited after one that is not, and this prior predicts one "
        f"step after the other; {remedy}"
    )


_AT_RANDOM = "codes are visited at random, and what is given would have to be visited first"
_BEGIN_WITH_IT = "choose an ordering that begins with it (raster for the first rows, spiral-out for the middle)"


def _visits(mask: npt.NDArray[np.bool_], ordering: Ordering, space: CodeSpace) -> tuple[Tensor, Tensor, int]:
    """Which codes are given, bool (N,), the step of each, int64 (N,), and the first step of one that is not."""
    step, given = ordering.plan(space, 1).steps()[0], torch.from_numpy(mask)
    return given, step, int(step[~given].min())


def _measured_after(metric: Metric, ordering: Ordering, space: CodeSpace) -> str | None:
    """Why no likelihood after what a metric gives can be told: whatever prior it is, it is one in the order of the visits."""
    mask = metric.given_positions(space)
    if mask is None:
        return None
    remedy = f"{_BEGIN_WITH_IT}, or leave the metric out"
    if ordering.random:
        return f"{_AT_RANDOM}; {remedy}"
    given, step, first = _visits(mask, ordering, space)
    late = int((step[given] >= first).sum())
    if not late:
        return None
    return (
        f"{late} of the {int(given.sum())} codes that are given are not visited before all others, whose likelihood would not "
        f"be that after them; {remedy}"
    )


def metric_refusals(
    builder: Builder, metrics: Sequence[ResolvedComponent], info: DatasetInfo, *, samples: int, reference: str, split: str
) -> Iterator[Problem]:
    """Why metrics cannot be computed on ``samples`` images beside the split ``reference``, where ``split`` is evaluated.

    Metrics of priors and tokenizers are computed on all images of ``split``, however many are sampled.
    """
    for metric in metrics:
        try:
            metric_class = builder.load_class(metric)
            reason = _unsuitable_data(metric_class, info, split)
            if not reason:
                built = builder.metric(metric, parts_without_weights(builder, metric, info))
                count = samples if metric_class.measures == "images" else info.splits.get(split, 0)
                reason = built.refusal(info, samples=count, reference=info.splits.get(reference, 0))
        except TamingplatError as error:
            reason = str(error)
        if reason:
            yield refuse(metric, reason)


def prior_metric_refusals(
    builder: Builder, cell: Cell, metrics: Sequence[ResolvedComponent], space: CodeSpace, windows: Windows | None
) -> Iterator[Problem]:
    """Why metrics of priors cannot be computed of a cell's codes, of such windows of them, or under its ordering.

    Args:
        builder: Makes components.
        cell: The cell, of which nothing else is refused.
        metrics: All metrics.
        space: The codes of an image.
        windows: What the prior models in their place; ``None`` for a prior of whole images.
    """
    info, ordering = builder.dataset(cell.dataset).info, builder.ordering(cell.ordering)
    for metric in metrics:
        if builder.load_class(metric).measures == "prior":
            built: Metric = builder.metric(metric, parts_without_weights(builder, metric, info))
            if reason := built.prior_refusal(space, windows):
                yield refuse(metric, reason)
            elif reason := _measured_after(built, ordering, space):
                yield refuse(metric, f"under {cell.ordering.component.reference}, {reason}")


def _unsuitable_data(metric_class: type[Metric], info: DatasetInfo, split: str) -> str | None:
    """What a metric asks of the dataset and the dataset has not."""
    if metric_class.needs_labels and info.label_names is None:
        return "reads labels, and the dataset has no classes; leave it out of the metrics, or give the images labels"
    if metric_class.looks_for_copies:
        if not info.splits.get("train"):
            return "looks for copies of training images, and the dataset has no split train"
        if split == "train":
            return (
                "compares samples with images that nothing was trained on, and the evaluated split is train; "
                "set split of [evaluate] to another one"
            )
    return None

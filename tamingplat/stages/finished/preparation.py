"""Everything that can be found wrong with samples that are asked for, before a model is loaded.

Shape letters: n images, B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tamingplat.engine import resolve_device
from tamingplat.interfaces import CodeSpace, ConditionLayout, DatasetInfo, Problem, ProblemsError, Region, TamingplatError
from tamingplat.interfaces.models import Conditioner, Tokenizer
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.condition_parts import conditioner_without_weights, conditioners_in, tokenizer_fields
from tamingplat.stages.finished.conditions import OwnConditions
from tamingplat.stages.finished.files import read_own
from tamingplat.stages.finished.memory import maps_shortage, size_shortage
from tamingplat.stages.finished.options import SampleOptions
from tamingplat.stages.finished.samplers import (
    Canvas,
    completes_images,
    completing,
    for_other_sizes,
    named_sampler,
    with_settings,
)
from tamingplat.stages.finished.sampling import Sampling, images_at_once
from tamingplat.stages.finished.sizes import largest_inside, size_problem
from tamingplat.stages.finished.source import CellSource
from tamingplat.stages.skeletons import without_memory
from tamingplat.stages.stage import Stage
from tamingplat.stages.trained_parts import PartPlanner, TrainedParts, sampler_without_weights


@dataclass
class Preparation:
    """Everything that can be found wrong before a model is loaded."""

    cell: CellSource
    options: SampleOptions
    problems: list[Problem] = field(default_factory=list)

    def sampling(self) -> Sampling:
        """What draws the samples; nothing is loaded yet.

        Raises:
            ProblemsError: What is wrong, all of it.
            TamingplatError: The cell is not finished.
        """
        cell, options = self.cell, self.options
        stage, info = cell.prior, cell.dataset.info
        size = options.size or info.image_size
        if options.count < 1:
            self.problems.append(Problem("--count", f"{options.count} images are none", "say how many"))
        if options.complete is not None and not options.complete.is_file():
            self.problems.append(Problem(f"--complete {options.complete}", "there is no such file"))
        space = self._space(size)
        conditioner = self._conditioner(replace(info, image_size=size))
        sampler = self._sampler()
        if options.region is not None and options.complete is None and sampler is not None and not completes_images(sampler):
            self.problems.append(
                Problem("--rows or --region", "says what is given of an image", "name the image with --complete")
            )
        conditions = self._conditions(conditioner, size)
        parts: TrainedParts = ()
        completes = False
        if not self.problems and sampler is not None and space is not None and conditions is not None:
            sampler, completes = self._checked(sampler, space, conditions)
        if self.problems:
            raise ProblemsError(dict.fromkeys(self.problems))
        assert sampler is not None and conditions is not None
        self._read(conditions, size)
        plan = cell.opened.plan
        parts = PartPlanner(plan.builder, plan.manifest.evaluate.split).of(sampler, stage.codes.dataset)
        own = bool(options.wanted) or size != info.image_size
        cell.opened.demand(self._needed(parts, own=own))
        has_condition = bool(stage.layout)
        return Sampling(cell, options, size, sampler, parts, completes, conditions if own and has_condition else None)

    def _space(self, size: tuple[int, int]) -> CodeSpace | None:
        """The codes of an image of this size."""
        stage = self.cell.prior.codes.tokenizer
        with without_memory():
            tokenizer = stage.build(self.cell.opened.plan.builder)
        if self.options.tile is not None and not tokenizer.tiles:
            name = stage.tokenizer.component.reference
            self.problems.append(Problem("--tile", f"{name} works on whole images and knows no tiles", "leave it out"))
        problem = size_problem(tokenizer, size, "--size")
        if problem is not None:
            smaller = largest_inside(tokenizer, size)
            remedy = problem.remedy if smaller is None else f"say --size {smaller[1]}x{smaller[0]}"
            self.problems.append(Problem(problem.where, problem.what, remedy))
            return None
        if self._too_large(tokenizer, size):
            return None
        return tokenizer.code_space(size)

    def _too_large(self, tokenizer: Tokenizer, size: tuple[int, int]) -> bool:
        """Whether images of this size need more memory than there is, which is then among ``problems``."""
        cell, options = self.cell, self.options
        tokenizer.tile = (options.tile or cell.prior.codes.tokenizer.tokenizer.tile) if tokenizer.tiles else None
        batch = min(max(1, options.count), images_at_once(cell, options, size))
        device = resolve_device(cell.opened.plan.manifest.runtime.device)
        reason = size_shortage(tokenizer, size, cell.dataset.info.channels, batch, device)
        if reason:
            self.problems.append(Problem(f"--size {size[1]}x{size[0]}", reason))
        return reason is not None

    def _conditioner(self, info: DatasetInfo) -> Conditioner | None:
        """The conditioner of images of this size, without weights."""
        stage, builder = self.cell.prior, self.cell.opened.plan.builder
        tokenizers = stage.conditions.tokenizers if stage.conditions else ()
        try:
            reason = builder.load_class(stage.conditioner).refusal(stage.conditioner.config, info)
            if reason:
                raise TamingplatError(reason)
            conditioner = conditioner_without_weights(builder, stage.conditioner, info, tokenizers)
            conditioner.layout(info.image_size)
        except TamingplatError as error:
            self.problems.append(Problem("--size", f"{stage.conditioner.component.reference}: {error}"))
            return None
        if self.options.wanted or info.image_size != self.cell.dataset.info.image_size:
            self._check_maps(info)
        return conditioner

    def _check_maps(self, info: DatasetInfo) -> None:
        """Whether the maps of a condition, which is encoded anew, need more memory than there is for images of this size."""
        stage, plan = self.cell.prior, self.cell.opened.plan
        stages = dict(stage.conditions.tokenizers) if stage.conditions else {}
        device = resolve_device(plan.manifest.runtime.device)
        for path, conditioner in conditioners_in(stage.conditioner):
            for field_name in tokenizer_fields(conditioner):
                needed = stages[path + field_name]
                with without_memory():
                    tokenizer = needed.build(plan.builder)
                tokenizer.tile = (self.options.tile or needed.tokenizer.tile) if tokenizer.tiles else None
                if reason := maps_shortage(tokenizer, plan.builder.maps_info(conditioner, info), device):
                    height, width = info.image_size
                    where, told = f"--size {width}x{height}", conditioner.component.reference
                    self.problems.append(Problem(where, f"the maps of {told}: {reason}"))

    def _sampler(self) -> ResolvedComponent | None:
        """The sampler with the settings that were asked for."""
        opened, options = self.cell.opened, self.options
        try:
            sampler = self.cell.planned.cell.sampler
            if options.sampler is not None:
                sampler = named_sampler(opened.plan.manifest, opened.registry, options.sampler)
            if options.settings:
                sampler = with_settings(sampler, options.settings)
        except ProblemsError as error:
            self.problems += error.problems
            return None
        except TamingplatError as error:
            self.problems.append(Problem("", str(error)))
            return None
        return sampler

    def _conditions(self, conditioner: Conditioner | None, size: tuple[int, int]) -> OwnConditions | None:
        if conditioner is None:
            return None
        cell = self.cell
        conditions = OwnConditions(cell.dataset, cell.samples.reference, size, conditioner, self.options.wanted)
        self.problems += conditions.problems()
        return conditions

    def _checked(
        self, sampler: ResolvedComponent, space: CodeSpace, conditions: OwnConditions
    ) -> tuple[ResolvedComponent, bool]:
        """The sampler for this size, and whether it completes images; why it cannot draw is among ``problems``."""
        cell, options, size = self.cell, self.options, conditions.size
        opened, stage, info = cell.opened, cell.prior, cell.dataset.info
        builder, conditioner = opened.plan.builder, conditions.conditioner
        layout: ConditionLayout = stage.image_layout if size == info.image_size else conditioner.layout(size)
        canvas = Canvas(space, layout, conditioner.dropout > 0)
        named = options.sampler is not None
        if not named and size != info.image_size and not canvas.fits_whole(builder, stage, sampler):
            sampler = for_other_sizes(opened.registry, sampler)
        if options.complete is not None:
            sampler = completing(opened.registry, sampler, options.region or Region(0, 0, 0.5, 1))
        elif options.region is not None:
            sampler = with_settings(sampler, {"region": options.region})
        refused = canvas.refusals(builder, stage, sampler)
        if not refused:
            classes = conditions.planned_classes(options.count, layout, builder.ordering(stage.ordering))
            refused = canvas.class_refusals(builder, stage, sampler, classes)
        self.problems += refused
        if refused:
            return sampler, False
        completes = sampler_without_weights(builder, sampler, info).given_positions(space) is not None
        if completes and options.complete is None and size != info.image_size:
            what = f"the dataset has no images with {size[0]} rows of {size[1]} pixels to complete"
            self.problems.append(Problem("--size", what, "name an image with --complete"))
        return sampler, completes

    def _read(self, conditions: OwnConditions, size: tuple[int, int]) -> None:
        """Read every file once, so that one that cannot be used is found now."""
        problems = []
        for read in (lambda: conditions.files, lambda: conditions.maps, self._photo_of(size)):
            try:
                read()
            except TamingplatError as error:
                problems.append(Problem("", str(error)))
        if problems:
            raise ProblemsError(problems)

    def _photo_of(self, size: tuple[int, int]) -> Callable[[], Any]:
        path = self.options.complete
        return lambda: None if path is None else read_own(self.cell.dataset, {"image": path}, size)

    def _needed(self, parts: TrainedParts, *, own: bool) -> list[Stage]:
        """The stages whose artifacts drawing reads."""
        stage, samples = self.cell.prior, self.cell.samples
        needed: list[Stage] = [stage, stage.codes.tokenizer, *(part for _, part in parts)]
        if samples.conditions is not None:
            needed += [tokenizer for _, tokenizer in samples.conditions.tokenizers] if own else [samples.conditions]
        return needed

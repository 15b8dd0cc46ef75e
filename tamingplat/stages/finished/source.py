"""A finished cell: its stages and its dataset.

Shape letters: n images, B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from dataclasses import dataclass

from tamingplat.interfaces.models import Dataset
from tamingplat.stages.finished.open import Opened
from tamingplat.stages.plan import PlannedCell
from tamingplat.stages.prior_stage import PriorStage
from tamingplat.stages.sample import SampleImages


@dataclass(frozen=True)
class CellSource:
    """A cell whose models are trained.

    Attributes:
        opened: The manifest.
        planned: The cell.
    """

    opened: Opened
    planned: PlannedCell

    @property
    def prior(self) -> PriorStage:
        """The stage of the cell's prior."""
        assert self.planned.prior is not None, "a cell that is refused is not finished"
        return self.planned.prior

    @property
    def samples(self) -> SampleImages:
        """The stage of the cell's samples."""
        assert self.planned.samples is not None, "a cell that is refused is not finished"
        return self.planned.samples

    @property
    def dataset(self) -> Dataset:
        """The dataset that it was trained on."""
        return self.opened.plan.builder.dataset(self.prior.codes.dataset)

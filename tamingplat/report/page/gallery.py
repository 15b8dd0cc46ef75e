"""What samples and reconstructions look like: sheets of images, read from the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import ImageArray
from tamingplat.manifest import ResolvedComponent
from tamingplat.report.page.lines import TableLine
from tamingplat.report.page.pictures import COLUMNS, Sheet, allowance, make_sheet
from tamingplat.stages import Plan
from tamingplat.stages.images import SplitImages
from tamingplat.stages.sample import IMAGES
from tamingplat.store import Store, open_array


@dataclass(frozen=True)
class NamedSheet:
    """A sheet with what it shows.

    Attributes:
        anchor: Its name in the page.
        title: What it shows, for a caption.
        text: The same for who does not see it.
        sheet: The picture; ``None`` where the page has no room for it.
    """

    anchor: str
    title: str
    text: str
    sheet: Sheet | None


@dataclass(frozen=True)
class Reconstructions:
    """Images of a split, with what each tokenizer makes of them, in the same order.

    Attributes:
        title: Which images.
        sheets: The originals first.
    """

    title: str
    sheets: tuple[NamedSheet, ...]


@dataclass(frozen=True)
class LineSamples:
    """The samples of one line of the table.

    Attributes:
        anchor: The fragment of the line's details.
        label: What tells the line from the others.
        sheets: One for each seed that is done.
    """

    anchor: str
    label: str
    sheets: tuple[NamedSheet, ...]


@dataclass(frozen=True)
class Gallery:
    """All pictures of images.

    Attributes:
        reconstructions: For every dataset.
        conditions: Real images whose conditions the samples of conditional lines were given.
        samples: For every line that has some.
        notes: What is left out or made smaller.
    """

    reconstructions: tuple[Reconstructions, ...]
    conditions: tuple[NamedSheet, ...]
    samples: tuple[LineSamples, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Wanted:
    """Images that a sheet could be made of."""

    title: str
    text: str
    images: ImageArray


def make_gallery(plans: Sequence[Plan], store: Store, lines: Sequence[TableLine]) -> Gallery:
    """Read the images and make the sheets, within the page's budget."""
    notes: list[str] = []
    pairs = [wanted for plan in plans for wanted in _reconstructions(plan, store, notes)]
    samples = [(line, list(_samples(line, store))) for line in lines]
    drawn = {row.artifacts["samples"] for line, of_one in samples if of_one for row in line.rows if "samples" in row.artifacts}
    conditions = [wanted for plan in plans for wanted in _conditions(plan, drawn)]
    every = [one for _, of_one in pairs for one in of_one] + conditions + [one for _, of_one in samples for one in of_one]
    sizes = [image.shape[-2:] for image in (np.asarray(one.images[slice(0, 1)]) for one in every)]
    if not sizes:
        return Gallery((), (), (), tuple(dict.fromkeys(notes)))
    allowed = allowance(len(every), (max(size[0] for size in sizes), max(size[1] for size in sizes)))
    if allowed.note:
        notes.append(allowed.note)
    maker = _Maker(allowed.images, allowed.sheets)
    return Gallery(
        tuple(Reconstructions(title, tuple(map(maker.named, of_one))) for title, of_one in pairs),
        tuple(map(maker.named, conditions)),
        tuple(LineSamples(line.anchor, line.label, tuple(map(maker.named, of_one))) for line, of_one in samples if of_one),
        tuple(dict.fromkeys(notes)),
    )


@dataclass
class _Maker:
    """Makes sheets until the page is full.

    Attributes:
        images: In each sheet.
        left: How many sheets may still be made.
    """

    images: int
    left: int
    made: int = 0

    def named(self, wanted: _Wanted) -> NamedSheet:
        self.made += 1
        anchor = f"sheet-{self.made}"
        if not self.left:
            return NamedSheet(anchor, wanted.title, wanted.text, None)
        self.left -= 1
        images: npt.NDArray[np.uint8] = np.asarray(wanted.images[slice(0, self.images)])
        return NamedSheet(anchor, wanted.title, f"{len(images)} {wanted.text}", make_sheet(images))


def _datasets(plan: Plan) -> list[ResolvedComponent]:
    return list({id(cell.dataset): cell.dataset for cell in plan.manifest.combinations}.values())


def _reconstructions(plan: Plan, store: Store, notes: list[str]) -> Iterator[tuple[str, list[_Wanted]]]:
    evaluate = plan.manifest.evaluate
    sources = {source.key: source for source in plan.reconstructions}.values()
    for dataset in _datasets(plan):
        title = f"{dataset.label}, split {evaluate.split}"
        try:
            opened = plan.builder.dataset(dataset)
            count = min(evaluate.reconstructed(opened.info.splits[evaluate.split]), COLUMNS * 2)
            originals = SplitImages(opened, evaluate.split, count)
            originals[slice(0, 1)]
        except TamingplatError as error:
            notes.append(f"{title}: no originals are shown: {error}")
            continue
        found = [_Wanted("originals", f"images of {title}", originals)]
        for source in sources:
            artifact = store.find(source.kind, source.key)
            if artifact is not None and source.dataset is dataset and source.split == evaluate.split:
                text = f"reconstructions of these images by the tokenizer {source.tokenizer.name}"
                found.append(_Wanted(source.tokenizer.name, text, open_array(artifact.path(IMAGES))[:count]))
        if len(found) > 1:
            yield title, found


def _conditions(plan: Plan, drawn: AbstractSet[str]) -> Iterator[_Wanted]:
    """The examples of the reference split whose conditions finished samples were given, for every dataset."""
    reference = plan.manifest.evaluate.reference
    given = {
        cell.cell.dataset.label: cell.cell.dataset
        for cell in plan.cells
        if cell.prior and cell.prior.conditions and cell.samples and cell.samples.key in drawn
    }
    for name, dataset in given.items():
        opened = plan.builder.dataset(dataset)
        count = min(opened.info.splits[reference], COLUMNS * 2)
        title = f"{name}, split {reference}: whose conditions the samples of conditional lines were given, in this order"
        yield _Wanted(title, f"images of {name}, split {reference}", SplitImages(opened, reference, count))


def _samples(line: TableLine, store: Store) -> Iterator[_Wanted]:
    for row in line.rows:
        key = row.artifacts.get("samples")
        artifact = store.find("sample", key) if key else None
        if artifact is not None:
            yield _Wanted(f"seed {row.seed}", f"samples of {line.label}, seed {row.seed}", open_array(artifact.path(IMAGES)))

"""What samples and reconstructions look like: sheets of images, read from the store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import ImageArray
from tamingplat.manifest import ResolvedComponent
from tamingplat.report.page.lines import TableLine
from tamingplat.report.page.pictures import BUDGET, MOST_IMAGES, Sheet, layout, make_sheet
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

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image."""
        height, width = np.asarray(self.images[slice(0, 1)]).shape[-2:]
        return height, width


def make_gallery(plans: Sequence[Plan], store: Store, lines: Sequence[TableLine]) -> Gallery:
    """Read the images and make the sheets, within the page's budget."""
    notes: list[str] = []
    pairs = [wanted for plan in plans for wanted in _reconstructions(plan, store, notes, among(plan, plans))]
    samples = [(line, of_one) for line in lines if (of_one := list(_samples(line, store)))]
    drawn = {row.artifacts["samples"] for line, _ in samples for row in line.rows if "samples" in row.artifacts}
    conditions = [wanted for plan in plans for wanted in _conditions(plan, drawn, among(plan, plans))]
    first = [one for _, of_one in pairs for one in of_one] + conditions + [of_one[0] for _, of_one in samples]
    # The second seed of every line before the third of any.
    further = [
        one for seeds in itertools.zip_longest(*(of_one[1:] for _, of_one in samples)) for one in seeds if one is not None
    ]
    sheets = _make(first, further, notes)
    return Gallery(
        tuple(Reconstructions(title, tuple(sheets[id(one)] for one in of_one)) for title, of_one in pairs),
        tuple(sheets[id(one)] for one in conditions),
        tuple(LineSamples(line.anchor, line.label, tuple(sheets[id(one)] for one in of_one)) for line, of_one in samples),
        tuple(dict.fromkeys(notes)),
    )


def _make(
    first: Sequence[_Wanted], further: Sequence[_Wanted], notes: list[str], budget: int = BUDGET
) -> dict[int, NamedSheet]:
    """Sheets until the page is full, by the identity of what was wanted; what there is no room for has no picture.

    Args:
        first: What every reader should see: these get pictures before any of ``further`` does.
        further: What else there is.
        notes: Gets what is left out or made smaller.
        budget: Characters of all pictures together.
    """
    sheets: dict[int, NamedSheet] = {}
    left, chosen, missing = budget, None, 0
    smaller: dict[tuple[int, int, int, int], None] = {}
    share = max(0.5, len(first) / (len(first) + len(further) or 1))
    for wanted, room in ((first, share * budget), (further, budget)):
        if not wanted:
            continue
        sizes = [one.size for one in wanted]
        largest = max(size[0] for size in sizes), max(size[1] for size in sizes)
        chosen = layout(len(wanted), largest, min(room, left), chosen)
        smaller |= {(*size, *chosen.shown(size)): None for size in sizes if chosen.shown(size) != size}
        for one in wanted:
            anchor = f"sheet-{len(sheets) + 1}"
            images: npt.NDArray[np.uint8] = np.asarray(one.images[slice(0, chosen.images)])
            sheet = make_sheet(images, chosen.side) if left > 0 else None
            if sheet is None or len(sheet.address) > left:
                # Whatever comes later is left out too, small as it may be: what is shown is not chosen by what it shows.
                left, missing = 0, missing + 1
                sheets[id(one)] = NamedSheet(anchor, one.title, one.text, None)
                continue
            left -= len(sheet.address)
            sheets[id(one)] = NamedSheet(anchor, one.title, f"{len(images)} {one.text}", sheet)
    notes += [f"images of {one[0]}×{one[1]} pixels are shown at {one[2]}×{one[3]}" for one in smaller]
    if missing:
        notes.append(f"{missing} of {len(first) + len(further)} sheets are left out, to keep the page small")
    return sheets


def _datasets(plan: Plan) -> list[ResolvedComponent]:
    return list({id(cell.dataset): cell.dataset for cell in plan.manifest.combinations}.values())


def among(plan: Plan, plans: Sequence[Plan]) -> str:
    """Which of several manifests it is, to follow what is of it; nothing where there is one."""
    return f", manifest {plan.manifest.name}" if len(plans) > 1 else ""


def _reconstructions(plan: Plan, store: Store, notes: list[str], of: str) -> Iterator[tuple[str, list[_Wanted]]]:
    evaluate = plan.manifest.evaluate
    sources = {source.key: source for source in plan.reconstructions}.values()
    for dataset in _datasets(plan):
        title = f"{dataset.label}, split {evaluate.split}{of}"
        try:
            opened = plan.builder.dataset(dataset)
            count = min(evaluate.reconstructed(opened.info.splits[evaluate.split]), MOST_IMAGES)
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


def _conditions(plan: Plan, drawn: AbstractSet[str], of: str) -> Iterator[_Wanted]:
    """The examples of the reference split whose conditions finished samples were given, for every dataset."""
    reference = plan.manifest.evaluate.reference
    given = {
        cell.cell.dataset.label: cell.cell.dataset
        for cell in plan.cells
        if cell.prior and cell.prior.conditions and cell.samples and cell.samples.key in drawn
    }
    for name, dataset in given.items():
        opened = plan.builder.dataset(dataset)
        count = min(opened.info.splits[reference], MOST_IMAGES)
        title = f"{name}, split {reference}{of}: whose conditions the samples of conditional lines were given, in this order"
        yield _Wanted(title, f"images of {name}, split {reference}", SplitImages(opened, reference, count))


def _samples(line: TableLine, store: Store) -> Iterator[_Wanted]:
    for row in line.rows:
        key = row.artifacts.get("samples")
        artifact = store.find("sample", key) if key else None
        if artifact is not None:
            yield _Wanted(f"seed {row.seed}", f"samples of {line.label}, seed {row.seed}", open_array(artifact.path(IMAGES)))

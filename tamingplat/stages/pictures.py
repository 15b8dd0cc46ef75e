"""The images of a plan's finished stages, for grids."""

from __future__ import annotations

from collections.abc import Iterator

from tamingplat.interfaces.models import ImageArray
from tamingplat.stages.images import SplitImages
from tamingplat.stages.plan import Plan
from tamingplat.stages.sample import IMAGES
from tamingplat.store import Store, open_array


def collect_pictures(plan: Plan, store: Store) -> Iterator[tuple[str, ImageArray]]:
    """Names and images: validation images, their reconstructions, and the samples of every finished cell."""
    evaluate = plan.manifest.evaluate
    for dataset in {id(cell.dataset): cell.dataset for cell in plan.manifest.combinations}.values():
        opened = plan.builder.dataset(dataset)
        count = evaluate.reconstructed(opened.info.splits[evaluate.split])
        yield f"real: {dataset.label} {evaluate.split}", SplitImages(opened, evaluate.split, count)
    for source in {source.key: source for source in plan.reconstructions}.values():
        if artifact := store.find(source.kind, source.key):
            yield f"reconstruction: {source.tokenizer.name}", open_array(artifact.path(IMAGES))
    for planned in plan.cells:
        if planned.samples and (artifact := store.find(planned.samples.kind, planned.samples.key)):
            cell = planned.cell
            names = [cell.tokenizer.label, cell.prior.label, cell.ordering.label]
            names += [cell.conditioner.label] if planned.prior and planned.prior.conditions else []
            names += [f"seed {cell.seed}"] if len({other.cell.seed for other in plan.cells}) > 1 else []
            yield ", ".join(names), open_array(artifact.path(IMAGES))

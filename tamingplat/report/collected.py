"""What a comparison shows of some manifests: their rows, and the published tables that they name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tamingplat.report.published import PublishedTable
from tamingplat.report.published_sizes import PublishedSizes
from tamingplat.report.published_table import sizes_beside
from tamingplat.report.references import load_published
from tamingplat.report.speed_up import asks_for_speed_ups, with_speed_ups
from tamingplat.report.text_table import TextTable
from tamingplat.stages import Plan, Results, collect_results, join_results
from tamingplat.store import Store


@dataclass(frozen=True)
class Collected:
    """Results with what stands beside them.

    Attributes:
        results: The rows of all manifests.
        figures: Published metrics, each table once.
        sizes: Published numbers of parameters beside ours.
    """

    results: Results
    figures: tuple[PublishedTable, ...] = ()
    sizes: tuple[TextTable, ...] = ()


def collect(plans: Sequence[Plan], store: Store) -> Collected:
    """Read what is in the store of some manifests, and their published tables. Nothing is trained or measured."""
    results = join_results([collect_results(plan, store) for plan in plans])
    paths = dict.fromkeys(path.resolve() for plan in plans for path in plan.manifest.compare_with)
    published = [load_published(path) for path in paths]
    if asks_for_speed_ups(published):
        results = with_speed_ups(results)
    sizes = [sizes_beside(one, plans) for one in published if isinstance(one, PublishedSizes)]
    return Collected(
        results,
        tuple(one for one in published if isinstance(one, PublishedTable)),
        tuple(one for one in sizes if one is not None),
    )

"""Everything that a page shows, collected from plans and the store. Nothing is trained or measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import torch

import tamingplat
from tamingplat.interfaces import CodeSpace, derive_seed
from tamingplat.manifest import ResolvedComponent
from tamingplat.report.budgets import with_budgets
from tamingplat.report.collected import collect
from tamingplat.report.learning_curves import learning_curves
from tamingplat.report.page.codebooks import codebook_chart, read_codebooks
from tamingplat.report.page.content import Chart
from tamingplat.report.page.cost_table import cost_table
from tamingplat.report.page.curves import curve_panels
from tamingplat.report.page.details import all_settings, make_details
from tamingplat.report.page.figures import published_figures
from tamingplat.report.page.gallery import among, make_gallery
from tamingplat.report.page.lines import make_table
from tamingplat.report.page.model import DrawnOrdering, ManifestFacts, Page
from tamingplat.report.page.orders import draw_order
from tamingplat.report.page.provenance import read_provenance, settings_text
from tamingplat.report.page.rates import rate_charts
from tamingplat.report.page.remarks import remarks, unfinished
from tamingplat.report.page.verdicts import ranking_tables
from tamingplat.report.ranking import rankings
from tamingplat.report.rate_distortion import rate_distortion
from tamingplat.stages import Plan
from tamingplat.store import Store, content_key


def collect_page(plans: Sequence[Plan], store: Store) -> Page:
    """The page of some manifests."""
    collected = collect(plans, store)
    results = collected.results
    budgets = with_budgets(results)
    ranked = rankings(budgets.results)
    table = make_table(budgets, ranked)
    gallery = make_gallery(plans, store, table.lines)
    provenance, settings = read_provenance(plans, store), all_settings(plans)
    sheets = {samples.anchor: samples.sheets for samples in gallery.samples}
    summaries = [line.summary for line in table.all]
    # A row that several manifests ask for has measurements of all of them, whose stages only some of the plans have.
    stages = {key: stage for plan in plans for key, stage in plan.stages.items()}
    details = make_details(table, budgets.results.columns, stages, provenance, settings, sheets)
    return Page(
        title=results.name,
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, tamingplat {tamingplat.__version__}",
        counts=tuple(Counter(line.summary.status for line in table.all).items()),
        manifests=tuple(_facts(plan) for plan in plans),
        table=table,
        rankings=tuple(ranking_tables(ranked, table.all)),
        curves=tuple(curve_panels(learning_curves(results), table.lines)),
        rates=tuple(rate_charts(rate_distortion(results), results.columns)),
        orderings=tuple(_orderings(plans)),
        gallery=gallery,
        codebooks=tuple(_codebooks(plans, store)),
        cost=cost_table(table),
        figures=tuple(published_figures(one, summaries) for one in collected.figures),
        sizes=collected.sizes,
        unfinished=tuple(unfinished(table.all)),
        remarks=tuple(remarks(plans)),
        details=tuple(details),
        settings=tuple({one.anchor: one for several in settings.values() for one in several}.values()),
        provenance=provenance,
    )


def _facts(plan: Plan) -> ManifestFacts:
    manifest, evaluate = plan.manifest, plan.manifest.evaluate
    facts = [("compared", manifest.size)]
    if manifest.seeds:
        facts.append(("seeds", ", ".join(map(str, manifest.seeds))))
    facts.append(("tokenizer seeds", ", ".join(map(str, manifest.tokenizer_seeds))))
    facts.append(("measured on", f"split {evaluate.split}; samples are compared with the split {evaluate.reference}"))
    facts.append(("metrics", ", ".join(metric.label for metric in manifest.metrics)))
    for dataset in {id(cell.dataset): cell.dataset for cell in manifest.combinations}.values():
        info = plan.builder.dataset(dataset).info
        size = "×".join(map(str, info.image_size))
        splits = ", ".join(f"{images} in {split}" for split, images in info.splits.items())
        facts.append((f"dataset {dataset.label}", f"images of {size} pixels, {info.channels} channels; {splits}"))
    return ManifestFacts(manifest.name, manifest.path.name, tuple(facts), settings_text(manifest.resolved(), manifest))


def _orderings(plans: Sequence[Plan]) -> Iterator[DrawnOrdering]:
    """Every ordering on every code space that it is used on; where several share a name, with that of the manifest."""
    found: dict[tuple[str, str, CodeSpace], tuple[Plan, ResolvedComponent]] = {}
    for plan in plans:
        for cell in plan.cells:
            if cell.prior is not None:
                ordering = cell.cell.ordering
                settings = content_key(plan.builder.identity(ordering))
                found.setdefault((ordering.label, settings, cell.prior.space), (plan, ordering))
    namesakes = Counter(label for label, _ in {(label, settings) for label, settings, _ in found})
    for (label, _, space), (plan, ordering) in found.items():
        name = label if namesakes[label] == 1 else f"{label} ({plan.manifest.name})"
        yield _ordering(plan, ordering, space, name)


def _ordering(plan: Plan, resolved: ResolvedComponent, space: CodeSpace, name: str) -> DrawnOrdering:
    ordering = plan.builder.ordering(resolved)
    generator = torch.Generator().manual_seed(derive_seed(0, "visit plan", 0)) if ordering.random else None
    drawn = draw_order(name, space, ordering.plan(space, 1, generator=generator))
    return DrawnOrdering(name, resolved.component.summary, ordering.random, tuple(drawn))


def _codebooks(plans: Sequence[Plan], store: Store) -> Iterator[Chart]:
    for index, plan in enumerate(plans):
        of = f"{plan.manifest.evaluate.split}{among(plan, plans)}"
        chart = codebook_chart(f"codebooks-{index + 1}", read_codebooks(plan, store), of)
        if chart is not None:
            yield chart

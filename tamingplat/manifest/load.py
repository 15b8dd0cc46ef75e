"""Reading a manifest into cells, with everything that is wrong in it at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from tamingplat.interfaces import Config, Problem
from tamingplat.manifest.artifacts import Artifacts
from tamingplat.manifest.axes import Assignment, AxisNeededError, read_axes
from tamingplat.manifest.catalogue import Catalogue
from tamingplat.manifest.checking import Checked, check
from tamingplat.manifest.document import Document, non_finite, read_document
from tamingplat.manifest.files import resolve_path
from tamingplat.manifest.matrix import Combination, MatrixReader
from tamingplat.manifest.paths import format_path
from tamingplat.manifest.problems import ProblemCollector
from tamingplat.manifest.resolve import Resolver
from tamingplat.manifest.resolved import Cell, Manifest, ResolvedComponent, TokenizerCell
from tamingplat.manifest.schema import (
    BLOCKS,
    MATRIX_KINDS,
    TOKENIZER_METRICS,
    EvaluateSettings,
    Head,
    RuntimeSettings,
    slug_problem,
)
from tamingplat.manifest.sentences import shown, unknown_field
from tamingplat.manifest.subject import BlockKey

C = TypeVar("C", bound=Config)

_HEAD = tuple(field.alias or name for name, field in Head.model_fields.items())
_FIELDS = (*_HEAD, *BLOCKS, "matrix", "axes", "evaluate", "runtime")
_REQUIRED: Mapping[str, str] = MappingProxyType({"schema": "write schema = 1", "name": 'write name = "…"'})


def load_manifest(
    path: Path, registry: Catalogue, overrides: Sequence[str] = (), *, artifacts: Artifacts | None = None
) -> Manifest:
    """Read a manifest.

    Args:
        path: The file. Messages name it as it is given here.
        registry: The components that there are.
        overrides: Texts ``key=value``, as ``--set`` takes them: a dotted path into the document, and a TOML value or a word.
        artifacts: Where imported artifacts are looked up; without it, a block that names one has to say what it is.

    Raises:
        ProblemsError: Everything that is wrong, in the order of the file: ``file:line: field: what; remedy``.
    """
    document = read_document(path, overrides)
    problems = ProblemCollector()
    for where, number in non_finite(document.data):
        problems.add(document.locate(where), f"must be a finite number, not {number}")
    for key in document.data:
        if key not in _FIELDS:
            problems.add(document.locate((key,)), *unknown_field(key, _FIELDS, "a manifest"))
    head = _checked_head(document, problems)
    evaluate = _checked_table(document, "evaluate", EvaluateSettings, problems)
    runtime = _checked_table(document, "runtime", RuntimeSettings, problems)
    blocks = dict(_blocks(document, problems))
    axes = read_axes(document, blocks, problems)
    resolver = Resolver(document, registry, blocks, axes, problems, artifacts)
    matrix = MatrixReader(
        document, resolver, _seeds(document, head, "seeds"), _seeds(document, head, "tokenizer_seeds"), problems
    )
    cells = [cell for combination in matrix.read() for cell in _cells(resolver, combination)]
    if matrix.complete and None not in cells:
        _report_idle_axes(document, resolver, problems)
    _check_for_priors(document, evaluate, problems, priors=matrix.priors)
    metrics = tuple(_metrics(document, resolver, priors=matrix.priors))
    executor = _executor(document, resolver, runtime)
    compare_with = tuple(_references(document, problems))
    unused = [block for block in blocks if block not in resolver.used]
    _look_at_the_rest(document, resolver, unused)
    samplers = _samplers(document, resolver, blocks)
    problems.raise_if_any()
    assert head.value is not None and evaluate.value is not None and runtime.value is not None and executor is not None
    return Manifest(
        path=path,
        name=head.value.name,
        seeds=head.value.seeds if matrix.priors else (),
        tokenizer_seeds=head.value.tokenizer_seeds,
        cells=tuple(cell for cell in cells if isinstance(cell, Cell)),
        tokenizer_cells=tuple(cell for cell in cells if isinstance(cell, TokenizerCell)),
        metrics=metrics,
        evaluate=evaluate.value.completed(priors=matrix.priors),
        executor=executor,
        runtime=runtime.value,
        compare_with=compare_with,
        warnings=_unused(document, unused),
        samplers=samplers,
    )


def _checked_head(document: Document, problems: ProblemCollector) -> Checked[Head]:
    checked = check(Head, {key: value for key, value in document.data.items() if key in _HEAD}, "a manifest")
    for fault in checked.faults:
        missing = fault.path[0] not in document.data
        remedy = _REQUIRED.get(str(fault.path[0]), "") if missing else fault.remedy
        problems.add(document.locate(fault.path), fault.what, remedy)
    return checked


def _checked_table(document: Document, name: str, model: type[C], problems: ProblemCollector) -> Checked[C]:
    table = document.data.get(name, {})
    if not isinstance(table, Mapping):
        problems.add(document.locate((name,)), f"must be a table, not {shown(table)}", f"write it as [{name}]")
        return check(model, {}, name)
    checked = check(model, table, f"[{name}]")
    for fault in checked.faults:
        problems.add(document.locate((name, *fault.path)), fault.what, fault.remedy)
    return checked


def _blocks(document: Document, problems: ProblemCollector) -> Iterator[tuple[BlockKey, Mapping[str, Any] | None]]:
    """Every block as it was written; ``None`` for one that is no table, which is noted."""
    for kind in BLOCKS:
        table = document.data.get(kind, {})
        if not isinstance(table, Mapping):
            problems.add(document.locate((kind,)), f"must be a table of blocks, not {shown(table)}", f"write [{kind}.NAME]")
            continue
        for name, block in table.items():
            location = document.locate((kind, name))
            if not isinstance(block, Mapping):
                problems.add(location, f"must be a block, not {shown(block)}", f"blocks have names: write [{kind}.NAME]")
                yield (kind, name), None
                continue
            wrong_name = slug_problem(name)
            if wrong_name:
                problems.add(location, f"the name {wrong_name}", "rename the block")
            yield (kind, name), block


def _seeds(document: Document, head: Checked[Head], field: str) -> tuple[int, ...] | None:
    return None if head.wrong(field) else tuple(document.data.get(field, (0,)))


def _cells(resolver: Resolver, combination: Combination) -> Iterator[Cell | TokenizerCell | None]:
    """The cells of a combination; ``None`` for one of which something is wrong, which is noted."""
    for members, assignment in _variants(resolver, combination, {}):
        found = [member for member in members if member is not None]
        if len(found) < len(members):
            yield None
            continue
        values = {axis.name: (axis, assignment.get(axis.name)) for axis in resolver.axes}
        axes = {name: axis.values[index] for name, (axis, index) in values.items() if index is not None}
        parts: dict[str, Any] = dict(zip(combination.kinds, found, strict=True))
        parts |= {"axes": MappingProxyType(axes), "where": combination.location.text}
        for tokenizer_seed, seed in combination.seeds:
            if combination.kinds == MATRIX_KINDS:
                yield Cell(**parts, seed=seed, tokenizer_seed=tokenizer_seed)
            else:
                yield TokenizerCell(**parts, tokenizer_seed=tokenizer_seed)


def _variants(
    resolver: Resolver, combination: Combination, assignment: Assignment
) -> Iterator[tuple[list[ResolvedComponent | None], Assignment]]:
    """The components of a combination for every value of the axes that they depend on, and for no other axis."""
    try:
        members = [
            resolver.component(kind, member.name, member.location, assignment)
            for kind, member in zip(combination.kinds, combination.members, strict=True)
        ]
    except AxisNeededError as needed:
        for index in range(len(needed.axis.values)):
            yield from _variants(resolver, combination, {**assignment, needed.axis.name: index})
    else:
        yield members, assignment


def _report_idle_axes(document: Document, resolver: Resolver, problems: ProblemCollector) -> None:
    for axis in resolver.axes:
        if (axis.kind, axis.block) not in resolver.used:
            remedy = "name the block in the matrix, or remove the axis"
            problems.add(document.locate(axis.path), f"no cell uses the block {format_path((axis.kind, axis.block))}", remedy)


def _check_for_priors(
    document: Document, evaluate: Checked[EvaluateSettings], problems: ProblemCollector, *, priors: bool
) -> None:
    """Note what says nothing without priors, and what is demanded with them."""
    if not priors and "seeds" in document.data:
        what = "vary priors and their samples, and the matrix names no prior"
        problems.add(document.locate(("seeds",)), what, "remove them; tokenizer_seeds vary tokenizers")
    given = evaluate.value is not None and "samples" in evaluate.value.model_fields_set
    if priors and given and evaluate.value is not None and evaluate.value.samples is None:
        what = "must be a number where there are priors to sample from"
        problems.add(document.locate(("evaluate", "samples")), what, "write how many images are sampled per cell")


def _metrics(document: Document, resolver: Resolver, *, priors: bool) -> Iterator[ResolvedComponent]:
    table = document.data.get("evaluate", {})
    stated = isinstance(table, Mapping) and "metrics" in table
    default = EvaluateSettings.model_fields["metrics"].get_default() if priors else TOKENIZER_METRICS
    written = table["metrics"] if stated else default
    seen: set[ResolvedComponent] = set()
    for index, name in enumerate(written if isinstance(written, list | tuple) else ()):
        if isinstance(name, str) and name:
            location = document.locate(("evaluate", "metrics", *((index,) if stated else ())))
            metric = resolver.component("metric", name, location, resolver.plain)
            if metric is not None and metric not in seen:
                seen.add(metric)
                yield metric


def _executor(document: Document, resolver: Resolver, runtime: Checked[RuntimeSettings]) -> ResolvedComponent | None:
    if runtime.partial is None or runtime.wrong("executor"):
        return None
    location = document.locate(("runtime", "executor"))
    return resolver.component("executor", runtime.partial.executor, location, resolver.plain)


def _references(document: Document, problems: ProblemCollector) -> Iterator[Path]:
    written = document.data.get("compare_with", [])
    listed = isinstance(written, list)
    for index, name in enumerate(written if listed else [written]):
        location = document.locate(("compare_with", *((index,) if listed else ())))
        if isinstance(name, str) and name:
            path = resolve_path(document.folder, Path(name), location, problems)
            if path is not None and path.is_dir():
                problems.add(location, f"{path} is a folder", "name a file")
            elif path is not None:
                yield path


def _unused(document: Document, blocks: Sequence[BlockKey]) -> tuple[Problem, ...]:
    warnings = ProblemCollector()
    for block in blocks:
        warnings.add(document.locate(block), "is not used", "name it somewhere, or remove it")
    return warnings.problems


def _samplers(document: Document, resolver: Resolver, blocks: Iterable[BlockKey]) -> Mapping[str, ResolvedComponent]:
    """Every block of a sampler that nothing is wrong with, at the first value of its axes."""
    first = {axis.name: 0 for axis in resolver.axes}
    names = [name for kind, name in blocks if kind == "sampler"]
    found = {name: resolver.component("sampler", name, document.locate(("sampler", name)), first) for name in names}
    return MappingProxyType({name: sampler for name, sampler in found.items() if sampler is not None})


def _look_at_the_rest(document: Document, resolver: Resolver, unused: Sequence[BlockKey]) -> None:
    """Find what is wrong where no cell looks: in blocks that are not used, and in every value of every axis."""
    first = {axis.name: 0 for axis in resolver.axes}
    for kind, name in unused:
        resolver.component(kind, name, document.locate((kind, name)), first)
    for axis in resolver.axes:
        for index in range(len(axis.values)):
            resolver.component(axis.kind, axis.block, document.locate(axis.path), {**first, axis.name: index})

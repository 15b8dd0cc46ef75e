"""A component by its name and settings alone, without a manifest around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tamingplat.interfaces import Kind, Problem, ProblemsError
from tamingplat.manifest.catalogue import Catalogue
from tamingplat.manifest.document import Document
from tamingplat.manifest.problems import ProblemCollector
from tamingplat.manifest.resolve import Resolver
from tamingplat.manifest.resolved import ResolvedComponent


def resolve_component(
    catalogue: Catalogue, kind: Kind, name: str, config: Mapping[str, Any], *, where: str, label: str = ""
) -> ResolvedComponent:
    """A component with all of its settings, which name no files.

    Args:
        catalogue: The components that there are.
        kind: Its kind.
        name: Its own name.
        config: Its settings, as JSON knows them.
        where: Where the settings come from, for messages.
        label: What it is called; its own name by default.

    Raises:
        ProblemsError: Everything that is wrong with the settings.
    """
    problems = ProblemCollector()
    document = Document(Path(where), {}, {})
    resolver = Resolver(document, catalogue, {(kind, name): {"use": name, "config": config}}, (), problems)
    resolved = resolver.component(kind, name, document.locate((kind, name)), {})
    if problems.problems:
        places = [problem.where.partition(": ")[2] or f"{kind}.{name}" for problem in problems.problems]
        found = zip(places, problems.problems, strict=True)
        raise ProblemsError(Problem(f"{where}: {place}", problem.what, problem.remedy) for place, problem in found)
    assert resolved is not None
    return replace(resolved, label=label or name, where=where)

"""Settings as another machine can use them: without the paths of files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tamingplat.interfaces import Component, FileContent, Kind, Problem, ProblemsError, Runtime, Selection, field_markers
from tamingplat.manifest.catalogue import Catalogue
from tamingplat.manifest.marked import MarkedPath, MarkedReference, change_marked, part_name


@dataclass(frozen=True)
class PortableSettings:
    """Settings without files.

    Attributes:
        config: As JSON knows them.
        left_out: Where a file was named: ``perceptual.weights``.
    """

    config: dict[str, Any]
    left_out: tuple[str, ...]


def portable_settings(
    catalogue: Catalogue, component: Component, config: Mapping[str, Any], *, expendable: Collection[Kind], where: str
) -> PortableSettings:
    """Settings of a component without the paths of files.

    Args:
        catalogue: The components that there are.
        component: Whose settings they are.
        config: The settings, as JSON knows them.
        expendable: Kinds of components that settings refer to and that every installation has by itself: their files are left
            out, and so is how they are run.
        where: Where the settings come from, for messages.

    Raises:
        ProblemsError: The settings do not fit the component, or another file is named; everything of it.
    """
    cleaner = _Cleaner(catalogue, expendable, where)
    cleaned = cleaner.clean(component, config, "")
    if cleaner.problems:
        raise ProblemsError(cleaner.problems)
    return PortableSettings(cleaned, tuple(cleaner.left_out))


class _Cleaner:
    def __init__(self, catalogue: Catalogue, expendable: Collection[Kind], where: str) -> None:
        self._catalogue, self._expendable, self._where = catalogue, expendable, where
        self.left_out: list[str] = []
        self.problems: list[Problem] = []

    def clean(self, component: Component, config: Mapping[str, Any], place: str) -> dict[str, Any]:
        """The settings of a component whose own place in the settings of the whole is ``place``, with a full stop."""

        def change(marked: MarkedPath | MarkedReference) -> object:
            name = f"{place}{part_name(marked.path)}"
            if isinstance(marked, MarkedPath):
                what = f"{component.reference} has a file in its setting {name}, which other machines do not have"
                self.problems.append(Problem(self._where, what))
                return marked.value
            part = self._catalogue.find(marked.kind, marked.value.use)
            inner = marked.value.config
            if marked.kind in self._expendable:
                inner = self._without_files(part, inner, f"{name}.")
            return Selection(use=part.name, config=self.clean(part, inner, f"{name}.") if inner else {})

        try:
            model = component.config.model_validate(config)
        except ValidationError as error:
            for fault in error.errors():
                at = place + repr(".".join(map(str, fault["loc"])))[1:-1]
                what = f"{component.reference} does not take its setting {at}: {fault['msg']}"
                self.problems.append(Problem(self._where, what))
            return dict(config)
        given = set(config)
        dumped: dict[str, Any] = change_marked(model, change).model_dump(mode="json")
        return {name: value for name, value in dumped.items() if name in given}

    def _without_files(self, component: Component, config: Mapping[str, Any], place: str) -> dict[str, Any]:
        markers = field_markers(component.config)
        kept = {}
        for name, value in config.items():
            own = markers.get(name, ())
            if any(isinstance(marker, FileContent) for marker in own) and value is not None:
                self.left_out.append(place + name)
            elif not any(isinstance(marker, Runtime | FileContent) for marker in own):
                kept[name] = value
        return kept

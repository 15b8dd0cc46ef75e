"""From names to components: blocks, presets, settings, files and references."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tamingplat.interfaces import Component, Kind, Selection, TamingplatError
from tamingplat.manifest.artifacts import Artifacts, FoundArtifact, contradictions, find_artifact
from tamingplat.manifest.axes import Assignment, Axis, AxisNeededError, variant_label
from tamingplat.manifest.catalogue import Catalogue, find_component, find_preset
from tamingplat.manifest.checking import check, has, value_at
from tamingplat.manifest.document import Document
from tamingplat.manifest.files import resolve_path
from tamingplat.manifest.layers import Layer, Layers
from tamingplat.manifest.marked import MarkedPath, MarkedReference, change_marked, part_name
from tamingplat.manifest.paths import format_path
from tamingplat.manifest.problems import Location, ProblemCollector
from tamingplat.manifest.resolved import ResolvedComponent
from tamingplat.manifest.schema import BLOCKS, Block, DatasetBlock, PriorBlock, TokenizerBlock, TrainedBlock
from tamingplat.manifest.subject import BlockKey, Chain, Outcome, Subject
from tamingplat.manifest.train import training_settings
from tamingplat.registry import KeyPath

_DEEPEST = 16
"""Most components inside each other. Only defaults that refer to themselves come near it."""


class Resolver:
    """Resolves the names of one manifest. What is wrong is noted, once, and makes the result ``None``.

    Args:
        document: The manifest.
        catalogue: The components that there are.
        blocks: The manifest's blocks as they were written; ``None`` for what is no table, which was noted.
        axes: The manifest's axes.
        problems: Where problems are noted.
        artifacts: Where artifacts that blocks name are looked up.
    """

    def __init__(
        self,
        document: Document,
        catalogue: Catalogue,
        blocks: Mapping[BlockKey, Mapping[str, Any] | None],
        axes: Sequence[Axis],
        problems: ProblemCollector,
        artifacts: Artifacts | None = None,
    ) -> None:
        self._artifacts = artifacts
        self.axes = tuple(axes)
        self.used: set[BlockKey] = set()
        self._document = document
        self._catalogue = catalogue
        self._blocks = blocks
        self._problems = problems
        self._known: dict[tuple[str, Kind, str], list[tuple[Assignment, Outcome]]] = {}

    @property
    def plain(self) -> Assignment:
        """Takes every block as it is, without the axes."""
        return {axis.name: None for axis in self.axes}

    def identify(self, kind: Kind, name: str, location: Location) -> str | None:
        """The name that a block or a component goes by, one for all aliases; ``None`` where there is none, which is noted."""
        if (kind, name) in self._blocks:
            return name
        component = self._find(kind, name, location)
        return None if component is None else self._label(component, name)

    def known_as(self, kind: Kind, name: str) -> str | None:
        """What ``identify`` returns, with nothing noted."""
        if (kind, name) in self._blocks:
            return name
        try:
            return self._label(self._catalogue.find(kind, name), name)
        except TamingplatError:
            return None

    def component(self, kind: Kind, name: str, location: Location, assignment: Assignment) -> ResolvedComponent | None:
        """A block, or a component without one, by its name.

        Args:
            kind: Its kind.
            name: The block's or the component's.
            location: Where it is named.
            assignment: Which value of each axis is taken.

        Raises:
            AxisNeededError: It depends on an axis of which ``assignment`` says nothing.
        """
        return self._named(kind, name, location, assignment, ()).component

    def _named(self, kind: Kind, name: str, location: Location, assignment: Assignment, chain: Chain) -> Outcome:
        if (kind, name) in self._blocks:
            entered = self._enter(kind, name, location, assignment, chain)
            return self._once("block", entered, assignment, self._block) if entered is not None else Outcome(None)
        component = self._find(kind, name, location)
        if component is None:
            return Outcome(None)
        label = self._label(component, name)
        layers = Layers((), lambda path, _: location.within(f"{label}.{format_path(path)}"))
        entry = ("component", component.reference)
        if self._circular(entry, chain, location):
            return Outcome(None)
        subject = Subject(kind, label, layers, location, (), (*chain, entry))
        return self._once(
            "component", subject, assignment, lambda *_: self._assemble(subject, component, BLOCKS[kind](), assignment)
        )

    def _inline(self, owner: Subject, marked: MarkedReference, assignment: Assignment) -> Outcome:
        """What ``{ use, config }`` in the settings of ``owner`` names: a component, or a block with settings laid over it."""
        kind, name, config = marked.kind, marked.value.use, marked.value.config
        base: KeyPath = ("config", *marked.path)
        over = Layer({"config": config}, lambda path, unknown: owner.layers.locate((*base, *path), unknown))
        location = owner.layers.locate((*base, "use"))
        if (kind, name) in self._blocks:
            block = self._enter(kind, name, location, assignment, owner.chain, over)
            return self._block(block, assignment) if block is not None else Outcome(None)
        component = self._find(kind, name, location)
        if component is None:
            return Outcome(None)
        chain = (*owner.chain, ("settings", component.reference))
        subject = Subject(kind, component.name, Layers((over,), over.locate), owner.layers.locate(base), (), chain)
        return self._assemble(subject, component, BLOCKS[kind](config=config), assignment)

    def _enter(
        self, kind: Kind, name: str, location: Location, assignment: Assignment, chain: Chain, *over: Layer
    ) -> Subject | None:
        """A block with the values of its axes, and further tables, over it; ``None`` if it is inside itself, or no table."""
        table = self._blocks[kind, name]
        axes = tuple(axis for axis in self.axes if (axis.kind, axis.block) == (kind, name))
        for axis in axes:
            if axis.name not in assignment:
                raise AxisNeededError(axis)
        if self._circular((kind, name), chain, location):
            return None
        self.used.add((kind, name))
        if table is None:
            return None
        values = [(axis, assignment[axis.name]) for axis in axes]
        varied = [axis.layer(self._document, index) for axis, index in values if index is not None]

        def locate(path: KeyPath, unknown: bool) -> Location:
            return self._document.locate((kind, name, *path))

        layers = Layers((Layer(table, locate), *varied, *over), locate)
        return Subject(kind, name, layers, locate((), False), axes, (*chain, (kind, name)))

    def _circular(self, entry: tuple[str, str], chain: Chain, location: Location) -> bool:
        """Whether what is being resolved is inside itself, which is noted. What has settings of its own each time may be."""
        if entry not in chain:
            return False
        circle = " → ".join(name for _, name in (*chain[chain.index(entry) :], entry))
        self._problems.add(location, f"refers to itself: {circle}", "break the circle")
        return True

    def _once(
        self, sort: str, subject: Subject, assignment: Assignment, make: Callable[[Subject, Assignment], Outcome]
    ) -> Outcome:
        """The outcome for the values of the axes that it depends on, made only once."""
        known = self._known.setdefault((sort, subject.kind, subject.name), [])
        for taken, outcome in known:
            if all(axis in assignment and assignment[axis] == index for axis, index in taken.items()):
                return outcome
        outcome = make(subject, assignment)
        known.append(({axis: assignment[axis] for axis in outcome.axes}, outcome))
        return outcome

    def _block(self, subject: Subject, assignment: Assignment) -> Outcome:
        """A block's own fields, and the component that it uses."""
        failed = Outcome(None, frozenset(axis.name for axis in subject.axes))
        table = subject.layers.merged()
        if "train" in table and "train" not in BLOCKS[subject.kind].model_fields:
            self._problems.add(subject.layers.locate(("train",)), f"no {subject.kind} is trained", "remove it")
            del table["train"]
        article = "an" if subject.kind[0] in "aeiou" else "a"
        checked = check(BLOCKS[subject.kind], table, f"{article} {subject.kind} block")
        for fault in checked.faults:
            subject.layers.report(self._problems, fault)
        block = checked.partial
        if block is None or checked.wrong("use"):
            return failed
        found = FoundArtifact()
        if isinstance(block, TrainedBlock) and block.artifact is not None:
            found = find_artifact(self._artifacts, self._catalogue, subject.kind, block, subject.layers, self._problems)
        component = None if found.wrong else found.component or self._used(subject, block)
        if component is None:
            return failed
        if checked.wrong("config"):
            training_settings(component, block, subject.layers, self._problems)
            return failed
        return self._assemble(subject, component, block, assignment, found, preset_lacks=checked.wrong("preset"))

    def _used(self, subject: Subject, block: Block) -> Component | None:
        if block.use is not None:
            return find_component(self._catalogue, subject.kind, block.use, (), subject.layers.locate(("use",)), self._problems)
        remedy = 'a block that is not named after its component says use = "…"'
        return find_component(self._catalogue, subject.kind, subject.name, (), subject.location, self._problems, remedy)

    def _assemble(
        self,
        subject: Subject,
        component: Component,
        block: Block,
        assignment: Assignment,
        found: FoundArtifact = FoundArtifact(),  # noqa: B008 - frozen
        *,
        preset_lacks: bool = False,
    ) -> Outcome:
        """A component with its settings checked, its files found and its parts resolved."""
        axes = {axis.name for axis in subject.axes}
        layers = subject.layers
        trainable, train = training_settings(component, block, layers, self._problems)
        if len(subject.chain) > _DEEPEST:
            self._problems.add(subject.location, f"more than {_DEEPEST} components inside each other")
            return Outcome(None, frozenset(axes))
        if block.preset is not None:
            at = layers.locate(("preset",))
            preset = find_preset(self._catalogue, component, block.preset, at, self._problems)
            preset_lacks = preset is None
            layers = layers.under(Layer({"config": preset or {}}, lambda path, _: at.within(format_path(path))))
        if found.config is not None:
            layers = layers.under(Layer({"config": found.config}, lambda path, _: layers.locate(("artifact",))))
        table = layers.merged().get("config", {})
        checked = check(component.config, table, component.name)
        for fault in checked.faults:
            if not preset_lacks or (fault.path and has(table, fault.path)):  # the rest may be what the preset would have set
                layers.report(self._problems, fault, ("config",))
        if checked.partial is None:
            return Outcome(None, frozenset(axes))
        whole = trainable and checked.value is not None and not preset_lacks
        if whole and found.config is not None and checked.value is not None and isinstance(block, TrainedBlock):
            whole = not contradictions(checked.value, found.config, block.artifact or "", layers, self._problems)
        parts: dict[str, ResolvedComponent] = {}
        absent: list[Path] = []

        def change(marked: MarkedPath | MarkedReference) -> Path | Selection | None:
            nonlocal whole
            if isinstance(marked, MarkedPath):
                path = self._file(marked, table, layers)
                whole = whole and path is not None
                if path is not None and not path.exists():
                    absent.append(path)
                return path
            if self._is_none(marked):
                return None
            outcome = self._part(replace(subject, layers=layers), marked, assignment)
            axes.update(outcome.axes)
            if outcome.component is None:
                whole = False
            else:
                parts[part_name(marked.path)] = outcome.component
                # What a result is called must not depend on what a block is called.
                return marked.value.model_copy(update={"use": outcome.component.component.name})
            return marked.value

        config = change_marked(checked.partial, change)
        if not whole:
            return Outcome(None, frozenset(axes))
        own = block if isinstance(block, TokenizerBlock) else TokenizerBlock()
        resolved = ResolvedComponent(
            label=variant_label(subject.name, [axis for axis in self.axes if axis.name in axes], assignment),
            component=component,
            config=config,
            parts=MappingProxyType(parts),
            train=train,
            artifact=block.artifact if isinstance(block, TrainedBlock) else None,
            artifact_absence=found.absence,
            views=own.views,
            encode_batch_size=own.encode_batch_size,
            tile=own.tile,
            window=block.window if isinstance(block, PriorBlock) else None,
            where=subject.location.text,
            expected=block.expected if isinstance(block, DatasetBlock) else None,
            absent=tuple(absent),
            tuning=block.tuning if isinstance(block, TrainedBlock) else None,
        )
        return Outcome(resolved, frozenset(axes))

    def _part(self, owner: Subject, marked: MarkedReference, assignment: Assignment) -> Outcome:
        if marked.value.config:
            return self._inline(owner, marked, assignment)
        written = value_at(owner.layers.merged(), ("config", *marked.path))
        place: KeyPath = ("config", *marked.path, *(("use",) if isinstance(written, Mapping) else ()))
        return self._named(marked.kind, marked.value.use, owner.layers.locate(place), assignment, owner.chain)

    def _is_none(self, marked: MarkedReference) -> bool:
        """Whether "none" switches off a reference, TOML having no null. What has that name comes first."""
        return marked.optional and marked.value.use == "none" and self.known_as(marked.kind, "none") is None

    def _file(self, marked: MarkedPath, table: Mapping[str, Any], layers: Layers) -> Path | None:
        location = layers.locate(("config", *marked.path))
        if value_at(table, marked.path) == "":
            self._problems.add(location, "must not be empty", "name a file or a folder")
            return None
        # What is expected of a dataset stands in for files that are not here yet; where it is wrong, it says so itself.
        expected = "expected" in layers.merged()
        return resolve_path(self._document.folder, marked.value, location, self._problems, may_be_absent=expected)

    def _find(self, kind: Kind, name: str, location: Location) -> Component | None:
        names = [of_name for of_kind, of_name in self._blocks if of_kind == kind]
        return find_component(self._catalogue, kind, name, names, location, self._problems)

    def _label(self, component: Component, name: str) -> str:
        return name if (component.kind, component.name) in self._blocks else component.name

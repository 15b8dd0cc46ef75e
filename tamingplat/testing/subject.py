"""A component under examination: found, built with small inputs, and asked for its results.

Shape letters: B batch, C/H/W image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from tamingplat.interfaces import Component, Config, DatasetInfo, Kind, Selection, UnavailableError, references
from tamingplat.interfaces.models import FrozenNetwork, TrainedClassifier
from tamingplat.registry import Registered, Registry, installed_plugins, load_registry, parse_reference
from tamingplat.testing.isolation import plugin_of
from tamingplat.testing.request import Request
from tamingplat.testing.standins import StandInClassifier, StandInDistance, StandInFeatures, StandInTokenizer
from tamingplat.testing.verdicts import NotApplicable

BATCH = 3
LARGEST = 50_000_000
"""Parameters beyond which nothing is examined: it would take minutes, and small settings show the same."""

INFO = DatasetInfo(
    image_size=(32, 48),
    channels=3,
    splits={"train": 24, "validation": 8},
    label_names=("circle", "square", "star"),
    columns=("image", "label", "segmentation", "depth", "keypoints", "coordinates"),
    segmentation_classes=4,
    joints=("top", "left", "right"),
)
"""The dataset of conditioners and metrics, where their author names no other."""

_STAND_INS: Mapping[str, Callable[[], FrozenNetwork]] = {
    "perceptual": StandInDistance,
    "feature_extractor": StandInFeatures,
    "classifier": StandInClassifier,
}


@functools.cache
def _registry(plugin: object | None) -> Registry:
    added = [] if plugin is None else [plugin_of(plugin)]
    names = {one.name for one in added}
    return load_registry(plugins=[*(one for one in installed_plugins() if one.name not in names), *added])


class Subject:
    """A component with the settings of a request. What is asked for is made once.

    Args:
        request: What is to be examined.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.reference = request.reference
        self.kept: dict[Any, Any] = {}
        """What promises made that is dear and serves several of them, such as a trained model."""

    @property
    def kind(self) -> Kind:
        """Its kind."""
        return parse_reference(self.reference)[0]

    @property
    def registry(self) -> Registry:
        """What is installed, and the request's plugin."""
        return _registry(self.request.plugin)

    @property
    def registered(self) -> Registered:
        """The component with its plugin.

        Raises:
            UnknownComponentError: There is none of that name, or its plugin is broken; the message says why.
        """
        if self.request.plugin is not None:
            # Of this plugin, also where another one offers a component of the same name.
            name, registry = plugin_of(self.request.plugin).name, self.registry
            for entry in (*registry.components.values(), *registry.set_aside):
                if entry.plugin == name and entry.component.reference == self.reference:
                    return entry
        return self.registry.registered(*parse_reference(self.reference))

    @property
    def component(self) -> Component:
        """What the plugin says of it."""
        return self.registered.component

    @functools.cached_property
    def config(self) -> Config:
        """Its settings."""
        missing = [
            name
            for name, field in self.component.config.model_fields.items()
            if field.is_required() and name not in self.request.config
        ]
        if missing:
            raise NotApplicable(
                f"nothing but its listing can be examined without the settings {', '.join(missing)}, which have no default; "
                "give them (conformance's config, --set of plugins check, or [tool.tamingplat.check] in pyproject.toml)"
            )
        return self.component.config.model_validate(dict(self.request.config))

    @functools.cached_property
    def cls(self) -> Any:
        """Its class, imported and checked against its kind's interface."""
        return self.registry.load_class(self.component)

    @functools.cached_property
    def parts(self) -> Mapping[str, Any]:
        """What its settings refer to, built; stand-ins for tokenizers, and for networks whose weights are not here."""
        return parts_of(self, self.config) | dict(self.request.parts)

    @functools.cached_property
    def info(self) -> DatasetInfo:
        """The dataset that it is used with."""
        return self.request.info or INFO

    def make(self, seed: int = 0) -> Any:
        """A new object, its random weights from ``seed``."""
        from tamingplat.testing.promises import KINDS

        config, cls, parts = self.config, self.cls, self.parts
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return KINDS[self.kind].make(self, cls, config, parts)

    @functools.cached_property
    def built(self) -> Any:
        """An object that promises share and leave as it is."""
        if self.failure is not None:
            raise NotApplicable(self.failure)
        built = self.make()
        if isinstance(built, torch.nn.Module):
            built.eval()
        return built

    @functools.cached_property
    def failure(self) -> str | None:
        """Why no promise but those of its listing can be examined; ``None`` where they can."""
        try:
            self.check_size()
            self.make()
        except NotApplicable as why:
            return str(why)
        except Exception:  # noqa: BLE001 - the promise to be built tells it, and the others say that it does
            return "it cannot be built; see the promise can-be-built"
        return None

    def check_size(self) -> None:
        """Refuse to examine what is too large for it.

        Raises:
            NotApplicable: It has too many parameters; the message says how many, and how to give small settings.
        """
        from tamingplat.testing.promises import KINDS

        if not KINDS[self.kind].trained:
            return
        with torch.device("meta"):
            try:
                model = self.make()
            except (RuntimeError, NotImplementedError):  # a promise of its own
                return
        # Of some kinds there are models that are trained, and others that are given.
        count = sum(parameter.numel() for parameter in model.parameters()) if isinstance(model, torch.nn.Module) else 0
        if count > LARGEST:
            raise NotApplicable(
                f"with these settings it has {count / 1e6:.0f} million parameters; give small ones (conformance's config, "
                "--set of plugins check, or [tool.tamingplat.check] in pyproject.toml)"
            )

    def result(self, built: Any) -> list[Tensor]:
        """What an object makes of the kit's inputs, as tensors."""
        from tamingplat.testing.promises import KINDS

        return KINDS[self.kind].result(self, built)

    @contextmanager
    def reproducible(self) -> Iterator[None]:
        """Inside, torch's random state is always the same; afterwards, it is what it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield


def _selections(config: BaseModel) -> Iterator[tuple[str, str, Selection]]:
    """Every reference of the settings: the name of its part, the kind, and what is named."""
    for field, reference in references(type(config)).items():
        value = getattr(config, field)
        if isinstance(value, Selection):
            yield field, reference.kind, value
        elif isinstance(value, Mapping):
            yield from ((f"{field}.{key}", reference.kind, one) for key, one in value.items())
        elif isinstance(value, list | tuple):
            yield from ((f"{field}.{number}", reference.kind, one) for number, one in enumerate(value))


def parts_of(subject: Subject, config: Config) -> dict[str, Any]:
    """What settings refer to, built, but for what the request gives; stand-ins as in ``Subject.parts``."""
    built: dict[str, Any] = {}
    for name, kind, selection in _selections(config):
        if name in subject.request.parts:
            continue
        if kind == "tokenizer":
            built[name] = StandInTokenizer()
            continue
        component = subject.registry.find(kind, selection.use)
        own = component.config.model_validate(selection.config)
        cls: Any = subject.registry.load_class(component)
        parts = parts_of(subject, own)
        if issubclass(cls, TrainedClassifier):
            built[name] = StandInClassifier()
            continue
        part = cls(own, parts, subject.info) if kind == "conditioner" else cls(own, parts)
        if kind in _STAND_INS and isinstance(part, FrozenNetwork) and part.missing():
            # A metric is given features, and asks its extractor for their number alone.
            part = part if kind == "feature_extractor" else _STAND_INS[kind]()
        built[name] = part
    return built


def available(network: FrozenNetwork) -> None:
    """Go on only where a network's weights are here.

    Raises:
        NotApplicable: They are not; the message says which file to put where.
    """
    try:
        reason = network.missing()
    except UnavailableError as error:
        reason = str(error)
    if reason:
        raise NotApplicable(f"its weights are not here: {reason}")

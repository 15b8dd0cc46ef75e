"""The reference as one document: hooks, interfaces, and the settings of a distribution's components."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from enum import Enum

from tamingplat import interfaces
from tamingplat.interfaces import KINDS, HookSpecs, TamingplatError, TrainingSettings
from tamingplat.reference.components import component_section, settings_table
from tamingplat.reference.docstrings import first_sentence, markdown
from tamingplat.reference.members import function_signature, members
from tamingplat.registry import Registry, describe_fields, did_you_mean

SHIPPED = "tamingplat"

_HEAD = """# Reference

Generated from the code by `tamingplat plugins reference --out docs/reference.md`; a test holds the two to each other.

- [Hooks](#hooks): what tamingplat asks a plugin.
- [Interfaces](#interfaces): what the class of each kind implements.
- [What they take and give](#what-they-take-and-give): the types beside them.
- [Training settings](#training-settings): the `train` block of a manifest.
- [Shipped components](#shipped-components): every setting of each.
"""

_ROLES = {"required": "to be implemented", "optional": "has a default", "given": ""}


def reference_document(registry: Registry) -> str:
    """Hooks, interfaces, and the components that tamingplat itself ships. Imports torch."""
    parts = [_HEAD, "## Hooks", *_hooks(), "## Interfaces", *_interfaces(), "## What they take and give", *_types()]
    parts += ["## Training settings", markdown(TrainingSettings.__doc__), "\n".join(_training_fields())]
    parts += ["## Shipped components", *_components(registry, SHIPPED)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def component_document(registry: Registry, distribution: str) -> str:
    """The components of one distribution. Imports no torch.

    Raises:
        TamingplatError: No installed plugin comes from it.
    """
    sections = list(_components(registry, distribution))
    if not sections:
        names = {entry.distribution for entry in registry.components.values()}
        remedy = did_you_mean(distribution, names) or f"there are {', '.join(sorted(names))}"
        raise TamingplatError(f"no usable component comes from the distribution {distribution!r}; {remedy}")
    return "\n\n".join([f"# Components of {distribution}", *sections]) + "\n"


def _hooks() -> Iterator[str]:
    yield markdown(inspect.getmodule(HookSpecs).__doc__)
    for member in members(HookSpecs):
        yield f"### `{member.signature}`"
        yield markdown(member.docstring)


def _interfaces() -> Iterator[str]:
    from tamingplat.interfaces import models

    yield (
        "Each kind has a class to derive from. A component's `factory` names the class that does; `tamingplat.testing` "
        "examines it."
    )
    described: set[type] = set()
    for kind in KINDS:
        yield f"### {kind.replace('_', ' ').capitalize()}"
        interface = models.INTERFACES[kind]
        bases = [base for base in reversed(interface.__mro__) if base.__module__.startswith(interfaces.__name__)]
        for cls in bases:
            if cls in described:
                yield f"Derives from [`{cls.__name__}`](#{cls.__name__.lower()})."
            else:
                described.add(cls)
                yield from _class(cls, "####")


def _types() -> Iterator[str]:
    from tamingplat.interfaces import models

    named = {name: value for module in (interfaces, models) for name, value in vars(module).items() if name in module.__all__}
    interface_classes = {base for interface in models.INTERFACES.values() for base in interface.__mro__}
    classes = {value for value in named.values() if inspect.isclass(value) and value not in interface_classes}
    # Settings have a table of their own, and hooks a section.
    classes -= {HookSpecs, TrainingSettings}
    for cls in sorted(classes, key=lambda cls: cls.__name__):
        yield from _class(cls, "###")
    for name, function in sorted(named.items()):
        if inspect.isfunction(function):
            yield f"### `{name}`"
            yield f"```python\n{function_signature(function)}\n```"
            yield markdown(function.__doc__)


def _class(cls: type, heading: str) -> Iterator[str]:
    yield f"{heading} `{cls.__name__}`"
    yield markdown(cls.__doc__)
    if issubclass(cls, Enum):
        return
    for member in members(cls):
        role = f" *({_ROLES[member.role]})*" if _ROLES[member.role] else ""
        yield f"**`{member.signature}`**{role}"
        if member.docstring:
            yield markdown(member.docstring)


def _training_fields() -> Iterable[str]:
    return settings_table(describe_fields(TrainingSettings))


def _components(registry: Registry, distribution: str) -> Iterator[str]:
    for kind in KINDS:
        found = [
            entry.component
            for (of_kind, _), entry in sorted(registry.components.items())
            if of_kind == kind and entry.distribution == distribution
        ]
        if found:
            yield f"### {kind.replace('_', ' ').capitalize()} components"
            if len(found) > 1:
                yield "\n".join(
                    f"- [`{component.reference}`](#{component.reference.replace(':', '')}): {first_sentence(component.summary)}"
                    for component in found
                )
        for component in found:
            yield component_section(registry, component)

"""What a new plugin is called: its component, package and classes from one name, and everything that is wrong with the name."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tamingplat.interfaces import KINDS, Kind, Problem, ProblemsError, TamingplatError
from tamingplat.registry import Registry, UnknownComponentError, did_you_mean, installed_version

SCAFFOLD_KINDS: tuple[Kind, ...] = (
    "tokenizer",
    "prior",
    "ordering",
    "conditioner",
    "sampler",
    "dataset",
    "metric",
    "feature_extractor",
    "perceptual",
    "executor",
)
"""The kinds that have templates."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 30
_BESIDE_THE_PACKAGE = frozenset({"tests", "images", "store"})

_INTERFACES: Mapping[Kind, str] = MappingProxyType(
    {kind: "".join(word.capitalize() for word in kind.split("_")) for kind in SCAFFOLD_KINDS}
)
"""The class that each kind's own classes derive from, whose name theirs end in."""


@dataclass(frozen=True)
class PluginNames:
    """What the parts of a new plugin are called.

    Attributes:
        kind: Kind of its component.
        name: Of the component, the distribution and the folder: lower-case words joined by hyphens.
    """

    kind: Kind
    name: str

    @property
    def package(self) -> str:
        """The Python package and the entry point."""
        return self.name.replace("-", "_")

    @property
    def words(self) -> str:
        """The name in capitalised words without anything between: ``FsqToy``."""
        return "".join(word.capitalize() for word in self.name.split("-"))

    @property
    def class_name(self) -> str:
        """The component's class. It ends in its interface's name, and is never that name alone."""
        interface = _INTERFACES[self.kind]
        return self.words if self.words.endswith(interface) and self.words != interface else self.words + interface

    @property
    def config_name(self) -> str:
        """The settings class."""
        return f"{self.words}Config"


def parse_scaffold_kind(text: str) -> Kind:
    """A kind that has templates, written with ``-`` or ``_``.

    Raises:
        TamingplatError: There is no such kind, or none that can be written from templates.
    """
    plain = text.lower().replace("-", "_")
    for kind in SCAFFOLD_KINDS:
        if kind == plain:
            return kind
    choices = ", ".join(SCAFFOLD_KINDS)
    if plain in KINDS:
        raise TamingplatError(f"there is no template for the kind {plain}; there are templates for {choices}")
    raise TamingplatError(f"unknown kind {text!r}; {did_you_mean(text, SCAFFOLD_KINDS) or f'the kinds are {choices}'}")


def plugin_names(kind: Kind, name: str, registry: Registry) -> PluginNames:
    """The names of a new plugin.

    Args:
        kind: Kind of its component.
        name: As the user gave it.
        registry: What is installed already.

    Raises:
        ProblemsError: Everything that is wrong with the name.
    """
    names = PluginNames(kind, name)
    problems = list(_spelling(name)) or [*_taken(names, registry)]
    if problems:
        raise ProblemsError(problems)
    return names


def _spelling(name: str) -> Iterator[Problem]:
    where = f"name {name!r}"
    if not _NAME.fullmatch(name):
        words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower())
        while words and not words[0][0].isalpha():
            del words[0]
        guess = f"; did you mean {'-'.join(words)}?" if words else ""
        rule = "a name is lower-case letters and digits, joined by single hyphens, and begins with a letter"
        yield Problem(where, rule + guess, "" if guess else "choose such a name, like fsq-toy")
    if len(name) > _LONGEST:
        yield Problem(where, f"has {len(name)} characters, and at most {_LONGEST} are taken", "choose a shorter one")


def _taken(names: PluginNames, registry: Registry) -> Iterator[Problem]:
    where, package = f"name {names.name!r}", names.package
    other = f"choose another name, such as my-{names.name}"
    try:
        found = registry.registered(names.kind, names.name)
        yield Problem(
            where,
            f"there is a {names.kind} {found.component.name} of {found.distribution} {found.version}",
            f"choose another name; two plugins that offer {names.kind}:{found.component.name} need a line in registry.toml",
        )
    except UnknownComponentError as error:
        if not str(error).startswith("there is no "):  # it is known and not installed, or blocked, or offered twice
            yield Problem(where, str(error), other)
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        yield Problem(where, f"{package} is a word of the Python language, and no package can have that name", other)
    elif package in sys.stdlib_module_names:
        yield Problem(where, f"{package} is a module of Python itself, which a package of that name would hide", other)
    elif package in _BESIDE_THE_PACKAGE:
        yield Problem(where, f"the new project has a folder {package} for something else", other)
    elif installed_version(names.name) is not None:
        yield Problem(where, f"a distribution {names.name} is installed here", other)
    elif importlib.util.find_spec(package) is not None:
        yield Problem(where, f"a package {package} can be imported here already", other)

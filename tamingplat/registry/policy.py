"""What the registry files say together: the packaged one, the working directory's and the one that the environment names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tamingplat.interfaces import Problem, ProblemsError
from tamingplat.registry.discovery import checkout_root
from tamingplat.registry.schema import ComponentKey, PluginBlock, Source, Status, parse_reference, read_registry_file
from tamingplat.registry.suggestions import did_you_mean

FILE_NAME = "registry.toml"
ENVIRONMENT_VARIABLE = "TAMINGPLAT_REGISTRY"


@dataclass(frozen=True)
class PluginPolicy:
    """What the files say of one plugin.

    Attributes:
        plugin: Its entry point's name.
        distribution: What to install to get it; empty where no file says so.
        provides: The components that it is known to offer.
        status: How far it can be relied on; ``experimental`` where no file says otherwise.
        enabled: False blocks it.
        where: ``file:line: field`` of its last mention.
        blocked_by: The file that blocks it; empty where none does.
    """

    plugin: str
    distribution: str = ""
    provides: tuple[ComponentKey, ...] = ()
    status: Status = "experimental"
    enabled: bool = True
    where: str = ""
    blocked_by: str = ""


@dataclass(frozen=True)
class Preset:
    """Named settings of a component, and the place that gives them."""

    config: Mapping[str, Any]
    description: str
    where: str


@dataclass(frozen=True)
class Alias:
    """The component, or the further alias, that an alias stands for, and the place that says so."""

    target: ComponentKey
    where: str


@dataclass(frozen=True)
class Choice:
    """The plugin that is meant where several offer one component, and the place that says so."""

    plugin: str
    where: str


@dataclass(frozen=True)
class Policy:
    """All registry files together.

    Attributes:
        plugins: By entry point's name.
        aliases: From a further name to what it stands for; no chain of them is a circle.
        presets: By component or alias, then by name.
        choices: The plugin that is chosen for a component.
    """

    plugins: Mapping[str, PluginPolicy]
    aliases: Mapping[ComponentKey, Alias]
    presets: Mapping[ComponentKey, Mapping[str, Preset]]
    choices: Mapping[ComponentKey, Choice]

    def of(self, plugin: str) -> PluginPolicy:
        """What is said of a plugin; the defaults where nothing is."""
        return self.plugins.get(plugin) or PluginPolicy(plugin)


def packaged_file() -> Path:
    """The registry file that ships with tamingplat: in the package of a wheel, at the root of a checkout."""
    inside = Path(__file__).with_name(FILE_NAME)
    if inside.is_file():
        return inside
    root = checkout_root()
    assert root is not None and (root / FILE_NAME).is_file(), f"the installation lacks its {FILE_NAME}"
    return root / FILE_NAME


def registry_files(packaged: Path, directory: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files that apply, the later ones overriding the earlier ones, none of them twice.

    A file in the working directory need not exist; one that the environment names has to.
    """
    files = [packaged]
    local = directory / FILE_NAME
    if local.exists():
        files.append(local)
    named = environ.get(ENVIRONMENT_VARIABLE, "")
    if named:
        files.append(Path(named).expanduser())
    kept: list[Path] = []
    for file in files:
        if all(file.resolve() != other.resolve() for other in kept):
            kept.append(file)
    return tuple(kept)


def load_policy(files: Sequence[Path]) -> Policy:
    """Read the files and lay them over each other.

    Raises:
        ProblemsError: Everything that is wrong in any of them.
    """
    problems: list[Problem] = []
    sources: list[Source] = []
    for file in files:
        read = read_registry_file(file)
        if isinstance(read, Source):
            sources.append(read)
        else:
            problems += read
    aliases, wrong = _aliases(sources)
    problems += wrong
    if problems:
        raise ProblemsError(problems)
    return Policy(
        MappingProxyType(_plugins(sources)),
        MappingProxyType(aliases),
        MappingProxyType(_presets(sources)),
        MappingProxyType(_choices(sources)),
    )


def unknown_plugins(policy: Policy, installed: Sequence[str]) -> list[Problem]:
    """Plugins that the files mention and that neither are installed nor can be: misspelt names, most likely."""
    known = {*installed, *(name for name, plugin in policy.plugins.items() if plugin.distribution)}
    problems = []
    for name, plugin in policy.plugins.items():
        if name not in known:
            remedy = did_you_mean(name, known) or "correct the name, or give the distribution that has it"
            problems.append(Problem(plugin.where, f"no plugin {name} is installed and no distribution of it is known", remedy))
    for choice in policy.choices.values():
        if choice.plugin not in known and choice.plugin not in policy.plugins:
            remedy = did_you_mean(choice.plugin, known) or "name an installed plugin"
            problems.append(Problem(choice.where, f"there is no plugin {choice.plugin}", remedy))
    return problems


def _plugins(sources: Sequence[Source]) -> dict[str, PluginPolicy]:
    plugins: dict[str, PluginPolicy] = {}
    for source in sources:
        for name, block in source.content.plugin.items():
            plugins[name] = _overlaid(plugins.get(name) or PluginPolicy(name), block, source)
    return plugins


def _overlaid(policy: PluginPolicy, block: PluginBlock, source: Source) -> PluginPolicy:
    policy = replace(policy, where=source.where("plugin", policy.plugin))
    if block.distribution is not None:
        policy = replace(policy, distribution=block.distribution)
    if block.provides is not None:
        policy = replace(policy, provides=tuple(parse_reference(text) for text in block.provides))
    if block.status is not None:
        policy = replace(policy, status=block.status)
    if block.enabled is not None:
        policy = replace(policy, enabled=block.enabled, blocked_by="" if block.enabled else str(source.path))
    return policy


def _aliases(sources: Sequence[Source]) -> tuple[dict[ComponentKey, Alias], list[Problem]]:
    """Every alias, and what is wrong with those that lead nowhere."""
    aliases: dict[ComponentKey, Alias] = {}
    problems = []
    for source in sources:
        for text, target_text in source.content.alias.items():
            alias, target = parse_reference(text), parse_reference(target_text)
            where = source.where("alias", text)
            if alias[0] != target[0]:
                problems.append(Problem(where, f"{target_text} is of another kind", f"name a component of kind {alias[0]}"))
            else:
                aliases[alias] = Alias(target, where)
    for start, link in aliases.items():
        passed = [start]
        while passed[-1] in aliases and passed[-1] not in passed[:-1]:
            passed.append(aliases[passed[-1]].target)
        if passed[-1] == start:
            chain = " → ".join(f"{kind}:{name}" for kind, name in passed)
            problems.append(
                Problem(link.where, f"the aliases go round in a circle: {chain}", "let one of them name a component")
            )
    return aliases, problems


def _presets(sources: Sequence[Source]) -> dict[ComponentKey, Mapping[str, Preset]]:
    presets: dict[ComponentKey, dict[str, Preset]] = {}
    for source in sources:
        for text, blocks in source.content.preset.items():
            of_component = presets.setdefault(parse_reference(text), {})
            for name, block in blocks.items():
                of_component[name] = Preset(block.config, block.description, source.where("preset", text, name))
    return {key: MappingProxyType(named) for key, named in presets.items()}


def _choices(sources: Sequence[Source]) -> dict[ComponentKey, Choice]:
    return {
        parse_reference(text): Choice(plugin, source.where("conflict", text))
        for source in sources
        for text, plugin in source.content.conflict.items()
    }

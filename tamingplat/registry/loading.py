"""Asking one plugin for its components, so that whatever is wrong with it stays its own."""

from __future__ import annotations

import contextlib
import importlib
import sys
import textwrap
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pluggy

import tamingplat
from tamingplat.interfaces import (
    KINDS,
    PROJECT,
    Component,
    HookSpecs,
    TrainingSettings,
    references,
)
from tamingplat.interfaces.versions import mismatch
from tamingplat.registry.discovery import InstalledPlugin
from tamingplat.registry.guard import LONGEST, Overheard, TookTooLongError, time_limit
from tamingplat.registry.suggestions import did_you_mean

# Frames that say nothing of where a plugin went wrong.
_BETWEEN = (*(str(Path(file).parent) for file in (tamingplat.__file__, pluggy.__file__, importlib.__file__)), "<frozen")

OR_BLOCK_IT = ", or block it"
"""What joins the remedies that mend a plugin and the one that does without it."""


@dataclass(frozen=True)
class BrokenPlugin:
    """An installed plugin that cannot be used.

    Attributes:
        plugin: Its entry point's name.
        distribution: What declares it.
        version: That distribution's version.
        reason: What is wrong.
        remedy: What to do about it.
        about: ``interface`` where it is for another version of the interfaces, ``time`` where listing it did not end.
    """

    plugin: str
    distribution: str
    version: str
    reason: str
    remedy: str
    about: Literal["", "interface", "time"] = ""

    @property
    def error(self) -> str:
        """What is wrong and what to do about it."""
        return f"{self.reason}; {self.remedy}"

    def __str__(self) -> str:
        return f"plugin {self.plugin} ({self.distribution} {self.version}): {self.error}"


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin that works.

    Attributes:
        components: What it offers.
        printed: How that begins which it wrote to standard output meanwhile; empty where it wrote nothing.
    """

    components: tuple[Component, ...]
    printed: str = ""


class _PluginError(Exception):
    """What is wrong with a plugin, on its way out of the steps below."""

    def __init__(self, reason: str, remedy: str = "", about: Literal["", "interface", "time"] = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.about = about


def load_plugin(plugin: InstalledPlugin, *, seconds: float = LONGEST) -> LoadedPlugin | BrokenPlugin:
    """The components of a plugin, or what is wrong with it. Nothing that the plugin raises passes through.

    What it prints goes to standard error: standard output belongs to the command that is running.

    Args:
        plugin: What to load.
        seconds: How long that may take.
    """
    heard = Overheard(sys.stderr)
    try:
        with contextlib.redirect_stdout(heard), time_limit(seconds):
            components = _ask(_load(plugin), plugin.name)
        _check(components)
    except TookTooLongError as error:
        place = _place(error)
        fault = _PluginError(
            f"importing {plugin.target} had not ended after {seconds:g} seconds" + (f" (it was at {place})" if place else ""),
            f"move what waits or computes there into what is imported when a component is built, or uninstall "
            f"{plugin.distribution}",
            "time",
        )
        return _broken(plugin, fault)
    except _PluginError as fault:
        return _broken(plugin, fault)
    return LoadedPlugin(components, " ".join(heard.text.split()))


def _broken(plugin: InstalledPlugin, fault: _PluginError) -> BrokenPlugin:
    remedy = fault.remedy or f"upgrade or uninstall {plugin.distribution}"
    return BrokenPlugin(
        plugin.name,
        plugin.distribution,
        plugin.version,
        fault.reason,
        f"{remedy}{OR_BLOCK_IT} with `enabled = false` under [plugin.{plugin.name}] in registry.toml",
        fault.about,
    )


def describe_exception(error: BaseException) -> str:
    """An exception in one line, with the place in the plugin where it was raised."""
    message = textwrap.shorten(str(error), 400, placeholder=" …")
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    place = _place(error)
    return f"{text} ({place})" if place else text


def _place(error: BaseException) -> str:
    """The innermost place that is not ours; empty where there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(_BETWEEN):
            return f"{frame.filename}:{frame.lineno}"
    return ""


def missing_package(error: BaseException, target: str) -> str | None:
    """The package that an import wanted and that is not installed; ``None`` where it failed otherwise.

    Args:
        error: What the import raised.
        target: ``module:object`` that was to be imported, whose own package does not count as missing.
    """
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    package = error.name.partition(".")[0]
    return None if package == target.partition(":")[0].partition(".")[0] else package


def _load(plugin: InstalledPlugin) -> object:
    try:
        loaded = plugin.load()
    except (Exception, SystemExit) as error:
        package = missing_package(error, plugin.target)
        if package is not None:
            raise _PluginError(
                f"it imports {package}, which is not installed",
                f"install the package that has it (often: pip install {package}), or uninstall {plugin.distribution}",
            ) from error
        remedy = ""
        if isinstance(error, ModuleNotFoundError):
            remedy = f"its own module is missing: install {plugin.distribution} again"
        raise _PluginError(f"importing {plugin.target} failed: {describe_exception(error)}", remedy) from error
    if loaded is None:
        raise _PluginError(f"its entry point {plugin.target} is None, not a module or an object with hooks")
    return loaded


def _ask(loaded: object, name: str) -> tuple[Component, ...]:
    # A manager of its own: a hook wrapper of one plugin then never runs around another plugin's hooks.
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(HookSpecs)
    try:
        manager.register(loaded, name)
        manager.check_pending()
    except (Exception, SystemExit) as error:
        raise _PluginError(
            " ".join(str(error).split()) or describe_exception(error), _pending_remedy(manager, loaded)
        ) from error
    hook = manager.hook.tamingplat_components
    if not hook.get_hookimpls():
        raise _PluginError("it implements no hook", "decorate its tamingplat_components with tamingplat.interfaces.hookimpl")
    try:
        answers = hook()
        components = _as_components(answers[0] if answers else None)
    except _PluginError:
        raise
    except (Exception, SystemExit) as error:
        raise _PluginError(f"its hook tamingplat_components failed: {describe_exception(error)}") from error
    return components


def _pending_remedy(manager: pluggy.PluginManager, loaded: object) -> str:
    specified = [name for name in dir(HookSpecs) if name.startswith(f"{PROJECT}_")]
    unknown = [caller.name for caller in manager.get_hookcallers(loaded) or () if not caller.has_spec()]
    if not unknown:
        return ""
    return did_you_mean(unknown[0], specified) or f"the hooks are {', '.join(specified)}"


def _as_components(answer: object) -> tuple[Component, ...]:
    if isinstance(answer, Component) or not isinstance(answer, Iterable):
        raise _PluginError(f"its hook tamingplat_components returned {_kind_of(answer)}, not a list of Component")
    components = tuple(answer)
    for item in components:
        if not isinstance(item, Component):
            raise _PluginError(f"its hook tamingplat_components returned {_kind_of(item)} among the components")
    return components


def _kind_of(value: object) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"


def _check(components: tuple[Component, ...]) -> None:
    for component in components:
        if wrong := mismatch(component.interface):
            raise _PluginError(f"{component.reference} {wrong.what}", wrong.remedy, "interface")
        if not isinstance(component.training, TrainingSettings | None):
            raise _PluginError(f"{component.reference}: training is {_kind_of(component.training)}, not TrainingSettings")
        if not (isinstance(component.paper, str) and isinstance(component.family, str)):
            raise _PluginError(f"{component.reference}: paper and family must be texts")
        for field, reference in references(component.config).items():
            if reference.kind not in KINDS:
                raise _PluginError(f"{component.reference}: its setting {field} refers to the unknown kind {reference.kind!r}")
    twice = [reference for reference, count in Counter(c.reference for c in components).items() if count > 1]
    if twice:
        raise _PluginError(f"it offers {', '.join(twice)} more than once")

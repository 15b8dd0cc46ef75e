"""A registry in which only named plugins exist, whatever is installed, and none of them has to be."""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

from tamingplat.interfaces import TamingplatError
from tamingplat.registry import InstalledPlugin, Registry, did_you_mean, installed_plugins, load_registry

NOT_INSTALLED = "not installed"
"""What stands where the distribution of a plugin would be named that comes from none."""


def plugin_of(source: object) -> InstalledPlugin:
    """A plugin for the registry.

    Args:
        source: Name of an installed plugin (its entry point); the name of a module with hooks, which need not be installed;
            such a module or object itself; or an ``InstalledPlugin``.

    Raises:
        TamingplatError: There is no plugin and no module of that name.
    """
    if isinstance(source, InstalledPlugin):
        return source
    if not isinstance(source, str):
        name = source.__name__ if isinstance(source, ModuleType) else type(source).__name__
        return InstalledPlugin(name, NOT_INSTALLED, "", name, lambda: source)
    installed = {plugin.name: plugin for plugin in installed_plugins()}
    if source in installed:
        return installed[source]
    module, _, attribute = source.partition(":")
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None:
        guess = did_you_mean(source, installed) or f"the installed plugins are {', '.join(installed)}"
        raise TamingplatError(f"there is neither an installed plugin nor a module {source!r}; {guess}")
    load: Callable[[], object] = partial(_load, module, attribute)
    return InstalledPlugin(module.removesuffix(".plugin"), NOT_INSTALLED, "", source, load)


def _load(module: str, attribute: str) -> object:
    loaded: object = importlib.import_module(module)
    for name in filter(None, attribute.split(".")):
        loaded = getattr(loaded, name)
    return loaded


def registry_with(*sources: object) -> Registry:
    """A registry of these plugins and of nothing else: no other plugin, no alias, no preset, no registry file.

    Args:
        sources: As for ``plugin_of``.

    Raises:
        TamingplatError: There is no plugin of a name.
    """
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "registry.toml"
        empty.write_text("schema = 1\n")
        return load_registry(
            directory=Path(folder) / "elsewhere", environ={}, plugins=[plugin_of(one) for one in sources], packaged=empty
        )

"""What is installed: the entry points of the group ``tamingplat.plugins``, found without importing anything."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tamingplat.interfaces import ENTRY_POINT_GROUP


@dataclass(frozen=True)
class InstalledPlugin:
    """One entry point of an installed distribution, not yet imported.

    Attributes:
        name: The entry point's name, which registry.toml uses.
        distribution: The distribution that declares it.
        version: That distribution's version.
        target: What the entry point names, ``module`` or ``module:object``.
        load: Imports it and returns the object with the hooks.
    """

    name: str
    distribution: str
    version: str
    target: str
    load: Callable[[], object]


def installed_plugins() -> tuple[InstalledPlugin, ...]:
    """Every entry point of the group in the order of names, whatever distribution declares it."""
    found: dict[tuple[str, str, str], InstalledPlugin] = {}
    for entry in metadata.entry_points(group=ENTRY_POINT_GROUP):
        distribution = (entry.dist.name if entry.dist else None) or "unknown"
        version = (entry.dist.version if entry.dist else None) or ""
        plugin = InstalledPlugin(entry.name, distribution, version, entry.value, entry.load)
        found[entry.name, distribution, entry.value] = plugin
    return tuple(found[key] for key in sorted(found))


def claimed_twice(plugins: Iterable[InstalledPlugin]) -> dict[str, tuple[InstalledPlugin, ...]]:
    """The plugins whose name several entry points claim: nothing says which of them is meant."""
    by_name: dict[str, list[InstalledPlugin]] = defaultdict(list)
    for plugin in plugins:
        by_name[plugin.name].append(plugin)
    return {name: tuple(claims) for name, claims in by_name.items() if len(claims) > 1}


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution; ``None`` where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def editable_root(distribution: str) -> Path | None:
    """The checkout that a distribution was installed from with ``pip install -e``; ``None`` where it was not."""
    try:
        text = metadata.distribution(distribution).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    origin = json.loads(text) if text else {}
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin["url"]).path))


def checkout_root() -> Path | None:
    """The checkout that this package is run from; ``None`` where it is installed as a wheel."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() else None


def how_to_install(distribution: str, plugin: str) -> str:
    """The sentence that says how to get a plugin that is not installed."""
    version = installed_version(distribution)
    root = editable_root(distribution)
    if version is not None:
        command = f"pip install {_editable(root)}" if root else f"pip install --upgrade --force-reinstall {distribution}"
        return (
            f"{distribution} {version} is installed without the entry point {plugin}, "
            f"and new entry points appear when a distribution is installed again: {command}"
        )
    root = checkout_root() if distribution == "tamingplat" else None
    return f"install it: pip install {_editable(root) if root else distribution}"


def _editable(root: Path) -> str:
    return f"-e {shlex.quote(str(root))}"


def same_distribution(first: str, second: str) -> bool:
    """Whether two names mean one distribution: case and the choice of ``-``, ``_`` and ``.`` do not matter."""
    return _normalized(first) == _normalized(second)


def _normalized(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")

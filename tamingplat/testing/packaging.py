"""What a plugin's distribution has to say of itself, and where its modules are, read without importing anything."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from tamingplat.interfaces import ENTRY_POINT_GROUP, TamingplatError
from tamingplat.registry import InstalledPlugin, did_you_mean, editable_root, installed_plugins
from tamingplat.registry.probe_process import load_object
from tamingplat.testing.verdicts import Verdict

SETTINGS_TABLE = "tool.tamingplat.check"
_SETTINGS = ("config", "known", "image_size", "channels")


@dataclass(frozen=True)
class Distribution:
    """A distribution with plugins, installed or a project's folder.

    Attributes:
        name: As pip knows it.
        facts: ``version``, ``summary``, ``requires`` (a list), ``readme`` and ``licence`` (texts, empty where there are none).
        plugins: Its entry points; name and target.
        path: Folders in which its modules are looked for first.
        settings: Settings under which components are examined, by ``kind:name``.
        place: What is shown: a folder, or the name.
    """

    name: str
    facts: Mapping[str, Any]
    plugins: tuple[InstalledPlugin, ...]
    place: str
    path: tuple[str, ...] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def installed_distribution(name: str, plugins: tuple[InstalledPlugin, ...]) -> Distribution:
    """An installed distribution with some of its plugins; settings from its checkout, where pip installed it with ``-e``."""
    found = metadata.distribution(name)
    said = cast(Message, found.metadata)
    licence = said.get("License-Expression") or said.get("License") or " ".join(said.get_all("License-File") or [])
    readme = said.get("Description") or str(said.get_payload() or "")
    facts = {
        "version": found.version,
        "summary": said.get("Summary") or "",
        "requires": found.requires or [],
        "readme": readme.strip(),
        "licence": licence or next((one for one in said.get_all("Classifier") or [] if one.startswith("License")), ""),
    }
    root = editable_root(name)
    settings = project_in(root).settings if root is not None and (root / "pyproject.toml").is_file() else {}
    return Distribution(name, facts, plugins, name, settings=settings)


def project_in(folder: Path) -> Distribution:
    """The project in a folder, which need not be installed.

    Raises:
        TamingplatError: The folder holds no pyproject.toml with a table ``[project]``, or its settings for this are malformed.
    """
    file = folder / "pyproject.toml"
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TamingplatError(f"{file}: cannot be read ({error}); name a folder with a pyproject.toml, or a plugin") from error
    except tomllib.TOMLDecodeError as error:
        raise TamingplatError(f"{file}: not valid TOML: {error}") from error
    project = content.get("project")
    if not isinstance(project, dict) or not project.get("name"):
        raise TamingplatError(f"{file}: has no table [project] with a name")
    entries = project.get("entry-points", {}).get(ENTRY_POINT_GROUP, {})
    version = project.get("version") or ("dynamic" if "version" in project.get("dynamic", []) else "")
    readme = project.get("readme") or ""
    readme = readme.get("file", readme.get("text", "")) if isinstance(readme, dict) else readme
    licences = sorted(one.name for one in folder.glob("LICEN[CS]E*"))
    facts = {
        "version": version,
        "summary": project.get("description") or "",
        "requires": project.get("dependencies", []),
        "readme": readme
        if readme and (folder / readme).is_file() and (folder / readme).read_text(errors="replace").strip()
        else "",
        "licence": " ".join(licences) if project.get("license") or project.get("license-files") or licences else "",
    }
    plugins = tuple(
        InstalledPlugin(name, project["name"], version, target, partial(load_object, target))
        for name, target in sorted(entries.items())
    )
    settings = _settings(file, content.get("tool", {}).get("tamingplat", {}).get("check", {}))
    return Distribution(project["name"], facts, plugins, str(folder), _source_folders(folder, content), settings)


def _source_folders(folder: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a project's packages lie: src, what its build tool's settings say, and the folder itself."""
    tool = content.get("tool", {})
    wheel = tool.get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
    setuptools = tool.get("setuptools", {})
    named = [str(Path(package).parent) for package in wheel.get("packages", [])]
    named += list(setuptools.get("package-dir", {}).values()) if isinstance(setuptools.get("package-dir"), dict) else []
    found = setuptools.get("packages", {})
    named += list(found.get("find", {}).get("where", [])) if isinstance(found, dict) else []
    folders = [folder / name for name in (*named, "src", ".")]
    return tuple(dict.fromkeys(str(one.resolve()) for one in folders if one.is_dir()))


def _settings(file: Path, tables: object) -> Mapping[str, Mapping[str, Any]]:
    where = f"{file}: [{SETTINGS_TABLE}]"
    if not isinstance(tables, dict):
        raise TamingplatError(f'{where} must hold a table for each component, such as [{SETTINGS_TABLE}."tokenizer:mine"]')
    for reference, table in tables.items():
        if not isinstance(table, dict):
            raise TamingplatError(f"{where}: {reference} must be a table with {', '.join(_SETTINGS)}")
        for key in table:
            if key not in _SETTINGS:
                remedy = did_you_mean(key, _SETTINGS) or f"there are {', '.join(_SETTINGS)}"
                raise TamingplatError(f'{file}: [{SETTINGS_TABLE}."{reference}"]: unknown setting {key}; {remedy}')
    return tables


def packaging_verdicts(distribution: Distribution) -> Iterator[Verdict]:
    """What the distribution's metadata promise."""
    facts, place = distribution.facts, distribution.place
    missing = [what for what in ("version", "summary") if not facts[what]]
    yield _verdict(
        "distribution-is-described",
        place,
        f"the metadata lack {' and '.join(missing)}" if missing else "",
        "set version and description under [project] in pyproject.toml",
    )
    missing = [what for what in ("readme", "licence") if not facts[what]]
    yield _verdict(
        "readme-and-licence-are-there",
        place,
        f"there is no {' and no '.join(missing)}" if missing else "",
        "add the files, and set readme and license under [project] in pyproject.toml",
    )
    own = re.sub(r"[-_.]+", "-", distribution.name).lower() == "tamingplat"
    needs = own or any(re.match(r"tamingplat(?![\w.-])", requirement) for requirement in facts["requires"])
    yield _verdict(
        "tamingplat-is-required",
        place,
        "" if needs else "its requirements do not name tamingplat",
        'add "tamingplat" to dependencies under [project] in pyproject.toml',
    )
    yield _verdict(
        "an-entry-point-is-declared",
        place,
        "" if distribution.plugins else f"it declares no entry point in the group {ENTRY_POINT_GROUP}",
        f'add [project.entry-points."{ENTRY_POINT_GROUP}"] to pyproject.toml, with a line such as mine = "my_package.plugin"',
    )


def _verdict(promise: str, subject: str, seen: str, look: str) -> Verdict:
    return Verdict(promise, "broken", f"{seen}; {look}", subject) if seen else Verdict(promise, "kept", "", subject)


def find_distribution(name: str) -> Distribution:
    """An installed distribution by its own name or by that of one of its plugins, which is then the only one looked at.

    Raises:
        TamingplatError: There is neither.
    """
    plugins = installed_plugins()
    for chosen in ([one for one in plugins if one.name == name], [one for one in plugins if one.distribution == name]):
        if chosen:
            return installed_distribution(chosen[0].distribution, tuple(chosen))
    names = [one.name for one in plugins] + [one.distribution for one in plugins]
    remedy = (
        did_you_mean(name, names) or "name an installed plugin, a component as kind:name, or a folder with a pyproject.toml"
    )
    raise TamingplatError(f"there is no installed plugin, no component and no folder {name!r}; {remedy}")

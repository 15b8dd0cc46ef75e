"""registry.toml, the entry points of pyproject.toml and the hooks of the shipped plugins hold to each other."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tamingplat.interfaces import references
from tamingplat.registry import Registry, checkout_root, load_registry


def _read(name: str) -> dict[str, Any]:
    root = checkout_root()
    assert root is not None
    return tomllib.loads((root / name).read_text(encoding="utf-8"))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return load_registry(directory=tmp_path, environ={})


def test_the_file_knows_every_plugin_that_is_shipped_and_no_other() -> None:
    project = _read("pyproject.toml")["project"]
    known = _read("registry.toml")["plugin"]
    assert set(known) == set(project["entry-points"]["tamingplat.plugins"])
    assert {plugin["distribution"] for plugin in known.values()} == {project["name"]}


def test_the_file_says_of_every_plugin_what_its_hook_says(registry: Registry) -> None:
    offered: dict[str, list[str]] = {}
    for entry in registry.components.values():
        offered.setdefault(entry.plugin, []).append(entry.component.reference)
    known = _read("registry.toml")["plugin"]
    ours = {plugin: sorted(names) for plugin, names in offered.items() if plugin in known}
    assert ours == {plugin: sorted(block["provides"]) for plugin, block in known.items()}
    assert [broken for broken in registry.broken if broken.plugin in known] == []


def test_every_alias_leads_to_a_component_and_covers_none(registry: Registry) -> None:
    for kind, name in registry.policy.aliases:
        assert registry.find(kind, name).name != name
    assert registry.notices == ()


def test_every_preset_fits_its_component(registry: Registry) -> None:
    count = 0
    for kind, name in registry.policy.presets:
        for preset in registry.presets(kind, name):
            config = registry.preset(kind, name, preset)
            assert config
            count += 1
    assert count >= 2


def test_what_a_setting_refers_to_by_default_is_there(registry: Registry) -> None:
    for entry in registry.components.values():
        for field, reference in references(entry.component.config).items():
            default = entry.component.config.model_fields[field].default
            if isinstance(default, str):
                registry.find(reference.kind, default)


def test_every_component_that_is_shipped_has_its_class(registry: Registry) -> None:
    known = _read("registry.toml")["plugin"]
    for entry in registry.components.values():
        if entry.plugin in known:
            assert registry.load_class(entry.component).__doc__


def test_every_ordering_has_a_picture(registry: Registry) -> None:
    for (kind, _), entry in registry.components.items():
        if kind == "ordering" and entry.distribution == "tamingplat":
            described = registry.describe(entry.component)
            assert described["problems"] == []
            assert described["illustration"].count("\n") >= 3

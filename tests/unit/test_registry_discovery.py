"""Plugins found through the metadata of really installed distributions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tamingplat.registry import checkout_root, editable_root, how_to_install, installed_plugins, load_registry

PLUGIN = """\
from tamingplat.interfaces import Component, hookimpl

@hookimpl
def tamingplat_components():
    return [Component(kind="ordering", name="{name}", factory="{module}:Missing", summary="An ordering from outside")]
"""


def _install(site: Path, distribution: str, version: str, entry_points: dict[str, str], modules: dict[str, str]) -> None:
    """What pip leaves behind for a distribution, written by hand."""
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    lines = [f"{name} = {value}" for name, value in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[tamingplat.plugins]", *lines, ""]))
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def test_distributions_are_found_loaded_and_kept_apart(site: Path, tmp_path: Path) -> None:
    _install(
        site,
        "found-outside",
        "3.1",
        {
            "outside": "registry_outside",
            "outside_broken": "registry_outside_broken",
            "outside_gone": "registry_outside_gone:it",
        },
        {
            "registry_outside": PLUGIN.format(name="from-outside", module="registry_outside"),
            "registry_outside_broken": "import a_package_that_nobody_has\n",
            "registry_outside_gone": "",
        },
    )
    found = [plugin for plugin in installed_plugins() if plugin.distribution == "found-outside"]
    assert [(plugin.name, plugin.version, plugin.target) for plugin in found] == [
        ("outside", "3.1", "registry_outside"),
        ("outside_broken", "3.1", "registry_outside_broken"),
        ("outside_gone", "3.1", "registry_outside_gone:it"),
    ]
    registry = load_registry(directory=tmp_path, environ={})
    entry = registry.registered("ordering", "from-outside")
    assert (entry.plugin, entry.distribution, entry.version, entry.status) == (
        "outside",
        "found-outside",
        "3.1",
        "experimental",
    )
    reasons = {broken.plugin: broken.reason for broken in registry.broken if broken.distribution == "found-outside"}
    assert reasons["outside_broken"] == "it imports a_package_that_nobody_has, which is not installed"
    assert "AttributeError" in reasons["outside_gone"]


def test_a_distribution_without_its_entry_point_is_named_with_the_command(site: Path, tmp_path: Path) -> None:
    _install(site, "half-installed", "1.0", {}, {})
    assert how_to_install("half-installed", "lost") == (
        "half-installed 1.0 is installed without the entry point lost, and new entry points appear when a distribution is "
        "installed again: pip install --upgrade --force-reinstall half-installed"
    )
    assert how_to_install("not-installed-at-all", "lost") == "install it: pip install not-installed-at-all"


def test_an_editable_distribution_is_installed_again_from_its_checkout(site: Path, tmp_path: Path) -> None:
    _install(site, "editable-one", "1.0", {}, {})
    checkout = tmp_path / "a checkout"
    origin = {"url": checkout.as_uri(), "dir_info": {"editable": True}}
    (site / "editable_one-1.0.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    assert editable_root("editable-one") == checkout
    assert how_to_install("editable-one", "lost").endswith(f"pip install -e '{checkout}'")


def test_the_checkout_is_known_by_its_pyproject() -> None:
    root = checkout_root()
    assert root is not None
    assert (root / "registry.toml").is_file()


def test_listing_imports_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from tamingplat.registry import load_registry\n"
        "registry = load_registry()\n"
        "assert registry.components and not registry.broken, registry.rows()\n"
        "[registry.describe(entry.component) for entry in registry.components.values()]\n"
        "heavy = {'torch', 'torchvision', 'lpips', 'datasets', 'accelerate', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr

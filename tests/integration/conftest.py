"""What the integration tests share: projects of third parties, as good as installed, commands on a manifest, and a browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


class Environment:
    """What ``pip install -e`` leaves behind, in a folder of its own: metadata with entry points, and paths to the projects.

    Attributes:
        site: Where the metadata lie.
        projects: The folders of the projects, in the order in which they were installed.
    """

    def __init__(self, site: Path) -> None:
        self.site = site
        self.projects: list[Path] = []

    @property
    def pythonpath(self) -> str:
        """For the environment variable ``PYTHONPATH`` of a process."""
        return os.pathsep.join(str(path) for path in (self.site, *self.projects))

    def install(self, project: Path) -> None:
        """Install the project in a folder with a pyproject.toml."""
        described = tomllib.loads((project / "pyproject.toml").read_text())["project"]
        folder = self.site / f"{described['name'].replace('-', '_')}-{described['version']}.dist-info"
        folder.mkdir(parents=True, exist_ok=True)
        head = f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: {described['version']}\n"
        (folder / "METADATA").write_text(head)
        groups = described.get("entry-points", {}).items()
        lines = [
            f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items()) for group, entries in groups
        ]
        (folder / "entry_points.txt").write_text("\n".join(lines))
        if project not in self.projects:
            self.projects.append(project)

    def forget_modules(self) -> None:
        """Have this process import the projects' modules anew: their files may have changed."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and any(Path(file).is_relative_to(project) for project in self.projects):
                del sys.modules[name]

    def install_here(self, project: Path, patch: pytest.MonkeyPatch) -> None:
        """Install a project also for this process and the ones that it starts, until ``patch`` is undone."""
        self.install(project)
        for path in (self.site, project):
            if str(path) not in sys.path:
                patch.syspath_prepend(path)
        patch.setenv("PYTHONPATH", self.pythonpath)


@pytest.fixture(scope="session")
def make_environment() -> type[Environment]:
    """Makes an environment with nothing in it but this one's packages, which no process sees yet."""
    return Environment


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    """Such an environment for one test."""
    made = Environment(tmp_path / "site")
    yield made
    made.forget_modules()


@pytest.fixture(scope="session")
def run_manifest(tamingplat_here: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[[Path], Path]:
    """Runs a manifest to its end, and gives the store with the results: ``store``, beside the manifest."""

    def run(manifest: Path) -> Path:
        store = manifest.parent / "store"
        result = tamingplat_here("run", manifest, "--store", store)
        assert result.returncode == 0, result.stderr + result.stdout
        return store

    return run


@pytest.fixture(scope="session")
def plan_manifest(tamingplat_here: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., dict[str, Any]]:
    """What is planned, without estimates, for a manifest with settings such as ``seeds=[1]`` and the store beside it."""

    def plan(manifest: Path, *settings: str) -> dict[str, Any]:
        more = (part for setting in settings for part in ("--set", setting))
        result = tamingplat_here("plan", manifest, "--store", manifest.parent / "store", "--json", "--no-estimates", *more)
        assert result.returncode == 0, result.stderr
        content: dict[str, Any] = json.loads(result.stdout)
        return content

    return plan


@pytest.fixture(scope="module")
def browser(fixture_module: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser with an empty profile: a ``PageBrowser`` of ``tests/fixtures/page_browser.py``."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium or no chromedriver: install Debian's packages chromium and chromium-driver")
    started = fixture_module("page_browser").PageBrowser(chromium, driver, tmp_path_factory.mktemp("profile"))
    yield started
    started.quit()

"""``tamingplat plugins new``: what it writes is linted, tested, installed and run as it is, for every kind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamingplat.registry import load_registry
from tamingplat.scaffold import SCAFFOLD_KINDS, PluginNames, plugin_names, write_project

Here = Callable[..., subprocess.CompletedProcess[str]]

_LONGEST = "a-name-that-is-as-long-as-may"
# Blocks of the generated manifests that are trained: few steps show that everything runs.
_TRAINED = {"prior": ("prior.NAME",), "perceptual": ("tokenizer.vqvae-NAME", "tokenizer.vqvae")}


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A project of each kind."""
    folder, registry = tmp_path_factory.mktemp("projects"), load_registry()
    return {
        kind: write_project(plugin_names(kind, f"toy-{kind.replace('_', '-')}", registry), folder).folder
        for kind in SCAFFOLD_KINDS
    }


def in_process(arguments: list[Any], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "", **variables},
    )


def test_the_command_says_what_it_wrote_and_what_to_do_next(tmp_path: Path, tamingplat_here: Here) -> None:
    result = tamingplat_here("plugins", "new", "feature-extractor", "colour-grid", "--into", tmp_path)
    assert result.returncode == 0, result.stderr
    folder = tmp_path / "colour-grid"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".png"}
    assert files == {
        ".gitignore",
        "LICENSE",
        "README.md",
        "colour-grid.toml",
        "colour_grid/__init__.py",
        "colour_grid/config.py",
        "colour_grid/feature_extractor.py",
        "colour_grid/plugin.py",
        "pyproject.toml",
        "tests/test_colour_grid.py",
    }
    assert all(name in result.stdout for name in files)
    assert "pip install -e '.[test]'" in result.stdout and "tamingplat run colour-grid.toml" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["colour-grid"]  # nothing half-finished is left
    again = tamingplat_here("plugins", "new", "metric", "colour-grid", "--into", tmp_path)
    assert again.returncode == 2 and "exists already; choose another name" in again.stderr


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("tokeniser", "fsq-toy", "did you mean tokenizer?"),
        ("classifier", "toy", "there is no template for the kind classifier; there are templates for tokenizer,"),
        ("tokenizer", "FSQ_Toy", "did you mean fsq-toy?"),
        ("tokenizer", "FsqToy", "did you mean fsq-toy?"),
        ("tokenizer", "3d", "begins with a letter"),
        ("tokenizer", "a" * 31, "has 31 characters, and at most 30"),
        ("tokenizer", "vqgan", "there is a tokenizer vqgan of tamingplat"),
        ("tokenizer", "k-means", "there is a tokenizer kmeans of tamingplat"),
        ("ordering", "class", "class is a word of the Python language"),
        ("ordering", "random", "random is a module of Python itself"),
        ("ordering", "tests", "has a folder tests for something else"),
        ("ordering", "torch", "a distribution torch is installed here"),
        ("ordering", "tamingplat-vq", "a package tamingplat_vq can be imported here already"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_a_remedy(
    kind: str, name: str, told: str, tmp_path: Path, tamingplat_here: Here
) -> None:
    result = tamingplat_here("plugins", "new", kind, name, "--into", tmp_path / "new")
    assert result.returncode == 2 and told in result.stderr, result.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path, tamingplat_here: Here) -> None:
    (tmp_path / "file").write_text("")
    result = tamingplat_here("plugins", "new", "metric", "colours-toy", "--into", tmp_path / "file")
    assert result.returncode == 2 and "choose another folder with --into" in result.stderr


def test_classes_are_named_after_their_interface() -> None:
    assert PluginNames("tokenizer", "fsq-toy").class_name == "FsqToyTokenizer"
    assert PluginNames("tokenizer", "fsq-tokenizer").class_name == "FsqTokenizer"
    assert PluginNames("tokenizer", "tokenizer").class_name == "TokenizerTokenizer"  # not the interface's own name
    assert PluginNames("feature_extractor", "colours").class_name == "ColoursFeatureExtractor"


def test_what_is_written_is_always_the_same_and_linted(projects: dict[str, Path], tmp_path: Path) -> None:
    registry = load_registry()
    for kind in SCAFFOLD_KINDS:  # short and long names: neither breaks a line
        for name in ("b", f"{_LONGEST}{kind[0]}"):
            names = plugin_names(kind, name, registry)
            write_project(names, tmp_path / kind)
    again = write_project(plugin_names("prior", "toy-prior", registry), tmp_path).folder
    for path in (path for path in again.rglob("*") if path.is_file()):
        assert path.read_bytes() == (projects["prior"] / path.relative_to(again)).read_bytes(), path
    for command in (["check"], ["format", "--diff"]):
        result = in_process(["-m", "ruff", *command, "--no-cache", tmp_path, *projects.values()], tmp_path)
        assert result.returncode == 0, result.stdout


@pytest.mark.slow
def test_the_tests_of_every_kind_pass(projects: dict[str, Path], environment: Any) -> None:
    for project in projects.values():
        environment.install(project)
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", *projects.values()]
    result = in_process(arguments, environment.site, PYTHONPATH=environment.pythonpath)
    assert result.returncode == 0, result.stdout[-4000:]
    assert "passed" in result.stdout and "xfailed" not in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in SCAFFOLD_KINDS if kind != "tokenizer"])  # which is installed by pip, below
def test_its_manifest_runs_beside_what_is_shipped(
    kind: str,
    projects: dict[str, Path],
    environment: Any,
    tamingplat_here: Here,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = projects[kind]
    environment.install_here(project, monkeypatch)
    monkeypatch.chdir(tmp_path)  # the manifest finds its images from anywhere, and the log is written here
    manifest = project / f"{project.name}.toml"
    assert len([line for line in manifest.read_text().splitlines() if line and not line.startswith("#")]) < 40
    listed = json.loads(tamingplat_here("plugins", "list", "--json").stdout)
    assert [row["distribution"] for row in listed if (row["kind"], row["name"]) == (kind, project.name)] == [project.name]
    trained = [block.replace("NAME", project.name) for block in (*_TRAINED.get(kind, ()), "prior.gpt")]
    few = [argument for block in trained for argument in ("--set", f"{block}.train.steps=2")]
    result = tamingplat_here("run", manifest, "--store", tmp_path / "store", "--set", "evaluate.samples=16", *few)
    assert result.returncode == 0, result.stderr + result.stdout
    compared = tamingplat_here(
        "compare", manifest, "--store", tmp_path / "store", "--format", "json", "--set", "evaluate.samples=16", *few
    )
    rows = json.loads(compared.stdout)
    assert {row["status"] for row in rows if row["kind"] == "cell"} == {"done"}
    if kind in ("metric", "feature_extractor"):
        assert any(project.name in name for row in rows for name in row["metrics"])
    elif kind == "executor":
        assert "done" in (tmp_path / "stages.log").read_text()
    elif kind != "perceptual":
        assert {project.name} < {row[kind] for row in rows if row["kind"] == "cell"}


@pytest.mark.slow
def test_a_tokenizer_is_installed_by_pip_and_run_from_elsewhere(projects: dict[str, Path], tmp_path: Path) -> None:
    project, target = tmp_path / "toy-tokenizer", tmp_path / "installed"
    shutil.copytree(projects["tokenizer"], project)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet", "--target", target]
    installed = in_process(["-m", "pip", "install", *options, project], tmp_path)
    assert installed.returncode == 0, installed.stderr
    assert (target / "toy_tokenizer" / "tokenizer.py").is_file()
    shutil.rmtree(project / "toy_tokenizer")  # what runs is what was installed
    steps = [
        argument
        for block in ("tokenizer.toy-tokenizer", "tokenizer.vqgan", "prior.gpt")
        for argument in ("--set", f"{block}.train.steps=3")
    ]
    command = ["-m", "tamingplat", "run", "toy-tokenizer.toml", *steps]
    result = in_process(command, project, PYTHONPATH=str(target))
    assert result.returncode == 0, result.stderr + result.stdout
    assert {"toy-tokenizer", "vqgan"} <= set(result.stdout.split())

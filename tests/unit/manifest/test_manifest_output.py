"""The resolved manifest, the real registry behind it, and what importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamingplat.interfaces import Component, ProblemsError, hookimpl
from tamingplat.manifest import Manifest, load_manifest, write_resolved
from tamingplat.registry import InstalledPlugin, Registry, load_registry

Load = Callable[..., Manifest]

TEXT = """\
seeds = [0, 1]
[perceptual.deep]
use = "vgg"
config = { weights = "weights.bin" }
[tokenizer.vq]
use = "vqgan"
preset = "large"
config.perceptual = "deep"
views = 2
[matrix]
dataset = ["noise"]
tokenizer = ["vq"]
prior = ["gpt"]
ordering = ["row-major"]
[axes]
"tokenizer.vq.config.loss.weight" = [0.5]
"""


def test_the_resolved_manifest_spells_everything_out(load: Load, folder: Path) -> None:
    resolved = load(TEXT).resolved()
    tokenizer = resolved["components"]["tokenizer"]["vq[weight=0.5]"]
    assert tokenizer["config"] == {
        "codebook_size": 1024,
        "downsampling": 2,
        "perceptual": {"use": "vgg", "config": {}},
        "loss": {"weight": 0.5, "kind": "plain", "chunk": 8},
        "strides": [2, 2],
        "compile": False,
    }
    assert tokenizer["parts"]["perceptual"] == {
        "label": "deep",
        "component": "vgg",
        "revision": 1,
        "config": {"layers": [1, 2], "weights": str(folder / "weights.bin")},
    }
    assert (tokenizer["component"], tokenizer["revision"], tokenizer["views"]) == ("vqgan", 1, 2)
    assert tokenizer["train"]["steps"] == 100 and tokenizer["train"]["learning_rate"] == 3e-4
    assert set(resolved["components"]) == {
        *("dataset", "tokenizer", "prior", "ordering", "conditioner", "sampler", "metric", "executor")
    }
    assert resolved["cells"] == [
        {
            "dataset": "noise",
            "tokenizer": "vq[weight=0.5]",
            "prior": "gpt",
            "ordering": "raster",
            "conditioner": "none",
            "sampler": "ancestral",
            "seed": seed,
            "tokenizer_seed": 0,
            "axes": {"tokenizer.vq.config.loss.weight": 0.5},
        }
        for seed in (0, 1)
    ]
    assert resolved["evaluate"]["samples"] == 2000 and resolved["runtime"]["device"] == "auto"


def test_the_resolved_manifest_is_written_at_once(load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = load(TEXT)
    path = folder / "results" / "manifest.resolved.json"
    write_resolved(manifest, path)
    first = path.read_text()
    assert json.loads(first) == manifest.resolved()
    assert first == json.dumps(json.loads(first), indent=2, sort_keys=True) + "\n"
    write_resolved(manifest, path)
    assert path.read_text() == first

    def no_room(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(OSError, match="no space left"):
        write_resolved(load(TEXT.replace("views = 2", "views = 3")), path)
    assert path.read_text() == first
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.fixture
def registry(catalogue: Any, tmp_path: Path) -> Registry:
    """The real registry with one plugin that offers the toy components, and one that is known and not installed."""
    module = types.ModuleType("toys")

    def tamingplat_components() -> list[Component]:
        return list(catalogue.components.values())

    vars(module)["tamingplat_components"] = hookimpl(tamingplat_components)
    packaged = tmp_path / "packaged.toml"
    packaged.write_text("""\
schema = 1
[plugin.elsewhere]
distribution = "elsewhere-dist"
provides = ["prior:maskgit"]
[alias]
"ordering:row-major" = "ordering:raster"
[preset."tokenizer:vqgan".large]
config = { codebook_size = 1024, loss = { kind = "plain" } }
""")
    toys = InstalledPlugin("toys", "toys-dist", "1.0", "toys", lambda: module)
    return load_registry(plugins=[toys], packaged=packaged, directory=tmp_path, environ={})


def test_the_registry_is_what_manifests_are_resolved_with(registry: Registry, folder: Path) -> None:
    path = folder / "m.toml"
    path.write_text(f'schema = 1\nname = "toy"\n{TEXT}')
    cell = load_manifest(path, registry).cells[0]
    assert (cell.ordering.label, cell.tokenizer.component.name) == ("raster", "vqgan")
    assert cell.tokenizer.config.model_dump()["codebook_size"] == 1024


def test_what_the_registry_says_is_said_at_the_line(registry: Registry, folder: Path) -> None:
    text = """\
schema = 1
name = "toy"
[prior.masked]
use = "maskgit"
[prior.maskgit]
[prior.mine]
[tokenizer.vq]
use = "vqgn"
[tokenizer.vqgan]
preset = "larg"
[matrix]
dataset = ["noise"]
tokenizer = ["vqg"]
prior = ["gpt"]
ordering = ["row-majr"]
"""
    path = Path("m.toml")
    path.write_text(text)
    with pytest.raises(ProblemsError) as raised:
        load_manifest(path, registry)
    lines = str(raised.value).splitlines()
    install = "prior:maskgit is offered by the plugin elsewhere, which is not installed; "
    assert lines[0].startswith(f"m.toml:4: prior.masked.use: {install}")
    assert lines[1].startswith(f"m.toml:5: prior.maskgit: {install}") and 'says use = "…"' not in lines[1]
    assert lines[2:] == [
        "m.toml:6: prior.mine: there is no prior:mine; there are gpt, snail; "
        'a block that is not named after its component says use = "…"',
        "m.toml:8: tokenizer.vq.use: there is no tokenizer:vqgn; did you mean vqgan?",
        "m.toml:10: tokenizer.vqgan.preset: tokenizer:vqgan has no preset 'larg'; did you mean large?",
        "m.toml:13: matrix.tokenizer[0]: there is no tokenizer:vqg; did you mean vqgan, or the block vq?",
        "m.toml:15: matrix.ordering[0]: there is no ordering:row-majr; did you mean row-major?",
    ]


def test_reading_a_manifest_imports_no_torch() -> None:
    code = "import sys, tamingplat.manifest; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode == 0

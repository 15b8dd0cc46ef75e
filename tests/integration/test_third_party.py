"""A plugin of somebody else beside the shipped ones: found, run, isolated, and missed by name when it is gone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PLUGINS = str(Path(__file__).parents[1] / "fixtures" / "plugins")

Run = Callable[..., subprocess.CompletedProcess[str]]

TEXT = """
[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 8 }

[prior.exploding]
use = "independent"
config = { fails_at = 3 }

[prior.gpt]
config = { layers = 1, heads = 1, width = 8 }
train = { steps = 2, batch_size = 8 }

[matrix]
dataset = ["blobs"]
tokenizer = ["colours"]
prior = ["independent", "exploding", "gpt"]
ordering = ["raster", "shuffled"]
exclude = [{ prior = ["exploding", "gpt"], ordering = "shuffled" }]

[evaluate]
metrics = ["nll"]
samples = 6
"""


@pytest.mark.slow
def test_a_failing_cell_is_recorded_and_the_others_go_on(
    write_manifest: Callable[..., Path], tmp_path: Path, tamingplat: Run
) -> None:
    manifest, store = write_manifest(TEXT), tmp_path / "store"
    result = tamingplat("run", manifest, "--store", store, PYTHONPATH=PLUGINS)
    assert result.returncode == 1, result.stderr + result.stdout
    assert "the planted fault" in result.stdout and "Traceback" not in result.stderr
    compared = tamingplat("compare", manifest, "--store", store, "--format", "json", PYTHONPATH=PLUGINS)
    assert compared.returncode == 1
    rows = {(row["prior"], row["ordering"]): row for row in json.loads(compared.stdout) if row["kind"] == "cell"}
    assert {names: row["status"] for names, row in rows.items()} == {
        ("independent", "raster"): "done",
        ("independent", "shuffled"): "done",
        ("exploding", "raster"): "failed",
        ("gpt", "raster"): "done",
    }
    assert "the planted fault" in rows["exploding", "raster"]["reason"]
    # A likelihood under a random order is a bound, and is never put into one column with the exact ones.
    assert "nll-bound" in rows["independent", "shuffled"]["metrics"] and "nll" not in rows["independent", "shuffled"]["metrics"]
    assert "nll" in rows["independent", "raster"]["metrics"]
    failures = [json.loads(path.read_text()) for path in (store / "failures").iterdir()]
    assert len(failures) == 1 and "Traceback" in failures[0]["traceback"]


def test_a_plugin_that_is_gone_is_missed_by_name(write_manifest: Callable[..., Path], tmp_path: Path, tamingplat: Run) -> None:
    registry = tmp_path / "registry.toml"
    registry.write_text(
        'schema = 1\n[plugin.tamingplat_fixture]\ndistribution = "tamingplat-fixture"\n'
        'provides = ["prior:independent", "ordering:shuffled"]\nstatus = "experimental"\nenabled = true\n'
    )
    manifest = write_manifest(TEXT)
    result = tamingplat("validate", manifest, TAMINGPLAT_REGISTRY=str(registry))
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert "pip install tamingplat-fixture" in result.stderr and "independent" in result.stderr and "shuffled" in result.stderr
    assert f"{manifest}:" in result.stderr
    listed = tamingplat("plugins", "list", "--json")
    assert listed.returncode == 0
    names = {(row["kind"], row["name"]) for row in json.loads(listed.stdout)}
    assert ("prior", "gpt") in names and ("prior", "independent") not in names


def test_a_plugin_that_is_there_is_listed_beside_the_shipped_ones(tamingplat: Run) -> None:
    listed = tamingplat("plugins", "list", "--json", PYTHONPATH=PLUGINS)
    rows = {(row["kind"], row["name"]): row for row in json.loads(listed.stdout)}
    assert rows["ordering", "shuffled"]["distribution"] == "tamingplat-fixture"
    assert rows["ordering", "raster"]["distribution"] == "tamingplat"
    shown = tamingplat("plugins", "show", "prior:independent", "--json", PYTHONPATH=PLUGINS)
    assert "fails_at" in shown.stdout

"""A manifest on a known source: excess where it may be reported, and the reason where it may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tamingplat.cli import main
from tamingplat.store import Store

MANIFEST = """
schema = 1
name = "known"

[dataset.mesh]
use = "markov-mesh"
config = { size = 4, colours = 4, images = { train = 64, validation = 12 } }

[dataset.potts]
use = "potts"
config = { size = 4, colours = 2, images = { train = 64, validation = 12 } }

[tokenizer.exact]
use = "kmeans"
config = { codebook_size = 4 }

[tokenizer.lossy]
use = "kmeans"
config = { codebook_size = 3 }

[tokenizer.augmented]
use = "kmeans"
views = 2
config = { codebook_size = 4 }

[prior.small]
use = "gpt"
config = { layers = 1, heads = 2, width = 8 }
train = { steps = 2, batch_size = 8 }

[conditioner.places]
use = "coordinates"
config = { downsampling = 2 }

[matrix]
dataset = ["mesh"]
tokenizer = ["exact", "lossy", "augmented"]
prior = ["small"]
ordering = ["raster"]
conditioner = ["none"]
sampler = ["ancestral"]
include = [
    { dataset = "mesh", tokenizer = "exact", prior = "small", ordering = "raster", conditioner = "places" },
    { dataset = "potts", tokenizer = "exact", prior = "small", ordering = "column-major" },
]

[evaluate]
metrics = ["nll"]
samples = 2
"""


def tamingplat(*arguments: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert not stopped.value.code


def rows(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    tamingplat("compare", str(path), "--format", "json", *options)
    return [row for row in json.loads(capsys.readouterr().out) if row["kind"] == "cell"]


def test_excess_or_the_reason_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "known.toml"
    path.write_text(MANIFEST)
    tamingplat("run", str(path))
    assert "not compared with the source's known probabilities" in " ".join(capsys.readouterr().out.split())
    found = {(row["dataset"], row["tokenizer"], row["conditioner"]): row for row in rows(path, capsys)}
    assert len(found) == 5 and all(row["status"] == "done" for row in found.values())
    for cell in (("mesh", "exact", "none"), ("potts", "exact", "none")):
        metrics = found[cell]["metrics"]
        assert metrics["nll_excess"] == pytest.approx(metrics["nll"] - metrics["nll_floor"])
        assert metrics["nll_excess"] > 0 and "structure captured" in metrics and not found[cell]["notes"]
    reasons = {
        ("mesh", "lossy", "none"): "are not what lossy decodes their codes to; take a tokenizer without loss",
        ("mesh", "augmented", "none"): "the training images were augmented (2 views); set views = 1",
        ("mesh", "exact", "places"): "the prior is given places, and the source's probabilities are those of images alone",
    }
    for cell, reason in reasons.items():
        assert "nll_excess" not in found[cell]["metrics"] and "nll" in found[cell]["metrics"]
        (note,) = found[cell]["notes"]
        assert reason in note

    store = Store(tmp_path / "store")
    records = [artifact.details["result"] for artifact in store.artifacts() if artifact.stage == "encode"]
    tables = [record["source"]["table"] for record in records if "table" in record["source"]]
    assert tables and all(np.shape(table) == (5, 5, 4) for table in tables)

    # A prior may be better than their source on the images that it was trained on.
    alone = MANIFEST[: MANIFEST.index("include = [")] + MANIFEST[MANIFEST.index("[evaluate]") :]
    path.write_text(alone.replace('"exact", "lossy", "augmented"', '"exact"') + 'split = "train"\n')
    tamingplat("run", str(path))
    capsys.readouterr()
    (row,) = rows(path, capsys)
    assert "nll_excess" not in row["metrics"] and "trained on the measured images" in row["notes"][0]

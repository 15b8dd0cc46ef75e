"""The page that ``tamingplat report`` writes of manifests that have not run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

TINY = """
[prior.gpt]
config = { layers = 1, heads = 1, width = 8 }
train = { steps = 2, batch_size = 4 }

[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 4 }

[matrix]
dataset = ["blobs"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster"]

[evaluate]
metrics = ["nll"]
samples = 2
"""


def test_the_command_writes_where_it_is_told_before_anything_has_run(
    write_manifest: Any, tamingplat_here: Any, tmp_path: Path
) -> None:
    manifest, store = write_manifest(TINY), tmp_path / "store"
    for out, place in (("page.html", "page.html"), ("folder", "folder/small.html")):
        result = tamingplat_here("report", manifest, "--store", store, "--out", tmp_path / out)
        assert result.returncode == 0, result.stderr
        assert "not run yet" in (tmp_path / place).read_text()
    assert not store.exists(), "a report writes nothing into the store"
    result = tamingplat_here("report", manifest, "--store", store, "--out", tmp_path / "page.html" / "below.html")
    assert result.returncode == 2 and "cannot be written" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "page.html", "small.toml"]


NAMESAKE = (
    TINY.replace('ordering = ["raster"]', 'ordering = ["mine", "raster"]')
    + """
[ordering.mine]
use = "{}"
"""
)


def test_namesakes_of_several_manifests_are_all_there(write_manifest: Any, tamingplat_here: Any, tmp_path: Path) -> None:
    one, other = (write_manifest(NAMESAKE.replace("{}", use), use) for use in ("z-curve", "spiral-in"))
    result = tamingplat_here("report", one, other, "--store", tmp_path / "store", "--out", tmp_path / "page.html")
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "page.html").read_text()
    drawn = re.findall(r"<figcaption><b>(.*?)</b>", text)
    assert drawn == ["mine (z-curve)", "raster", "mine (spiral-in)"]
    listed = re.findall(
        r'<article id="(.*?)" class="settings" tabindex="-1"><h4>(\w+) <b>(.*?)</b> <span class="quiet">(.*?)</span>', text
    )
    named = [(name, component) for _, kind, name, component in listed if kind == "ordering"]
    assert sorted(named) == [
        ("mine (spiral-in)", "ordering:spiral-in"),
        ("mine (z-curve)", "ordering:z-curve"),
        ("raster", "ordering:raster"),
    ]
    assert [kind for _, kind, *_ in listed].count("prior") == 1, "what manifests share is there once"

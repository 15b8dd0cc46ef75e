"""Drawing from a finished cell with samplers that wrap others, and with conditions of one's own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tamingplat.finished import FinishedCell, open_cell, open_tokenizer
from tamingplat.interfaces import ProblemsError, Region
from tamingplat.interfaces.models import TrainedClassifier
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.finished import SampleOptions, Wanted

Run = Callable[..., subprocess.CompletedProcess[str]]

BLOCKS = """
[tokenizer.colours]
config = { codebook_size = 4, steps = 4, pixels_per_step = 64, seeding_pixels = 128 }
use = "kmeans"

[tokenizer.vq]
use = "vqvae"
train = { steps = 2, batch_size = 4, validate_every = 2 }

[tokenizer.vq.config]
codebook_size = 8
embedding_dim = 4
downsampling = 1
channels = 4
channel_multipliers = [1, 1]
residual_blocks = 1
norm_groups = 2

[prior.gpt]
config = { layers = 1, heads = 2, width = 8 }
train = { steps = 2, batch_size = 4, validate_every = 2 }

[conditioner.small]
use = "low-resolution"
config = { factor = 2, tokenizer = "vq" }

[conditioner.lines]
use = "edges"
config = { tokenizer = "vq" }

[sampler.half]
use = "completion"
config = { region = [0, 0, 0.5, 1] }

[sampler.best]
use = "rejection"
config = { classifier = "judge", candidates = 2, sampler = { use = "ancestral", config = { temperature = 0.5 } } }

[sampler.best-half]
use = "rejection"
config = { classifier = "judge", candidates = 2, sampler = "half" }

[sampler.kept]
use = "rejection"
config = { classifier = "judge", mode = "pool", pool = 6, acceptance = 0.5 }

[classifier.judge]
use = "residual"
config = { width = 2, norm_groups = 1, stages = 2 }
train = { steps = 2, batch_size = 4, warmup_steps = 0 }

[matrix]
dataset = ["blobs"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster"]
conditioner = ["class"]
sampler = ["ancestral", "best"]
include = [
    { conditioner = "none", sampler = "ancestral" },
    { conditioner = "small", sampler = "ancestral" },
    { conditioner = "lines", sampler = "ancestral" },
]

[evaluate]
metrics = ["codebook"]
samples = 2
batch_size = 4

[runtime]
device = "cpu"
"""


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, write_manifest_into: Callable[..., Path], run_manifest: Callable[[Path], Path]
) -> tuple[Path, Path]:
    """A manifest that has run, and its store."""
    few = "size = 8, limit = { train = 8, validation = 4 }"
    manifest = write_manifest_into(tmp_path_factory.mktemp("choices"), BLOCKS, settings=few)
    return manifest, run_manifest(manifest)


@pytest.fixture
def cell(finished: tuple[Path, Path]) -> Callable[..., FinishedCell]:
    def opened(conditioner: str = "class", sampler: str = "ancestral") -> FinishedCell:
        return open_cell(finished[0], store=finished[1], conditioner=conditioner, sampler=sampler)

    return opened


Cell = Callable[..., FinishedCell]


def chain(sampler: ResolvedComponent) -> list[str]:
    """A sampler and those inside it."""
    inside = [part for part in sampler.parts.values() if part.kind == "sampler"]
    return [sampler.component.name, *(chain(inside[0]) if inside else [])]


def test_at_another_size_candidates_are_chosen_among_as_before(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    options = SampleOptions(count=2, size=(8, 12), settings={"top_k": 3, "candidates": 3})
    with pytest.raises(ProblemsError, match=r"residual was trained on images of another size .*--sampler"):
        cell(sampler="best").prepare(options)
    monkeypatch.setattr(TrainedClassifier, "image_refusal", lambda self, info: None)
    sampler = cell(sampler="best").prepare(options).sampler
    assert chain(sampler) == ["rejection", "wavefront"] and sampler.config.candidates == 3
    inner = sampler.parts["sampler"].config
    assert (inner.temperature, inner.top_k) == (0.5, 3)
    assert cell(sampler="best").sample(2, size=(8, 12), batch_size=2).shape == (2, 3, 8, 12)


def test_what_cannot_be_chosen_is_told_before_anything_is_loaded(cell: Cell) -> None:
    with pytest.raises(ProblemsError, match=r"keeps 3 of a pool of 6 .* and 4 samples of one class are wanted"):
        cell().prepare(SampleOptions(count=8, sampler="kept"))
    assert chain(cell().prepare(SampleOptions(count=4, sampler="kept")).sampler) == ["rejection", "ancestral"]
    with pytest.raises(ProblemsError, match=r"this condition names none"):
        cell("none").prepare(SampleOptions(sampler="best"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray((np.arange(8 * 8 * 3) % 251).astype(np.uint8).reshape(8, 8, 3)).save(path)
    return path


def test_what_is_given_is_looked_for_inside_samplers(cell: Cell, photo: Path) -> None:
    quarter = Region(0, 0, 0.25, 1)
    for sampler in ("half", "best-half"):
        for complete in (None, photo):
            made = cell().prepare(SampleOptions(sampler=sampler, region=quarter, complete=complete)).sampler
            assert chain(made) == [*(["rejection"] if sampler == "best-half" else []), "completion", "ancestral"]
            completion = made if sampler == "half" else made.parts["sampler"]
            assert completion.config.region == quarter
    assert chain(cell().prepare(SampleOptions(sampler="best", complete=photo)).sampler) == [
        "rejection",
        "completion",
        "ancestral",
    ]
    with pytest.raises(ProblemsError, match=r"each of which needs candidates of its own; set mode"):
        cell().prepare(SampleOptions(sampler="kept", complete=photo))
    with pytest.raises(ProblemsError, match=r"--rows or --region: .*--complete"):
        cell().prepare(SampleOptions(sampler="best", region=quarter))


def test_a_small_image_of_ones_own_is_enlarged(cell: Cell, photo: Path) -> None:
    small = photo.with_name("small.png")
    pixels = np.asarray(Image.open(photo)).reshape(4, 2, 4, 2, 3)[:, 0, :, 0]
    Image.fromarray(pixels).save(small)
    whole = photo.with_name("whole.png")
    Image.fromarray(pixels.repeat(2, 0).repeat(2, 1)).save(whole)  # averaged, it is the small one
    options = {"count": 2, "temperature": 0}
    mine = cell("small").sample(**options, conditions={"low-resolution": small})
    assert np.array_equal(mine, cell("small").sample(**options, conditions={"image": whole}))
    assert cell("small").sample(1, size=(8, 8), conditions={"low-resolution": small}).shape == (1, 3, 8, 8)
    with pytest.raises(ProblemsError, match=r"photo\.png: 8 rows of 8 pixels, and 4 of 4 are asked for; .* --size 16x16"):
        cell("small").sample(conditions={"low-resolution": photo})
    with pytest.raises(ProblemsError, match=r"say --condition image=FILE or --condition low-resolution=FILE"):
        cell("small").sample(size=(8, 16))
    with pytest.raises(ProblemsError, match=r"image=.*with low-resolution, the condition does not look at it"):
        cell("small").sample(conditions={"low-resolution": small, "image": photo})


def test_a_sketch_stands_for_the_edges_of_a_photo(cell: Cell, photo: Path) -> None:
    import torch
    from tamingplat_conditioners.config import EdgesConfig
    from tamingplat_conditioners.edges import EdgesCondition

    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, 4:] = 220
    Image.fromarray(pixels).save(photo)
    condition = EdgesCondition(EdgesConfig(tokenizer="own"), {"tokenizer": None}, cell().dataset.info)
    found = condition.derive({"image": torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]})["edges"][0, 0]
    sketch = photo.with_name("sketch.png")
    Image.fromarray(found.numpy() * 255).save(sketch)
    mine = cell("lines").sample(2, conditions={"edges": sketch})
    assert np.array_equal(mine, cell("lines").sample(2, conditions={"image": photo}))
    with pytest.raises(ProblemsError, match=r"not made of edges; it is made of label"):
        cell().sample(conditions={"edges": sketch})


def test_maps_that_are_too_large_for_the_machine_are_told(cell: Cell, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = SampleOptions(wanted=Wanted(files={"image": photo}))
    assert cell("lines").prepare(options).size == (8, 8)
    monkeypatch.setattr("tamingplat.stages.finished.preparation.size_shortage", lambda *arguments: None)
    monkeypatch.setattr("tamingplat.stages.finished.memory.total_memory", lambda device: 1000)
    with pytest.raises(ProblemsError, match=r"--size 8x8: the maps of conditioner:edges: needs about .*smaller size, or tiles"):
        cell("lines").prepare(options)
    assert cell("lines").prepare(SampleOptions()).size == (8, 8)  # encoded already


def test_files_of_ones_own_are_not_written_over(
    finished: tuple[Path, Path], photo: Path, tamingplat_here: Run, tmp_path: Path
) -> None:
    common = ("--store", finished[1])
    before = photo.read_bytes()
    alias = tmp_path / "alias"
    alias.symlink_to(tmp_path, target_is_directory=True)
    for out in (tmp_path, alias):
        result = tamingplat_here("reconstruct", finished[0], *common, "--images", tmp_path, "--out", out)
        assert result.returncode == 2 and "photo.png" in result.stderr and "would be lost" in result.stderr, result.stderr
    cells = ("--select", "conditioner=class,sampler=ancestral")
    result = tamingplat_here("sample", finished[0], *common, *cells, "--complete", photo, "--out", alias / "photo.png")
    assert result.returncode == 2 and "would be lost" in result.stderr, result.stderr
    assert photo.read_bytes() == before and not list(tmp_path.glob("0*.png"))
    result = tamingplat_here("reconstruct", finished[0], *common, "--images", tmp_path, "--out", tmp_path / "made")
    assert result.returncode == 0 and (tmp_path / "made" / "photo.png").exists(), result.stderr


def test_sixteen_bits_are_reconstructed_at_their_brightness(finished: tuple[Path, Path], tmp_path: Path) -> None:
    ramp = np.linspace(0, 65_535, 64).reshape(8, 8)
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "ramp.png")
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "float.tif")
    tokenizer = open_tokenizer(finished[0], store=finished[1], tokenizer="colours")
    (made,) = tokenizer.reconstructions([tmp_path / "ramp.png"])
    assert abs(made.original - ramp / 257).max() <= 0.51
    with pytest.raises(ProblemsError, match=r"float\.tif: .*no agreed range"):
        tokenizer.prepare(tmp_path)

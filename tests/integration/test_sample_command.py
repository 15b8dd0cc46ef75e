"""Drawing from a finished cell, completing and reconstructing images of one's own, on the command line and from Python."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tamingplat_scenes.config import ScenesConfig
from tamingplat_scenes.dataset import ScenesDataset

from tamingplat.finished import FinishedCell, open_cell, open_tokenizer
from tamingplat.interfaces import DataError, ProblemsError
from tamingplat.stages.finished.files import read_own

Run = Callable[..., subprocess.CompletedProcess[str]]

MODELS = """
[tokenizer.vq]
use = "vqvae"
train = { steps = 3, batch_size = 4, validate_every = 3 }

[tokenizer.vq.config]
codebook_size = 16
embedding_dim = 8
downsampling = 1
channels = 8
channel_multipliers = [1, 1]
residual_blocks = 1
norm_groups = 4

[prior.gpt]
config = { layers = 1, heads = 2, width = 16 }
train = { steps = 3, batch_size = 4, validate_every = 3 }

[conditioner.class]
config = { dropout = 0.1 }

[sampler.half]
use = "completion"
config = { region = [0, 0, 0.5, 1] }

[sampler.cold]
use = "ancestral"
config = { temperature = 0 }

[matrix]
dataset = ["blobs"]
tokenizer = ["vq"]
prior = ["gpt"]
ordering = ["raster"]
conditioner = ["class"]
sampler = ["ancestral", "half"]

[evaluate]
metrics = ["codebook"]
samples = 5
batch_size = 3

[runtime]
device = "cpu"
"""


@pytest.fixture(scope="module")
def finished(blobs: Path, tmp_path_factory: pytest.TempPathFactory, tamingplat_here: Run) -> tuple[Path, Path]:
    """A manifest that has run, and its store."""
    folder = tmp_path_factory.mktemp("finished")
    manifest, store = folder / "small.toml", folder / "store"
    limit = "limit = { train = 12, validation = 6 }"
    data = f'{{ train = "{blobs / "train.parquet"}", validation = "{blobs / "validation.parquet"}", size = 8, {limit} }}'
    manifest.write_text(f'schema = 1\nname = "small"\n[dataset.blobs]\nuse = "parquet"\nconfig = {data}\n{MODELS}')
    result = tamingplat_here("run", manifest, "--store", store)
    assert result.returncode == 0, result.stderr + result.stdout
    return manifest, store


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of 24×16 pixels: red above, blue below."""
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :, 0], pixels[8:, :, 2] = 220, 220
    Image.fromarray(pixels).save(path)
    return path


def stored(cell: FinishedCell) -> dict[str, np.ndarray]:
    artifact = cell.opened.store.find("sample", cell.samples.key)
    assert artifact is not None
    return {name: np.load(artifact.path(f"{name}.npy")) for name in ("images", "codes")}


@pytest.mark.parametrize("sampler", ["ancestral", "half"])
def test_without_options_images_are_those_of_the_table(finished: tuple[Path, Path], sampler: str) -> None:
    cell = open_cell(finished[0], store=finished[1], sampler=sampler)
    images = cell.sample(7, batch_size=2)
    assert images.dtype == np.uint8 and np.array_equal(images[:5], stored(cell)["images"])
    assert not np.array_equal(cell.sample(5, seed=1), images[:5])


def test_completed_samples_keep_the_codes_of_the_given_part_of_validation_images(finished: tuple[Path, Path]) -> None:
    import torch

    from tamingplat.interfaces import Region
    from tamingplat.interfaces.models import encode_given
    from tamingplat.stages.images import SplitImages, to_model
    from tamingplat.stages.tokenizer_stage import load_tokenizer

    cell = open_cell(finished[0], store=finished[1], sampler="half")
    assert cell.samples.completes and cell.samples.reference == "validation"
    codes = stored(cell)["codes"]
    tokenizer = load_tokenizer(cell.prior.codes.tokenizer, cell.opened.context(lambda progress: None, 1))
    originals = to_model(torch.from_numpy(SplitImages(cell.dataset, "validation", 5)[0:5]))
    with torch.inference_mode():
        given, mask = encode_given(tokenizer, originals, Region(0, 0, 0.5, 1))
    assert np.array_equal(codes[mask.numpy()], given[mask].numpy())


def test_grids_and_folders(finished: tuple[Path, Path], tamingplat_here: Run, tmp_path: Path) -> None:
    common = ("sample", finished[0], "--store", finished[1], "--select", "sampler=ancestral")
    result = tamingplat_here(*common, "--count", 5, "--out", tmp_path / "grid.png", "--columns", 3)
    assert result.returncode == 0 and "5 images of 8×8 pixels with ancestral" in result.stderr
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    assert grid.shape == (18, 28, 3)
    result = tamingplat_here(*common, "--count", 2, "--out", tmp_path / "folder", "--size", "24x16", "--tile", 16)
    assert result.returncode == 0 and "with wavefront" in result.stderr, result.stderr
    files = sorted((tmp_path / "folder").iterdir())
    assert [Image.open(file).size for file in files] == [(24, 16)] * 2
    images = open_cell(finished[0], store=finished[1], sampler="ancestral").sample(5)
    assert np.array_equal(grid[:8, 10:18], np.moveaxis(images[1], 0, -1))


def test_classes_samplers_and_settings(finished: tuple[Path, Path]) -> None:
    cell = open_cell(finished[0], store=finished[1], sampler="ancestral")
    cold = cell.sample(4, sampler="cold", classes=["disc", 0])
    assert np.array_equal(cold[0], cold[2]) and np.array_equal(cold[1], cold[3])
    assert np.array_equal(cold, cell.sample(4, temperature=0, classes=[1, "square"]))
    assert np.array_equal(cell.sample(2, guidance=0, classes=["disc"]), cell.sample(2, guidance=0, classes=["square"]))


def test_an_image_of_ones_own_is_completed(finished: tuple[Path, Path], photo: Path) -> None:
    cell = open_cell(finished[0], store=finished[1], sampler="ancestral")
    images = cell.sample(3, complete=photo, region=(0, 0, 0.5, 1), size=(16, 24))
    below = photo.with_name("other.png")
    pixels = np.asarray(Image.open(photo)).copy()
    pixels[8:] = 255 - pixels[8:]
    Image.fromarray(pixels).save(below)
    # What is hidden is not looked at.
    assert np.array_equal(images, cell.sample(3, complete=below, region=(0, 0, 0.5, 1), size=(16, 24)))
    assert not np.array_equal(images, cell.sample(3, complete=below, region=(0, 0, 0.75, 1), size=(16, 24)))


def test_every_mistake_is_told_before_work_starts(finished: tuple[Path, Path], tamingplat_here: Run, tmp_path: Path) -> None:
    common = ("sample", finished[0], "--store", finished[1], "--out", tmp_path / "grid.png")
    result = tamingplat_here(*common)
    assert result.returncode == 2 and "sampler=ancestral\n" in result.stderr and "sampler=half" in result.stderr
    wrong = ("--class", "dics", "--condition", "depth=x.png", "--complete", "nope.png", "--size", "9x8", "--count", 0)
    result = tamingplat_here(*common, "--select", "sampler=ancestral", *wrong)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    for told in ("did you mean disc?", "not made of depth", "no such file", "say --size 8x8", "0 images are none"):
        assert told in result.stderr
    for arguments, told in (
        (("--complete", __file__, "--rows", "0.5"), "not an image of a known format"),
        (("--region", "0,0,1"), "TOP,LEFT,BOTTOM,RIGHT"),
        (("--size", "big"), "WIDTHxHEIGHT"),
        (("--stride", 2), "no setting for --stride"),
        (("--temperature", -1), "greater than or equal to 0"),
        (("--sampler", "ancestrel"), "ancestral"),
        (("--rows", "0.5"), "--complete"),
        (("--size", "200000"), "--size 200000x200000: needs about"),
        (("--size", "200000", "--tile", 64), "fewer images at a time"),
        (("--out", finished[0] / "grid.png"), "is a file and no folder"),
    ):
        result = tamingplat_here(*common, "--select", "sampler=ancestral", *arguments)
        assert result.returncode == 2 and told in result.stderr, (arguments, result.stderr)
    assert not (tmp_path / "grid.png").exists()


def test_an_image_that_is_too_large_for_the_machine_is_named(
    finished: tuple[Path, Path], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = open_tokenizer(finished[0], store=finished[1])
    assert tokenizer.prepare(photo) == tokenizer.prepare(photo, tile=16) == [photo]
    monkeypatch.setattr("tamingplat.stages.finished.memory.total_memory", lambda device: 1000)
    with pytest.raises(ProblemsError, match=r"photo\.png: needs about .* or tiles"):
        tokenizer.prepare(photo)


def test_keypoints_of_ones_own_lie_in_the_image(tmp_path: Path) -> None:
    dataset = ScenesDataset(ScenesConfig(size=32), {})
    path, joints = tmp_path / "pose.json", len(dataset.info.joints or ())
    path.write_text(json.dumps([[31, 47, 2]] * (joints - 1) + [[500, -1, 0]]))
    assert read_own(dataset, {"keypoints": path}, (48, 32))["keypoints"].shape == (1, joints, 3)
    with pytest.raises(DataError, match=r"pose\.json: nose at 31, 47, outside the image of 32 columns and 32 rows"):
        read_own(dataset, {"keypoints": path}, (32, 32))


def test_a_part_that_is_visited_late_is_refused(finished: tuple[Path, Path], tamingplat_here: Run, photo: Path) -> None:
    common = ("sample", finished[0], "--store", finished[1], "--select", "sampler=ancestral", "--out", "x.png")
    result = tamingplat_here(*common, "--complete", photo, "--region", "0.25,0.25,0.75,0.75")
    assert result.returncode == 2 and "visited after one that is not" in result.stderr and "spiral-out" in result.stderr
    plan = tamingplat_here(
        "plan", finished[0], "--store", finished[1], "--json", "--set", "sampler.half.config.region=[0.5,0,1,1]"
    )
    refused = [cell for cell in json.loads(plan.stdout)["cells"] if cell["sampler"] == "half"]
    assert [cell["status"] for cell in refused] == ["refused"] and "sampler:completion" in refused[0]["reason"]
    plan = tamingplat_here(
        "plan", finished[0], "--store", finished[1], "--json", "--set", "sampler.half.config.region=[0.25,0.25,0.75,0.75]",
        "--set", 'matrix.ordering=["spiral-out"]',
    )  # fmt: skip
    assert {cell["status"] for cell in json.loads(plan.stdout)["cells"]} == {"possible"}


def test_tiles_are_no_part_of_a_key_and_refused_where_they_mean_nothing(
    finished: tuple[Path, Path], tamingplat_here: Run
) -> None:
    common = ("plan", finished[0], "--store", finished[1], "--json")
    planned = json.loads(tamingplat_here(*common, "--set", "tokenizer.vq.tile=16").stdout)
    assert all(stage["cached"] for stage in planned["stages"])
    kmeans = ("--set", "tokenizer.vq={ use = 'kmeans', tile = 16 }")
    refused = json.loads(tamingplat_here(*common, *kmeans).stdout)["cells"]
    assert all("remove tile" in cell["reason"] for cell in refused)


def test_what_is_not_trained_names_the_command(finished: tuple[Path, Path], tamingplat_here: Run, tmp_path: Path) -> None:
    result = tamingplat_here(
        "sample", finished[0], "--store", tmp_path / "none", "--select", "sampler=ancestral", "--out", tmp_path / "x.png"
    )
    assert result.returncode == 2 and "not finished" in result.stderr and "tamingplat run" in result.stderr


def test_images_of_ones_own_are_reconstructed(
    finished: tuple[Path, Path], tamingplat_here: Run, photo: Path, tmp_path: Path
) -> None:
    common = ("reconstruct", finished[0], "--store", finished[1])
    result = tamingplat_here(*common, "--images", photo, "--out", tmp_path / "made")
    assert result.returncode == 0 and "24×16, 96 codes, PSNR" in result.stdout
    made = np.moveaxis(np.asarray(Image.open(tmp_path / "made" / "photo.png")), -1, 0)
    tokenizer = open_tokenizer(finished[0], store=finished[1])
    whole = tokenizer.reconstruct(photo)[0]
    assert np.array_equal(whole, made)
    tiled = tokenizer.reconstruct([photo], tile=16)[0].astype(int)
    assert abs(tiled - whole).max() <= 1
    odd = tmp_path / "odd"
    odd.mkdir()
    Image.new("RGB", (25, 17)).save(odd / "odd.png")
    (odd / "broken.png").write_bytes(b"no image")
    result = tamingplat_here(*common, "--images", odd, "--out", tmp_path / "made")
    assert result.returncode == 2 and "odd.png" in result.stderr and "broken.png" in result.stderr
    assert "16×24" in result.stderr and "--crop" in result.stderr
    (odd / "broken.png").unlink()
    result = tamingplat_here(*common, "--images", odd, "--out", tmp_path / "made", "--crop")
    assert result.returncode == 0 and Image.open(tmp_path / "made" / "odd.png").size == (24, 16)

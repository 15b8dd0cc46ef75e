"""The shift-tolerant networks against golden tensors, and how their weights are found."""

from __future__ import annotations

import io
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tamingplat_perceptual.config import ShiftTolerantConfig
from tamingplat_perceptual.shift_tolerant import ShiftTolerantAlex, ShiftTolerantVGG, ShiftTolerantVGGFeatures
from tamingplat_perceptual.shift_tolerant_network import name_in_file

from tamingplat.interfaces import DataError, TamingplatError, UnavailableError

EXPECTED = Path(__file__).parents[1] / "fixtures" / "parity" / "st_perceptual_expected.safetensors"
DATA = Path(__file__).parents[2] / "experiments" / "data" / "noto-emoji-64-validation.parquet"
CLASSES = {"alex": ShiftTolerantAlex, "vgg": ShiftTolerantVGG}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def networks():
    return {name: cls(ShiftTolerantConfig(), {}) for name, cls in CLASSES.items()}


@pytest.fixture(scope="module")
def expected():
    return load_file(EXPECTED)


@pytest.mark.parametrize("size", [24, 32, 64])
@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_distances_and_features_are_the_published_ones(networks, expected, name, size):
    x, y = expected[f"{name}.{size}.x"], expected[f"{name}.{size}.y"]
    with torch.no_grad():
        distance = networks[name].distance(x, y)
        features = networks[name].stack.on(CPU)(x)
    torch.testing.assert_close(distance, expected[f"{name}.{size}.distance"], rtol=1e-5, atol=0)
    assert len(features) == 5
    for layer, feature in enumerate(features):
        wanted = expected[f"{name}.{size}.feature{layer}_mean"]
        torch.testing.assert_close(feature.mean(dim=(2, 3)), wanted, rtol=1e-5, atol=1e-5 * float(wanted.max()))


def test_between_pictures_the_scale_is_lpipss(networks):
    """Tenths between a picture and a coarse one of it, as with LPIPS; what is fifty times smaller is white noise."""
    rows = pq.read_table(DATA, columns=["image"]).column("image").to_pylist()[:16]
    images = [Image.open(io.BytesIO(row["bytes"])).convert("RGB") for row in rows]
    pictures = torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in images]) / 127.5 - 1
    coarse = torch.nn.functional.interpolate(torch.nn.functional.avg_pool2d(pictures, 4), size=64, mode="bilinear")
    for network in networks.values():
        assert 0.2 < network.default_weight * float(network.distance(pictures, coarse).mean()) < 0.8


def test_distance_is_symmetric_and_zero_for_equal_images(networks):
    x, y = torch.rand(2, 2, 3, 24, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    alex = networks["alex"]
    torch.testing.assert_close(alex.distance(x, y), alex.distance(y, x))
    assert alex.distance(x, x).tolist() == [0.0, 0.0]


def test_gradients_flow_to_both_images_and_stay_finite(networks):
    alex = networks["alex"]
    x = (torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1).requires_grad_()
    flat = torch.ones(1, 3, 24, 24, requires_grad=True)
    alex.distance(x, flat).sum().backward()
    for image in (x, flat):
        assert image.grad is not None and image.grad.isfinite().all() and image.grad.abs().max() > 0
    equal = torch.ones(1, 3, 24, 24, requires_grad=True)
    alex.distance(flat.detach(), equal).sum().backward()
    assert equal.grad is not None and equal.grad.isfinite().all()
    assert not any(parameter.requires_grad for parameter in alex.stack.on(CPU).parameters())


def test_a_feature_vector_of_zeros_has_a_zero_gradient():
    from tamingplat_perceptual.distance import weighted_distance

    zeros = torch.zeros(1, 4, 2, 2, requires_grad=True)
    weighted_distance([zeros], [torch.ones(1, 4, 2, 2)], [torch.ones(1, 4, 1, 1)]).sum().backward()
    assert zeros.grad is not None and zeros.grad.isfinite().all()


def test_autocast_does_not_lower_the_precision(networks):
    x, y = torch.rand(2, 1, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    plain = networks["alex"].distance(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = networks["alex"].distance(x, y)
    assert cast.dtype == torch.float32
    assert torch.equal(cast, plain)


def test_first_use_in_inference_mode_still_allows_gradients_later():
    alex = ShiftTolerantAlex(ShiftTolerantConfig(), {})
    x = torch.zeros(1, 3, 24, 24)
    with torch.inference_mode():
        alex.distance(x, x)
    image = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0)).requires_grad_()
    alex.distance(x, image).sum().backward()
    assert image.grad is not None and image.grad.abs().max() > 0


def test_the_network_follows_the_device():
    alex = ShiftTolerantAlex(ShiftTolerantConfig(), {})
    alex.stack.on(CPU)
    assert {parameter.device.type for parameter in alex.stack.on(torch.device("meta")).parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("shape", "message"), [((1, 1, 24, 24), "colour images"), ((1, 3, 23, 40), "at least 24×24 pixels, not 23×40")]
)
def test_images_that_it_cannot_take_are_refused(networks, shape, message):
    with pytest.raises(TamingplatError, match=message):
        networks["alex"].distance(torch.zeros(shape), torch.zeros(shape))


def test_the_packages_modules_are_never_imported(networks):
    networks["alex"].stack.on(CPU)
    assert not any(name.partition(".")[0] == "stlpips_pytorch" for name in sys.modules)


def test_without_the_package_the_install_command_is_named(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    alex = ShiftTolerantAlex(ShiftTolerantConfig(), {})
    reason = alex.missing()
    assert reason is not None
    assert "pip install 'tamingplat[st]'" in reason and "alex_shift_tolerant.pth" in reason
    with pytest.raises(UnavailableError, match="tamingplat"):
        alex.distance(torch.zeros(1, 3, 24, 24), torch.zeros(1, 3, 24, 24))


def fake_distribution(folder: Path, version: str, content: bytes | None) -> None:
    information = folder / f"stlpips_pytorch-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: stlpips-pytorch\nVersion: {version}\n")
    name = "stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth"
    (information / "RECORD").write_text(f"{name},,\n" if content is not None else "")
    if content is not None:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("version", "content", "message"),
    [("0.0.3", b"", "0.0.3 is installed"), ("0.0.2", None, "without stlpips_pytorch/weights")],
)
def test_another_package_is_told_apart(tmp_path, monkeypatch, version, content, message):
    fake_distribution(tmp_path, version, content)
    monkeypatch.syspath_prepend(tmp_path)
    reason = ShiftTolerantAlex(ShiftTolerantConfig(), {}).missing()
    assert reason is not None and message in reason


def test_changed_weights_are_refused(tmp_path, monkeypatch):
    fake_distribution(tmp_path, "0.0.2", b"something else")
    monkeypatch.syspath_prepend(tmp_path)
    alex = ShiftTolerantAlex(ShiftTolerantConfig(), {})
    assert "force-reinstall" in (alex.missing() or "")
    with pytest.raises(UnavailableError, match="force-reinstall"):
        alex.stack.on(CPU)


def test_a_local_file_takes_the_place_of_the_package(networks, tmp_path, monkeypatch):
    state = networks["alex"].stack.on(CPU).state_dict()
    path = tmp_path / "alex.pth"
    torch.save({name_in_file(name): tensor for name, tensor in state.items()}, path)
    x, y = torch.rand(2, 1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    wanted = networks["alex"].distance(x, y)
    monkeypatch.setattr(metadata, "distribution", None)
    local = ShiftTolerantAlex(ShiftTolerantConfig(weights=path), {})
    assert local.missing() is None
    assert torch.equal(local.distance(x, y), wanted)


def test_a_local_file_of_another_network_or_none_is_named(tmp_path):
    path = tmp_path / "weights.pth"
    alex = ShiftTolerantAlex(ShiftTolerantConfig(weights=path), {})
    reason = alex.missing()
    assert reason is not None and str(path) in reason
    path.write_bytes(b"no weights")
    assert "weights.pth: not a readable weight file" in (alex.missing() or "")
    with pytest.raises(DataError, match=r"weights\.pth: not a readable weight file"):
        alex.stack.on(CPU)
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="no state dict"):
        alex.stack.on(CPU)
    torch.save({"lin0.model.1.weight": torch.zeros(1, 3, 1, 1)}, path)
    with pytest.raises(DataError, match=r"missing: scaling_layer\.shift.*misshapen: lin0\.model\.1\.weight \(1, 3, 1, 1\)"):
        alex.stack.on(CPU)


def test_features_are_the_means_of_the_third_layer(networks):
    extractor = ShiftTolerantVGGFeatures(ShiftTolerantConfig(), {})
    images = torch.randint(0, 256, (2, 3, 32, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    features = extractor.features(images)
    assert features.dtype == torch.float32 and features.shape == (2, extractor.dimensions) == (2, 256)
    assert extractor.missing() is None and extractor.minimum_size == 1
    wanted = networks["vgg"].stack.on(CPU)(images / 127.5 - 1)[2].mean(dim=(2, 3))
    torch.testing.assert_close(features, wanted)


@pytest.mark.parametrize(("size", "enlarged"), [((24, 24), (32, 32)), ((24, 48), (32, 64)), ((1, 1), (32, 32))])
def test_small_images_are_enlarged_for_features(size, enlarged):
    extractor = ShiftTolerantVGGFeatures(ShiftTolerantConfig(), {})
    images = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    scaled = torch.nn.functional.interpolate(images.float(), size=enlarged, mode="bilinear", align_corners=False)
    network = extractor._network.on(CPU)
    wanted = network(scaled / 127.5 - 1)[2].mean(dim=(2, 3))
    torch.testing.assert_close(extractor.features(images), wanted, rtol=1e-4, atol=1e-4)


def test_features_of_grey_images_are_refused():
    extractor = ShiftTolerantVGGFeatures(ShiftTolerantConfig(), {})
    with pytest.raises(TamingplatError, match="convert the images to three channels"):
        extractor.features(torch.zeros(1, 1, 32, 32, dtype=torch.uint8))

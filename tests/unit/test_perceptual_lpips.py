"""LPIPS with random backbone weights in torchvision's layout, and where its weights are looked for."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from tamingplat_perceptual.config import LpipsConfig
from tamingplat_perceptual.lpips_distance import LpipsAlex, LpipsSqueeze, LpipsVGG
from tamingplat_perceptual.none import NoDistance
from torchvision import models

from tamingplat.interfaces import DataError, NoConfig, UnavailableError

CPU = torch.device("cpu")
NETWORKS = {
    # class, torchvision's model, file, index behind each of LPIPS's layers
    "vgg": (LpipsVGG, models.vgg16, "vgg16-397923af.pth", (4, 9, 16, 23, 30)),
    "alex": (LpipsAlex, models.alexnet, "alexnet-owt-7be5be79.pth", (2, 5, 8, 10, 12)),
    "squeeze": (LpipsSqueeze, models.squeezenet1_1, "squeezenet1_1-b8a52dc0.pth", (2, 5, 8, 10, 11, 12, 13)),
}


def random_backbone(build, seed=0):
    """Random weights of a classifier's convolutions, in torchvision's layout, scaled to keep activations alive."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        state = build(weights=None).state_dict()
    return {
        name: torch.randn(tensor.shape, generator=generator) * (2 / max(1, tensor[0].numel())) ** 0.5
        for name, tensor in state.items()
        if name.startswith("features.")
    }


@pytest.fixture(params=NETWORKS)
def network(request, tmp_path):
    cls, build, _, layers = NETWORKS[request.param]
    state = random_backbone(build)
    torch.save(state, tmp_path / "backbone.pth")
    return cls(LpipsConfig(weights=tmp_path / "backbone.pth"), {}), build, state, layers


def test_distance_is_that_of_the_package_with_torchvisions_features(network):
    distance, build, state, layers = network
    x, y = torch.rand(2, 2, 3, 40, 33, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert distance.missing() is None
    given = distance.distance(x, y)
    assert given.shape == (2,) and given.dtype == torch.float32 and (given > 0).all()
    stack = distance.stack.on(CPU)
    torch.testing.assert_close(given, stack.lpips(x, y).flatten(), rtol=1e-5, atol=1e-7)
    with torch.device("meta"):
        features = build(weights=None).features
    features.load_state_dict({name.removeprefix("features."): value for name, value in state.items()}, assign=True)
    scaled = (x - stack.lpips.scaling_layer.shift) / stack.lpips.scaling_layer.scale
    found = stack(x)
    assert len(found) == len(layers)
    for feature, end in zip(found, layers, strict=True):
        torch.testing.assert_close(feature, features[:end](scaled), rtol=1e-5, atol=1e-5)


def test_linear_layers_are_the_packages_trained_ones(network):
    distance = network[0]
    import lpips

    path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{distance.net}.pth"
    trained = torch.load(path, weights_only=True, map_location="cpu")
    weights = distance.stack.on(CPU).channel_weights()
    assert len(weights) == len(trained)
    for layer, weight in enumerate(weights):
        assert torch.equal(weight, trained[f"lin{layer}.model.1.weight"]) and (weight >= 0).all()


def test_the_dropout_of_the_linear_layers_never_acts(network):
    distance = network[0]
    x, y = torch.rand(2, 1, 3, 33, 33, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert not any(module.training for module in distance.stack.on(CPU).modules())
    assert torch.equal(distance.distance(x, y), distance.distance(x, y))


def test_gradients_flow_to_images_and_not_to_weights(network):
    distance = network[0]
    x, y = torch.rand(2, 1, 3, 33, 33, generator=torch.Generator().manual_seed(1)) * 2 - 1
    distance.distance(x, y.requires_grad_()).sum().backward()
    assert y.grad is not None and y.grad.isfinite().all() and y.grad.abs().max() > 0
    assert not any(parameter.requires_grad for parameter in distance.stack.on(CPU).parameters())


def test_minimum_size_is_the_smallest_that_the_network_takes(network):
    distance = network[0]
    least = distance.minimum_size
    assert distance.distance(torch.zeros(1, 3, least, least), torch.ones(1, 3, least, least)).isfinite().all()
    with pytest.raises(RuntimeError, match="too small"):
        distance.stack.on(CPU)(torch.zeros(1, 3, least - 1, least - 1))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_missing_backbone_says_which_file_to_put_where(name, tmp_path, monkeypatch):
    cls, _, file, _ = NETWORKS[name]
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    distance = cls(LpipsConfig(), {})
    reason = distance.missing()
    assert reason is not None
    for part in (file, str(tmp_path / "hub" / "checkpoints"), "setting weights", "download = true", "https://"):
        assert part in reason
    with pytest.raises(UnavailableError, match=file):
        distance.distance(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
    absent = cls(LpipsConfig(weights=tmp_path / "nothing.pth"), {}).missing()
    assert absent is not None and "nothing.pth" in absent


def test_a_backbone_in_the_hub_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(random_backbone(models.squeezenet1_1), folder / NETWORKS["squeeze"][2])
    distance = LpipsSqueeze(LpipsConfig(), {})
    assert "its SHA-256 does not begin with b8a52dc0" in (distance.missing() or "")
    with pytest.raises(DataError, match="its SHA-256 does not begin with b8a52dc0"):
        distance.distance(torch.zeros(1, 3, 17, 17), torch.ones(1, 3, 17, 17))
    monkeypatch.setattr("tamingplat.interfaces.models.published_weights.file_digest", lambda path: f"b8a52dc0{'0' * 56}")
    assert distance.distance(torch.zeros(1, 3, 17, 17), torch.ones(1, 3, 17, 17)) > 0


def test_a_download_happens_on_request_alone_and_lands_in_the_hub_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    asked = []

    def download(url, destination, hash_prefix, progress):
        asked.append((url, hash_prefix))
        torch.save(random_backbone(models.squeezenet1_1), destination)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    monkeypatch.setattr("tamingplat.interfaces.models.published_weights.file_digest", lambda path: f"b8a52dc0{'0' * 56}")
    distance = LpipsSqueeze(LpipsConfig(download=True), {})
    assert distance.missing() is None and not asked
    assert distance.distance(torch.zeros(1, 3, 17, 17), torch.ones(1, 3, 17, 17)) > 0
    assert asked == [("https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth", "b8a52dc0")]
    assert LpipsSqueeze(LpipsConfig(), {}).missing() is None


def test_a_failed_download_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def download(url, destination, hash_prefix, progress):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(UnavailableError, match=r"no route to host.*put the file into .*checkpoints"):
        LpipsAlex(LpipsConfig(download=True), {}).stack.on(CPU)


def test_a_named_file_that_cannot_be_read_is_known_before_it_is_needed(tmp_path):
    (tmp_path / "cut.pth").write_bytes(b"PK")
    distance = LpipsAlex(LpipsConfig(weights=tmp_path / "cut.pth"), {})
    assert "cut.pth: not a readable weight file" in (distance.missing() or "")
    with pytest.raises(DataError, match=r"cut\.pth: not a readable weight file"):
        distance.stack.on(CPU)


def test_a_file_of_another_backbone_is_refused(tmp_path):
    torch.save(random_backbone(models.squeezenet1_1), tmp_path / "squeeze.pth")
    with pytest.raises(DataError, match=r"squeeze\.pth: not the weights of this network; missing: features\.3\.weight"):
        LpipsAlex(LpipsConfig(weights=tmp_path / "squeeze.pth"), {}).stack.on(CPU)


def test_no_distance_is_zero_with_weight_zero():
    nothing = NoDistance(NoConfig(), {})
    assert nothing.distance(torch.zeros(3, 1, 2, 2), torch.ones(3, 1, 2, 2)).tolist() == [0.0, 0.0, 0.0]
    assert nothing.default_weight == 0.0 and nothing.missing() is None and nothing.minimum_size == 1


def test_the_meta_device_needs_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    distance = LpipsSqueeze(LpipsConfig(), {})
    assert distance.missing()
    images = torch.empty(2, 3, 32, 32, device="meta", requires_grad=True)
    result = distance.distance(images, torch.empty(2, 3, 32, 32, device="meta"))
    result.sum().backward()
    assert result.is_meta and result.shape == (2,) and images.grad is not None and images.grad.is_meta

"""CLIP, DINOv2 and VGG16 as extractors: features from files with random weights, and every way in which a file can be wrong."""

from __future__ import annotations

import hashlib
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tamingplat_metrics import clip, dinov2
from tamingplat_metrics.clip import ClipFeatures
from tamingplat_metrics.config import ClipConfig, Dinov2Config, InceptionConfig, Vgg16Config, WeightsConfig
from tamingplat_metrics.dinov2 import Dinov2Features, Dinov2Network
from tamingplat_metrics.extractor import FileExtractor
from tamingplat_metrics.inception import InceptionLogits
from tamingplat_metrics.vgg16 import Vgg16Features
from torch import Tensor, nn
from torch_fidelity.feature_extractor_clip import CLIPVisual, FeatureExtractorCLIP
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from tamingplat.interfaces import DataError, TamingplatError, UnavailableError


def images(count: int = 3) -> Tensor:
    return torch.randint(0, 256, (count, 3, 24, 20), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def randomise(network: nn.Module, scale: float = 0.1) -> dict[str, Tensor]:
    """Fill a network's parameters with noise and return its state."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            # Halves: CLIP's weights are published so.
            parameter.copy_((scale * torch.randn(parameter.shape, generator=generator)).half())
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


class TinyClip(nn.Module):
    """A CLIP with a small vision transformer and nothing of its text half but the projection."""

    def __init__(self) -> None:
        super().__init__()
        # 512 features of 32×32 pixels, one block of width 64.
        self.visual = CLIPVisual(512, 32, 1, 64, 16).visual
        self.text_projection = nn.Parameter(torch.empty(8, 512))

    def forward(self, images: Tensor) -> Tensor:
        return self.visual(images)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TorchScript archive, as OpenAI publishes its networks."""
    path = tmp_path_factory.mktemp("clip") / "tiny.pt"
    with torch.random.fork_rng(devices=[]):
        network = TinyClip().eval()
        randomise(network)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch is to drop these archives, in which OpenAI's networks are
            torch.jit.trace(network, torch.zeros(1, 3, 32, 32), check_trace=False).save(str(path))
    return path


def tensors(scripted: Path) -> dict[str, Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: tensor.contiguous() for name, tensor in torch.jit.load(str(scripted)).state_dict().items()}


def published(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Give a file the role of the published one."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(clip, "_PUBLISHED", {"vit-b-32": (path.name, digest, 512)})


@pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated:FutureWarning")  # torch-fidelity's own call
def test_clip_from_the_published_archive_is_torch_fidelitys(
    scripted: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    published(monkeypatch, scripted)
    before = torch.get_rng_state()
    extractor = ClipFeatures(ClipConfig(weights=scripted), {})
    with torch.inference_mode():
        found = extractor.features(images())
    assert torch.equal(torch.get_rng_state(), before)
    assert not recwarn.list
    original = FeatureExtractorCLIP("clip-vit-b-32", ["clip"], feature_extractor_weights_path=str(scripted))
    assert found.shape == (3, extractor.dimensions) and found.dtype == torch.float32 and found.std() > 0
    torch.testing.assert_close(found, original(images())[0], rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(extractor.features(images()), found)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_clip_from_tensors_is_the_same(suffix: str, scripted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tensors(scripted)
    path = tmp_path / f"tiny.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    found = ClipFeatures(ClipConfig(weights=path), {}).features(images())
    published(monkeypatch, scripted)
    torch.testing.assert_close(found, ClipFeatures(ClipConfig(weights=scripted), {}).features(images()))


def test_an_archive_that_is_not_the_published_one_is_not_opened(scripted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("a program of unknown origin would have been loaded")

    monkeypatch.setattr(torch.jit, "load", load)
    extractor = ClipFeatures(ClipConfig(weights=scripted), {})
    assert "tiny.pt: not a readable weight file" in (extractor.missing() or "")
    with pytest.raises(DataError, match=r"tiny\.pt: not a readable weight file"):
        extractor.features(images())


def test_files_of_other_networks(scripted: Path, tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(
        DataError, match=r"other\.safetensors: not a vision transformer of CLIP; take the file from https://open"
    ):
        ClipFeatures(ClipConfig(weights=tmp_path / "other.safetensors"), {}).features(images())
    with pytest.raises(DataError, match=r"other\.safetensors: not the weights of vit-s-14 .*take the file from https://dl\.fb"):
        Dinov2Features(Dinov2Config(model="vit-s-14", weights=tmp_path / "other.safetensors"), {}).features(images())
    state = tensors(scripted)
    save_file(state, tmp_path / "tiny.safetensors")
    with pytest.raises(DataError, match=r"gives 512 features, and vit-l-14 has 768"):
        ClipFeatures(ClipConfig(model="vit-l-14", weights=tmp_path / "tiny.safetensors"), {}).features(images())
    del state["visual.ln_post.weight"]
    save_file(state, tmp_path / "part.safetensors")
    with pytest.raises(DataError, match=r"part\.safetensors: not the weights of this network"):
        ClipFeatures(ClipConfig(weights=tmp_path / "part.safetensors"), {}).features(images())
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "tiny.safetensors").read_bytes()[:1000])
    with pytest.raises(DataError, match=r"cut\.safetensors: not a readable weight file"):
        ClipFeatures(ClipConfig(weights=tmp_path / "cut.safetensors"), {}).features(images())


def by_torchs_own_layers(state: dict[str, Tensor], normalised: Tensor, heads: int, grid: int) -> Tensor:
    """DINOv2's class token by torch's transformer layers, to which the weights are carried over."""
    width = state["cls_token"].shape[2]
    patches = nn.functional.conv2d(normalised, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=14)
    rows, columns = patches.shape[2:]
    learned = state["pos_embed"][:, 1:].transpose(1, 2).reshape(1, width, grid, grid)
    # Bicubic interpolation at (i + 1/2) / s − 1/2 with the step 1 / s that the extra tenth of a patch gives, by sampling.
    points = [(torch.arange(count) + 0.5) * grid / (count + 0.1) - 0.5 for count in (rows, columns)]
    vertical, horizontal = (2 * (one + 0.5) / grid - 1 for one in points)
    places = torch.stack(torch.meshgrid(vertical, horizontal, indexing="ij")[::-1], dim=-1)[None]
    positions = nn.functional.grid_sample(learned, places, mode="bicubic", padding_mode="border", align_corners=False)
    tokens = patches.flatten(2).transpose(1, 2) + positions.flatten(2).transpose(1, 2)
    first = (state["cls_token"] + state["pos_embed"][:, :1]).expand(len(tokens), -1, -1)
    tokens = torch.cat([first, tokens], dim=1)
    for index in range(1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))):
        block = {name.partition(f"blocks.{index}.")[2]: tensor for name, tensor in state.items()}
        attention = nn.MultiheadAttention(width, heads, batch_first=True)
        given = {"in_proj_weight": "qkv.weight", "in_proj_bias": "qkv.bias"}
        given |= {"out_proj.weight": "proj.weight", "out_proj.bias": "proj.bias"}
        attention.load_state_dict({ours: block[f"attn.{theirs}"] for ours, theirs in given.items()})

        def norm(values: Tensor, name: str, block: dict[str, Tensor] = block) -> Tensor:
            return nn.functional.layer_norm(values, (width,), block[f"{name}.weight"], block[f"{name}.bias"], 1e-6)

        normed = norm(tokens, "norm1")
        tokens = tokens + block["ls1.gamma"] * attention(normed, normed, normed)[0]
        hidden = norm(tokens, "norm2") @ block["mlp.fc1.weight"].T + block["mlp.fc1.bias"]
        hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
        tokens = tokens + block["ls2.gamma"] * (hidden @ block["mlp.fc2.weight"].T + block["mlp.fc2.bias"])
    return nn.functional.layer_norm(tokens[:, 0], (width,), state["norm.weight"], state["norm.bias"], 1e-6)


def test_dinov2_from_a_file_is_its_definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dinov2, "_MODELS", {"vit-l-14": ("vitl14", 24, 2, 3)})
    state = randomise(Dinov2Network(24, 2, 3), 0.3)
    torch.save({**state, "mask_token": torch.zeros(1, 24)}, tmp_path / "dinov2.pth")
    extractor = Dinov2Features(Dinov2Config(weights=tmp_path / "dinov2.pth"), {})
    with torch.inference_mode():
        found = extractor.features(images())
    resized = interpolate_bilinear_2d_like_tensorflow1x(images().float(), size=(224, 224), align_corners=False)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = by_torchs_own_layers(state, (resized / 255 - mean) / deviation, 3, 37)
    assert found.shape == (3, extractor.dimensions) and found.dtype == torch.float32 and found.std() > 0.1
    # Border samples of the two interpolations differ in what they repeat, by far less than positions differ.
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(extractor.features(images()), found)


def test_dinov2_at_the_size_of_its_positions_takes_them_as_they_are() -> None:
    network = Dinov2Network(12, 1, 2, grid=3).eval()
    state = randomise(network, 0.3)
    picture = torch.randn(2, 3, 42, 42, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        shifted = network.class_token(picture)
        network.pos_embed[:, 1:, :6] += 1
        assert not torch.allclose(network.class_token(picture), shifted)
    assert state["pos_embed"].shape == (1, 10, 12)


class TinyVgg(nn.Module):
    """Torchvision's VGG16 with few channels: the same places in the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 2, 8, stride=32), nn.ReLU())
        layers = (nn.Linear(98, 6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 4))
        self.classifier = nn.Sequential(*layers)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.classifier(self.features(pictures).flatten(1))


def test_vgg16_from_a_file_is_the_second_layer_of_the_classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.models.vgg16", TinyVgg)
    network = TinyVgg().eval()
    torch.save(randomise(network, 0.5), tmp_path / "vgg.pth")
    found = Vgg16Features(Vgg16Config(weights=tmp_path / "vgg.pth"), {}).features(images())
    resized = interpolate_bilinear_2d_like_tensorflow1x(images().float(), size=(224, 224), align_corners=False)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = network.classifier[:5](network.features((resized / 255 - mean) / deviation).flatten(1))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"other\.pth: not the weights of this network"):
        Vgg16Features(Vgg16Config(weights=tmp_path / "other.pth"), {}).features(images())


EXTRACTORS: list[tuple[type[FileExtractor], type[WeightsConfig], dict[str, Any], str, str]] = [
    (ClipFeatures, ClipConfig, {}, "clip-ViT-B-32.pt", "https://openaipublic.azureedge.net/clip/models/"),
    (ClipFeatures, ClipConfig, {"model": "vit-l-14"}, "clip-ViT-L-14.pt", "ViT-L-14.pt"),
    (Dinov2Features, Dinov2Config, {}, "dinov2_vitl14_pretrain.pth", "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/"),
    (
        Dinov2Features,
        Dinov2Config,
        {"model": "vit-s-14"},
        "dinov2_vits14_pretrain.pth",
        "/dinov2_vits14/dinov2_vits14_pretrain",
    ),
    (Vgg16Features, Vgg16Config, {}, "vgg16-397923af.pth", "https://download.pytorch.org/models/vgg16-397923af.pth"),
    (InceptionLogits, InceptionConfig, {}, "weights-inception-2015-12-05-6726825d.pth", "https://github.com/toshas/"),
]


@pytest.mark.parametrize(("extractor", "config", "settings", "file", "url"), EXTRACTORS)
def test_weights_that_are_not_here_are_named_with_their_place(
    extractor: type[FileExtractor],
    config: type[WeightsConfig],
    settings: dict[str, Any],
    file: str,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    made = extractor(config(**settings), {})
    reason = made.missing() or ""
    assert file in reason and url in reason and str(tmp_path / "checkpoints") in reason
    with pytest.raises(UnavailableError, match=f"{made.name}: the weights, {file}, are not on this machine"):
        made.features(images())
    with pytest.raises(TamingplatError, match="takes 8-bit colour images"):
        made.features(images()[:, :1])
    assert "is no file" in (extractor(config(weights=tmp_path / "no", **settings), {}).missing() or "")
    assert extractor(config(download=True, **settings), {}).missing() is None
    assert made.variant == settings.get("model", "")


def test_a_file_of_the_published_name_is_the_published_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    for extractor, file, digest in (
        (Vgg16Features(Vgg16Config(), {}), "vgg16-397923af.pth", "397923af"),
        (ClipFeatures(ClipConfig(), {}), "clip-ViT-B-32.pt", "40d36571"),
        (Dinov2Features(Dinov2Config(), {}), "dinov2_vitl14_pretrain.pth", "d5383ea8"),
    ):
        torch.save({"a": torch.zeros(1)}, tmp_path / "checkpoints" / file)
        assert f"{file}: its SHA-256 does not begin with {digest}" in (extractor.missing() or "")
        with pytest.raises(DataError, match=f"its SHA-256 does not begin with {digest}"):
            extractor.features(images())

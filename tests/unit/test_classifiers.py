"""The classifiers: a pretrained network from a local file, one that is trained, and what is said of weights that are absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from tamingplat_classifiers.config import Architecture, ResidualConfig, TorchvisionConfig
from tamingplat_classifiers.features import ClassifierFeatures
from tamingplat_classifiers.pretrained import TorchvisionClassifier
from tamingplat_classifiers.residual import ResidualClassifier
from torch import Tensor
from torchvision.models import densenet121, get_model, mobilenet_v3_small
from torchvision.transforms.functional import normalize

from tamingplat.interfaces import DataError, DatasetInfo, TamingplatError
from tamingplat.testing.promises.trainable import train_steps

MEAN, SPREAD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def images(count: int = 3, size: tuple[int, int] = (24, 24)) -> Tensor:
    return torch.randint(256, (count, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def pretrained(**values: Any) -> TorchvisionClassifier:
    return TorchvisionClassifier(TorchvisionConfig.model_validate(values), {})


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A network of three classes with random weights."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    torch.save(mobilenet_v3_small(weights=None, num_classes=3).state_dict(), folder / "own.pth")
    (folder / "names.txt").write_text("a cat\na dog\nneither\n\n")
    settings = {"weights": folder / "own.pth", "label_file": folder / "names.txt", "size": 24}
    return {"architecture": "mobilenet_v3_small", **settings}


def test_probabilities_are_those_of_torchvisions_network(local: dict[str, Any]):
    network = mobilenet_v3_small(weights=None, num_classes=3).eval()
    network.load_state_dict(torch.load(local["weights"], weights_only=True))
    with torch.no_grad():
        expected = network(normalize(images().float() / 255, MEAN, SPREAD)).log_softmax(1)
    classifier = pretrained(**local)
    assert classifier.label_names == ("a cat", "a dog", "neither")
    assert classifier.dimensions == 1024 and classifier.missing() is None
    assert torch.allclose(classifier.log_probabilities(images()), expected, atol=1e-5)
    features = classifier.features(images())
    last = network.classifier[-1]
    assert torch.allclose((features @ last.weight.T + last.bias).log_softmax(1), expected, atol=1e-5)
    extractor = ClassifierFeatures(None, {"classifier": classifier})  # type: ignore[arg-type]
    assert torch.equal(extractor.features(images()), features) and extractor.dimensions == 1024


def test_images_are_resized_and_cropped_as_the_pretraining_says():
    classifier = pretrained(architecture="resnet18")
    assert classifier._prepared(images(1, (300, 400))).shape == (1, 3, 224, 224)
    assert classifier._prepared(images(1, (32, 32))).shape == (1, 3, 224, 224)
    grey = torch.full((1, 3, 256, 256), 51, dtype=torch.uint8)
    assert torch.allclose(classifier._prepared(grey)[0, :, 0, 0], (0.2 - torch.tensor(MEAN)) / torch.tensor(SPREAD))


def test_imagenet_is_the_default_and_weights_that_are_not_here_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    classifier = pretrained()
    assert len(classifier.label_names) == 1000 and classifier.dimensions == 2048
    reason = classifier.missing() or ""
    assert "resnet101-63fe2227.pth" in reason and str(tmp_path / "hub" / "checkpoints") in reason
    with pytest.raises(TamingplatError, match="are not on this machine"):
        classifier.features(images())
    assert pretrained(download=True).missing() is None
    assert "is no file" in (pretrained(weights=tmp_path / "nothing.pth").missing() or "")


def test_what_is_not_the_networks_is_refused_with_its_place(local: dict[str, Any], tmp_path: Path):
    with pytest.raises(DataError, match=r"misshapen: features\.0"):
        pretrained(**{**local, "architecture": "mobilenet_v2"}).features(images())
    (tmp_path / "evil.pth").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    evil = pretrained(**{**local, "weights": tmp_path / "evil.pth"})
    assert "evil.pth: not a readable weight file" in (evil.missing() or "")
    with pytest.raises(DataError, match="not a readable weight file"):
        evil.features(images())
    for text, message in (("a\nb\na\n", "names a more than once"), ("a\n\nb\n", "every line must name a class")):
        (tmp_path / "names.txt").write_text(text)
        with pytest.raises(DataError, match=message):
            pretrained(**{**local, "label_file": tmp_path / "names.txt"})
    with pytest.raises(TamingplatError, match="torchvision has no IMAGENET1K_V2 of alexnet, but IMAGENET1K_V1"):
        pretrained(architecture="alexnet", pretraining="IMAGENET1K_V2")
    with pytest.raises(TamingplatError, match="takes colour images"):
        pretrained(**local).features(images()[:, :1])


def test_densenets_files_of_the_first_version_are_read(tmp_path: Path):
    torch.manual_seed(0)
    state = densenet121(weights=None, num_classes=3).state_dict()
    parts = {"norm1": "norm.1", "norm2": "norm.2", "conv1": "conv.1", "conv2": "conv.2"}
    old = {}
    for name, value in state.items():
        words = [parts.get(word, word) if "denselayer" in name else word for word in name.split(".")]
        old[".".join(words)] = value
    assert any(".norm.1." in name for name in old)
    torch.save(old, tmp_path / "densenet.pth")
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    settings = {"weights": tmp_path / "densenet.pth", "label_file": tmp_path / "names.txt", "size": 32}
    assert pretrained(architecture="densenet121", **settings).features(images(1)).shape == (1, 1024)


@pytest.mark.parametrize("architecture", ["alexnet", "vgg16", "swin_t", "vit_b_32", "efficientnet_b0", "convnext_tiny"])
def test_every_family_ends_in_one_linear_layer(architecture: str):
    with torch.device("meta"):
        network = get_model(architecture, weights=None, num_classes=7).eval()
        outputs = network(torch.empty(1, 3, 224, 224))
    classifier = pretrained(architecture=architecture)
    body, head = classifier._skeleton()
    assert outputs.shape == (1, 7) and head.out_features == 1000
    with torch.device("meta"):
        assert body.eval()(torch.empty(1, 3, 224, 224)).shape == (1, classifier.dimensions)
    assert architecture in get_args(Architecture)


def test_sizes_that_an_architecture_does_not_take_are_refused():
    for architecture, size, message in (
        ("alexnet", 32, "alexnet needs 63×63 pixels"),
        ("vit_b_16", 64, "vit_b_16 takes 224×224 pixels alone"),
    ):
        with pytest.raises(TamingplatError, match=message):
            pretrained(architecture=architecture, size=size)
    assert pretrained(architecture="vit_b_16", size=224).dimensions == 768
    assert pretrained(architecture="swin_t", size=64).dimensions == 768


def test_a_file_of_the_published_name_is_the_published_file(
    local: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    classifier = pretrained(architecture="mobilenet_v3_small")
    torch.save(mobilenet_v3_small(weights=None).state_dict(), folder / "mobilenet_v3_small-047dcff4.pth")
    assert "its SHA-256 does not begin with 047dcff4" in (classifier.missing() or "")
    with pytest.raises(DataError, match="its SHA-256 does not begin with 047dcff4"):
        classifier.features(images())


def test_lpips_shares_the_weights_of_two_architectures(local: dict[str, Any]):
    assert pretrained(architecture="vgg16").families == pretrained(architecture="alexnet").families == {"lpips"}
    assert not pretrained(architecture="resnet18").families and not pretrained(**local).families
    assert pretrained(trained_on=("validation",)).seen_splits == ("validation",)


def test_torchvisions_own_file_is_a_relative_of_lpips_whoever_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "mine.pth"
    named = {"architecture": "vgg16", "weights": path}
    assert pretrained(**named).families == {"lpips"}  # nobody knows what is not there
    path.write_bytes(b"somebody's own")
    assert not pretrained(**named).families
    monkeypatch.setattr("tamingplat.interfaces.models.published_weights.file_digest", lambda _: f"397923af{'0' * 56}")
    assert pretrained(**named).families == {"lpips"}


def test_the_residual_network_learns_what_distinguishes_classes():
    info = DatasetInfo((8, 8), 3, {"train": 64}, label_names=("reddish", "greenish", "bluish"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = ResidualClassifier(ResidualConfig(width=4, norm_groups=2, stages=2), {}, info)
    labels = torch.arange(48) % 3
    pictures = torch.randint(120, (48, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    pictures[torch.arange(48), labels] += 80
    batch = {"image": pictures.float() / 127.5 - 1, "label": labels}
    train_steps(classifier, batch, 30)
    classifier.eval()
    assert classifier.seen_splits == ("train",) and classifier.label_names == info.label_names
    assert (classifier.log_probabilities(pictures).argmax(1) == labels).float().mean() > 0.9
    with torch.no_grad():
        terms = classifier(batch, step=0, phase="main", generator=None)
    picked = classifier.log_probabilities(pictures)[torch.arange(48), labels]
    assert torch.allclose(terms["total"], -picked.mean(), atol=1e-5) and terms["accuracy"] > 0.9
    assert classifier.features(pictures).shape == (48, classifier.dimensions)


def test_classes_are_needed_to_train():
    info = DatasetInfo((8, 8), 3, {"train": 64})
    assert "no classes" in (ResidualClassifier.refusal(ResidualConfig(), info) or "")

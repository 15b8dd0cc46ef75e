"""torch-fidelity's Inception with weights from a file, and every way in which the file can be wrong."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import pytest
import torch
import torch_fidelity.feature_extractor_inceptionv3 as original
from tamingplat_metrics import inception
from tamingplat_metrics.config import InceptionConfig
from tamingplat_metrics.inception import FILE, InceptionFeatures

from tamingplat.interfaces import DataError, TamingplatError, UnavailableError


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the published layout: what the network's own modules hold."""
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    state: dict[str, torch.Tensor] = {}

    class Untrained(original.FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: object, **__: object) -> None:
            state.update(self.state_dict())

    empty = path.with_name("empty.pth")
    torch.save({}, empty)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Untrained("untrained", ["2048"], feature_extractor_weights_path=str(empty))
    torch.save(state, path)
    return path


@pytest.fixture
def published(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The random weights in the role of the published ones."""
    monkeypatch.setattr(inception, "DIGEST", hashlib.sha256(weights.read_bytes()).hexdigest()[:8])
    return weights


def images() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 24, 20), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_features_are_torch_fidelitys(published: Path) -> None:
    before = torch.get_rng_state()
    extractor = InceptionFeatures(InceptionConfig(weights=published), {})
    assert extractor.missing() is None
    with torch.inference_mode():
        features = extractor.features(images())
    assert torch.equal(torch.get_rng_state(), before)
    network = original.FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(published))
    assert features.shape == (2, extractor.dimensions)
    assert features.dtype == torch.float32
    assert features.std() > 0
    with torch.autocast("cpu", torch.bfloat16):
        again = extractor.features(images())
    torch.testing.assert_close(features, network(images())[0])
    torch.testing.assert_close(again, network(images())[0])


def test_the_default_place(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    extractor = InceptionFeatures(InceptionConfig(), {})
    reason = extractor.missing()
    assert reason is not None
    assert FILE in reason
    assert str(tmp_path / "checkpoints") in reason
    assert "github.com/toshas/torch-fidelity" in reason
    with pytest.raises(UnavailableError, match=f"inception: the weights, {FILE}, are not on this machine"):
        extractor.features(images())
    (tmp_path / "checkpoints").mkdir()
    os.link(published, tmp_path / "checkpoints" / FILE)
    assert extractor.missing() is None
    assert extractor.find() == tmp_path / "checkpoints" / FILE
    (tmp_path / "checkpoints" / FILE).unlink()
    (tmp_path / "checkpoints" / FILE).write_bytes(published.read_bytes()[:100_000])
    assert "its SHA-256 does not begin with" in (extractor.missing() or "")


def test_a_download_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def refuse(url: str, path: str, *, hash_prefix: str, progress: bool) -> None:
        assert (Path(path).name, hash_prefix, progress) == (FILE, "6726825d", False)
        assert url.endswith(FILE)
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    extractor = InceptionFeatures(InceptionConfig(download=True), {})
    assert extractor.missing() is None
    with pytest.raises(UnavailableError, match=r"could not be downloaded \(no network\); put the file into"):
        extractor.features(images())


def test_other_weights_would_not_be_fid(weights: Path) -> None:
    extractor = InceptionFeatures(InceptionConfig(weights=weights), {})
    assert "random.pth: its SHA-256 does not begin with 6726825d" in (extractor.missing() or "")
    with pytest.raises(
        DataError, match=r"random\.pth: its SHA-256 does not begin with 6726825d.* it would not be FID; take it"
    ):
        extractor.features(images())


def test_a_named_file_that_is_not_there(tmp_path: Path) -> None:
    extractor = InceptionFeatures(InceptionConfig(weights=tmp_path / "missing.pth"), {})
    assert "missing.pth, which the setting weights names, is no file" in (extractor.missing() or "")
    with pytest.raises(UnavailableError, match="is no file"):
        extractor.features(images())


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)


@pytest.mark.parametrize("content", ["cut", "pickle", "list", "keys"])
def test_files_that_cannot_be_read(content: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    match content:
        case "cut":
            path.write_bytes(weights.read_bytes()[:100_000])
        case "pickle":
            path.write_bytes(pickle.dumps({"weight": Malicious()}, protocol=2))
        case "list":
            torch.save([torch.zeros(1)], path)
        case "keys":
            torch.save({"weight": torch.zeros(1)}, path)
    monkeypatch.setattr(inception, "DIGEST", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"weights\.pth: (not a readable weight file|holds no state dict|not the weights of)"):
        InceptionFeatures(InceptionConfig(weights=path), {}).features(images())
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("wrong", [torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.uint8)])
def test_wrong_images(wrong: torch.Tensor) -> None:
    with pytest.raises(TamingplatError, match="takes 8-bit colour images"):
        InceptionFeatures(InceptionConfig(), {}).features(wrong)

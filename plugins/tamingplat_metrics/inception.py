"""torch-fidelity's Inception v3, whose features define the Fréchet inception distance.

Shape letters: B batch, H/W image, D features.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import torch
from torch import Tensor

from tamingplat.interfaces import DataError, TamingplatError, UnavailableError
from tamingplat.interfaces.models import FeatureExtractor, without_autocast
from tamingplat_metrics.config import InceptionConfig

if TYPE_CHECKING:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

LAYER = "2048"
DIGEST = "6726825d"
"""How the SHA-256 of the published weights begins; their file's name says so too."""
FILE = f"weights-inception-2015-12-05-{DIGEST}.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"

# What torch.load raises for a file that is cut short, is no weight file, or holds more than tensors.
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, pickle.UnpicklingError)


class InceptionFeatures(FeatureExtractor):
    """The 2048 features before the classifier, of images resized to 299 × 299 as TensorFlow 1 did it."""

    config: InceptionConfig

    def __init__(self, config: InceptionConfig, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        self._network: FeatureExtractorInceptionV3 | None = None

    @property
    def dimensions(self) -> int:
        """2048."""
        return 2048

    @property
    def _default_file(self) -> Path:
        return Path(torch.hub.get_dir()) / "checkpoints" / FILE

    def missing(self) -> str | None:
        """Why the weights cannot be had here, and which file to put where; ``None`` where they can. Downloads nothing."""
        if self.config.weights is not None:
            return (
                None if self.config.weights.is_file() else f"{self.config.weights}, which the setting weights names, is no file"
            )
        if self.config.download or self._default_file.is_file():
            return None
        return (
            f"the weights, {FILE}, are not on this machine; put that file, from {URL}, into {self._default_file.parent}, "
            "or name it with the setting weights, or set download = true where there is a network"
        )

    def features(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, 2048).

        Raises:
            TamingplatError: The images are not 8-bit colour images.
            UnavailableError: The weights are not on this machine.
            DataError: The weight file cannot be read, or is not the published one.
        """
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
            raise TamingplatError(f"inception takes 8-bit colour images (B, 3, H, W), not {images.dtype} {tuple(images.shape)}")
        if self._network is None:
            self._network = self._load()
        self._network.to(images.device)
        with torch.no_grad(), without_autocast(images.device):
            features: Tensor = self._network(images)[0]
        return features

    def _load(self) -> FeatureExtractorInceptionV3:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        path = self._file()
        state = _read(path)
        # The constructor unpickles whatever its file holds. What it gets is the tensors that were read without executing
        # anything, written again, in memory.
        buffer = io.BytesIO()
        torch.save(state, buffer)
        buffer.seek(0)
        # A layer's constructor draws initial weights, which must not shift anybody's random numbers.
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
            try:
                return FeatureExtractorInceptionV3("inception-v3-compat", [LAYER], feature_extractor_weights_path=buffer)
            except RuntimeError as error:
                raise DataError(f"{path}: not the weights of this network ({_first_line(error)})") from error

    def _file(self) -> Path:
        reason = self.missing()
        if reason is not None:
            raise UnavailableError(f"inception: {reason}")
        if self.config.weights is not None:
            return self.config.weights
        path = self._default_file
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(URL, str(path), hash_prefix=DIGEST, progress=False)
            except (URLError, OSError, RuntimeError) as error:
                remedy = f"put the file into {path.parent}, or name it with the setting weights"
                raise UnavailableError(f"{URL} could not be downloaded ({error}); {remedy}") from error
        return path


def _read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of the published weight file; nothing in it is executed."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not digest.startswith(DIGEST):
            raise DataError(
                f"{path}: its SHA-256 begins with {digest[: len(DIGEST)]}, the published weights' with {DIGEST}; with other "
                f"weights the distance would not be FID; take the file from {URL}"
            )
        state = torch.load(path, map_location="cpu", weights_only=True)
    except DataError:
        raise
    except _UNREADABLE as error:
        raise DataError(f"{path}: not a readable weight file ({_first_line(error)})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: holds no state dict, a mapping of names to tensors")
    return state


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"

"""A finished tokenizer: the user's own images, of any size that it takes, to codes and back.

Shape letters: C/H/W image, N code positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from tamingplat.engine import Progress, resolve_device
from tamingplat.interfaces import DataError, Problem, ProblemsError, TamingplatError
from tamingplat.interfaces.models import Dataset, Tokenizer
from tamingplat.stages.finished.files import IMAGE_SUFFIXES, read_image
from tamingplat.stages.finished.memory import size_shortage
from tamingplat.stages.finished.open import Opened, select_tokenizer
from tamingplat.stages.finished.sizes import largest_inside, size_problem
from tamingplat.stages.images import to_file, to_model
from tamingplat.stages.skeletons import without_memory
from tamingplat.stages.tokenizer_stage import TokenizerStage, load_tokenizer

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Reconstructed:
    """An image and what a tokenizer made of it.

    Attributes:
        path: The file that it came from; ``None`` for an array.
        original: uint8 (C, H, W), as the tokenizer saw it.
        image: uint8 (C, H, W).
        codes: int64 (N,).
    """

    path: Path | None
    original: Image
    image: Image
    codes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class FinishedTokenizer:
    """A tokenizer that is trained.

    Attributes:
        opened: The manifest.
        stage: The tokenizer.
        dataset: Whose images it was trained on; images of one's own are brought to 8 bits and its channels as these are.
    """

    opened: Opened
    stage: TokenizerStage
    dataset: Dataset

    @property
    def channels(self) -> int:
        """Of its images."""
        return self.dataset.info.channels

    def prepare(self, images: Path, *, crop: bool = False, tile: int | None = None) -> list[Path]:
        """The images of a file or a folder, in the order of their names, all of which can be reconstructed.

        Args:
            images: A file, or a folder of them.
            crop: Whether an image of a size that the tokenizer does not take is cut in the middle to the largest that it does.
            tile: Side in pixels of the squares in which large images are encoded and decoded.

        Raises:
            ProblemsError: What is wrong, all of it.
            TamingplatError: The tokenizer is not trained yet.
        """
        skeleton, problems = self._skeleton(), []
        device = resolve_device(self.opened.plan.manifest.runtime.device)
        if tile is not None and not skeleton.tiles:
            name = self.stage.tokenizer.component.reference
            problems.append(Problem("--tile", f"{name} works on whole images and knows no tiles", "leave it out"))
        elif skeleton.tiles:
            skeleton.tile = tile or self.stage.tokenizer.tile
        paths = [images] if images.is_file() else _images_in(images)
        if not paths:
            remedy = f"images end in {', '.join(sorted(IMAGE_SUFFIXES))}"
            problems.append(Problem(f"--images {images}", "has no images" if images.is_dir() else "there is none", remedy))
        for path in paths:
            try:
                _, height, width = read_image(self.dataset, path).shape
            except DataError as error:
                problems.append(Problem("", str(error)))
                continue
            problem = size_problem(skeleton, (height, width), str(path))
            if problem is not None and not (crop and largest_inside(skeleton, (height, width))):
                remedy = f"resize it, or cut it with --crop: {problem.remedy}" if problem.remedy else "take a larger one"
                problems.append(Problem(problem.where, problem.what, remedy))
                continue
            size = (height, width) if problem is None else largest_inside(skeleton, (height, width))
            if size is not None and (reason := size_shortage(skeleton, size, self.channels, 1, device)):
                problems.append(Problem(str(path), reason))
        if problems:
            raise ProblemsError(problems)
        self.opened.demand([self.stage])
        return paths

    def reconstruct(
        self, images: Path | str | Sequence[Path | str | Image] | Image, *, crop: bool = False, tile: int | None = None
    ) -> list[Image]:
        """What the tokenizer makes of images, uint8 (C, H, W) each.

        Args:
            images: A file or a folder; or several files, or arrays uint8 (C, H, W).
            crop: As in ``prepare``.
            tile: Likewise.

        Raises:
            TamingplatError: It is not trained, or an image cannot be read or is of a size that it does not take.
        """
        if isinstance(images, Path | str):
            given: Sequence[Path | Image] = self.prepare(Path(images), crop=crop, tile=tile)
        else:
            self.opened.demand([self.stage])
            given = [Path(image) if isinstance(image, str) else image for image in images]
        return [made.image for made in self.reconstructions(given, crop=crop, tile=tile)]

    def reconstructions(
        self, images: Sequence[Path | Image], *, crop: bool = False, tile: int | None = None
    ) -> Iterator[Reconstructed]:
        """Encode and decode images one by one.

        Args:
            images: Files, or uint8 (C, H, W).
            crop: As in ``prepare``.
            tile: Likewise.

        Raises:
            TamingplatError: An image cannot be read, or is of a size that the tokenizer does not take.
        """

        def silent(progress: Progress) -> None:
            """Whoever takes the images sees how far it is."""

        context = self.opened.context(silent, 1)
        tokenizer = load_tokenizer(self.stage, context)
        if tile is not None:
            tokenizer.tile = tile
        for image in images:
            path = image if isinstance(image, Path) else None
            array = read_image(self.dataset, image) if isinstance(image, Path) else image
            array = self._fitted(tokenizer, array, path, crop=crop)
            size = (array.shape[1], array.shape[2])
            with torch.inference_mode():
                codes = tokenizer.encode(to_model(torch.from_numpy(array)[None].to(context.device)))
                made = to_file(tokenizer.decode(codes, size))
            yield Reconstructed(path, array, made[0].cpu().numpy(), codes[0].cpu().numpy())

    def _fitted(self, tokenizer: Tokenizer, array: Image, path: Path | None, *, crop: bool) -> Image:
        """An image of a size that is taken."""
        if array.ndim != 3 or array.shape[0] != self.channels or array.dtype != np.uint8:
            raise TamingplatError(f"an image is uint8 ({self.channels}, H, W), not {array.dtype} {array.shape}")
        size = (array.shape[1], array.shape[2])
        problem = size_problem(tokenizer, size, "" if path is None else str(path))
        if problem is None:
            return array
        inside = largest_inside(tokenizer, size) if crop else None
        if inside is None:
            raise ProblemsError([problem])
        top, left = (size[0] - inside[0]) // 2, (size[1] - inside[1]) // 2
        return np.ascontiguousarray(array[:, top : top + inside[0], left : left + inside[1]])

    def _skeleton(self) -> Tokenizer:
        with without_memory():
            return self.stage.build(self.opened.plan.builder)


def _images_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES)


def open_tokenizer(opened: Opened, fields: Mapping[str, str]) -> FinishedTokenizer:
    """The one tokenizer that some fields leave, names by kind and seeds.

    Raises:
        TamingplatError: They leave none, or several, which are listed.
    """
    stage, dataset = select_tokenizer(opened, fields)
    return FinishedTokenizer(opened, stage, opened.plan.builder.dataset(dataset))

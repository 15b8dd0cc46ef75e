"""The codes of a batch of images that are being drawn, seen through windows.

Shape letters: B batch, H/W rows and columns of codes, h/w those of a window, F windows at once, P condition tokens of the
image, p of a window, R = F · B rows given to the prior, all images of one window before those of the next, or twice as many
under guidance: first all with the condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, Crop, TamingplatError, Windows
from tamingplat.interfaces.models import PriorScope, SampleRequest, gumbel_noise
from tamingplat_samplers.config import LogitsConfig
from tamingplat_samplers.drawing import Drawer, Guidance, NoiseInOrder, guidance_refusal


def window_start(place: int, side: int, window: int) -> int:
    """Where the window begins that predicts a place, along one axis: with the place in its middle, as far as the image allows.

    Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis", Sec. 3.2 (sliding attention window), as
    in the authors' code.

    Args:
        place: Row or column of what is predicted.
        side: Rows or columns of the image.
        window: Those of the window, at most ``side``.
    """
    return max(0, min(place - window // 2, side - window))


def order_refusal(space: CodeSpace, ordering: str) -> str | None:
    """Why a window cannot slide over such codes in the named order; ``None`` where it can."""
    if ordering != "raster":
        return (
            "a window slides row by row, with all that is known above and to the left of what it predicts, and "
            f"ordering:{ordering} visits other codes first; use ordering:raster"
        )
    # A window of one code asks only what holds for windows of every size.
    return Windows(space, (), (1, 1)).refusal()


def window_refusal(config: LogitsConfig, space: CodeSpace, layout: ConditionLayout, scope: PriorScope) -> str | None:
    """Why such codes cannot be drawn through the windows of a prior; ``None`` where they can."""
    reason = Windows(scope.space, (), (1, 1)).refusal()
    if reason is not None:
        return reason
    windows = _windows(space, layout, scope.space)
    if reason := windows.refusal():
        return reason
    if _shape(windows.window_layout) != _shape(scope.layout):
        return (
            f"a window has the condition {_described(windows.window_layout)}, and the prior was trained with "
            f"{_described(scope.layout)}; sample with the conditioner and the window that it was trained with"
        )
    return guidance_refusal(config, scope)


def _windows(space: CodeSpace, layout: ConditionLayout, prior_space: CodeSpace) -> Windows:
    height, width = prior_space.grids[0]
    return Windows(space, layout, (height, width))


def _shape(layout: ConditionLayout) -> list[tuple[int, ...] | None]:
    """The grids of a layout. An imported prior may lack the null index, so that vocabularies can differ by one."""
    return [part.grid for part in layout]


def _described(layout: ConditionLayout) -> str:
    parts = (f"{part.name} ({'×'.join(map(str, part.grid)) if part.grid else 'one token'})" for part in layout)
    return " and ".join(parts) or "of nothing"


class Canvas:
    """The images' codes, what is given of them, and how windows of them are asked and filled.

    Args:
        request: What is to be drawn.
        config: How a code is drawn from logits.

    Attributes:
        codes: int64 (B, H · W), 0 where nothing was drawn yet.
        grid: H and W.
        window: h and w.
        first: The first position, row by row, that is not given in every image.

    Raises:
        TamingplatError: The prior's windows do not fit the images, or what is given is no beginning of the order row by row.
    """

    def __init__(self, request: SampleRequest, config: LogitsConfig) -> None:
        prior_space = request.prior_space or request.space
        prior_layout = request.layout if request.prior_layout is None else request.prior_layout
        scope = PriorScope(prior_space, prior_layout, request.null_condition is not None)
        reason = order_refusal(request.space, "raster") or window_refusal(config, request.space, request.layout, scope)
        if reason is not None:
            raise TamingplatError(reason)
        windows = _windows(request.space, request.layout, prior_space)
        self.grid, self.window = windows.grid, windows.size
        self._request, self._guidance, self._drawer = request, Guidance(config), Drawer(config)
        device = request.condition.device
        self._batch = len(request.indices)
        length = request.space.length
        self._codes_at = _crop(windows.codes, device)
        self._condition_at = _crop(windows.condition, device)
        positions = torch.arange(length, device=device)[None]
        self._order = positions[:, : prior_space.length]
        self._noise = NoiseInOrder(request.seed, request.indices, positions.expand(self._batch, -1))
        self.codes = torch.zeros(self._batch, length, dtype=torch.int64, device=device)
        self._given = request.given
        self.first = 0
        if request.given is not None:
            self.codes = torch.where(request.given[1], request.given[0], 0)
            self.first = _first_drawn(request.given[1])

    def order(self, rows: int) -> Tensor:
        """int64 (rows, h · w): the positions of a window in the order of their visit, without a copy for every row."""
        return self._order.expand(rows, -1)

    def window_codes(self, top: int | Tensor, left: int | Tensor) -> Tensor:
        """The codes of windows, int64 (R, h · w).

        Args:
            top: First row of one window, or of several, int64 (F, 1).
            left: First column, likewise.
        """
        return self._guidance.repeat(_cropped(self.codes, self._codes_at, top, left))

    def window_conditions(self, top: int | Tensor, left: int | Tensor) -> Tensor:
        """The conditions that belong to windows, int64 (R, p); arguments as ``window_codes``."""
        conditions = self._guidance.conditions(self._request.condition, self._request.null_condition)
        return torch.cat([_cropped(condition, self._condition_at, top, left) for condition in conditions])

    def rows(self, windows: int) -> int:
        """R, for F = ``windows``."""
        return windows * self._batch * (2 if self._guidance.guides else 1)

    def of_rows(self, of_windows: Tensor) -> Tensor:
        """Numbers of F windows, int64 (F,), for every row, int64 (R,)."""
        return self._guidance.repeat(of_windows.repeat_interleave(self._batch))

    def state_rows(self, windows: Sequence[int], count: int) -> list[Tensor]:
        """The rows of some of ``count`` windows in a batch of all, int64 (F' · B) for each half that there is."""
        chosen = torch.tensor(windows, device=self.codes.device)[:, None] * self._batch
        rows = (chosen + torch.arange(self._batch, device=self.codes.device)).flatten()
        return [rows + half * count * self._batch for half in range(2 if self._guidance.guides else 1)]

    def draw(self, logits: Tensor, position: int) -> Tensor:
        """Draw one code of every image from logits, float (R, 1, V), and return it for every row, int64 (R, 1)."""
        request, noise = self._request, self._noise.at(position, position + 1)
        drawn = self._drawer.draw(self._guidance.combine(logits), request.seed, request.indices, noise)
        if self._given is not None:
            codes, mask = self._given
            drawn = torch.where(mask[:, position : position + 1], codes[:, position : position + 1], drawn)
        self.codes[:, position : position + 1] = drawn
        return self._guidance.repeat(drawn)

    def draw_together(self, logits: Tensor, positions: Tensor) -> Tensor:
        """Draw one code of every window of every image, as ``draw``, at canonical positions int64 (F,)."""
        windows = len(positions)
        indices, of_row = self._request.indices.repeat(windows), positions.repeat_interleave(self._batch)[:, None]
        noise = partial(gumbel_noise, self._request.seed, indices, of_row)
        drawn = self._drawer.draw(self._guidance.combine(logits), self._request.seed, indices, noise)
        by_image = drawn.view(windows, self._batch).T
        if self._given is not None:
            codes, mask = self._given
            by_image = torch.where(mask[:, positions], codes[:, positions], by_image)
        self.codes[:, positions] = by_image
        return self._guidance.repeat(by_image.T.reshape(-1, 1))


def _crop(crop: Crop, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    def moved(array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    return moved(crop.first), moved(crop.down), moved(crop.across)


def _cropped(tokens: Tensor, crop: tuple[Tensor, Tensor, Tensor], top: int | Tensor, left: int | Tensor) -> Tensor:
    """Windows of tokens (B, n), as (F · B, n of a window): all images of one window, then those of the next."""
    first, down, across = crop
    places = first + top * down + left * across
    if places.ndim == 1:
        return tokens[:, places]
    return tokens[:, places].transpose(0, 1).flatten(0, 1)


def _first_drawn(mask: Tensor) -> int:
    """The first position that is not given in every image, bool (B, N); N where there is none.

    Raises:
        TamingplatError: In some image a position is given after one that is not.
    """
    late = mask & ~mask.cumprod(1).bool()
    if bool(late.any()):
        row, position = (int(index) for index in late.nonzero()[0])
        raise TamingplatError(
            f"the given codes are no beginning of the order row by row: image {row} of the batch has position {position} "
            "given, after one that is not, and a window knows what lies before what it predicts alone; give the first rows"
        )
    return int(mask.sum(1).min())

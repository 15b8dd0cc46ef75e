"""Codes of images of any size from a prior of a window, one after the other.

Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021, Sec. 3.2 and Fig. 3.

Shape letters: B batch, N code positions, h/w rows and columns of a window, R rows given to the prior.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, Config
from tamingplat.interfaces.models import PriorScope, PriorState, Sampler, SampleRequest, Visits
from tamingplat_samplers.canvas import Canvas, order_refusal, window_refusal, window_start
from tamingplat_samplers.config import SlidingWindowConfig


class Place(NamedTuple):
    """One code, and the window that predicts it.

    Attributes:
        position: Canonical position in the image.
        top: First row of the window.
        left: First column of the window.
        local: Its place in the window, row by row: so many codes of the window are known.
    """

    position: int
    top: int
    left: int
    local: int


def places(grid: tuple[int, int], window: tuple[int, int], stride: int, first: int = 0) -> Iterator[Place]:
    """Every code row by row from position ``first`` on, with its window, which slides after ``stride`` codes of a row."""
    height, width = grid
    for position in range(first, height * width):
        row, column = divmod(position, width)
        top = window_start(row, height, window[0])
        left = window_start(column - column % stride, width, window[1])
        yield Place(position, top, left, (row - top) * window[1] + column - left)


class SlidingWindow(Sampler):
    """Draws row by row; each code is predicted from a window around it, of which what is known is all before it, row by row.

    A window that stays where it is, at a border or within a stride, goes on from the prior's state. One that has moved is
    computed anew as far as it is known, and not beyond.
    """

    needs: ClassVar[Visits] = "in_order"

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        assert isinstance(config, SlidingWindowConfig)
        self._config = config

    def refusal(self, space: CodeSpace, layout: ConditionLayout, *, ordering: str) -> str | None:
        """Why no window can slide over such codes in this order."""
        return order_refusal(space, ordering)

    def prior_refusal(self, space: CodeSpace, layout: ConditionLayout, scope: PriorScope) -> str | None:
        """Why the prior's window does not fit the codes, the condition or the stride."""
        if reason := window_refusal(self._config, space, layout, scope):
            return reason
        window = scope.space.grids[0][1]
        if space.grids[0][1] > window and self._config.stride > window - window // 2:
            return (
                f"stride {self._config.stride} leaves the window: a code lies in the middle of its {window} columns, and "
                f"{window - window // 2} of them are left to draw; set stride to {window - window // 2} or less"
            )
        return None

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> Tensor:
        """Codes, int64 (B, N); those that are given stay.

        Raises:
            TamingplatError: The prior's windows do not fit the images, or what is given is no beginning of the order.
        """
        canvas = Canvas(request, self._config)
        rows = canvas.rows(1)
        order = canvas.order(rows)
        stride = self._config.stride if canvas.grid[1] > canvas.window[1] else canvas.grid[1]
        previous = Place(-1, -1, -1, -1)
        state: PriorState | None = None
        codes = condition = order
        for place in places(canvas.grid, canvas.window, stride, canvas.first):
            if (place.top, place.left) != (previous.top, previous.left):
                state = None
                codes = canvas.window_codes(place.top, place.left)
                condition = canvas.window_conditions(place.top, place.left)
            known = place.local
            logits, state = request.prior.logits(codes, order[:, :known], order[:, known : known + 1], condition, state=state)
            codes[:, known : known + 1] = canvas.draw(logits, place.position)
            previous = place
        return canvas.codes

"""The sliding window's codes, several rows of an image at once.

A code at row i and column j needs its window's part of the rows above, which ends half a window to the right of j, and, at the
left border, a whole window. Row i may therefore follow row i − 1 at a distance of a window's width, and every row be a code
further at every step: an image of H×W codes takes (H − 1) · w + W steps in place of H · W.

Shape letters: B batch, N code positions, H/W rows and columns of codes, h/w those of a window, F rows of the image in flight,
R = F · B rows given to the prior, or twice as many under guidance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, Config
from tamingplat.interfaces.models import PriorScope, PriorState, Sampler, SampleRequest, Visits
from tamingplat_samplers.canvas import Canvas, order_refusal, window_refusal, window_start
from tamingplat_samplers.config import WavefrontConfig


class Flight(NamedTuple):
    """One row of the image at one step.

    Attributes:
        row: Of the image.
        column: What is drawn of it.
        top: First row of the window.
        left: First column of the window.
        local: Place of what is drawn in the window, row by row: so many codes of the window are known.
        stays: Whether the window stays where it is for the next code of the row.
    """

    row: int
    column: int
    top: int
    left: int
    local: int
    stays: bool


def flights(grid: tuple[int, int], window: tuple[int, int], first: int = 0) -> Iterator[tuple[Flight, ...]]:
    """For every step the rows in flight, from the upper one to the lower one.

    Args:
        grid: H and W.
        window: h and w.
        first: The first position, row by row, that is to be drawn.
    """
    (height, width), lag = grid, window[1]
    start, column = divmod(first, width)
    # What is given of a row beyond the next row's beginning is gone over again.
    begin = lag * start + min(column, lag)
    for time in range(begin, lag * (height - 1) + width if start < height else begin):
        rows = range(max(start, -((width - 1 - time) // lag)), min(height - 1, time // lag) + 1)
        together = []
        for row in rows:
            across = time - lag * row
            top, left = window_start(row, height, window[0]), window_start(across, width, window[1])
            stays = across + 1 < width and left == window_start(across + 1, width, window[1])
            together.append(Flight(row, across, top, left, (row - top) * window[1] + across - left, stays))
        yield tuple(together)


class Wavefront(Sampler):
    """Draws the same as ``sliding-window`` with a stride of 1, position by position, in fewer steps.

    One call of the prior computes all rows in flight, each in its window and as far as that is known. Memory is that of these
    windows: their number is the image's width over the window's, whatever its height.
    """

    needs: ClassVar[Visits] = "in_order"

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        assert isinstance(config, WavefrontConfig)
        self._config = config

    def refusal(self, space: CodeSpace, layout: ConditionLayout, *, ordering: str) -> str | None:
        """Why no window can slide over such codes in this order."""
        return order_refusal(space, ordering)

    def prior_refusal(self, space: CodeSpace, layout: ConditionLayout, scope: PriorScope) -> str | None:
        """Why the prior's window does not fit the codes or the condition."""
        return window_refusal(self._config, space, layout, scope)

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> Tensor:
        """Codes, int64 (B, N); those that are given stay.

        Raises:
            TamingplatError: The prior's windows do not fit the images, or what is given is no beginning of the order.
        """
        canvas = Canvas(request, self._config)
        height, width = canvas.grid
        window_height, window_width = canvas.window
        numbers = torch.arange(max(height, width), device=canvas.codes.device)
        previous: tuple[Flight, ...] = ()
        state: PriorState | None = None
        condition = canvas.codes
        for flying in flights(canvas.grid, canvas.window, canvas.first):
            # Computed on the device from what is there, so that no step waits for a transfer.
            rows = flying[0].row + numbers[: len(flying)]
            columns = flying[0].column - window_width * numbers[: len(flying)]
            tops = (rows - window_height // 2).clamp(0, height - window_height)
            lefts = (columns - window_width // 2).clamp(0, width - window_width)
            known = (rows - tops) * window_width + columns - lefts

            state = _carried(state, flying, previous, canvas)
            if [flight[2:4] for flight in flying] != [flight[2:4] for flight in previous]:
                condition = canvas.window_conditions(tops[:, None], lefts[:, None])
            codes = canvas.window_codes(tops[:, None], lefts[:, None])
            order = canvas.order(len(codes))
            longest = max(flight.local for flight in flying)
            if all(flight.local == longest for flight in flying):
                lengths, targets = None, order[:, longest : longest + 1]
            else:
                lengths = canvas.of_rows(known)
                targets = lengths[:, None]
            logits, state = request.prior.logits(codes, order[:, :longest], targets, condition, lengths=lengths, state=state)
            canvas.draw_together(logits, rows * width + columns)
            previous = flying
        return canvas.codes


def _carried(
    state: PriorState | None, flying: Sequence[Flight], previous: Sequence[Flight], canvas: Canvas
) -> PriorState | None:
    """What of the last step's state, which is used up, serves the rows in flight; ``None`` where all of them begin anew.

    A row goes on where its window has stayed, which it does at the left and at the right border. Of rows whose window slides at
    the next step a prior need keep nothing.
    """
    if state is None:
        return None
    then = {(flight.top, flight.left, flight.local + 1): index for index, flight in enumerate(previous)}
    sources = [then.get((flight.top, flight.left, flight.local)) for flight in flying]
    if sources == list(range(len(previous))):
        return state
    staying = [source for source in sources if source is not None]
    if len(staying) == len(sources):
        return state.take(torch.cat(canvas.state_rows(staying, len(previous))))
    # On an accelerator a few more rows in a batch cost nearly nothing, and putting a state together from parts costs more.
    if canvas.codes.device.type != "cpu":
        return None
    if not staying and state.blank_once(1) is None:
        return None
    parts: list[PriorState] = []
    for rows in canvas.state_rows(range(len(previous)), len(previous)):
        of_window = rows.chunk(len(previous))
        for (goes_on, once), group in groupby(zip(sources, flying, strict=True), key=_origin):
            windows = [source for source, _ in group]
            if goes_on:
                part: PriorState | None = state.take(torch.cat([of_window[source] for source in windows if source is not None]))
            else:
                part = _begun(state, len(windows) * len(of_window[0]), once=once)
            if part is None:
                return None
            parts.append(part)
    return state.cat(parts)


def _origin(flight: tuple[int | None, Flight]) -> tuple[bool, bool]:
    """Whether a row in flight goes on from a source, and if not, whether it is asked for once."""
    source, now = flight
    return source is not None, source is None and not now.stays


def _begun(state: PriorState, rows: int, *, once: bool) -> PriorState | None:
    """Rows that begin anew beside those of a state."""
    part = state.blank_once(rows) if once else None
    return state.blank(rows) if part is None else part

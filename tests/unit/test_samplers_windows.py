"""Sliding window and wavefront against the sliding window written out: one forward pass of the prior for every code."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tamingplat_gpt.config import GPTConfig
from tamingplat_gpt.model import GPT
from tamingplat_pixelsnail.config import PixelSNAILConfig
from tamingplat_pixelsnail.model import PixelSNAIL
from tamingplat_samplers.config import SlidingWindowConfig, WavefrontConfig
from tamingplat_samplers.sliding_window import SlidingWindow, places
from tamingplat_samplers.wavefront import Wavefront, flights
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart, TamingplatError, layout_length
from tamingplat.interfaces.models import Prior, PriorScope, SampleRequest, VisitPlan, gumbel_noise

VOCABULARY = 7
CLASSES = 4
CELLS = 5
PRIORS = ("gpt", "gpt-variant", "pixelsnail")
PARITY = Path(__file__).parents[1] / "fixtures" / "parity" / "sliding_window.json"


def layout_of(grid: tuple[int, int], condition: str, scale: int = 1) -> ConditionLayout:
    """The condition of codes on a grid: none, a class, a map that is ``scale`` times as large, or both."""
    label = ConditionPart("class", CLASSES)
    layout = ConditionPart("map", CELLS, (grid[0] * scale, grid[1] * scale))
    return {"none": (), "class": (label,), "map": (layout,), "both": (label, layout)}[condition]


def prior_of(name: str, window: tuple[int, int], condition: str = "none", scale: int = 1, weights: float = 0.3) -> Prior:
    """A prior of a window with random weights, large enough for distributions that differ from place to place."""
    space, layout = CodeSpace((window,), VOCABULARY), layout_of(window, condition, scale)
    torch.manual_seed(0)
    prior: Prior
    if name == "pixelsnail":
        prior = PixelSNAIL(space, layout, PixelSNAILConfig(layers=1, residual_layers=1, width=8, key_width=4), {})
    else:
        separate: dict[str, Any] = {"vocabulary": "separate", "bidirectional_condition": True, "target_positions": True}
        more = separate if name == "gpt-variant" else {}
        prior = GPT(space, layout, GPTConfig(layers=2, heads=2, width=16, **more), {})
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=weights)
    return prior.double().eval()


def request_of(
    prior: Prior,
    grid: tuple[int, int],
    window: tuple[int, int],
    *,
    condition: str = "none",
    scale: int = 1,
    count: int = 2,
    seed: int = 3,
    first: int = 5,
    given: tuple[Tensor, Tensor] | None = None,
) -> SampleRequest:
    """Images of ``grid`` codes with random conditions, of which sample i has the same in every batch."""
    space, layout = CodeSpace((grid,), VOCABULARY), layout_of(grid, condition, scale)
    generator = torch.Generator().manual_seed(1)
    ranges = torch.tensor([part.vocab_size - 1 for part in layout for _ in range(part.length)])
    drawn = torch.rand(first + count, layout_length(layout), generator=generator)[first:]
    conditions = (drawn * ranges).long() if layout else torch.zeros(count, 0, dtype=torch.int64)
    return SampleRequest(
        prior=prior,
        tokenizer=None,  # type: ignore[arg-type]
        space=space,
        layout=layout,
        plan=VisitPlan.repeat(torch.arange(space.length), count),
        condition=conditions,
        null_condition=ranges.expand(count, -1) if layout else None,
        image_size=grid,
        indices=torch.arange(first, first + count),
        seed=seed,
        given=given,
        prior_space=CodeSpace((window,), VOCABULARY),
        prior_layout=layout_of(window, condition, scale),
    )


def start_of(place: int, side: int, window: int) -> int:
    """Where the window of a place begins, as the paper's reference says it: by the place's index inside of the window."""
    half = window // 2
    if place <= half:
        local = place
    elif side - place < window - half:
        local = window - (side - place)
    else:
        local = half
    return place - local


def cropped(
    tokens: Tensor, layout: ConditionLayout, windows: ConditionLayout, top: int, left: int, grid: tuple[int, int]
) -> Tensor:
    """The condition of a window, part by part."""
    found = []
    for part, of_window, chunk in zip(layout, windows, tokens.split([part.length for part in layout], 1), strict=True):
        if part.grid is None or of_window.grid is None:
            found.append(chunk)
            continue
        scale = part.grid[0] // grid[0]
        image = chunk.unflatten(1, part.grid)
        rows, columns = (
            slice(top * scale, top * scale + of_window.grid[0]),
            slice(left * scale, left * scale + of_window.grid[1]),
        )
        found.append(image[:, rows, columns].flatten(1))
    return torch.cat(found, 1) if found else tokens


def _asked(request: SampleRequest, codes: Tensor, known: int, corner: tuple[int, int], conditions: Tensor) -> Tensor:
    """Logits (B, 1, V) of the code after ``known`` ones of a window, from one pass over these."""
    (grid,) = request.space.grids
    order = torch.arange(codes.shape[1]).expand(len(codes), -1)
    part = cropped(conditions, request.layout, request.prior_layout or (), *corner, (grid[0], grid[1]))
    return request.prior.logits(codes, order[:, :known], order[:, known : known + 1], part)[0].double()


def _filtered(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """Without the codes that top-k takes out, and then without those that top-p takes out of the rest; no two are equal."""
    more_likely = logits[..., None, :] > logits[..., :, None]
    logits = logits.masked_fill(more_likely.sum(-1) >= top_k, -torch.inf)
    mass_before = (more_likely * logits.softmax(-1)[..., None, :]).sum(-1)
    return logits.masked_fill(mass_before >= top_p, -torch.inf)


def written_out(
    request: SampleRequest,
    *,
    stride: int = 1,
    guidance: float = 1.0,
    temperature: float = 1.0,
    top_k: int = VOCABULARY,
    top_p: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Codes (B, N) and the logits (B, N, V) that they were drawn from: every code by one pass over its window's known codes.

    What is not known holds codes that would change the result if they were read.
    """
    assert request.prior_space is not None and request.prior_layout is not None
    (grid,), (window,) = request.space.grids, request.prior_space.grids
    height, width = grid
    canvas = torch.full((len(request.indices), height, width), -1)
    found = []
    for row in range(height):
        for column in range(width):
            top, left = start_of(row, height, window[0]), start_of(column - column % stride, width, window[1])
            codes = canvas[:, top : top + window[0], left : left + window[1]].flatten(1)
            known = (row - top) * window[1] + column - left
            assert bool((codes[:, :known] >= 0).all()) and bool((codes[:, known:] < 0).sum(1).max() >= 1)
            codes = torch.where(codes < 0, torch.randint(VOCABULARY, codes.shape), codes)

            combined = _asked(request, codes, known, (top, left), request.condition)
            if guidance != 1:
                assert request.null_condition is not None
                without = _asked(request, codes, known, (top, left), request.null_condition)
                combined = without + guidance * (combined - without)
            found.append(combined)
            positions = torch.full((len(codes), 1), row * width + column)
            noise = gumbel_noise(request.seed, request.indices, positions, VOCABULARY)
            drawn_from = _filtered(combined / temperature, top_k, top_p)
            canvas[:, row, column] = (drawn_from + noise).argmax(-1)[:, 0]
    return canvas.flatten(1), torch.cat(found, 1)


class Calls:
    """Notes every call of a prior: rows, known codes, whether it began anew; and the logits that it gave."""

    def __init__(self, prior: Prior, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[int, int, bool]] = []
        self.logits: list[Tensor] = []
        ask = prior.logits

        def noted(codes: Tensor, visited: Tensor, targets: Tensor, condition: Tensor, **more: Any) -> Any:
            self.made.append((len(codes), visited.shape[1], more.get("state") is None))
            found = ask(codes, visited, targets, condition, **more)
            self.logits.append(found[0])
            return found

        monkeypatch.setattr(prior, "logits", noted)


def sliding(request: SampleRequest, **settings: Any) -> Tensor:
    return SlidingWindow(SlidingWindowConfig(**settings), {}).sample(request)


def wavefront(request: SampleRequest, **settings: Any) -> Tensor:
    return Wavefront(WavefrontConfig(**settings), {}).sample(request)


@pytest.mark.parametrize("size", ["16x16", "20x24", "32x48"])
def test_windows_lie_where_the_reference_has_them(size: str) -> None:
    height, width = map(int, size.split("x"))
    found = list(places((height, width), (16, 16), stride=1))
    assert [[place.top, place.left] for place in found] == json.loads(PARITY.read_text())[size]
    assert [place.position for place in found] == list(range(height * width))


# Window, image, condition, map scale, guidance, stride: as large as the window, just above it on one side and on both, much
# larger, odd sides, narrow, and flat.
CASES = [
    ((3, 3), (3, 3), "none", 1, 1.0, 1),
    ((3, 4), (4, 4), "both", 1, 1.0, 1),
    ((3, 3), (3, 4), "map", 2, 1.0, 2),
    ((3, 3), (5, 8), "none", 1, 1.0, 1),
    ((2, 5), (4, 11), "both", 1, 1.5, 1),
    ((4, 3), (6, 5), "class", 1, 0.0, 2),
    ((2, 4), (4, 10), "map", 1, 2.0, 2),
    ((2, 2), (4, 7), "none", 1, 1.0, 1),
    ((1, 4), (3, 9), "class", 1, 1.0, 1),
]


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("case", CASES, ids=[f"{case[1]}-{case[2]}-{case[4]}" for case in CASES])
def test_both_draw_what_one_pass_per_code_draws(name: str, case: tuple[Any, ...]) -> None:
    window, grid, condition, scale, guidance, stride = case
    prior = prior_of(name, window, condition, scale)
    request = request_of(prior, grid, window, condition=condition, scale=scale)
    expected, _ = written_out(request, guidance=guidance, temperature=0.8)
    assert len(torch.unique(expected)) > 2
    assert torch.equal(sliding(request, guidance=guidance, temperature=0.8), expected)
    assert torch.equal(wavefront(request, guidance=guidance, temperature=0.8), expected)
    if stride > 1:
        expected, _ = written_out(request, stride=stride, guidance=guidance)
        assert torch.equal(sliding(request, stride=stride, guidance=guidance), expected)


def test_guidance_comes_before_temperature_top_k_and_top_p() -> None:
    window, grid = (3, 4), (4, 7)
    settings = {"guidance": 2.0, "temperature": 2.5, "top_k": 4, "top_p": 0.7}
    request = request_of(prior_of("gpt", window, "class"), grid, window, condition="class", count=4)
    expected, _ = written_out(request, **settings)  # type: ignore[arg-type]
    assert torch.equal(sliding(request, **settings), expected)
    assert torch.equal(wavefront(request, **settings), expected)
    for left_out in settings:
        others = {name: value for name, value in settings.items() if name != left_out}
        assert not torch.equal(sliding(request, **others), expected), left_out


@pytest.mark.parametrize("draw", [sliding, wavefront])
def test_guidance_of_zero_asks_without_the_condition_alone(draw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    window, grid = (3, 3), (3, 5)
    prior = prior_of("gpt", window, "both")
    request = request_of(prior, grid, window, condition="both")
    assert request.null_condition is not None
    expected = draw(replace(request, condition=request.null_condition))
    calls = Calls(prior, monkeypatch)
    assert torch.equal(draw(request, guidance=0), expected)
    # Two images, in one window or, at the end of one row and the beginning of the next, in two.
    assert {rows for rows, _, _ in calls.made} <= {2, 4}


@pytest.mark.parametrize("name", PRIORS)
def test_logits_agree_in_float32_over_one_canvas(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    window, grid = (3, 4), (5, 9)
    prior = prior_of(name, window, "map", weights=0.1).float()
    request = request_of(prior, grid, window, condition="map")
    codes, reference = written_out(request)
    for draw in (sliding, wavefront):
        calls = Calls(prior, monkeypatch)
        assert torch.equal(draw(request), codes)
        rows = torch.cat([logits.reshape(-1, 2, VOCABULARY).transpose(0, 1) for logits in calls.logits], 1)
        at = [flight.row * 9 + flight.column for together in flights(grid, window) for flight in together]
        order = torch.tensor(at if draw is wavefront else list(range(45)))
        assert (rows - reference[:, order]).abs().max() < 1e-5
        monkeypatch.undo()


def test_wavefront_draws_the_same_with_filters_and_in_any_batch() -> None:
    window, grid = (4, 4), (6, 11)
    settings = {"temperature": 0.9, "mixed_k": (2, 5), "top_p": 0.9}
    request = request_of(prior_of("gpt", window, "class"), grid, window, condition="class", count=4)
    whole = wavefront(request, **settings)
    assert torch.equal(whole, sliding(request, **settings))
    assert not torch.equal(whole, sliding(request))
    for row in range(4):
        one = replace(request, condition=request.condition[[row]], null_condition=None, indices=request.indices[[row]])
        assert torch.equal(wavefront(one, **settings), whole[[row]])


@pytest.mark.parametrize(
    ("grid", "steps"), [((64, 64), 1072), ((128, 128), 2160), ((16, 16), 256), ((20, 24), 328), ((40, 16), 640)]
)
def test_steps_of_a_wavefront(grid: tuple[int, int], steps: int) -> None:
    found = list(flights(grid, (16, 16)))
    assert len(found) == steps
    seen = [(flight.row, flight.column) for together in found for flight in together]
    assert sorted(seen) == [(row, column) for row in range(grid[0]) for column in range(grid[1])]
    assert max(map(len, found)) == -(-grid[1] // 16)


def test_wavefront_calls_the_prior_once_a_step_for_the_rows_in_flight_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    window, grid = (4, 4), (12, 20)
    prior = prior_of("gpt", window)
    calls = Calls(prior, monkeypatch)
    wavefront(request_of(prior, grid, window, count=3))
    assert len(calls.made) == 11 * 4 + 20
    assert max(rows for rows, _, _ in calls.made) == 3 * 5
    # Half a window and half a row are known in the middle of the image, more at its lower and right borders alone.
    assert max(known for _, known, _ in calls.made) == 15


def test_a_window_that_stays_goes_on_from_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    window, grid = (4, 4), (5, 10)
    prior = prior_of("gpt", window)

    def begun(stride: int) -> int:
        calls = Calls(prior, monkeypatch)
        sliding(request_of(prior, grid, window), stride=stride)
        monkeypatch.undo()
        assert len(calls.made) == 50
        return sum(fresh for _, _, fresh in calls.made)

    # Ten columns have seven windows, 0 to 6; at stride 2 those that begin at columns 0, 2, 4 and 6 of the image.
    assert begun(1) == 5 * 7
    assert begun(2) == 5 * 4


def test_an_image_as_large_as_the_window_is_never_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    prior = prior_of("gpt", (4, 5))
    for draw in (sliding, wavefront):
        calls = Calls(prior, monkeypatch)
        draw(request_of(prior, (4, 5), (4, 5)))
        assert [fresh for _, _, fresh in calls.made] == [True] + [False] * 19
        monkeypatch.undo()


@pytest.mark.parametrize("counts", [(0, 3), (13, 13), (29, 40), (84, 84), (83, 80)])
def test_given_rows_are_kept_and_the_rest_is_drawn_after_them(counts: tuple[int, int]) -> None:
    window, grid = (4, 5), (7, 12)
    prior = prior_of("gpt", window)
    free = request_of(prior, grid, window)
    drawn = sliding(free)
    mask = torch.arange(84) < torch.tensor(counts)[:, None]
    # What was drawn is given: the rest has to come out as it did.
    request = replace(free, given=(torch.where(mask, drawn, 0), mask))
    assert torch.equal(sliding(request), drawn) and torch.equal(wavefront(request), drawn)
    others = replace(free, given=((drawn + 1) % VOCABULARY, mask))
    assert torch.equal(sliding(others), wavefront(others))
    assert torch.equal(wavefront(others)[mask], others.given[0][mask] if others.given else drawn[mask])


@pytest.mark.parametrize(
    "sampler", [SlidingWindow(SlidingWindowConfig(), {}), Wavefront(WavefrontConfig(), {})], ids=["sliding", "wavefront"]
)
def test_codes_on_more_than_one_grid_are_refused_with_the_reason(sampler: SlidingWindow | Wavefront) -> None:
    two, one = CodeSpace(((4, 4), (8, 8)), VOCABULARY), CodeSpace(((8, 8),), VOCABULARY)
    message = "a window slides over one grid of codes, and these are 2, 4×4 and 8×8: .*; choose a tokenizer with one grid"
    reasons = [
        sampler.refusal(two, (), ordering="raster"),
        # Codes of one grid, and a prior that was trained on those of two.
        sampler.prior_refusal(one, (), PriorScope(two, (), null_condition=False)),
    ]
    for reason in reasons:
        assert reason is not None and re.search(message, reason)
    assert sampler.refusal(one, (), ordering="raster") is None


@pytest.mark.parametrize("draw", [sliding, wavefront])
def test_given_codes_that_come_later_are_refused_by_name(draw: Any) -> None:
    request = request_of(prior_of("gpt", (2, 2)), (3, 4), (2, 2))
    mask = torch.zeros(2, 12, dtype=torch.bool)
    mask[1, 5] = True
    with pytest.raises(TamingplatError, match=r"image 1 of the batch has position 5 given.*give the first rows"):
        draw(replace(request, given=(torch.zeros(2, 12, dtype=torch.int64), mask)))
    with pytest.raises(TamingplatError, match=r"3×4 codes, which is smaller than the window of 4×4"):
        draw(replace(request, prior_space=CodeSpace(((4, 4),), VOCABULARY)))

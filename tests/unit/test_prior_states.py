"""What priors remember, chosen and joined in any way: every row goes on as it would by itself."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import tamingplat_gpt.asked
import tamingplat_gpt.model
import tamingplat_gpt.state
import tamingplat_pixelsnail.lane
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tamingplat_gpt.config import GPTConfig
from tamingplat_gpt.model import GPT
from tamingplat_gpt.state import KeyValueState
from tamingplat_pixelsnail.config import PixelSNAILConfig
from tamingplat_pixelsnail.model import PixelSNAIL
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionPart
from tamingplat.interfaces.models import Prior, PriorState

SPACE = CodeSpace(((3, 5),), 6)
LAYOUT = (ConditionPart("class", 4), ConditionPart("map", 3, (3, 5)))
ROWS = 5
CODES = torch.randint(6, (ROWS, 15), generator=torch.Generator().manual_seed(0))
CONDITION = torch.randint(3, (ROWS, 16), generator=torch.Generator().manual_seed(1))
PRIORS = ("gpt", "gpt-variant", "pixelsnail")


@functools.cache
def prior_of(name: str) -> Prior:
    torch.manual_seed(0)
    if name == "pixelsnail":
        prior: Prior = PixelSNAIL(SPACE, LAYOUT, PixelSNAILConfig(layers=2, residual_layers=1, width=8, key_width=4), {})
    else:
        variant: dict[str, Any] = {"bidirectional_condition": True, "positions": "time", "target_positions": True}
        prior = GPT(SPACE, LAYOUT, GPTConfig(layers=2, heads=2, width=8, **(variant if name == "gpt-variant" else {})), {})
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return prior.double().eval()


@functools.cache
def alone(name: str, image: int, length: int) -> Tensor:
    """Logits (1, V) of one image's next code, computed at once; codes that are not visited are no codes."""
    order = torch.arange(15)[None]
    codes = torch.where(order < length, CODES[[image]], 0)
    logits, _ = prior_of(name).logits(codes, order[:, :length], order[:, length : length + 1], CONDITION[[image]])
    return logits[:, 0]


def ask(name: str, images: list[int], lengths: list[int], state: PriorState | None) -> PriorState:
    """Go on from a state, and hold every row to what it is alone."""
    index, counts = torch.tensor(images), torch.tensor(lengths)
    order, longest = torch.arange(15).expand(len(images), -1), max(lengths)
    codes = torch.where(order < counts[:, None], CODES[index], -1)
    even = len(set(lengths)) == 1
    found, state = prior_of(name).logits(
        codes, order[:, :longest], counts[:, None], CONDITION[index], lengths=None if even else counts, state=state
    )
    expected = torch.cat([alone(name, image, length) for image, length in zip(images, lengths, strict=True)])
    torch.testing.assert_close(found[:, 0], expected, rtol=0, atol=1e-10)
    return state


@pytest.mark.parametrize("name", PRIORS)
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rows_go_on_as_they_would_alone(name: str, data: st.DataObject) -> None:
    """Rows are taken, selected, joined with others and with blank ones, and asked in between.

    Also those that nothing would be kept of go on, computed anew.
    """

    def drawn(count: int, low: int = 0, high: int = 9) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    def begun() -> tuple[PriorState, list[int], list[int]]:
        images = drawn(data.draw(st.integers(1, 4)), 0, ROWS - 1)
        even = data.draw(st.booleans())
        lengths = drawn(1) * len(images) if even else drawn(len(images))
        return ask(name, images, lengths, None), images, lengths

    state, images, lengths = begun()
    for step in data.draw(st.lists(st.sampled_from(["take", "select", "join", "blank", "blank_once", "ask"]), max_size=7)):
        if step == "ask":
            # Some rows wait, others lack a code or many.
            lengths = [min(14, length + more) for length, more in zip(lengths, drawn(len(images), 0, 12), strict=True)]
            state = ask(name, images, lengths, state)
            continue
        if step in ("blank", "blank_once"):
            more = (state.blank_once(2) if step == "blank_once" else None) or state.blank(2)
            assert more is not None
            fresh = drawn(2, 0, ROWS - 1)
            # Blank rows may come first.
            ends = [(state, images, lengths), (more, fresh, [0, 0])][:: data.draw(st.sampled_from([1, -1]))]
        elif step == "join":
            ends = [(state, images, lengths), begun()]
        else:
            several = data.draw(st.permutations(range(len(images)))) if step == "take" else drawn(3, 0, len(images) - 1)
            rows = list(several)[: data.draw(st.integers(1, len(several)))]
            before, state = state, getattr(state, step)(torch.tensor(rows))
            if step == "select":
                # What rows were selected from goes on by itself, and leaves them alone.
                ask(name, images, [min(14, length + 1) for length in lengths], before)
            images, lengths = [images[row] for row in rows], [lengths[row] for row in rows]
            continue
        state = type(state).cat([end[0] for end in ends])
        images, lengths = ([value for end in ends for value in end[at]] for at in (1, 2))
    lengths = [min(14, length + 1) for length in lengths]
    state = ask(name, images, lengths, state)
    ask(name, images, [min(14, length + 1) for length in lengths], state)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("choose", ["take", "select"])
def test_blank_rows_by_themselves_begin_anew(name: str, choose: str) -> None:
    state = ask(name, [0], [3], None)
    blank = state.blank(2)
    assert blank is not None
    joined = type(state).cat([state, blank])
    ask(name, [1, 2], [0, 5], getattr(joined, choose)(torch.tensor([1, 2])))


@pytest.mark.parametrize("name", ["gpt", "gpt-variant"])
def test_of_rows_that_are_asked_for_once_nothing_is_kept(name: str) -> None:
    state = ask(name, [0, 1], [3, 3], None)
    for begun, tokens in ((state.blank_once(2), [20, 0, 0]), (state.blank(2), [20, 25, 25])):
        assert begun is not None
        # The condition has 16 tokens.
        state = ask(name, [1, 2, 3], [4, 9, 9], type(state).cat([state.take(torch.tensor([1])), begun]))
        assert isinstance(state, KeyValueState)
        assert state.tokens_of_rows().tolist() == tokens
        state = ask(name, [1, 2, 3], [5, 10, 11], state)
        state = ask(name, [0, 1], [3, 3], None)


def test_rows_that_are_taken_and_joined_are_copied_when_they_go_on_and_others_never(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []
    joined = tamingplat_gpt.state._joined

    def counted(parts: Any, slots: int) -> Any:
        copied.append(sum(len(rows) for _, rows in parts))
        return joined(parts, slots)

    monkeypatch.setattr(tamingplat_gpt.state, "_joined", counted)
    images, lengths = [0, 1, 2, 3], [9] * 4
    state = ask("gpt", images, lengths, None)
    for length in (10, 11, 12):
        # Two rows of four go on, one from each half, and two begin again.
        parts = [state.take(torch.tensor([0])), state.blank(1), state.take(torch.tensor([2])), state.blank(1)]
        assert all(part is not None for part in parts)
        state = ask("gpt", images, [length, 9, length, 9], type(state).cat(parts))
    # The two are put together once, when they leave the first call's batch.
    assert copied == [2]


def test_pixelsnail_puts_rows_together_when_they_go_on_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []
    for name in ("select", "cat"):
        made = getattr(tamingplat_pixelsnail.lane.Lane, name)

        def counted(*arguments: Any, made: Any = made) -> Any:
            lane = made(*arguments)
            copied.append(len(lane.ready))
            return lane

        monkeypatch.setattr(tamingplat_pixelsnail.lane.Lane, name, counted)
    images = [0, 1, 2, 3]
    state = ask("pixelsnail", images, [9] * 4, None)
    for length in (10, 11, 12):
        parts = [state.take(torch.tensor([0])), state.blank(1), state.take(torch.tensor([2])), state.blank(1)]
        assert all(part is not None for part in parts)
        state = ask("pixelsnail", images, [length, 9, length, 9], type(state).cat(parts))
    assert copied == []


def test_the_last_block_computes_the_predicted_token_alone() -> None:
    prior = prior_of("gpt")
    assert isinstance(prior, GPT)
    widths: list[list[int]] = []
    hooks = [block.mlp.register_forward_hook(lambda *seen: widths[-1].append(len(seen[2]))) for block in prior.blocks]
    for lengths in ([6, 6], [4, 6]):
        widths.append([])
        ask("gpt", [0, 1], lengths, None)
    for hook in hooks:
        hook.remove()
    # Of two rows, whose condition has 16 tokens. What is alone is cached, or computed inside of the block's second half.
    assert all(found[:2] == [2 * 22, 2] for found in widths)


def test_rows_of_a_large_batch_are_computed_in_several_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tamingplat_gpt.asked, "CACHED_BYTES", 1)
    images, lengths = [0, 1, 2, 3, 4, 0, 1, 2, 3], [9, 0, 3, 2, 1, 4, 4, 7, 9]
    passed: list[list[tuple[int, int]]] = []
    prior = prior_of("gpt-variant")
    assert isinstance(prior, GPT)
    for image, length in zip(images, lengths, strict=True):
        # Cached, so that no pass of theirs is recorded.
        alone("gpt-variant", image, length)
        alone("gpt-variant", image, length + 1)
    hook = prior.blocks[0].register_forward_pre_hook(
        lambda _, given: passed.append([(group.rows, group.tokens) for group in given[2]])
    )
    state = ask("gpt-variant", images, lengths, None)
    # Each as long as its longest row, and 16 tokens of the condition.
    assert passed == [[(4, 25)], [(2, 20)], [(3, 25)]]
    # Where padding to the longest takes longer than another pass, there is one.
    passed.clear()
    monkeypatch.setattr(tamingplat_gpt.asked, "PASS_OVERHEAD", 4)
    ask("gpt-variant", images, lengths, None)
    assert passed == [[(1, 25)], [(3, 19)], [(3, 20)], [(2, 25)]]
    # Rows that go on are computed with the first of those that begin.
    passed.clear()
    lengths = [length + 1 for length in lengths]
    begun, blank = state.take(torch.tensor([0, 1, 3, 4, 5, 6, 7])), state.blank(2)
    assert blank is not None
    rows = [0, 1, 3, 4, 5, 6, 7, 2, 8]
    state = ask("gpt-variant", [images[row] for row in rows], [lengths[row] for row in rows], type(state).cat([begun, blank]))
    assert passed == [[(1, 20), (7, 1)], [(1, 26)]]
    hook.remove()
    ask("gpt-variant", [images[row] for row in rows], [lengths[row] + 1 for row in rows], state)

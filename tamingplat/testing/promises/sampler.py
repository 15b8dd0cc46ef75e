"""What every sampler promises.

Shape letters: B batch, N code positions, V vocabulary, P condition positions.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart, TamingplatError
from tamingplat.interfaces.models import PriorScope, SampledClasses, SampleRequest
from tamingplat.testing.promises.common import LISTED, REPRODUCIBLE
from tamingplat.testing.promises.kinds import KindOfComponent, check_refusal, difference, make_plainly, promises_of
from tamingplat.testing.promises.prior import raster, scattered
from tamingplat.testing.samplers import check_batch_independence, check_fills_every_position
from tamingplat.testing.standins import StandInClassifier, StandInPrior, StandInTokenizer
from tamingplat.testing.subject import Subject

_SPACES = (CodeSpace(((3, 5),), 9), CodeSpace(((4, 4),), 9), CodeSpace(((2, 2), (3, 4)), 9))
_LAYOUT: ConditionLayout = (ConditionPart("class", 4),)
_MANY = 48


def _case(subject: Subject, built: Any) -> tuple[CodeSpace, bool]:
    """The first code space that it does not refuse, and whether under a random order."""
    reason = None
    for space in tuple(subject.request.spaces or _SPACES):
        for ordering in ("scattered", "raster"):
            reason = built.refusal(space, _LAYOUT, ordering=ordering)
            if reason is None:
                # Of a random order the positions that a sampler takes as given are no beginning.
                return space, ordering == "scattered" and built.given_positions(space) is None
    raise TamingplatError(f"it refuses every code space that was tried, because {reason}; give spaces")


def _request(subject: Subject, built: Any, indices: Tensor, *, seed: int = 3) -> SampleRequest:
    space, random = _case(subject, built)
    image_size = (4 * space.grids[-1][0], 4 * space.grids[-1][-1])
    images = None if built.given_positions(space) is None else _images(indices, image_size)
    window = _window(built, space)
    return SampleRequest(
        prior=StandInPrior(window or space, _LAYOUT).double().eval(),
        tokenizer=_Decoder(space),
        space=space,
        layout=_LAYOUT,
        plan=(scattered if random else raster)(space, len(indices)),
        condition=(indices % 3)[:, None],
        null_condition=torch.full((len(indices), 1), 3),
        image_size=image_size,
        indices=indices,
        seed=seed,
        images=images,
        classes=_classes(indices),
        prior_space=window,
        prior_layout=None if window is None else _LAYOUT,
    )


def _window(built: Any, space: CodeSpace) -> CodeSpace | None:
    """A part of the codes, where a sampler can draw them from a prior of that part; else ``None``."""
    grid = space.grids[-1]
    if len(space.grids) > 1 or len(grid) != 2 or min(grid) < 3:
        return None
    window = CodeSpace(((grid[0] - 1, grid[1] - 2),), space.vocab_size)
    scope = PriorScope(window, _LAYOUT, null_condition=True)
    return window if built.prior_refusal(space, _LAYOUT, scope) is None else None


class _Decoder(StandInTokenizer):
    """Decodes any codes: squares of the last grid's, whose colour goes through the hues with the code."""

    def __init__(self, space: CodeSpace) -> None:
        super().__init__()
        self.space = space

    def decode(self, codes: Tensor, image_size: tuple[int, int]) -> Tensor:
        """float (B, 3, H, W) in [-1, 1]."""
        last = codes[:, self.space.offsets[-1] :].reshape(len(codes), 1, self.space.grids[-1][0], -1)
        angle = last / self.space.vocab_size * 2 * torch.pi
        colours = torch.cat([angle.cos(), angle.sin(), -angle.cos()], 1)
        return torch.nn.functional.interpolate(colours, image_size, mode="nearest")


def _classes(indices: Tensor) -> SampledClasses:
    """Those of the stand-in for a classifier, in turn."""
    names = StandInClassifier().label_names
    members = torch.nn.functional.one_hot(indices % len(names), len(names)).bool()
    return SampledClasses(names, members, indices // len(names))


def _images(indices: Tensor, image_size: tuple[int, int]) -> Tensor:
    """What is completed: squares of 4×4 pixels of random colours, which depend on the sample's number; float (B, 3, H, W)."""
    height, width = image_size
    drawn = []
    for index in indices.tolist():
        generator = torch.Generator().manual_seed(index)
        drawn.append(torch.rand(3, height // 4, width // 4, generator=generator).mul(2).sub(1))
    return torch.stack(drawn).repeat_interleave(4, 2).repeat_interleave(4, 3)


def _result(subject: Subject, built: Any) -> list[Tensor]:
    with torch.no_grad():
        return [built.sample(_request(subject, built, torch.arange(5)))]


def every_position_is_filled(subject: Subject) -> None:
    """Codes are int64 (B, N) in [0, V), every position is drawn, and codes that are given are kept."""
    check_fills_every_position(subject.built, _request(subject, subject.built, torch.arange(_MANY)))


def samples_do_not_depend_on_their_batch(subject: Subject) -> None:
    """Sample i is the same in batches of every size, in a batch of one too."""
    ask = functools.partial(_request, subject, subject.built)
    check_batch_independence(subject.built, ask, count=8, batch_sizes=(8, 3, 1))


def numbers_and_seeds_address_samples(subject: Subject) -> None:
    """Other sample numbers and another seed give other samples."""
    ask = functools.partial(_request, subject, subject.built)
    codes = subject.built.sample(ask(torch.arange(8) * 3))  # of one class
    other = subject.built.sample(ask(torch.arange(8) * 3, seed=4))
    assert len(codes.unique(dim=0)) > 1, "eight sample numbers give one sample. Look at how indices address noise"
    assert not torch.equal(codes, other), "another seed gives the same samples. Look at how the seed addresses noise"


def given_codes_come_in_any_number(subject: Subject) -> None:
    """Where all positions are given they are returned as they are; where none is, as if nothing had been said."""
    request = _request(subject, subject.built, torch.arange(4))
    codes = subject.built.sample(request)
    everything = torch.ones_like(codes, dtype=torch.bool)
    kept = subject.built.sample(dataclasses.replace(request, given=((codes + 1) % request.space.vocab_size, everything)))
    assert torch.equal(kept, (codes + 1) % request.space.vocab_size), "given codes were drawn anew. Look at how given enters"
    none = subject.built.sample(dataclasses.replace(request, given=(codes, ~everything)))
    assert torch.equal(none, codes), f"nothing being given: {difference(none, codes)}. Look at where drawing begins"


def the_request_is_left_alone(subject: Subject) -> None:
    """Sampling changes nothing of what it was given: neither plan, nor condition, nor the prior."""
    request = _request(subject, subject.built, torch.arange(4))
    tensors = {"condition": request.condition, "order": request.plan.order, "indices": request.indices}
    tensors |= {f"prior.{name}": value for name, value in request.prior.state_dict().items()}
    before = {name: value.clone() for name, value in tensors.items()}
    subject.built.sample(request)
    changed = [name for name, value in tensors.items() if not torch.equal(value, before[name])]
    assert not changed, f"it changed {', '.join(changed)}. Look for operations in place"
    assert not request.prior.training, "it left the prior in training mode. Look for calls of train()"


def refusals_are_sentences(subject: Subject) -> None:
    """Any code space and condition is taken, or refused with a sentence; refusing raises nothing."""
    for space in (CodeSpace(((1,),), 1), CodeSpace(((2, 3, 4),), 5), CodeSpace(((1, 1), (2, 2)), 8)):
        for ordering in ("raster", "an-unknown-one"):
            check_refusal(subject.built.refusal(space, (), ordering=ordering), f"{space.grids}")


OWN = (
    every_position_is_filled,
    samples_do_not_depend_on_their_batch,
    numbers_and_seeds_address_samples,
    given_codes_come_in_any_number,
    the_request_is_left_alone,
    refusals_are_sentences,
)

KIND = KindOfComponent(promises=promises_of(LISTED, OWN, REPRODUCIBLE), make=make_plainly, result=_result)

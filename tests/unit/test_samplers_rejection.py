"""Rejection sampling: which candidates are kept, on what a sample depends, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tamingplat_samplers.ancestral import Ancestral
from tamingplat_samplers.completion import Completion
from tamingplat_samplers.config import AncestralConfig, CompletionConfig, RejectionConfig
from tamingplat_samplers.rejection import Rejection
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionPart, DatasetInfo, NoConfig, TamingplatError, derive_seed
from tamingplat.interfaces.models import Classifier, PlannedClasses, SampledClasses, Sampler, SampleRequest, VisitPlan
from tamingplat.testing.standins import StandInPrior, StandInTokenizer

NAMES = ("dark", "light", "grey")
SPACE = CodeSpace(((3, 4),), 7)
LAYOUT = (ConditionPart("class", 4),)
INFO = DatasetInfo((12, 16), 3, {"train": 30}, label_names=NAMES)


class Brightness(Classifier):
    """Surer of an image's class the nearer its mean is to the class's own brightness."""

    seen = 0

    def __init__(self, names: tuple[str, ...] = NAMES) -> None:
        super().__init__(NoConfig(), {})
        self._names = names

    def missing(self) -> str | None:
        return None

    @property
    def label_names(self) -> tuple[str, ...]:
        return self._names

    @property
    def dimensions(self) -> int:
        return 1

    def features(self, images: Tensor) -> Tensor:
        return images.double().mean((1, 2, 3))[:, None].float()

    def log_probabilities(self, images: Tensor) -> Tensor:
        type(self).seen = max(self.seen, len(images))
        assert images.dtype == torch.uint8
        far = (self.features(images) - torch.tensor([0.0, 255.0, 128.0])).square()
        return far.div(-2000).log_softmax(1)


def wrapped(sampler: Sampler, classifier: Classifier, **values: Any) -> Rejection:
    config = RejectionConfig.model_validate({"classifier": "brightness", **values})
    return Rejection(config, {"sampler": sampler, "classifier": classifier})


def make(classifier: Classifier | None = None, **values: Any) -> Rejection:
    return wrapped(Ancestral(AncestralConfig(), {}), classifier or Brightness(), **values)


def request(indices: Tensor, seed: int = 3, token_of: tuple[int, ...] = (0, 1, 2)) -> SampleRequest:
    """Samples whose classes go round, with the token of each class."""
    tokens = torch.tensor(token_of)
    token = tokens[indices % 3]
    before = [
        sum(token_of[other % 3] == int(one) for other in range(int(index))) for index, one in zip(indices, token, strict=True)
    ]
    members = tokens[None] == token[:, None]
    return SampleRequest(
        prior=StandInPrior(SPACE, LAYOUT).double().eval(),
        tokenizer=StandInTokenizer(),
        space=SPACE,
        layout=LAYOUT,
        plan=VisitPlan.repeat(torch.arange(12), len(indices)),
        condition=token[:, None],
        null_condition=torch.full((len(indices), 1), 3),
        image_size=(12, 16),
        indices=indices,
        seed=seed,
        classes=SampledClasses(NAMES, members, torch.tensor(before)),
    )


def scores(codes: Tensor, asked: SampleRequest) -> Tensor:
    images = asked.tokenizer.decode(codes, (12, 16)).add(1).mul(127.5).round().to(torch.uint8)
    assert asked.classes is not None
    return Brightness().log_probabilities(images).masked_fill(~asked.classes.members, -torch.inf).logsumexp(1)


def test_a_sample_is_the_best_of_its_candidates_and_the_first_of_them_is_the_plain_one():
    asked = request(torch.arange(9))
    plain = Ancestral(AncestralConfig(), {})
    candidates = [plain.sample(asked)]
    candidates += [plain.sample(replace(asked, seed=derive_seed(3, "candidate", number))) for number in range(1, 6)]
    table = torch.stack([scores(one, asked) for one in candidates])
    best = torch.stack([candidates[int(row)][sample] for sample, row in enumerate(table.argmax(0))])
    assert torch.equal(make(candidates=6).sample(asked), best)
    assert torch.equal(make(candidates=1).sample(asked), candidates[0])
    assert not torch.equal(best, candidates[0])


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6, unique=True), st.integers(1, 5), st.integers(1, 3))
def test_a_sample_depends_on_its_number_alone_and_more_candidates_never_make_it_worse(
    numbers: list[int], candidates: int, chunk: int
):
    asked = request(torch.tensor(numbers))
    together = make(candidates=candidates, chunk=64).sample(asked)
    apart = torch.cat([make(candidates=candidates, chunk=chunk).sample(request(torch.tensor([number]))) for number in numbers])
    assert torch.equal(together, apart)
    more = make(candidates=candidates + 2).sample(asked)
    assert bool((scores(more, asked) >= scores(together, asked)).all())


@pytest.mark.parametrize("chunk", [3, 40])
def test_samples_of_a_class_are_those_that_its_pool_keeps_in_the_order_of_their_numbers(chunk: int):
    Brightness.seen = 0
    asked = request(torch.arange(12))
    drawn = make(mode="pool", pool=20, acceptance=0.2, chunk=chunk).sample(asked)
    assert Brightness.seen <= chunk
    for token in range(3):
        like = request(torch.arange(20) * 3 + token)  # of one class, to be numbered for itself
        like = replace(like, indices=torch.arange(20), seed=derive_seed(3, "pool", token))
        pool = Ancestral(AncestralConfig(), {}).sample(like)
        kept = scores(pool, like).sort(descending=True, stable=True).indices[:4]
        assert torch.equal(drawn[token::3], pool[kept.sort().values])
    alone = make(mode="pool", pool=20, acceptance=0.2).sample(request(torch.tensor([7, 11])))
    assert torch.equal(alone, drawn[[7, 11]])


def test_it_is_the_acceptance_that_decides_how_good_as_many_samples_are():
    asked = request(torch.arange(12))  # four of each class, in either case
    scored = {kept: scores(make(mode="pool", pool=40, acceptance=kept).sample(asked), asked).mean() for kept in (0.1, 0.5, 1.0)}
    assert scored[0.1] > scored[0.5] > scored[1.0]
    first = Ancestral(AncestralConfig(), {}).sample(
        replace(request(torch.arange(4) * 3), indices=torch.arange(4), seed=derive_seed(3, "pool", 0))
    )
    assert torch.equal(make(mode="pool", pool=40, acceptance=1).sample(asked)[::3], first)


def test_a_pool_has_no_more_samples_than_it_keeps():
    with pytest.raises(TamingplatError, match=r"keeps 2 of a pool of 20 .* and 3 samples of one class are wanted"):
        make(mode="pool", pool=20, acceptance=0.1).sample(request(torch.tensor([6])))


def test_classes_that_a_condition_does_not_tell_apart_count_together():
    asked = request(torch.arange(6), token_of=(0, 1, 1))  # light and grey have one token
    assert asked.classes is not None
    assert asked.classes.members.tolist()[:3] == [[True, False, False], [False, True, True], [False, True, True]]
    merged = make(candidates=8).sample(asked)
    assert bool((scores(merged, asked) >= scores(make(candidates=1).sample(asked), asked)).all())
    shared = make(mode="pool", pool=12, acceptance=0.5)
    drawn = shared.sample(asked)
    # Samples 1, 2, 4 and 5 come out of one pool, and none of them twice.
    assert torch.equal(drawn[[1, 2, 4, 5]], shared.sample(request(torch.tensor([1, 2, 4, 5]), token_of=(0, 1, 1))))
    assert len(torch.unique(drawn[[1, 2, 4, 5]], dim=0)) == 4


def test_what_a_completion_gives_is_in_every_candidate():
    region = CompletionConfig.model_validate({"region": [0, 0, 1 / 3, 1]})
    inner = Completion(region, {"sampler": Ancestral(AncestralConfig(), {})})
    sampler = wrapped(inner, Brightness(), candidates=4)
    images = torch.rand(3, 3, 12, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    asked = replace(request(torch.arange(3)), images=images)
    mask = torch.from_numpy(sampler.given_positions(SPACE))
    assert torch.equal(sampler.sample(asked)[:, mask], inner.sample(asked)[:, mask])
    pool = wrapped(inner, Brightness(), mode="pool", pool=9, acceptance=1)
    assert "completes images" in (pool.refusal(SPACE, LAYOUT, ordering="raster") or "")


def planned(**changes: Any) -> PlannedClasses:
    return PlannedClasses(**{"info": INFO, "alone": True, "random_order": False, "largest": lambda: 5, **changes})


POOL = {"mode": "pool", "pool": 100, "acceptance": 0.05}


@pytest.mark.parametrize(
    ("sampler", "classes", "reason"),
    [
        (make(), None, "this condition names none; take the conditioner class"),
        (make(Brightness(("dark", "light", "other"))), planned(), "does not know the dataset's classes grey"),
        (make(Brightness(("dark", "light", "grey", "grey"))), planned(), "several classes called grey"),
        (make(), planned(info=replace(INFO, channels=1)), "looks at colour images, not at 1 channels"),
        (make(**POOL), planned(largest=lambda: 6), "keeps 5 of a pool of 100 .* and 6 samples of one class are wanted"),
        (make(**POOL), planned(alone=False), "the condition holds more than the class"),
        (make(**POOL), planned(random_order=True), "every sample has an order of its own"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(sampler: Rejection, classes: PlannedClasses | None, reason: str):
    assert re.search(reason, sampler.class_refusal(classes) or "")


def test_what_can_be_is_not_refused():
    for sampler in (make(), make(**POOL)):
        assert sampler.class_refusal(planned()) is None
        assert sampler.refusal(SPACE, LAYOUT, ordering="raster") is None
    assert make(**POOL).class_refusal(planned(largest=lambda: None)) is None


def test_candidates_that_are_not_kept_are_counted():
    assert make(candidates=8).drawn([3, 4]) == 56
    assert make(**POOL).drawn([3, 4, 0]) == 200
    nested = wrapped(make(candidates=3), Brightness(), candidates=2)
    assert nested.drawn([5]) == 30
    assert Ancestral(AncestralConfig(), {}).drawn([3, 4]) == 7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mode": "pool"}, "needs pool and acceptance"),
        ({"mode": "pool", "pool": 10, "acceptance": 0.05}, "keeps none of 10"),
        ({**POOL, "candidates": 3}, "candidates belongs to"),
        ({"pool": 10}, "belong to mode"),
    ],
)
def test_settings_are_of_one_mode(values: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        make(**values)


def test_a_share_that_is_a_decimal_fraction_keeps_what_it_says():
    for percent in range(1, 101):
        assert make(mode="pool", pool=100, acceptance=percent / 100)._config.kept == percent

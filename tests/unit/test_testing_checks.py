"""The checks of the conformance kit find what they are for: components that break one promise each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch
from tamingplat_gpt.config import GPTConfig
from tamingplat_gpt.model import GPT
from tamingplat_gpt.state import KeyValueState
from tamingplat_samplers.ancestral import Ancestral
from tamingplat_samplers.config import AncestralConfig
from torch import Tensor, nn

from tamingplat.interfaces import CodeSpace, Config, NoConfig
from tamingplat.interfaces.models import Ordering, ParameterGroup, PriorState, Sampler, SampleRequest, Tokenizer, VisitPlan
from tamingplat.testing.inputs import other_codes, random_codes, random_condition
from tamingplat.testing.orderings import check_permutation
from tamingplat.testing.priors import (
    check_chain_rule,
    check_incremental,
    check_no_leakage,
    check_normalised,
    check_state_rows,
)
from tamingplat.testing.samplers import check_batch_independence, check_fills_every_position
from tamingplat.testing.tokenizers import (
    check_code_range,
    check_encode_deterministic,
    check_phase_gradients,
    check_round_trip_state,
)

SPACE = CodeSpace(((3, 4),), vocab_size=5)


class VisitingOrderNll(GPT):
    """Returns nll in the order of visits."""

    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        return super().nll(codes, condition, plan).gather(1, plan.order)


class ReadsEverything(GPT):
    """Lets one visible trace of codes that are not visited into the logits."""

    def logits(
        self,
        codes: Tensor,
        visited: Tensor,
        targets: Tensor,
        condition: Tensor,
        *,
        lengths: Tensor | None = None,
        state: PriorState | None = None,
        sizes: Tensor | None = None,
    ) -> tuple[Tensor, KeyValueState]:
        logits, new = super().logits(codes, visited, targets, condition, lengths=lengths, state=state)
        return logits * (1 + 1e-15 * codes.sum(1)[:, None, None].double()), new


class LeakyLikelihood(GPT):
    """Adds a trace of the last code to every likelihood."""

    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        return super().nll(codes, condition, plan) * (1 + 1e-15 * codes.gather(1, plan.order[:, -1:]).double())


class ForgetfulState(GPT):
    """Takes a state to hold one token more than it does, where it is extended by several."""

    def logits(
        self,
        codes: Tensor,
        visited: Tensor,
        targets: Tensor,
        condition: Tensor,
        *,
        lengths: Tensor | None = None,
        state: PriorState | None = None,
        sizes: Tensor | None = None,
    ) -> tuple[Tensor, KeyValueState]:
        if isinstance(state, KeyValueState) and visited.shape[1] > 2 and lengths is None:
            state.reserve(self._slots, self._slots)  # with zeros where nothing is known
            state.filled += 1
        return super().logits(codes, visited, targets, condition, lengths=lengths, state=state)


class UnshuffledState(KeyValueState):
    def take(self, rows: Tensor) -> KeyValueState:
        return super().take(rows.sort().values)


class WrongRows(GPT):
    """Selects the right rows of its state in the wrong order."""

    def logits(
        self,
        codes: Tensor,
        visited: Tensor,
        targets: Tensor,
        condition: Tensor,
        *,
        lengths: Tensor | None = None,
        state: PriorState | None = None,
        sizes: Tensor | None = None,
    ) -> tuple[Tensor, KeyValueState]:
        logits, new = super().logits(codes, visited, targets, condition, lengths=lengths, state=state)
        new.__class__ = UnshuffledState
        return logits, new


class Overcounting(GPT):
    """Gives every code a tenth more probability than it has."""

    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        return super().nll(codes, condition, plan) - 0.1


PRIOR_CHECKS = {
    "chain": check_chain_rule,
    "incremental": check_incremental,
    "rows": check_state_rows,
    "leak": check_no_leakage,
}


def prior_of(kind: type[GPT], space: CodeSpace = SPACE) -> GPT:
    torch.manual_seed(0)
    prior = kind(space, (), GPTConfig(layers=1, heads=2, width=16), {}).eval()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return prior


def spiral(batch: int, space: CodeSpace = SPACE) -> VisitPlan:
    return VisitPlan.repeat(torch.randperm(space.length, generator=torch.Generator().manual_seed(0)), batch)


@pytest.mark.parametrize(
    ("kind", "broken", "message"),
    [
        (GPT, (), ""),
        (
            VisitingOrderNll,
            ("chain", "leak"),
            "The chain rule: logits step by step, with incremental state|No leakage: changing",
        ),
        (ReadsEverything, ("leak",), "No leakage: logits after"),
        (LeakyLikelihood, ("leak",), "No leakage: changing the code visited at time 11"),
        (ForgetfulState, ("incremental",), "Incremental decoding: logits after 3 positions, the last 2 steps at once"),
        (WrongRows, ("rows",), "State rows: rows of lengths"),
        (Overcounting, ("chain",), "The chain rule"),
    ],
)
def test_priors(kind: type[GPT], broken: tuple[str, ...], message: str) -> None:
    prior, codes, condition, plan = prior_of(kind), random_codes(SPACE, 4), random_condition((), 4), spiral(4)
    for name, check in PRIOR_CHECKS.items():
        if name in broken:
            with pytest.raises(AssertionError, match=message):
                check(prior, SPACE, codes, condition, plan)
        else:
            check(prior, SPACE, codes, condition, plan)


def test_normalisation() -> None:
    small = CodeSpace(((2, 2),), vocab_size=3)
    check_normalised(prior_of(GPT, small), small, random_condition((), 1), spiral(1, small))
    with pytest.raises(AssertionError, match=r"all 81 images sum to 1\.49"):
        check_normalised(prior_of(Overcounting, small), small, random_condition((), 1), spiral(1, small))
    with pytest.raises(AssertionError, match="too many to enumerate"):
        check_normalised(prior_of(GPT), SPACE, random_condition((), 1), spiral(1))


def test_other_codes_differ_everywhere() -> None:
    codes = random_codes(SPACE, 100)
    other = other_codes(codes, SPACE.vocab_size, seed=0)
    assert (other != codes).all() and int(other.min()) >= 0 and int(other.max()) < SPACE.vocab_size
    assert not torch.equal(other, other_codes(codes, SPACE.vocab_size, seed=1))


class Columns(Ordering):
    """Column by column; ``flaw`` breaks one promise."""

    def __init__(self, flaw: str = "") -> None:
        super().__init__(NoConfig(), {})
        self.flaw, self.plans = flaw, 0

    def plan(self, space: CodeSpace, batch: int, *, generator: torch.Generator | None = None) -> VisitPlan:
        self.plans += 1
        order = torch.cat(
            [
                start + torch.arange(grid[0] * grid[1]).view(grid).T.flatten()
                for start, grid in zip(space.offsets, space.grids, strict=True)
            ]
        )
        if self.flaw == "twice":
            order[-1] = order[0]
        if self.flaw == "grids":
            order = order.flip(0)
        if self.flaw == "drifts" and self.plans % 2:
            order = order.roll(1)
        if self.flaw == "grouped":
            return VisitPlan(order.expand(batch, -1), torch.tensor([space.length]), shared=True)
        return VisitPlan.repeat(order.int() if self.flaw == "type" else order, batch)


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ("twice", "exactly once"),
        ("grids", "Grids are visited one after the other"),
        ("drifts", "made two different ones"),
        ("grouped", "not marked grouped"),
        ("type", "Plans hold int64"),
    ],
)
def test_orderings(flaw: str, message: str) -> None:
    shapes = [((2, 3),), ((2, 2), (3, 3))]
    check_permutation(Columns(), shapes)
    with pytest.raises(AssertionError, match=message):
        check_permutation(Columns(flaw), shapes)


def test_an_ordering_that_refuses_everything_is_not_checked() -> None:
    class Refuses(Columns):
        def refusal(self, space: CodeSpace) -> str | None:
            return "never"

    with pytest.raises(AssertionError, match="refuses every shape"):
        check_permutation(Refuses(), [((2, 2),)])


class Shades(Tokenizer):
    """One code per pixel: its brightness in four steps. ``flaw`` breaks one promise."""

    phases: ClassVar[tuple[str, ...]] = ("shades", "scale")

    def __init__(self, flaw: str = "") -> None:
        super().__init__(NoConfig(), {}, image_size=(4, 4), channels=1)
        self.flaw = flaw
        self.levels = nn.Parameter(torch.rand(4).sort().values * 2 - 1)
        self.scale = nn.Parameter(torch.ones(()))
        self.offset = torch.rand(())
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def code_space(self, image_size: tuple[int, int]) -> CodeSpace:
        return CodeSpace((image_size,), 3 if self.flaw == "range" else 4)

    def encode(self, images: Tensor) -> Tensor:
        if self.flaw == "counts":
            self.calls += 1
        if self.flaw == "noise":
            images = images + torch.randn_like(images)
        levels = self.levels + (self.offset if self.flaw == "hidden" else 0)
        return (images.flatten(1)[..., None] - levels).abs().argmin(-1)

    def decode(self, codes: Tensor, image_size: tuple[int, int]) -> Tensor:
        return (self.levels[codes] * self.scale).view(len(codes), 1, *image_size)

    def phase_parameters(self, phase: str) -> tuple[ParameterGroup, ...]:
        if self.flaw == "shared":
            return (ParameterGroup((self.levels, self.scale)),)
        return (ParameterGroup((self.levels if phase == "shades" else self.scale,)),)

    def forward(
        self, batch: Mapping[str, Tensor], *, step: int, phase: str, generator: torch.Generator | None
    ) -> dict[str, Tensor]:
        images = batch["image"]
        error = (self.decode(self.encode(images), (4, 4)) - images).square().mean()
        total = error.detach() + self.levels.sum() if self.flaw == "unreached" else error
        return {"total": total, "error": error if self.flaw == "attached" else error.detach()}


def images() -> Tensor:
    return torch.linspace(-1, 1, 3 * 16).view(3, 1, 4, 4)


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ("", ""),
        ("hidden", "State round trip: codes"),
        ("noise", "Encoding is deterministic"),
        ("counts", "Encoding in eval mode changes no state: it changed calls"),
        ("range", r"Codes lie in \[0, 3\)"),
        ("shared", "Phases share no parameter: levels"),
        ("unreached", "none reaches scale"),
        ("attached", "the other terms are detached: shades's error"),
    ],
)
def test_tokenizers(flaw: str, message: str) -> None:
    torch.manual_seed(0)
    checks = {
        "hidden": lambda: check_round_trip_state(Shades(flaw), lambda: Shades(flaw), images()),
        "noise": lambda: check_encode_deterministic(Shades(flaw), images()),
        "counts": lambda: check_encode_deterministic(Shades(flaw), images()),
        "range": lambda: check_code_range(Shades(flaw), images()),
        "shared": lambda: check_phase_gradients(Shades(flaw), {"image": images()}, step=0),
        "unreached": lambda: check_phase_gradients(Shades(flaw), {"image": images()}, step=0),
        "attached": lambda: check_phase_gradients(Shades(flaw), {"image": images()}, step=0),
    }
    if flaw:
        with pytest.raises(AssertionError, match=message):
            checks[flaw]()
    else:
        for check in checks.values():
            check()


class Flawed(Sampler):
    """Ancestral sampling with one promise broken."""

    def __init__(self, flaw: str) -> None:
        config: Config = AncestralConfig()
        super().__init__(config, {})
        self.flaw, self.inner = flaw, Ancestral(config, {})

    def sample(self, request: SampleRequest) -> Tensor:
        codes = self.inner.sample(request)
        if self.flaw == "batch":
            codes[0] = torch.randint(SPACE.vocab_size, codes[0].shape)
        if self.flaw == "unfilled":
            codes[:, 3] = 0
        if self.flaw == "given" and request.given is not None:
            codes[:, request.plan.order[0, 0]] = 0
        return codes


def sample_request(indices: Tensor) -> SampleRequest:
    return SampleRequest(
        prior=prior_of(GPT).double(),
        tokenizer=None,  # type: ignore[arg-type]
        space=SPACE,
        layout=(),
        plan=spiral(len(indices)),
        condition=random_condition((), len(indices)),
        null_condition=None,
        image_size=(3, 4),
        indices=indices,
        seed=1,
    )


def test_samplers() -> None:
    sound: Any = Ancestral(AncestralConfig(), {})
    check_batch_independence(sound, sample_request, count=8, batch_sizes=(1, 3, 8))
    check_fills_every_position(sound, sample_request(torch.arange(40)))
    with pytest.raises(AssertionError, match="do not depend on their batch"):
        check_batch_independence(Flawed("batch"), sample_request, count=8, batch_sizes=(1, 3, 8))
    with pytest.raises(AssertionError, match=r"positions \[3\] hold the same code"):
        check_fills_every_position(Flawed("unfilled"), sample_request(torch.arange(40)))
    with pytest.raises(AssertionError, match="Given codes are kept"):
        check_fills_every_position(Flawed("given"), sample_request(torch.arange(40)))

"""Priors with planted leaks are caught by perturbation, and one that exploits its leak also by what no honest prior can do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tamingplat_metrics.nll import NegativeLogLikelihood
from tamingplat_sources.config import MarkovMeshConfig
from tamingplat_sources.markov_mesh import MarkovMesh

from tamingplat.interfaces import CodeSpace, NoConfig, TamingplatError
from tamingplat.interfaces.models import PriorBatch, PriorSubject, SourceLikelihoods, TokenSplit, VisitPlan
from tamingplat.testing.inputs import random_codes
from tamingplat.testing.priors import check_chain_rule, check_no_leakage, check_normalised
from tests.fixtures.leaky_priors import Attention, OffByOne, WholeSequence

SIDE, COLOURS = 4, 4
SPACE = CodeSpace(((SIDE, SIDE),), COLOURS)
NO_CONDITION = torch.empty(4, 0, dtype=torch.int64)


def make(prior_class: type[Attention], space: CodeSpace = SPACE) -> Attention:
    torch.manual_seed(0)
    return prior_class(space, (), NoConfig(), {}).eval()


def raster(batch: int, space: CodeSpace = SPACE) -> VisitPlan:
    return VisitPlan.repeat(torch.arange(space.length), batch)


def test_the_honest_one_keeps_its_promises() -> None:
    prior, codes = make(Attention), random_codes(SPACE, 4)
    check_no_leakage(prior, SPACE, codes, NO_CONDITION, raster(4))
    check_chain_rule(prior, SPACE, codes, NO_CONDITION, raster(4))
    tiny = CodeSpace(((2, 2),), 3)
    check_normalised(make(Attention, tiny), tiny, NO_CONDITION[:1], raster(1, tiny))


@pytest.mark.parametrize("leaky", [OffByOne, WholeSequence])
def test_perturbation_finds_a_leak(leaky: type[Attention]) -> None:
    """Before any training: what could be read is enough."""
    with pytest.raises(AssertionError, match="No leakage"):
        check_no_leakage(make(leaky), SPACE, random_codes(SPACE, 4), NO_CONDITION, raster(4))
    tiny = CodeSpace(((2, 2),), 3)
    with pytest.raises(AssertionError, match="Normalised"):
        check_normalised(make(leaky, tiny), tiny, NO_CONDITION[:1], raster(1, tiny))


def trained(prior_class: type[Attention], steps: int) -> Attention:
    mesh, prior = MarkovMesh(MarkovMeshConfig(size=SIDE, colours=COLOURS), {}), make(prior_class)
    codes = torch.from_numpy(mesh.draw("train", range(64 * max(1, steps)))[0].astype(np.int64)).flatten(1)
    optimizer = torch.optim.AdamW(prior.parameters(), lr=1e-2)
    for step, batch in enumerate(codes.split(64)[:steps]):
        given = PriorBatch(batch, torch.empty(64, 0, dtype=torch.int64), raster(64))
        optimizer.zero_grad()
        prior(given, step=step, phase="main", generator=None)["total"].backward()
        optimizer.step()
    return prior


def subject(prior: Attention) -> PriorSubject:
    mesh = MarkovMesh(MarkovMeshConfig(size=SIDE, colours=COLOURS), {})

    def tokens(split: str, count: int) -> tuple[TokenSplit, np.ndarray]:
        colours, log_probability = mesh.draw(split, range(count))
        return TokenSplit(colours.reshape(count, -1), np.empty((count, 0), np.uint8)), log_probability

    train, (validation, known) = tokens("train", 400)[0], tokens("validation", 200)
    return PriorSubject(
        prior,
        SPACE,
        lambda rows: raster(len(rows)),
        False,
        {"train": train, "validation": validation},
        torch.device("cpu"),
        100,
        source=SourceLikelihoods(known),
    )


@pytest.mark.parametrize(
    ("prior_class", "steps", "impossible"), [(Attention, 120, False), (OffByOne, 60, True), (OffByOne, 0, False)]
)
def test_an_exploited_leak_is_impossible(prior_class: type[Attention], steps: int, impossible: bool) -> None:
    """The second line of defence: a leak that training has not exploited passes it, and an honest prior always does."""
    measured = subject(trained(prior_class, steps))
    metric = NegativeLogLikelihood(NoConfig(), {})
    if impossible:
        with pytest.raises(TamingplatError, match=r"nll: impossible: over the first \d+ of 200 images the prior gains"):
            metric.run(measured)
    else:
        found = {one.name: one.value for one in metric.run(measured)}
        assert found["nll_excess"] > 0
        assert (found["structure captured"] > 0.8) == bool(steps)

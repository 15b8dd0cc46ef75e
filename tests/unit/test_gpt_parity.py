"""GPT beside the reference implementation: golden logits and likelihoods of two small checkpoints in the published layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from tamingplat_gpt.config import GPTConfig
from tamingplat_gpt.model import GPT
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionPart
from tamingplat.interfaces.models import VisitPlan

PARITY = Path(__file__).parents[1] / "fixtures" / "parity"


class Golden(NamedTuple):
    prior: GPT
    codes: Tensor
    condition: Tensor
    plan: VisitPlan
    logits: Tensor
    nll: Tensor


@pytest.fixture(params=["gpt", "gpt_bidirectional_prefix"])
def golden(request: pytest.FixtureRequest) -> Golden:
    sizes = json.loads((PARITY / f"{request.param}.json").read_text())
    expected = load_file(PARITY / f"{request.param}_expected.safetensors")
    checkpoint = torch.load(PARITY / f"{request.param}.ckpt", map_location="cpu", weights_only=True)["state_dict"]
    batch, length = expected["codes"].shape
    prior = GPT(
        CodeSpace(((length,),), sizes["vocab_size"]),
        (ConditionPart("condition", sizes["vocab_size"], (sizes["condition_length"],)),),
        GPTConfig(
            layers=sizes["n_layer"],
            heads=sizes["n_head"],
            width=sizes["n_embd"],
            block_size=sizes["block_size"],
            bidirectional_condition=sizes["n_unmasked"] > 0,
        ),
        {},
    ).eval()
    weights = {
        name.removeprefix("transformer."): value
        for name, value in checkpoint.items()
        if name.startswith("transformer.") and not name.endswith(".attn.mask")
    }
    # Published names are ours: nothing is renamed, missing or left over.
    prior.load_state_dict(weights, strict=True)
    plan = VisitPlan.repeat(torch.arange(length), batch)
    return Golden(prior, expected["codes"], expected["condition"], plan, expected["logits"], expected["nll_nats_per_token"])


def test_likelihood(golden: Golden) -> None:
    with torch.no_grad():
        nll = golden.prior.nll(golden.codes, golden.condition, golden.plan)
    torch.testing.assert_close(nll.mean(), golden.nll, rtol=1e-5, atol=0)
    by_hand = torch.nn.functional.cross_entropy(golden.logits.transpose(1, 2), golden.codes, reduction="none")
    torch.testing.assert_close(nll, by_hand, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("incremental", [True, False])
def test_logits_of_every_code(golden: Golden, incremental: bool) -> None:
    state, logits = None, []
    order = golden.plan.order
    for time in range(order.shape[1]):
        step, new_state = golden.prior.logits(
            golden.codes, order[:, :time], order[:, time : time + 1], golden.condition, state=state
        )
        logits.append(step)
        state = new_state if incremental else None
    spread = golden.logits.std()
    assert (torch.cat(logits, dim=1) - golden.logits).abs().max() < 1e-5 * spread


def test_the_prefix_matters_as_it_should(golden: Golden) -> None:
    """With the other mask over the condition the golden logits are missed by far."""
    other = GPT(
        CodeSpace(((19,),), 64),
        (ConditionPart("condition", 64, (5,)),),
        GPTConfig(layers=2, heads=2, width=32, bidirectional_condition=not golden.prior._config.bidirectional_condition),
        {},
    ).eval()
    other.load_state_dict(golden.prior.state_dict())
    with torch.no_grad():
        nll = other.nll(golden.codes, golden.condition, golden.plan)
    assert (nll.mean() - golden.nll).abs() > 1e-3

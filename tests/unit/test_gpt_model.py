"""Settings of GPT: sizes, vocabularies, positions, optimizer groups, pkeep, dropout and precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from tamingplat_gpt.config import GPTConfig
from tamingplat_gpt.model import GPT
from tamingplat_gpt.plugin import tamingplat_components

from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart
from tamingplat.interfaces.models import PriorBatch, VisitPlan
from tamingplat.testing.inputs import random_codes, random_condition
from tamingplat.testing.priors import PRIOR_CHECKS

SPACE = CodeSpace(((3, 4),), vocab_size=6)
SPATIAL: ConditionLayout = (ConditionPart("class", 9), ConditionPart("map", 4, (2, 2)))


def make(space: CodeSpace = SPACE, layout: ConditionLayout = (), **settings: Any) -> GPT:
    torch.manual_seed(0)
    config = GPTConfig(**{"layers": 2, "heads": 2, "width": 16, **settings})
    assert GPT.refusal(space, layout, config) is None
    return GPT(space, layout, config, {}).eval()


def perturbed(prior: GPT) -> GPT:
    """With weights large enough for everything to matter, embeddings that begin at zero included."""
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)), alpha=0.3)
    return prior


def random_plan(batch: int, space: CodeSpace = SPACE) -> VisitPlan:
    generator = torch.Generator().manual_seed(2)
    order = torch.stack([torch.randperm(space.length, generator=generator) for _ in range(batch)])
    return VisitPlan(order, torch.ones(space.length, dtype=torch.int64))


@pytest.mark.parametrize("check", PRIOR_CHECKS)
@pytest.mark.parametrize(
    "settings",
    [
        {"bidirectional_condition": True},
        {"vocabulary": "separate"},
        {"positions": "time"},
        {"target_positions": True},
        {
            "bidirectional_condition": True,
            "vocabulary": "separate",
            "positions": "time",
            "target_positions": True,
            "dropout": 0.5,
        },
    ],
)
@pytest.mark.parametrize("layout", [(), SPATIAL], ids=["none", "spatial"])
def test_every_setting_keeps_the_promises(check: Any, settings: dict[str, Any], layout: ConditionLayout) -> None:
    prior = perturbed(make(layout=layout, **settings))
    check(prior, SPACE, random_codes(SPACE, 4), random_condition(layout, 4), random_plan(4))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_float64_decoding_is_exact(bidirectional: bool) -> None:
    prior = perturbed(make(layout=SPATIAL, bidirectional_condition=bidirectional)).double()
    codes, condition, plan = random_codes(SPACE, 4), random_condition(SPATIAL, 4), random_plan(4)
    for check in PRIOR_CHECKS[:3]:
        check(prior, SPACE, codes, condition, plan, tolerance=1e-12)


def test_padding_of_visited_does_not_matter() -> None:
    prior, codes, plan = perturbed(make()), random_codes(SPACE, 3), random_plan(3)
    lengths = torch.tensor([2, 0, 4])
    targets = plan.order.gather(1, lengths[:, None])
    condition = random_condition((), 3)
    padded = torch.where(torch.arange(5) < lengths[:, None], plan.order[:, :5], -1)
    seen, state = prior.logits(codes, plan.order[:, :5], targets, condition, lengths=lengths)
    again, padded_state = prior.logits(codes, padded, targets, condition, lengths=lengths)
    assert torch.equal(seen, again)
    lengths = lengths + torch.tensor([1, 3, 0])
    targets = plan.order.gather(1, lengths[:, None])
    padded = torch.where(torch.arange(6) < lengths[:, None], plan.order[:, :6], -1)
    seen, _ = prior.logits(codes, plan.order[:, :6], targets, condition, lengths=lengths, state=state)
    again, _ = prior.logits(codes, padded, targets, condition, lengths=lengths, state=padded_state)
    assert torch.equal(seen, again)


def test_a_state_that_lacks_nothing_gives_the_same_logits_again() -> None:
    prior, codes, plan = perturbed(make(layout=SPATIAL, bidirectional_condition=True)), random_codes(SPACE, 2), random_plan(2)
    condition = random_condition(SPATIAL, 2)
    for time in (0, 3):
        arguments = (codes, plan.order[:, :time], plan.order[:, time : time + 1], condition)
        first, state = prior.logits(*arguments)
        again, state = prior.logits(*arguments, state=state)
        ragged, _ = prior.logits(*arguments, state=state, lengths=torch.full((2,), time))
        torch.testing.assert_close(again, first)
        torch.testing.assert_close(ragged, first)


def test_only_new_tokens_are_computed() -> None:
    prior, codes, plan = make(layout=SPATIAL), random_codes(SPACE, 4), random_plan(4)
    condition = random_condition(SPATIAL, 4)
    computed: list[int] = []
    prior.blocks[0].register_forward_hook(lambda module, inputs, output: computed.append(len(output)))
    state = None
    for time in (0, 1, 2, 5):
        _, state = prior.logits(codes, plan.order[:, :time], plan.order[:, time : time + 1], condition, state=state)
    assert computed == [len(codes) * tokens for tokens in (5, 1, 1, 3)]
    state = state.select(torch.tensor([0, 2]))
    both = type(state).cat([state, prior.logits(codes[:1], plan.order[:1, :2], plan.order[:1, 2:3], condition[:1])[1]])
    lengths, rows = torch.tensor([6, 7, 3]), torch.tensor([0, 2, 0])
    order = plan.order[rows]
    prior.logits(codes[rows], order[:, :7], order.gather(1, lengths[:, None]), condition[rows], lengths=lengths, state=both)
    assert computed[-1] == 3 * 2


def test_both_positions_are_one_model_under_a_fixed_ordering() -> None:
    """The table's rows are permuted and nothing else."""
    order = random_plan(1).order[0]
    plan = VisitPlan.repeat(order, 3)
    by_place, by_time = perturbed(make()), make(positions="time")
    weights = by_place.state_dict()
    weights["pos_emb"] = torch.cat([weights["pos_emb"][:, :1], weights["pos_emb"][:, 1:][:, order]], dim=1)
    by_time.load_state_dict(weights)
    codes, condition = random_codes(SPACE, 3), random_condition((), 3)
    assert torch.equal(by_place.nll(codes, condition, plan), by_time.nll(codes, condition, plan))


def test_the_order_of_visits_is_seen() -> None:
    """The same visited set, visited in another order, is the same input up to order; the next position to be predicted is seen
    only with target positions."""
    codes, condition = random_codes(SPACE, 1), random_condition((), 1)
    visited = torch.tensor([[3, 7]])
    for settings, seen in (({}, False), ({"target_positions": True}, True)):
        prior = perturbed(make(**settings))
        one, other = (prior.logits(codes, visited, torch.tensor([[target]]), condition)[0] for target in (1, 2))
        assert torch.equal(one, other) != seen


@pytest.mark.parametrize(
    ("layout", "shared", "separate"), [((), 6, 7), ((ConditionPart("class", 5),), 6, 11), (SPATIAL, 9, 19)]
)
def test_rows_of_the_vocabulary(layout: ConditionLayout, shared: int, separate: int) -> None:
    assert make(layout=layout).tok_emb.weight.shape == (shared, 16)
    assert make(layout=layout, vocabulary="separate").tok_emb.weight.shape == (separate, 16)
    assert make(layout=layout).head.weight.shape == (6, 16)
    assert make(layout=layout).pos_emb.shape == (1, max(1, sum(part.length for part in layout)) + 12, 16)


@pytest.mark.parametrize("vocabulary", ["shared", "separate"])
def test_condition_tokens_use_their_rows(vocabulary: str) -> None:
    prior = make(layout=SPATIAL, vocabulary=vocabulary).train()
    condition = torch.tensor([[2, 0, 1, 3, 3]])
    codes = torch.full((1, 12), 5)
    prior(PriorBatch(codes, condition, random_plan(1)), step=0, phase="main", generator=None)["total"].backward()
    gradient = prior.tok_emb.weight.grad
    assert gradient is not None
    used = gradient.any(1).nonzero().flatten().tolist()
    assert used == ([0, 1, 2, 3, 5] if vocabulary == "shared" else [5, 8, 15, 16, 18])


def test_published_sizes() -> None:
    """Tab. 3: 307 M for 24 layers of width 1024, 85 M for 12 layers of width 768, to the millions that counting gives."""
    with torch.device("meta"):
        counts = [
            sum(p.numel() for p in GPT(CodeSpace(((16, 16),), vocabulary), layout, GPTConfig(**settings), {}).parameters())
            for vocabulary, layout, settings in (
                (1024, (), {"block_size": 256, "positions": "time"}),
                (768, (ConditionPart("coordinates", 768, (16, 16)),), {"layers": 12, "width": 768}),
            )
        ]
    assert counts[0] == 24 * (12 * 1024**2 + 13 * 1024) + 2 * 1024 * 1024 + 256 * 1024 + 2 * 1024
    assert [round(count / 1e6) for count in counts] == [305, 87]


def test_initial_weights() -> None:
    prior = make(width=64, layers=3, target_positions=True)
    for name, parameter in prior.named_parameters():
        if name.endswith("bias") or name in ("pos_emb", "target_emb"):
            assert not parameter.any(), name
        elif ".ln" in name or name == "ln_f.weight":
            assert (parameter == 1).all(), name
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.15), name


def test_decay_on_weights_of_linear_layers_alone() -> None:
    prior = make(target_positions=True)
    names = {id(parameter): name for name, parameter in prior.named_parameters()}
    decayed, others = prior.phase_parameters("main")
    assert decayed.decay and not others.decay
    inside = {
        f"blocks.{i}.{name}.weight"
        for i in (0, 1)
        for name in ("attn.key", "attn.query", "attn.value", "attn.proj", "mlp.0", "mlp.2")
    }
    assert {names[id(parameter)] for parameter in decayed.parameters} == inside | {"head.weight"}
    assert {names[id(p)] for p in (*decayed.parameters, *others.parameters)} == set(names.values())


def test_the_authors_optimizer_is_the_default() -> None:
    (component,) = tamingplat_components()
    training = component.training
    assert training is not None
    assert training.optimizer == "adamw" and training.betas == (0.9, 0.95) and training.weight_decay == 0.01
    assert training.learning_rate == pytest.approx(4.5e-6 * training.batch_size)
    config = component.config()
    assert (config.layers, config.heads, config.width, config.vocabulary) == (24, 16, 1024, "shared")


def test_pkeep_changes_inputs_in_training_alone() -> None:
    prior = perturbed(make(pkeep=0.5))
    batch = PriorBatch(random_codes(SPACE, 8), random_condition((), 8), random_plan(8))

    def total(training: bool, seed: int | None) -> float:
        prior.train(training)
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        with torch.no_grad():
            return float(prior(batch, step=0, phase="main", generator=generator)["total"])

    with torch.no_grad():
        clean = float(prior.nll(batch.codes, batch.condition, batch.plan).mean())
    assert total(False, 0) == clean and total(True, None) == clean
    assert total(True, 0) == total(True, 0) != clean
    assert total(True, 0) != total(True, 1)


def test_pkeep_keeps_that_share_and_targets_stay() -> None:
    prior = make(CodeSpace(((40, 40),), vocab_size=500), layers=1, pkeep=0.75).train()
    codes = random_codes(CodeSpace(((40, 40),), 500), 4)
    seen: list[torch.Tensor] = []
    prior.tok_emb.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    plan = VisitPlan.repeat(torch.arange(1600), 4)
    total = prior(PriorBatch(codes, random_condition((), 4), plan), step=0, phase="main", generator=torch.Generator())["total"]
    kept = (seen[0][:, 1:] == codes[:, :-1]).double().mean()
    # A replaced code is the same by chance once in 500 times.
    assert kept.item() == pytest.approx(0.75 + 0.25 / 500, abs=0.02)
    assert total.item() == pytest.approx(torch.tensor(500.0).log().item(), rel=0.02)


def test_dropout_in_training_alone() -> None:
    """And only where there is randomness to draw: a likelihood is exact in training mode too, and so are logits."""
    prior = perturbed(make(dropout=0.3))
    batch = PriorBatch(random_codes(SPACE, 8), random_condition((), 8), random_plan(8))
    arguments = (batch.codes, batch.plan.order[:, :3], batch.plan.order[:, 3:4], batch.condition)
    clean, logits = prior.nll(batch.codes, batch.condition, batch.plan), prior.logits(*arguments)[0]
    prior.train()
    assert torch.equal(clean, prior.nll(batch.codes, batch.condition, batch.plan))
    assert torch.equal(logits, prior.logits(*arguments)[0])

    def total(generator: torch.Generator | None, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return prior(batch, step=0, phase="main", generator=generator)["total"]

    assert torch.equal(total(None, 0), clean.mean())
    first, again, other = (total(torch.Generator(), seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other) and not torch.equal(first, clean.mean())
    prior.eval()
    assert torch.equal(total(torch.Generator(), 0), clean.mean())


def test_dropout_in_the_places_of_the_reference() -> None:
    """After the embeddings, on attention weights and at the end of both residual branches: each of them alone would show."""
    calls: list[float] = []
    prior = make(dropout=0.25, layers=3).train()
    batch = PriorBatch(random_codes(SPACE, 2), random_condition((), 2), random_plan(2))
    plain, attention = torch.nn.functional.dropout, torch.nn.functional.scaled_dot_product_attention
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "dropout", lambda x, p: calls.append(p) or plain(x, p))
        patch.setattr(
            torch.nn.functional,
            "scaled_dot_product_attention",
            lambda *a, dropout_p, **k: calls.append(dropout_p) or attention(*a, dropout_p=dropout_p, **k),
        )
        prior(batch, step=0, phase="main", generator=torch.Generator())
    assert calls == [0.25] * (1 + 3 * 3)


def test_mixed_precision_gives_float32() -> None:
    prior, codes, condition, plan = perturbed(make()), random_codes(SPACE, 3), random_condition((), 3), random_plan(3)
    with torch.no_grad():
        exact = prior.nll(codes, condition, plan)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            nll = prior.nll(codes, condition, plan)
            logits, state = prior.logits(codes, plan.order[:, :3], plan.order[:, 3:4], condition)
            more, _ = prior.logits(codes, plan.order[:, :5], plan.order[:, 5:6], condition, state=state)
    assert nll.dtype == logits.dtype == more.dtype == torch.float32
    assert state.dtype == torch.bfloat16
    torch.testing.assert_close(nll, exact, rtol=0.1, atol=0.2)


def test_a_plan_of_groups_is_refused_by_assertion() -> None:
    plan = VisitPlan(random_plan(1).order, torch.tensor([6, 6]))
    with pytest.raises(AssertionError, match="one position at a step"):
        make().nll(random_codes(SPACE, 1), random_condition((), 1), plan)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 30, "heads": 4}, r"width 30 is not divisible by heads 4; the nearest widths are 28 and 32"),
        ({"layers": 0}, "greater than or equal to 1"),
        ({"heads": 0}, "greater than or equal to 1"),
        ({"dropout": 1.0}, "less than 1"),
        ({"pkeep": 1.5}, "less than or equal to 1"),
        ({"vocabulary": "joint"}, "shared"),
        ({"block_size": 0}, "greater than or equal to 1"),
        ({"n_layer": 3}, "Extra inputs"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GPTConfig(**settings)


@pytest.mark.parametrize(
    ("layout", "settings", "needed"),
    [((), {}, 13), ((), {"positions": "time"}, 12), (SPATIAL, {}, 17), (SPATIAL, {"positions": "time"}, 16)],
)
def test_too_few_positions_are_refused(layout: ConditionLayout, settings: dict[str, Any], needed: int) -> None:
    refusal = GPT.refusal(SPACE, layout, GPTConfig(block_size=needed - 1, **settings))
    assert refusal is not None and f"below the {needed} tokens" in refusal
    prior = perturbed(make(layout=layout, block_size=needed, **settings))
    for check in PRIOR_CHECKS:
        check(prior, SPACE, random_codes(SPACE, 3), random_condition(layout, 3), random_plan(3))

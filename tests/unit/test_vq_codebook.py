"""Codebooks that follow the latents: moving averages, cluster means to begin with, revival of dead codes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tamingplat_vq.quantizer import MovingCodebook, VectorQuantizer, code_statistics
from tamingplat_vq.quantizer.clustering import kmeans
from tamingplat_vq.quantizer.step_vectors import StepVectors

CENTRES = torch.tensor([[4.0, 0.0], [-4.0, 0.0], [0.0, 4.0], [0.0, -4.0]])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def distances(vectors, others):
    return torch.cdist(vectors, others, compute_mode="donot_use_mm_for_euclid_dist")


def clustered(seed, batch=8, side=4, spread=0.1):
    """(B, 2, side, side): points around four centres, and the numbers of their centres (B, side, side)."""
    draws = generator(seed)
    which = torch.randint(4, (batch, side, side), generator=draws)
    points = CENTRES[which] + spread * torch.randn(batch, side, side, 2, generator=draws)
    return points.permute(0, 3, 1, 2), which


def quantizer(codes=4, dimensions=2, seed=0, **moving):
    torch.manual_seed(seed)
    return VectorQuantizer(codes, dimensions, 0.25, "reference", moving=MovingCodebook(**moving))


def step(model, parts, number, seed=None):
    """One training step on some parts of a batch."""
    quantized = [model(part, step=number, generator=None) for part in parts]
    model.after_step(number, generator(number if seed is None else seed))
    return quantized


def test_moving_averages_are_the_papers():
    model = quantizer(3, 2, decay=0.9)
    assert [name for name, _ in model.named_parameters()] == []
    assert set(model.state_dict()) == {"embedding.weight", "average_counts", "average_sums"}
    start = model.embedding.weight.clone()
    counts, sums = torch.ones(3, dtype=torch.float64), start.double()
    for number in range(3):
        latents = torch.randn(2, 2, 3, 3, generator=generator(number))
        vectors = latents.permute(0, 2, 3, 1).reshape(-1, 2)
        codes = distances(vectors, model.embedding.weight).argmin(dim=1)
        step(model, [latents], number)
        for code in range(3):
            own = vectors[codes == code].double()
            counts[code] = 0.9 * counts[code] + 0.1 * len(own)
            sums[code] = 0.9 * sums[code] + 0.1 * own.sum(dim=0)
        smoothed = (counts + 1e-5) / (counts.sum() + 3e-5) * counts.sum()
        torch.testing.assert_close(model.embedding.weight.double(), sums / smoothed[:, None], rtol=1e-5, atol=1e-6)
    assert not torch.equal(model.embedding.weight, start)


def test_under_moving_averages_beta_weighs_the_commitment_term_alone():
    model = quantizer(4, 2, decay=0.9)
    latents = clustered(0)[0].requires_grad_()
    quantized = model(latents, step=0, generator=None)
    assert set(quantized.terms) == {"commitment"} and quantized.loss.detach() == quantized.terms["commitment"]
    difference = latents - model.lookup(quantized.codes)
    torch.testing.assert_close(quantized.loss, 0.25 * difference.square().mean())
    torch.testing.assert_close(
        torch.autograd.grad(quantized.loss, latents)[0], 0.25 * 2 * difference.detach() / latents.numel()
    )


def test_moving_averages_converge_to_the_means_of_clusters():
    model = quantizer(decay=0.8)
    model.embedding.weight.copy_(CENTRES * 0.2)
    model.average_sums.copy_(CENTRES * 0.2)
    for number in range(40):
        step(model, [clustered(number)[0]], number)
    torch.testing.assert_close(model.embedding.weight, CENTRES, rtol=0, atol=0.05)


@pytest.mark.parametrize(
    "moving", [{"decay": 0.9}, {"clustered": True}, {"revive_after": 2}, {"decay": 0.9, "revive_after": 1}]
)
def test_parts_of_a_step_count_as_one_batch(moving):
    whole, parts = quantizer(40, **moving), quantizer(40, **moving)
    for number in range(4):
        latents = clustered(number)[0]
        step(whole, [latents], number)
        step(parts, latents.chunk(4), number)
        for name, tensor in whole.state_dict().items():
            torch.testing.assert_close(parts.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("moving", [{"decay": 0.9, "revive_after": 2}, {"clustered": True}])
def test_nothing_but_training_moves_a_codebook(moving):
    model = quantizer(9, **moving)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    latents = clustered(0)[0]
    model.eval()
    model(latents, step=0, generator=None)
    model.after_step(0, generator())
    model.train()
    with torch.no_grad():
        model(latents, step=0, generator=None)
    model.after_step(0, generator())
    # Neither does what another step saw.
    model(latents, step=0, generator=None)
    model.after_step(5, generator())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_plain_codebook_keeps_and_does_nothing():
    model = quantizer(9)
    assert set(model.state_dict()) == {"embedding.weight"}
    before = model.embedding.weight.detach().clone()
    step(model, [clustered(0)[0]], 0)
    assert torch.equal(model.embedding.weight, before)


@pytest.mark.parametrize("decay", [None, 0.9])
def test_a_codebook_can_begin_at_the_means_of_clusters(decay):
    model = quantizer(clustered=True, decay=decay)
    latents, which = clustered(0)
    step(model, [latents], 0)
    vectors = latents.permute(0, 2, 3, 1).reshape(-1, 2)
    means = torch.stack([vectors[which.flatten() == centre].mean(dim=0) for centre in range(4)])
    nearest = distances(means, model.embedding.weight.detach()).argmin(dim=1)
    assert sorted(nearest.tolist()) == [0, 1, 2, 3]
    torch.testing.assert_close(model.embedding.weight.detach()[nearest], means)
    if decay is not None:
        torch.testing.assert_close(model.average_counts[nearest], torch.bincount(which.flatten(), minlength=4).float())
        torch.testing.assert_close(model.average_sums, model.embedding.weight * model.average_counts[:, None])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(1, 4), st.booleans(), st.integers(0, 2**31))
def test_clusters_of_few_or_equal_vectors(count, clusters, dimensions, equal, seed):
    draws = generator(seed)
    vectors = torch.randn(count, dimensions, generator=draws)
    if equal:
        vectors = vectors[torch.randint(min(count, 3), (count,), generator=draws)]
    centres, counts = kmeans(vectors, clusters, generator(seed))
    again, _ = kmeans(vectors, clusters, generator(seed))
    assert torch.equal(centres, again)
    assert centres.shape == (clusters, dimensions) and centres.isfinite().all()
    assert counts.sum() == count
    if vectors.std(dim=0, correction=0).max() > 1e-3:
        assert len(centres.unique(dim=0)) == clusters
    if len(vectors.unique(dim=0)) <= clusters:  # every vector is a centre
        assert distances(vectors, centres).min(dim=1).values.max() < 1e-3


def test_clusters_are_better_than_their_seeds_and_than_chance():
    vectors = torch.cat(
        [0.3 * torch.randn(200, 3, generator=generator(1)) + 5 * torch.randn(3, generator=generator(n)) for n in range(8)]
    )

    def error(centres):
        return distances(vectors, centres).min(dim=1).values.square().mean()

    seeds, found = kmeans(vectors, 8, generator(), iterations=0)[0], kmeans(vectors, 8, generator())[0]
    assert error(found) < error(seeds) < error(vectors[:8])
    assert error(found) < 0.35


@pytest.mark.parametrize("decay", [None, 0.9])
def test_dead_codes_are_revived_at_latents_of_the_step(decay):
    model = quantizer(6, decay=decay, revive_after=3)
    with torch.no_grad():
        model.embedding.weight.fill_(100.0)
        model.embedding.weight[:2] = CENTRES[:2]
    if decay is not None:
        model.average_sums.copy_(model.embedding.weight)
    latents = clustered(0)[0]
    vectors = latents.permute(0, 2, 3, 1).reshape(-1, 2)
    for number in range(2):
        step(model, [latents], number)
        assert model.unused_steps.tolist() == [0, 0] + [number + 1] * 4
    step(model, [latents], 2)
    assert model.unused_steps.tolist() == [0] * 6
    revived = model.embedding.weight.detach()[2:]
    # Four different latents.
    assert (distances(revived, vectors).min(dim=1).values == 0).all() and len(revived.unique(dim=0)) == 4
    if decay is not None:
        assert torch.equal(model.average_counts[2:], torch.ones(4)) and torch.equal(model.average_sums[2:], revived)
        assert (model.average_counts[:2] > 1).all()
    used = step(model, [latents], 3)[0].codes
    assert set(range(2, 6)) <= set(used.unique().tolist())


def test_more_dead_codes_than_latents():
    model = quantizer(50, revive_after=1)
    with torch.no_grad():
        model.embedding.weight.fill_(100.0)
    latents = clustered(0, batch=1, side=2)[0]
    step(model, [latents], 0)
    vectors = latents.permute(0, 2, 3, 1).reshape(-1, 2)
    revived = model.embedding.weight.detach()[1:]
    assert (distances(revived, vectors).min(dim=1).values == 0).all() and len(revived.unique(dim=0)) == 4


def test_revival_and_clusters_raise_usage():
    usage = {}
    for name, moving in {"plain": {}, "revived": {"revive_after": 5}, "both": {"clustered": True, "revive_after": 5}}.items():
        model = quantizer(32, decay=0.9, **moving)
        for number in range(30):
            codes = step(model, [clustered(number, spread=1.0)[0]], number)[0].codes
        usage[name] = float(code_statistics(codes, 32)["codebook_usage"])
    assert usage["plain"] < 0.6 < 0.8 < min(usage["revived"], usage["both"])


def test_rows_of_a_step_are_numbered_through_its_parts():
    parts = torch.arange(24.0).view(3, 4, 2)
    seen = StepVectors(7, 5, parts[0], keeping=True, summing=True)
    for part in parts:
        seen.add(part, torch.tensor([0, 0, 3, 4]))
    assert seen.total == 12 and torch.equal(seen.rows(torch.tensor([11, 0, 5])), parts.view(12, 2)[[11, 0, 5]])
    assert torch.equal(seen.sample(generator()), parts.view(12, 2))
    assert seen.counts.tolist() == [6, 0, 0, 3, 3]
    assert torch.equal(seen.sums[0], parts[:, :2].sum(dim=(0, 1)))


def test_of_many_vectors_a_sample_is_drawn(monkeypatch):
    monkeypatch.setattr("tamingplat_vq.quantizer.step_vectors._SAMPLE", 20)
    vectors = torch.arange(100.0)[:, None]
    seen = StepVectors(0, 3, vectors, keeping=True, summing=False)
    seen.add(vectors, torch.zeros(100, dtype=torch.int64))
    sample = seen.sample(generator())
    assert sample.shape == (20, 1) and len(sample.unique()) == 20
    assert torch.equal(sample, seen.sample(generator())) and not torch.equal(sample, seen.sample(generator(1)))

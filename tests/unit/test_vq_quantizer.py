"""Vector quantization: nearest codes, gradients, precision, statistics."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tamingplat_vq.quantizer import VectorQuantizer, clustering, code_statistics
from tamingplat_vq.quantizer.clustering import nearest


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 8), st.integers(1, 50), st.integers(0, 2**31))
def test_nearest_is_the_nearest_in_blocks_of_any_size(vectors, codes, dimensions, block, seed):
    generator = torch.Generator().manual_seed(seed)
    # Small integers: distances are exact, so that ties occur and are decided alike.
    points = torch.randint(-3, 4, (vectors, dimensions), generator=generator).float()
    codebook = torch.randint(-3, 4, (codes, dimensions), generator=generator).float()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clustering, "_BLOCK", block)
        found = nearest(points, codebook)
    assert torch.equal(found, torch.cdist(points, codebook).square().round().argmin(dim=1))


def test_the_distances_of_many_vectors_are_never_held_in_whole():
    vectors, codebook = torch.randn(4096, 4), torch.randn(8192, 4)
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    with Watch():
        found = nearest(vectors, codebook)
    assert found.shape == (4096,)
    assert largest <= clustering._BLOCK < 4096 * 8192


def test_initial_codebook_is_uniform_within_one_over_k():
    torch.manual_seed(0)
    weight = VectorQuantizer(50, 400, 0.25, "paper").embedding.weight.detach()
    assert weight.abs().max() <= 1 / 50
    assert weight.std().item() == pytest.approx(1 / 50 / math.sqrt(3), rel=0.02)


@pytest.fixture
def latents():
    return torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()


def quantize(model, latents):
    return model(latents, step=0, generator=None)


def test_the_straight_through_gradient_is_the_identitys(latents):
    quantized = quantize(VectorQuantizer(7, 5, 0.25, "paper"), latents)
    probe = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.autograd.grad((quantized.latents * probe).sum(), latents)[0], probe)


@pytest.mark.parametrize(("reduction", "scale"), [("mean", 1.0), ("sum", 5.0)])
@pytest.mark.parametrize(("placement", "codebook", "commitment"), [("paper", 1.0, 0.3), ("reference", 0.3, 1.0)])
def test_beta_weighs_the_named_term(latents, placement, codebook, commitment, reduction, scale):
    model = VectorQuantizer(7, 5, 0.3, placement, reduction=reduction)
    quantized = quantize(model, latents)
    vectors = model.lookup(quantized.codes)
    norms = (vectors - latents).square().sum(dim=1)
    square = norms.mean() if reduction == "sum" else norms.mean() / 5
    assert set(quantized.terms) == {"codebook", "commitment"}
    assert not any(term.requires_grad for term in quantized.terms.values())
    torch.testing.assert_close(quantized.terms["codebook"], codebook * square.detach())
    torch.testing.assert_close(quantized.terms["commitment"], commitment * square.detach())
    torch.testing.assert_close(quantized.loss.detach(), quantized.terms["codebook"] + quantized.terms["commitment"])
    # The codebook term moves the codebook alone, the commitment term the latents alone.
    moved, drawn = torch.autograd.grad(quantized.loss, [latents, model.embedding.weight])
    difference = (latents - vectors).detach()
    torch.testing.assert_close(moved, scale * commitment * 2 * difference / latents.numel())
    pulls = torch.zeros(7, 5).index_add_(0, quantized.codes.flatten(), -difference.permute(0, 2, 3, 1).reshape(-1, 5))
    torch.testing.assert_close(drawn, scale * codebook * 2 * pulls / latents.numel())


def test_values_are_codebook_vectors_and_codes_index_them(latents):
    model = VectorQuantizer(7, 5, 0.25, "paper")
    quantized = quantize(model, latents)
    torch.testing.assert_close(quantized.latents, model.lookup(quantized.codes))
    assert torch.equal(model.codes(latents), quantized.codes)
    assert torch.equal(model.lookup(quantized.codes)[1, :, 2, 3], model.embedding.weight[quantized.codes[1, 2, 3]])


def test_arithmetic_is_float32_under_mixed_precision(latents):
    model = VectorQuantizer(7, 5, 0.25, "paper")
    plain = quantize(model, latents)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = quantize(model, latents)
    assert plain.terms == mixed.terms
    for one, other in zip(plain[:3], mixed[:3], strict=True):
        assert torch.equal(one, other) and one.dtype == other.dtype
    half = quantize(model, latents.detach().bfloat16())
    assert half.latents.dtype == torch.float32 and half.loss.dtype == torch.float32


def test_statistics_of_a_batch():
    statistics = code_statistics(torch.tensor([[0, 1], [2, 3]]), 8)
    assert statistics["codebook_usage"] == 0.5
    assert statistics["codebook_perplexity"].item() == pytest.approx(4.0)
    assert code_statistics(torch.full((3, 2), 5), 8)["codebook_perplexity"].item() == pytest.approx(1.0)

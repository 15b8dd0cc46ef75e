"""The patch discriminator, its batch normalisation, and the adversarial terms."""

from __future__ import annotations

import math

import pytest
import torch
from tamingplat_vq.discriminator import BatchNorm, PatchDiscriminator
from tamingplat_vq.losses import adaptive_weight, discriminator_loss, pixel_loss, with_gradient


def test_size_names_and_logits_are_the_published_ones():
    with torch.device("meta"):
        discriminator = PatchDiscriminator(3, 64, 3)
        logits = discriminator(torch.empty(1, 3, 256, 256))
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == 2_765_633
    assert logits.shape == (1, 1, 30, 30)
    assert {name.split(".")[1] for name in discriminator.state_dict()} == {"0", "2", "3", "5", "6", "8", "9", "11"}
    assert "main.2.bias" not in discriminator.state_dict() and "main.0.bias" in discriminator.state_dict()
    assert {name.split(".")[-1] for name in discriminator.state_dict() if name.startswith("main.3.")} == {
        "weight", "bias", "running_mean", "running_var", "num_batches_tracked",
    }  # fmt: skip


def test_initialisation():
    torch.manual_seed(0)
    main = PatchDiscriminator(3, 64, 3).main
    assert main[5].weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert main[9].weight.mean().item() == pytest.approx(1.0, abs=0.01)
    assert main[9].weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert (main[9].bias == 0).all()


def test_width_stops_at_eight_times_the_first():
    main = PatchDiscriminator(1, 4, 5).main
    assert [layer.out_channels for layer in main if isinstance(layer, torch.nn.Conv2d)] == [4, 8, 16, 32, 32, 32, 1]


@pytest.mark.parametrize("training", [True, False])
def test_in_one_process_batch_normalisation_is_pytorchs(training):
    torch.manual_seed(0)
    ours, theirs = BatchNorm(4), torch.nn.BatchNorm2d(4)
    x = torch.randn(3, 4, 5, 6)
    for module in (ours, theirs):
        module.train(training)
    assert torch.equal(ours(x), theirs(x))
    assert all(torch.equal(one, other) for one, other in zip(ours.buffers(), theirs.buffers(), strict=True))


def test_the_arithmetic_over_processes_is_batch_normalisation():
    torch.manual_seed(0)
    ours, theirs = BatchNorm(4).double(), torch.nn.BatchNorm2d(4).double()
    with torch.no_grad():
        for module in (ours, theirs):
            module.weight.copy_(torch.linspace(0.5, 2, 4))
            module.bias.copy_(torch.linspace(-1, 1, 4))
    x = (torch.randn(3, 4, 5, 6, dtype=torch.float64) * 3 + 100).requires_grad_()
    probe = torch.randn(3, 4, 5, 6, dtype=torch.float64)
    one, other = ours._over_processes(x), theirs(x)
    torch.testing.assert_close(one, other)
    gradients = [
        torch.autograd.grad((y * probe).sum(), [x, *module.parameters()]) for y, module in ((one, ours), (other, theirs))
    ]
    for given, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(given, wanted)
    for given, wanted in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(given, wanted)


def test_losses():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])
    assert discriminator_loss(real, fake, "hinge").item() == pytest.approx((0.25 + 1.0) / 2)
    softplus = [math.log1p(math.exp(value)) for value in (-2.0, -0.5, -3.0, 1.0)]
    assert discriminator_loss(real, fake, "vanilla").item() == pytest.approx(sum(softplus) / 4)
    one, other = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, -3.0]]]])
    assert pixel_loss(one, other, "l1") == 2.0 and pixel_loss(one, other, "l2") == 5.0


def test_adaptive_weight():
    settings = {"delta": 0.5, "limit": 10.0, "weight": 0.8, "sync": True}
    assert adaptive_weight(torch.tensor([3.0, 4.0]), torch.tensor([0.0, 2.0]), **settings).item() == pytest.approx(0.8 * 2)
    assert adaptive_weight(torch.tensor([3.0, 400.0]), torch.tensor([0.0, 0.0]), **settings).item() == pytest.approx(8.0)


def test_a_scalar_with_a_gradient_of_its_own():
    x = torch.randn(3, 2, requires_grad=True)
    gradient = torch.randn(3, 2)
    value = with_gradient(torch.tensor(5.0), x, gradient)
    assert value == 5.0
    assert torch.equal(torch.autograd.grad(value, x)[0], gradient)

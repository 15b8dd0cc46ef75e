"""Training VQVAE and VQGAN: phases, terms, gradients, precision."""

from __future__ import annotations

import pytest
import torch
from tamingplat_perceptual.none import NoDistance
from tamingplat_vq.config import VQGANConfig, VQVAEConfig
from tamingplat_vq.losses import pixel_loss
from tamingplat_vq.vqgan import VQGAN
from tamingplat_vq.vqvae import VQVAE
from torch.utils.flop_counter import FlopCounterMode

from tamingplat.interfaces import NoConfig
from tamingplat.interfaces.models import Perceptual

TINY = {
    "codebook_size": 11,
    "embedding_dim": 5,
    "downsampling": 1,
    "channels": 4,
    "norm_groups": 2,
    "residual_blocks": 1,
}
ADVERSARIAL = {"discriminator_channels": 4, "discriminator_layers": 2, "discriminator_start": 5}
VALIDATED = {"total", "reconstruction", "perceptual", "codebook", "commitment", "codebook_usage", "codebook_perplexity"}


class Edges(Perceptual):
    """A distance with a gradient, between horizontal differences of pixels."""

    def missing(self):
        return None

    @property
    def default_weight(self):
        return 3.0

    def distance(self, images, others):
        return (images.diff(dim=3) - others.diff(dim=3)).square().mean(dim=(1, 2, 3))


NONE, EDGES = NoDistance(NoConfig(), {}), Edges(NoConfig(), {})


def vqgan(perceptual=EDGES, **fields):
    torch.manual_seed(0)
    return VQGAN(
        VQGANConfig(**{**TINY, **ADVERSARIAL, "perceptual": "edges", **fields}),
        {"perceptual": perceptual},
        image_size=(16, 16),
        channels=3,
    )


def vqvae(perceptual=NONE, **fields):
    torch.manual_seed(0)
    return VQVAE(VQVAEConfig(**{**TINY, **fields}), {"perceptual": perceptual}, image_size=(16, 16), channels=3)


@pytest.fixture
def batch():
    return {"image": torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1}


def gradients(model, total):
    model.zero_grad()
    total.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_terms_of_vqvae_add_up(batch):
    model = vqvae(codebook_weight=0.5, commitment=0.1, pixel_weight=2.0)
    terms = model(batch, step=0, phase="main", generator=None)
    assert set(terms) == VALIDATED
    wanted = 2 * terms["reconstruction"] + 0.5 * (terms["codebook"] + terms["commitment"])
    torch.testing.assert_close(terms["total"].detach(), wanted)
    torch.testing.assert_close(terms["commitment"], 0.1 * terms["codebook"])
    images = model.decode(model.encode(batch["image"]), (16, 16))
    torch.testing.assert_close(terms["reconstruction"], pixel_loss(batch["image"], images, "l2").detach(), rtol=1e-4, atol=1e-6)
    assert len(gradients(model, terms["total"])) == len(list(model.parameters()))


def test_a_perceptual_distance_counts_with_its_networks_weight_unless_told(batch):
    for given, weight in ((None, 3.0), (0.5, 0.5), (0.0, 0.0)):
        model = vqvae(EDGES, perceptual_weight=given)
        terms = model(batch, step=0, phase="main", generator=None)
        rest = terms["reconstruction"] + terms["codebook"] + terms["commitment"]
        torch.testing.assert_close(terms["total"].detach(), rest + weight * terms["perceptual"])
        assert (terms["perceptual"] > 0) == (weight > 0)


def test_images_of_one_channel_are_shown_to_the_perceptual_network_as_grey():
    class OfColours(Edges):
        def distance(self, images, others):
            assert images.shape == others.shape == (2, 3, 16, 16)
            return super().distance(images, others)

    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.manual_seed(0)
    parts = {"perceptual": OfColours(NoConfig(), {})}
    model = VQVAE(VQVAEConfig(**TINY, perceptual="edges"), parts, image_size=(16, 16), channels=1)
    terms = model({"image": images}, step=0, phase="main", generator=None)
    with torch.no_grad():
        decoded = model.decode(model.encode(images), (16, 16))
    # The mean over three equal channels is that of one.
    torch.testing.assert_close(terms["perceptual"], EDGES.distance(images, decoded).mean(), rtol=1e-4, atol=1e-6)
    assert all(gradient.isfinite().all() for gradient in gradients(model, terms["total"]).values())


def test_everything_but_the_total_is_detached_and_scalar(batch):
    for model in (vqvae(), vqgan()):
        for phase in model.phases_at(9):
            terms = model(batch, step=9, phase=phase, generator=None)
            assert all(term.shape == () and term.requires_grad == (name == "total") for name, term in terms.items())


def test_each_phase_steps_its_own_parameters():
    model = vqgan()
    groups = {phase: {id(p) for g in model.phase_parameters(phase) for p in g.parameters} for phase in model.phases}
    assert not groups["autoencoder"] & groups["discriminator"]
    assert groups["discriminator"] == {id(parameter) for parameter in model.loss.discriminator.parameters()}
    assert groups["autoencoder"] | groups["discriminator"] == {id(parameter) for parameter in model.parameters()}


@pytest.mark.parametrize("step", [0, 5])
def test_each_phase_gives_gradients_to_its_own_parameters_alone(batch, step):
    model = vqgan()
    named = dict(model.named_parameters())
    for phase in model.phases_at(step):
        found = gradients(model, model(batch, step=step, phase=phase, generator=None)["total"])
        own = {id(p) for group in model.phase_parameters(phase) for p in group.parameters}
        assert {id(named[name]) for name in found} == own
        assert all(gradient.isfinite().all() for gradient in found.values())
        assert max(float(gradient.abs().max()) for gradient in found.values()) > 0


@pytest.mark.parametrize("adaptive", [True, False])
def test_gradients_are_those_of_the_plain_objective(batch, adaptive):
    model = vqgan(adaptive_weight=adaptive).double()
    images = batch["image"].double()
    quantized = model.quantize(model.latents(images).float(), step=5, generator=None)
    reconstructions = model.decoder(model.post_quant_conv(quantized.latents.double()))
    reconstruction = (images - reconstructions).abs().mean() + 3 * EDGES.distance(images, reconstructions).mean()
    adversarial = -model.loss.discriminator(reconstructions).mean()
    last = model.decoder.conv_out.weight
    one, other = (torch.autograd.grad(term, last, retain_graph=True)[0].norm() for term in (reconstruction, adversarial))
    weight = 0.8 * (one / (other + 1e-4)).clamp(0, 1e4).detach() if adaptive else torch.tensor(0.8)
    total = reconstruction + weight * adversarial + quantized.loss
    wanted = {name: gradient.clone() for name, gradient in gradients(model, total).items() if not name.startswith("loss.")}
    single = vqgan(adaptive_weight=adaptive)
    single.load_state_dict(model.state_dict())
    terms = single(batch, step=5, phase="autoencoder", generator=None)
    torch.testing.assert_close(terms["adaptive_weight"].double(), weight.double(), rtol=1e-3, atol=0)
    torch.testing.assert_close(terms["total"].detach().double(), total.detach(), rtol=1e-4, atol=0)
    found = gradients(single, terms["total"])
    assert set(found) == set(wanted)
    scale = max(float(gradient.abs().max()) for gradient in wanted.values())
    for name, gradient in found.items():
        torch.testing.assert_close(gradient.double(), wanted[name], rtol=1e-3, atol=1e-5 * scale)


def test_the_adversarial_part_is_zero_before_its_start(batch):
    model = vqgan()
    assert model.phases_at(4) == ("autoencoder",)
    early = model(batch, step=4, phase="autoencoder", generator=None)
    late = model(batch, step=5, phase="autoencoder", generator=None)
    assert set(early) == set(late) == VALIDATED | {"adversarial", "adaptive_weight"}
    assert early["adversarial"] == 0 and early["adaptive_weight"] == 0
    assert late["adversarial"] != 0 and late["adaptive_weight"] > 0
    torch.testing.assert_close(
        late["total"] - early["total"], late["adaptive_weight"] * late["adversarial"], rtol=1e-4, atol=1e-6
    )


def test_validation_has_every_term_without_gradients(batch):
    model = vqgan().eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        first = model(batch, step=5, phase="autoencoder", generator=None)
        second = model(batch, step=5, phase="discriminator", generator=None)
    assert set(first) == VALIDATED | {"adversarial", "adaptive_weight"}
    assert first["adaptive_weight"] == 0 and first["adversarial"] != 0
    assert set(second) == {"total", "logits_real", "logits_fake"}
    assert not any(term.requires_grad for term in (*first.values(), *second.values()))
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("kind", ["hinge", "vanilla"])
def test_training_in_turn_learns_to_tell_and_to_reconstruct(batch, kind):
    model = vqgan(discriminator_start=0, discriminator_loss=kind)
    optimizers = {
        phase: torch.optim.Adam([p for group in model.phase_parameters(phase) for p in group.parameters], 2e-3, (0.5, 0.9))
        for phase in model.phases
    }
    history = []
    for step in range(25):
        losses = {}
        for phase in model.phases_at(step):
            terms = model(batch, step=step, phase=phase, generator=None)
            optimizers[phase].zero_grad()
            terms["total"].backward()
            optimizers[phase].step()
            losses |= {phase: terms}
        history.append(losses)
    assert history[-1]["autoencoder"]["reconstruction"] < 0.9 * history[0]["autoencoder"]["reconstruction"]
    final = history[-1]["discriminator"]
    assert final["logits_real"] > final["logits_fake"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_is_finite_and_close(batch, dtype):
    model = vqgan()
    plain = model(batch, step=5, phase="autoencoder", generator=None)
    for phase in model.phases:
        model.zero_grad()
        with torch.autocast("cpu", dtype=dtype):
            terms = model(batch, step=5, phase=phase, generator=None)
        terms["total"].backward()
        assert all(term.dtype == torch.float32 and term.isfinite() for term in terms.values())
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)
        if phase == "autoencoder":
            torch.testing.assert_close(terms["reconstruction"], plain["reconstruction"], rtol=0.02, atol=0)
            torch.testing.assert_close(terms["adaptive_weight"], plain["adaptive_weight"], rtol=0.1, atol=0)


def test_operations_can_be_counted(batch):
    # PyTorch's counter follows modules through hooks that refuse some uses of gradients inside a forward pass.
    model = vqgan()
    counted = {}
    for phase in model.phases:
        with FlopCounterMode(display=False) as counter:
            model(batch, step=5, phase=phase, generator=None)["total"].backward()
        counted[phase] = counter.get_total_flops()
    assert counted["autoencoder"] > counted["discriminator"] > 0


def test_dropout_is_drawn_from_the_given_generator_alone(batch):
    model = vqvae(dropout=0.3)

    def total(seed):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        before = torch.get_rng_state()
        terms = model(batch, step=0, phase="main", generator=generator)
        assert torch.equal(torch.get_rng_state(), before)
        return float(terms["total"].detach())

    assert total(1) == total(1) != total(2)
    assert total(None) == total(None) not in (total(1), total(2))
    model.eval()
    assert total(1) == total(None)

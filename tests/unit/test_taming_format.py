"""The layout of the published checkpoints, as data: classes, settings, orders and conditions, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tamingplat_taming.format import Taming
from torch import Tensor

from tamingplat.interfaces import NoConfig, ProblemsError, TamingplatError
from tamingplat.interfaces.models import CheckpointModels, CheckpointRequest

PARITY = Path(__file__).parents[1] / "fixtures" / "parity"
TAMING = Taming(NoConfig(), {})


def _read(configuration: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None, **options: Any) -> CheckpointModels:
    return TAMING.read(CheckpointRequest(tensors=tensors or {}, configuration=configuration, **options))


def _tokenizer(target: str = "taming.models.vqgan.VQModel", **params: Any) -> dict[str, Any]:
    configuration: dict[str, Any] = yaml.safe_load((PARITY / "vqgan.yaml").read_text())
    configuration["model"]["target"] = target
    network = params.pop("ddconfig", {})
    configuration["model"]["params"] |= params
    configuration["model"]["params"]["ddconfig"] |= network
    return configuration


def _transformer(
    first_stage: Mapping[str, Any] | None = None, sizes: Mapping[str, Any] | None = None, **params: Any
) -> dict[str, Any]:
    configuration: dict[str, Any] = yaml.safe_load((PARITY / "gpt.yaml").read_text())
    table = configuration["model"]["params"]
    table["first_stage_config"] = _tokenizer()["model"]
    # As many positions as the 256 codes of an image of 32 pixels need beside as many tokens of a condition.
    table["transformer_config"]["params"] |= {"block_size": 512, **(sizes or {})}
    table.update(params)
    return configuration


def _problems(configuration: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None, **options: Any) -> str:
    with pytest.raises(ProblemsError) as caught:
        _read(configuration, tensors, **options)
    return str(caught.value)


def test_the_settings_of_a_vqgan() -> None:
    models = _read(_tokenizer())
    assert models.tokenizer is not None and models.prior is None
    assert (models.tokenizer.component, models.tokenizer.image_size, models.tokenizer.channels) == ("vqgan", (32, 32), 3)
    config = models.tokenizer.config
    assert config["downsampling"] == 1 and config["channel_multipliers"] == [1, 2] and config["latent_channels"] == 32
    assert config["commitment_placement"] == "reference" and config["perceptual"] == {"use": "lpips-vgg"}
    assert config["discriminator_start"] == 100 and config["discriminator_channels"] == 16
    assert models.information == {"base_learning_rate": 4.5e-6}


@pytest.mark.parametrize(
    ("target", "component", "quantizer"),
    [
        ("taming.models.vqgan.GumbelVQ", "vqgan", {"quantizer": "gumbel", "gumbel_kl_weight": 1e-8}),
        ("taming.models.vqgan.EMAVQ", "vqgan", {"codebook_update": "ema", "commitment_placement": "paper"}),
        ("taming.models.vqgan.VQNoDiscModel", "vqvae", {"commitment_placement": "reference"}),
        ("ldm.models.autoencoder.VQModelInterface", "vqgan", {"commitment_placement": "reference"}),
    ],
)
def test_the_other_classes(target: str, component: str, quantizer: dict[str, Any]) -> None:
    tokenizer = _read(_tokenizer(target, embed_dim=32)).tokenizer
    assert tokenizer is not None and tokenizer.component == component
    assert quantizer.items() <= tokenizer.config.items()


def test_averages_of_a_codebook_are_renamed_and_what_is_of_no_use_is_dropped() -> None:
    names = ("weight", "cluster_size", "embed_avg")
    tensors = {f"quantize.embedding.{name}": torch.ones(1) for name in names}
    tensors |= {"loss.perceptual_loss.lin0.model.1.weight": torch.ones(1), "model_ema.decay": torch.ones(1)}
    models = _read(_tokenizer("a.EMAVQ"), tensors)
    assert models.tokenizer is not None
    assert set(models.tokenizer.tensors) == {"quantize.embedding.weight", "quantize.average_counts", "quantize.average_sums"}
    assert models.tokenizer.file_name("quantize.average_sums") == "quantize.embedding.embed_avg"
    assert set(models.dropped) == {"loss.perceptual_loss.lin0.model.1.weight", "model_ema.decay"}
    assert "averaged over training" in models.dropped["model_ema.decay"]


@pytest.mark.parametrize(("channels", "network"), [(1, "lpips-vgg"), (3, "lpips-vgg"), (5, "none")])
def test_what_a_perceptual_network_cannot_see_is_left_to_the_pixels(channels: int, network: str) -> None:
    loss = {
        "target": "a.VQLPIPSWithDiscriminator",
        "params": {"disc_start": 5, "disc_in_channels": channels, "disc_factor": 0.5},
    }
    models = _read(_tokenizer(ddconfig={"in_channels": channels, "out_ch": channels}, lossconfig=loss))
    assert models.tokenizer is not None and models.tokenizer.channels == channels
    assert models.tokenizer.config["perceptual"] == {"use": network}
    assert any("perceptual distance" in note for note in models.notes) is (network == "none")
    assert any("disc_factor" in note for note in models.notes)


def test_a_schedule_of_another_kind_is_left_aside_and_said() -> None:
    schedule = {"target": "x.Other", "params": {}}
    models = _read(_tokenizer("a.GumbelVQ", embed_dim=32, temperature_scheduler_config=schedule))
    assert models.tokenizer is not None and "gumbel_temperature_start" not in models.tokenizer.config
    assert any("temperature_scheduler_config is left aside" in note for note in models.notes)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    loss = {
        "target": "a.VQLPIPSWithDiscriminator",
        "params": {"disc_start": -1, "disc_conditional": True, "use_actnorm": True, "disc_in_channels": 4, "disc_loss": "x"},
    }
    said = _problems(
        _tokenizer(
            lossconfig=loss,
            remap="indices.npy",
            n_embed="many",
            ddconfig={"double_z": True, "out_ch": 1, "resamp_with_conv": False},
        )
    )
    for field in (
        "params.n_embed: must be a whole number",
        "ddconfig.double_z: is true",
        "ddconfig.out_ch: is 1",
        "ddconfig.resamp_with_conv: is false",
        "params.remap: restricts the codes",
        "disc_start: must be a whole number, at least 0",
        "use_actnorm: is true",
        "disc_conditional: is true",
        "disc_in_channels: must be the 3 channels",
        "disc_loss: must be hinge or vanilla",
    ):
        assert field in said
    assert said.count("\n") == 9
    assert "there is no loss b.Other" in _problems(_tokenizer(lossconfig={"target": "b.Other"}))
    assert "must be a table" in _problems({"model": [1]})
    assert "embed_dim: must equal ddconfig.z_channels" in _problems(_tokenizer("a.GumbelVQ"))


def test_the_settings_of_a_transformer() -> None:
    models = _read(_transformer(pkeep=0.9, sizes={"resid_pdrop": 0.1, "vocab_size": 80}))
    prior = models.prior
    assert prior is not None and prior.space.grids == ((16, 16),) and prior.space.vocab_size == 64
    assert prior.layout == () and prior.conditioner == "none" and prior.ordering == "raster"
    expected = {"layers": 2, "heads": 2, "width": 32, "pkeep": 0.9, "dropout": 0.1, "block_size": 512, "vocabulary_rows": 80}
    assert expected.items() <= prior.config.items() and prior.config["positions"] == "time"
    assert any("only resid_pdrop is kept" in note or "prior:gpt has one dropout" in note for note in models.notes)


def _part(models: CheckpointModels) -> tuple[str, str, int, tuple[int, ...] | None]:
    assert models.prior is not None
    (part,) = models.prior.layout
    return models.prior.conditioner, part.name, part.vocab_size, part.grid


def test_conditions() -> None:
    labels = {"target": "taming.modules.util.Labelator", "params": {"n_classes": 10}}
    assert _part(_read(_transformer(cond_stage_config=labels))) == ("class", "class", 10, None)
    coordinates = {"target": "taming.modules.misc.coord.CoordStage", "params": {"n_embed": 50, "down_factor": 2}}
    assert _part(_read(_transformer(cond_stage_config=coordinates))) == ("coordinates", "coordinates", 50, (16, 16))
    depth = _tokenizer(ddconfig={"in_channels": 1, "out_ch": 1}, lossconfig={"target": "a.DummyLoss"})["model"]
    models = _read(_transformer(cond_stage_config=depth, cond_stage_key="depth"))
    assert _part(models) == ("depth", "depth", 64, (16, 16))
    assert models.condition_tokenizer is not None and models.condition_tokenizer.prefix == "cond_stage_model."
    smaller = _read(_transformer(cond_stage_config=depth, cond_stage_key="depth", downsample_cond_size=8))
    assert _part(smaller)[3] == (4, 4)
    first = _read(_transformer(cond_stage_config="__is_first_stage__"))
    assert _part(first) == ("", "condition", 64, (16, 16)) and first.condition_tokenizer is first.tokenizer
    many = _transformer(cond_stage_config={**labels, "params": {"n_classes": 900}})
    assert "the condition has 900 tokens" in _problems(many)


def test_a_segmentation_that_the_class_for_images_encodes() -> None:
    """As the configuration that is published beside S-FLCKR's checkpoint has it."""
    seen = _tokenizer(
        ddconfig={"in_channels": 182, "out_ch": 182},
        lossconfig={"target": "taming.modules.losses.DummyLoss"},
        image_key="segmentation",
        colorize_nlabels=182,
    )["model"]
    models = _read(_transformer(cond_stage_config=seen, cond_stage_key="segmentation"))
    assert _part(models) == ("segmentation", "segmentation", 64, (16, 16))
    assert models.condition_tokenizer is not None and models.condition_tokenizer.channels == 182
    assert models.condition_tokenizer.component == "vq-segmentation"
    assert models.condition_tokenizer.config["cross_entropy"] == "binary"


def test_a_condition_that_is_not_the_first_stage_after_all_is_unknown() -> None:
    tensors = {"first_stage_model.a": torch.ones(1), "cond_stage_model.a": torch.zeros(1)}
    assert list(_read(_transformer(cond_stage_config="__is_first_stage__"), tensors).unknown) == ["cond_stage_model.a"]
    tensors["cond_stage_model.a"] = torch.ones(1)
    assert not _read(_transformer(cond_stage_config="__is_first_stage__"), tensors).unknown


def test_bidirectional_prefix() -> None:
    depth = _tokenizer(lossconfig={"target": "a.DummyLoss"})["model"]
    whole = _read(_transformer(cond_stage_config=depth, sizes={"n_unmasked": 256}))
    assert whole.prior is not None and whole.prior.config["bidirectional_condition"] is True
    said = _problems(_transformer(cond_stage_config=depth, sizes={"n_unmasked": 100}))
    assert "n_unmasked: is 100, and the condition has 256 tokens" in said


@pytest.mark.parametrize("target", ["Identity", "Subsample", "ZCurve", "SpiralOut", "SpiralIn", "AlternateParsing"])
def test_orders_there_and_back(target: str) -> None:
    order = torch.randperm(256, generator=torch.Generator().manual_seed(0))
    permuter = {"target": f"taming.modules.transformer.permuter.{target}", "params": {"H": 16, "W": 16}}
    lists = {"permuter.forward_shuffle_idx": order, "permuter.backward_shuffle_idx": torch.argsort(order)}
    models = _read(_transformer(permuter_config=permuter), lists)
    assert models.prior is not None and torch.equal(models.prior.order, order)
    # Without a permuter in the configuration the list says it: a name is found by whoever knows the orderings.
    assert (models.prior.ordering == "") == (target == "Identity")
    assert set(models.dropped) == set(lists)


def test_orders_that_are_none() -> None:
    twice = {"permuter.forward_shuffle_idx": torch.zeros(256, dtype=torch.int64)}
    assert "is no list of every position once" in _problems(_transformer(), twice)
    wrong = {"permuter.forward_shuffle_idx": torch.arange(256).flip(0), "permuter.backward_shuffle_idx": torch.arange(256)}
    assert "is not the inverse of" in _problems(_transformer(), wrong)
    assert "there is no order a.Wave" in _problems(_transformer(permuter_config={"target": "a.Wave"}))
    assert "without which a random order is unknown" in _problems(_transformer(permuter_config={"target": "a.Random"}))


def test_a_model_that_the_reference_does_not_have_is_not_written() -> None:
    models = _read(_tokenizer())
    assert models.tokenizer is not None
    kmeans = CheckpointModels(tokenizer=type(models.tokenizer)(**{**vars(models.tokenizer), "component": "kmeans"}))
    with pytest.raises(TamingplatError, match="no model like tokenizer:kmeans"):
        TAMING.write(kmeans)

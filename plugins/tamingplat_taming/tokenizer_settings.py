"""The reference's configurations of tokenizers as settings of ours, and back.

Classes are known by the last part of their ``target``, whichever package they are in: the same ones were published with latent
diffusion models too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tamingplat.interfaces import TamingplatError
from tamingplat_taming.section import Section

CLASSES = ("VQModel", "VQModelInterface", "GumbelVQ", "EMAVQ", "VQNoDiscModel", "VQSegmentationModel")
"""The classes of tokenizers that are read."""

_ADVERSARIAL = "VQLPIPSWithDiscriminator"
_NO_LOSS = ("DummyLoss", "Identity", "")
_SEGMENTATION_LOSS = "BCELossWithQuant"
_SCHEDULE = "taming.lr_scheduler.LambdaWarmUpCosineScheduler"

# Settings of ours with the reference's names for them, all under ``params``.
_DISCRIMINATOR = MappingProxyType({"discriminator_channels": "disc_ndf", "discriminator_layers": "disc_num_layers"})
_SETTINGS_OF_TRAINING = ("revive_after",)


def class_name(target: str) -> str:
    """The class that a ``target`` names, without its package."""
    return target.rpartition(".")[2]


@dataclass
class TokenizerSettings:
    """What a configuration says of a tokenizer.

    Attributes:
        component: Ours.
        config: Its settings, as far as the configuration says something of them.
        image_size: Height and width that it was configured for.
        channels: Of the images.
        notes: What was left aside.
        information: What no component has a setting for.
    """

    component: str
    config: dict[str, Any]
    image_size: tuple[int, int]
    channels: int
    notes: list[str] = field(default_factory=list)
    information: dict[str, Any] = field(default_factory=dict)

    @property
    def factor(self) -> int:
        """f, the side of the square of pixels that one code stands for."""
        return 1 << int(self.config["downsampling"])


def read_settings(section: Section) -> TokenizerSettings | None:
    """The settings of a table with ``target`` and ``params``; ``None`` where its class is none that is known, which is noted.

    Further settings of ours, which the reference has no name for, may stand beside them under ``tamingplat``.
    """
    target = section.text("target")
    name = class_name(target)
    if name not in CLASSES:
        section.wrong(
            "target", f"there is no tokenizer {target or 'here'}", f"the classes that can be read are {', '.join(CLASSES)}"
        )
        return None
    params = section.section("params")
    settings = _autoencoder(params)
    _quantizer(name, params, settings)
    _loss(name, params, settings)
    if params.value("remap") is not None:
        params.wrong("remap", "restricts the codes to some of them, and no component does", "import a checkpoint without it")
    for given in ("ckpt_path", "ignore_keys", "image_key", "colorize_nlabels", "monitor", "sane_index_shape", "n_labels"):
        value = params.value(given)
        if given in ("image_key", "n_labels") and value is not None:
            settings.information[given] = value
    settings.notes += [f"{path} is left aside" for path in params.unread()]
    settings.config |= section.section("tamingplat").settings()
    return settings


def _autoencoder(params: Section) -> TokenizerSettings:
    network = params.section("ddconfig")
    multipliers = network.integers("ch_mult")
    resolution = network.integer("resolution")
    channels, outputs = network.integer("in_channels"), network.integer("out_ch")
    if network.boolean("double_z"):
        network.wrong("double_z", "is true, which means a distribution over latents and no codes", "only false can be read")
    if channels != outputs:
        network.wrong("out_ch", f"is {outputs}, and in_channels {channels}: our tokenizers put out the channels that they take")
    if not network.boolean("resamp_with_conv", True):
        network.wrong("resamp_with_conv", "is false, and our tokenizers resample with convolutions")
    attention = network.text("attn_type", "vanilla")
    if attention not in ("vanilla", "vanilla-xformers"):
        network.wrong("attn_type", f"is {attention}, and our tokenizers have plain attention")
    if network.boolean("give_pre_end"):
        network.wrong("give_pre_end", "is true: such a decoder ends before its last layer")
    config = {
        "codebook_size": params.integer("n_embed"),
        "embedding_dim": params.integer("embed_dim"),
        "latent_channels": network.integer("z_channels"),
        "downsampling": max(0, len(multipliers) - 1),
        "channels": network.integer("ch"),
        "channel_multipliers": multipliers,
        "residual_blocks": network.integer("num_res_blocks"),
        "attention_resolutions": network.integers("attn_resolutions"),
        "resolution": resolution,
        "dropout": network.number("dropout", 0.0),
    }
    notes = [f"{path} is left aside" for path in network.unread()]
    return TokenizerSettings("vqgan", config, (resolution, resolution), channels, notes)


def _quantizer(name: str, params: Section, settings: TokenizerSettings) -> None:
    config = settings.config
    if name == "EMAVQ":
        # Its only term is β times the commitment term.
        config |= {"codebook_update": "ema", "commitment": 0.25, "commitment_placement": "paper"}
    elif name != "GumbelVQ":
        config |= {"commitment": 0.25, "commitment_placement": "reference"}
    else:
        if config["latent_channels"] != config["embedding_dim"]:
            params.wrong("embed_dim", "must equal ddconfig.z_channels in a Gumbel quantizer")
        config |= {"quantizer": "gumbel", "gumbel_kl_weight": params.number("kl_weight", 1e-8)}
        schedule = params.section("temperature_scheduler_config")
        steps = schedule.section("params")
        first, last = steps.number("lr_max", 0.9), steps.number("lr_min", 1e-6)
        if class_name(schedule.text("target")) == class_name(_SCHEDULE) and steps.integer("warm_up_steps", 0, least=0) == 0:
            config |= {
                "gumbel_temperature_start": first,
                "gumbel_temperature_end": last,
                "gumbel_temperature_steps": steps.integer("max_decay_steps"),
            }
        else:
            settings.notes.append(f"{schedule.path} is left aside: it is no cosine from the first step on")


def _loss(name: str, params: Section, settings: TokenizerSettings) -> None:
    loss = params.section("lossconfig")
    given, config = class_name(loss.text("target")), settings.config
    terms = loss.section("params")
    # The published conditions of S-FLCKR are encoded by the class for images, with a loss that says nothing.
    labels = name == "VQModel" and given in _NO_LOSS and params.value("image_key") == "segmentation"
    if name == "VQSegmentationModel" or labels:
        settings.component = "vq-segmentation"
        config |= {"classes": settings.channels, "cross_entropy": "binary"}
        if given == _SEGMENTATION_LOSS:
            config["codebook_weight"] = terms.number("codebook_weight", 1.0)
        elif given not in _NO_LOSS:
            loss.wrong("target", f"{given} is no loss of a {name}", f"it is {_SEGMENTATION_LOSS}, or DummyLoss")
        return
    config["pixel_loss"] = "l1"
    weight = terms.number("perceptual_weight", 1.0)
    if settings.channels in (1, 3):
        config |= {"perceptual": {"use": "lpips-vgg"}, "perceptual_weight": weight}
    else:
        config |= {"perceptual": {"use": "none"}}
        settings.notes.append(f"{loss.path}: a perceptual distance of images with {settings.channels} channels is left aside")
    if given in _NO_LOSS or name == "VQNoDiscModel":
        # It is not known what it was trained with; the only loss that the reference has for it is L1 and LPIPS.
        settings.component = "vqvae"
        return
    if given != _ADVERSARIAL:
        remedy = f"the losses that can be read are {_ADVERSARIAL} and DummyLoss"
        loss.wrong("target", f"there is no loss {loss.text('target')}", remedy)
        return
    if terms.boolean("use_actnorm"):
        terms.wrong("use_actnorm", "is true, and our discriminator has batch normalisation", "state DummyLoss to leave it out")
    if terms.boolean("disc_conditional"):
        terms.wrong("disc_conditional", "is true, and our discriminator sees images alone", "state DummyLoss to leave it out")
    if terms.integer("disc_in_channels", 3) != settings.channels:
        terms.wrong(
            "disc_in_channels", f"must be the {settings.channels} channels of the images", "state DummyLoss to leave it out"
        )
    kind = terms.text("disc_loss", "hinge")
    if kind not in ("hinge", "vanilla"):
        terms.wrong("disc_loss", f"must be hinge or vanilla, not {kind}")
    config |= {
        "codebook_weight": terms.number("codebook_weight", 1.0),
        "discriminator_start": terms.integer("disc_start", least=0),
        "discriminator_weight": terms.number("disc_weight", 1.0) * terms.number("disc_factor", 1.0),
        "discriminator_channels": terms.integer("disc_ndf", 64),
        "discriminator_layers": terms.integer("disc_num_layers", 3),
        "discriminator_loss": kind,
    }
    if terms.number("disc_factor", 1.0) != 1.0:
        settings.notes.append(f"{terms.path}.disc_factor weighs the generator's term here, and not the discriminator's loss")
    terms.value("pixelloss_weight")  # the reference takes it and never looks at it
    settings.notes += [f"{path} is left aside" for path in terms.unread()]


def write_settings(component: str, config: Mapping[str, Any], channels: int, image_size: tuple[int, int]) -> dict[str, Any]:
    """A table with ``target`` and ``params`` for a tokenizer of ours, all of whose settings are given.

    Raises:
        TamingplatError: The reference has no such model.
    """
    if component not in ("vqgan", "vqvae", "vq-segmentation"):
        raise TamingplatError(f"the reference implementation has no model like tokenizer:{component}")
    if config["norm_groups"] != 32:
        raise TamingplatError(f"norm_groups is {config['norm_groups']}, and the reference implementation always has 32")
    resolution = config["resolution"] or min(image_size)
    halvings = int(config["downsampling"])
    params: dict[str, Any] = {
        "embed_dim": config["embedding_dim"],
        "n_embed": config["codebook_size"],
        "ddconfig": {
            "double_z": False,
            "z_channels": config["latent_channels"] or config["embedding_dim"],
            "resolution": resolution,
            "in_channels": channels,
            "out_ch": channels,
            "ch": config["channels"],
            "ch_mult": list(config["channel_multipliers"] or ()),
            "num_res_blocks": config["residual_blocks"],
            "attn_resolutions": [resolution >> halvings]
            if config["attention_resolutions"] is None
            else list(config["attention_resolutions"]),
            "dropout": config["dropout"],
        },
        "lossconfig": _written_loss(component, config, channels),
    }
    target = "VQSegmentationModel" if component == "vq-segmentation" else "VQModel"
    if component == "vq-segmentation":
        params["n_labels"] = config["classes"]
    if config["quantizer"] == "gumbel":
        target = "GumbelVQ"
        params |= {
            "kl_weight": config["gumbel_kl_weight"],
            "temperature_scheduler_config": {
                "target": _SCHEDULE,
                "params": {
                    "warm_up_steps": 0,
                    "max_decay_steps": config["gumbel_temperature_steps"],
                    "lr_start": config["gumbel_temperature_start"],
                    "lr_max": config["gumbel_temperature_start"],
                    "lr_min": config["gumbel_temperature_end"],
                },
            },
        }
    elif config["codebook_update"] == "ema":
        target = "EMAVQ"
    if component == "vq-segmentation" and target != "VQSegmentationModel":
        raise TamingplatError(f"the reference implementation has no segmentation model with the quantizer of its {target}")
    return {"target": f"taming.models.vqgan.{target}", "params": params}


def _written_loss(component: str, config: Mapping[str, Any], channels: int) -> dict[str, Any]:
    if component == "vq-segmentation":
        return {
            "target": f"taming.modules.losses.segmentation.{_SEGMENTATION_LOSS}",
            "params": {"codebook_weight": config["codebook_weight"]},
        }
    if component == "vqvae":
        return {"target": "taming.modules.losses.vqperceptual.DummyLoss"}
    return {
        "target": f"taming.modules.losses.vqperceptual.{_ADVERSARIAL}",
        "params": {
            "disc_conditional": False,
            "disc_in_channels": channels,
            "disc_start": config["discriminator_start"],
            "disc_weight": config["discriminator_weight"],
            "disc_loss": config["discriminator_loss"],
            "codebook_weight": config["codebook_weight"],
            "perceptual_weight": 1.0 if config["perceptual_weight"] is None else config["perceptual_weight"],
            **{theirs: config[ours] for ours, theirs in _DISCRIMINATOR.items()},
        },
    }


def settings_beside(config: Mapping[str, Any], changed: frozenset[str], read: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that reading the written configuration would not give.

    Args:
        config: All settings.
        changed: Those that differ from their defaults.
        read: What reading gives.
    """
    differing = {name for name, value in config.items() if (value != read[name] if name in read else name in changed)}
    # What only training looks at, and what would ask for state that the reference does not keep.
    return {name: config[name] for name in sorted(differing) if name not in _SETTINGS_OF_TRAINING}

"""Tensors of a tokenizer in the reference's layout, which is ours but for a few names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor

from tamingplat.interfaces import CodeSpace
from tamingplat.interfaces.models import CheckpointTokenizer
from tamingplat_taming.section import Section
from tamingplat_taming.tokenizer_settings import TokenizerSettings, read_settings, settings_beside, write_settings

# Ours and the reference's names of what moving averages of a codebook are made of.
_AVERAGES: Mapping[str, str] = MappingProxyType(
    {"quantize.average_counts": "quantize.embedding.cluster_size", "quantize.average_sums": "quantize.embedding.embed_avg"}
)

_NOT_THEIRS = ("quantize.unused_steps",)
"""State of ours that training alone looks at, and that the reference does not keep."""

_DROPPED: Mapping[str, str] = MappingProxyType(
    {
        "loss.perceptual_loss.": "the perceptual network, which every installation has by itself",
        "colorize": "a random projection that shows label maps as colours",
        "model_ema.": "weights averaged over training, kept beside the plain ones, which are used",
    }
)
_NO_DISCRIMINATOR = "the configuration's loss has no discriminator"


class TokenizerReader:
    """Reads one tokenizer of a state dict.

    Args:
        section: Its table with ``target`` and ``params``.
        tensors: The whole state dict.
        prefix: What its names begin with.
        dropped: Takes the names that are of no use, with the reasons.
        unknown: Takes the names that belong to nothing.
    """

    def __init__(
        self, section: Section, tensors: Mapping[str, Tensor], prefix: str, dropped: dict[str, str], unknown: list[str]
    ) -> None:
        self.settings: TokenizerSettings | None = read_settings(section)
        self._section, self._prefix = section, prefix
        self._dropped, self._unknown = dropped, unknown
        self._tensors = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    @property
    def space(self) -> CodeSpace | None:
        """The codes of an image of the configured size; ``None`` where the configuration is wrong."""
        settings = self.settings
        if settings is None:
            return None
        side = max(1, settings.image_size[0] // settings.factor)
        return CodeSpace(((side, side),), settings.config["codebook_size"])

    def read(self) -> CheckpointTokenizer | None:
        """The tokenizer; ``None`` where the configuration is wrong."""
        settings = self.settings
        if settings is None:
            return None
        averaged = settings.config.get("codebook_update") == "ema"
        ours = {theirs: ours for ours, theirs in _AVERAGES.items()} if averaged else {}
        tensors, renamed = {}, {}
        for name, value in self._tensors.items():
            if name == "quantize.used":
                self._section.wrong(
                    "", f"{self._prefix}{name}: the codes are restricted to some of them, and no component does"
                )
            elif reason := self._reason_to_drop(name, settings.component):
                self._dropped[f"{self._prefix}{name}"] = reason
            else:
                tensors[ours.get(name, name)] = value
                if name in ours:
                    renamed[ours[name]] = f"{self._prefix}{name}"
        return CheckpointTokenizer(
            component=settings.component,
            config=settings.config,
            tensors=tensors,
            prefix=self._prefix,
            renamed=renamed,
            image_size=settings.image_size,
            channels=settings.channels,
        )

    @staticmethod
    def _reason_to_drop(name: str, component: str) -> str:
        for beginning, reason in _DROPPED.items():
            if name.startswith(beginning):
                return reason
        return _NO_DISCRIMINATOR if component != "vqgan" and name.startswith("loss.discriminator.") else ""


def write_tokenizer(model: CheckpointTokenizer, prefix: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a tokenizer under the reference's names, and its table with ``target`` and ``params``.

    Raises:
        TamingplatError: The reference has no such model.
    """
    table = write_settings(model.component, _explicit(model), model.channels, model.image_size)
    read = read_settings(Section(table, "", []))
    assert read is not None, "what is written can be read"
    beside = settings_beside(_explicit(model), model.changed, read.config)
    if beside:
        table["tamingplat"] = {"settings": beside}
    tensors = {
        f"{prefix}{_AVERAGES.get(name, name)}": value for name, value in model.tensors.items() if name not in _NOT_THEIRS
    }
    return tensors, table


def _explicit(model: CheckpointTokenizer) -> dict[str, Any]:
    """The settings, with the widths at each resolution counted from the tensors where they are left to a default."""
    config = dict(model.config)
    if config.get("channel_multipliers") is None and "channels" in config:
        halvings = int(config["downsampling"])
        names = [f"encoder.down.{level}.block.0.conv1.weight" for level in range(halvings + 1)]
        if all(name in model.tensors for name in names):
            config["channel_multipliers"] = [model.tensors[name].shape[0] // config["channels"] for name in names]
    return config

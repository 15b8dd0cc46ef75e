"""The kinds of component that a plugin can offer."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal[
    "dataset",
    "tokenizer",
    "prior",
    "ordering",
    "conditioner",
    "sampler",
    "metric",
    "feature_extractor",
    "perceptual",
    "classifier",
    "executor",
    "checkpoint_format",
]

KINDS: tuple[Kind, ...] = get_args(Kind)

"""The promises of every kind, and how a component of a kind is built and asked for its results."""

from __future__ import annotations

from collections.abc import Mapping

from tamingplat.interfaces import Kind
from tamingplat.testing.promises.checkpoint_format import KIND as CHECKPOINT_FORMAT
from tamingplat.testing.promises.conditioner import KIND as CONDITIONER
from tamingplat.testing.promises.dataset import KIND as DATASET
from tamingplat.testing.promises.executor import KIND as EXECUTOR
from tamingplat.testing.promises.kinds import KindOfComponent
from tamingplat.testing.promises.metric import KIND as METRIC
from tamingplat.testing.promises.networks import CLASSIFIER, FEATURE_EXTRACTOR, PERCEPTUAL
from tamingplat.testing.promises.ordering import KIND as ORDERING
from tamingplat.testing.promises.prior import KIND as PRIOR
from tamingplat.testing.promises.sampler import KIND as SAMPLER
from tamingplat.testing.promises.tokenizer import KIND as TOKENIZER

KINDS: Mapping[Kind, KindOfComponent] = {
    "dataset": DATASET,
    "tokenizer": TOKENIZER,
    "prior": PRIOR,
    "ordering": ORDERING,
    "conditioner": CONDITIONER,
    "sampler": SAMPLER,
    "metric": METRIC,
    "feature_extractor": FEATURE_EXTRACTOR,
    "perceptual": PERCEPTUAL,
    "classifier": CLASSIFIER,
    "executor": EXECUTOR,
    "checkpoint_format": CHECKPOINT_FORMAT,
}
"""Every kind of component."""

__all__ = ["KINDS", "KindOfComponent"]

"""The interfaces that need torch; the others are in ``tamingplat.interfaces``."""

from collections.abc import Mapping

from tamingplat.interfaces.execution import Executor
from tamingplat.interfaces.kinds import Kind
from tamingplat.interfaces.models.checkpoint_format import (
    CheckpointFormat,
    CheckpointModel,
    CheckpointModels,
    CheckpointPrior,
    CheckpointRequest,
    CheckpointTokenizer,
)
from tamingplat.interfaces.models.conditioner import Conditioner
from tamingplat.interfaces.models.dataset import Dataset, Example
from tamingplat.interfaces.models.distributed import (
    mean_over_processes,
    of_first_process,
    process_count,
    process_index,
    sum_over_processes,
)
from tamingplat.interfaces.models.given import encode_given
from tamingplat.interfaces.models.metric import Measurement, Measures, Metric, PlannedSamples
from tamingplat.interfaces.models.networks import Classifier, FeatureExtractor, FrozenNetwork, Perceptual, TrainedClassifier
from tamingplat.interfaces.models.noise import gumbel_noise, philox, uniform_noise
from tamingplat.interfaces.models.ordering import Ordering
from tamingplat.interfaces.models.precision import without_autocast
from tamingplat.interfaces.models.prior import Prior, PriorBatch, PriorState, Visits
from tamingplat.interfaces.models.published_weights import PublishedWeights
from tamingplat.interfaces.models.row_groups import rows_together
from tamingplat.interfaces.models.sampler import (
    PlannedClasses,
    PriorScope,
    SampledClasses,
    Sampler,
    SampleRequest,
    whole_image_refusal,
)
from tamingplat.interfaces.models.subjects import (
    ColumnArray,
    ImageArray,
    ImageSubject,
    PriorSubject,
    SourceLikelihoods,
    Subject,
    TokenArray,
    TokenizerSubject,
    TokenSplit,
)
from tamingplat.interfaces.models.tokenizer import Tokenizer
from tamingplat.interfaces.models.trainable import ParameterGroup, Trainable
from tamingplat.interfaces.models.visits import VisitPlan
from tamingplat.interfaces.models.weight_files import file_digest, read_tensors, unreadable

INTERFACES: Mapping[Kind, type] = {
    "dataset": Dataset,
    "tokenizer": Tokenizer,
    "prior": Prior,
    "ordering": Ordering,
    "conditioner": Conditioner,
    "sampler": Sampler,
    "metric": Metric,
    "feature_extractor": FeatureExtractor,
    "perceptual": Perceptual,
    "classifier": Classifier,
    "executor": Executor,
    "checkpoint_format": CheckpointFormat,
}
"""The class that each kind's factories have to derive from."""

__all__ = [
    "INTERFACES",
    "CheckpointFormat",
    "CheckpointModel",
    "CheckpointModels",
    "CheckpointPrior",
    "CheckpointRequest",
    "CheckpointTokenizer",
    "Classifier",
    "ColumnArray",
    "Conditioner",
    "Dataset",
    "Example",
    "FeatureExtractor",
    "FrozenNetwork",
    "ImageArray",
    "ImageSubject",
    "Measurement",
    "Measures",
    "Metric",
    "Ordering",
    "ParameterGroup",
    "Perceptual",
    "PlannedClasses",
    "PlannedSamples",
    "Prior",
    "PriorBatch",
    "PriorScope",
    "PriorState",
    "PriorSubject",
    "PublishedWeights",
    "SampleRequest",
    "SampledClasses",
    "Sampler",
    "SourceLikelihoods",
    "Subject",
    "TokenArray",
    "TokenSplit",
    "Tokenizer",
    "TokenizerSubject",
    "Trainable",
    "TrainedClassifier",
    "VisitPlan",
    "Visits",
    "encode_given",
    "file_digest",
    "gumbel_noise",
    "mean_over_processes",
    "of_first_process",
    "philox",
    "process_count",
    "process_index",
    "read_tensors",
    "rows_together",
    "sum_over_processes",
    "uniform_noise",
    "unreadable",
    "whole_image_refusal",
    "without_autocast",
]

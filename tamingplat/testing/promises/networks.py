"""What every frozen network promises: perceptual distances, feature extractors and classifiers.

Shape letters: B batch, C/H/W image, D features, L labels.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import Config
from tamingplat.interfaces.models import TrainedClassifier
from tamingplat.testing.promises.common import LISTED, REPRODUCIBLE
from tamingplat.testing.promises.kinds import Check, KindOfComponent, check_same, close, difference, make_plainly, promises_of
from tamingplat.testing.promises.trainable import TrainingPromises, moved
from tamingplat.testing.subject import BATCH, Subject, available
from tamingplat.testing.verdicts import NotApplicable

_SMALLEST = 32


def _side(built: Any, subject: Subject) -> tuple[int, int]:
    side = max(built.minimum_size, _SMALLEST)
    given = subject.request.image_size
    return (given[0], given[1]) if given else (side, side + 8)


def _bytes(subject: Subject, built: Any, count: int = BATCH) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (3, *_side(built, subject))
    if isinstance(built, TrainedClassifier):
        shape = (built.info.channels, *built.info.image_size)
    return torch.randint(256, (BATCH, *shape), dtype=torch.uint8, generator=generator)[:count]


def _pair(subject: Subject, built: Any, count: int = BATCH) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, BATCH, 3, *_side(built, subject), generator=generator) * 2 - 1
    return images[0, :count], images[1, :count]


def missing_weights_are_named(subject: Subject) -> None:
    """Whether weights are missing is known without reading them: None, or a sentence; the smallest image is a positive size."""
    reason = subject.built.missing()
    assert reason is None or (isinstance(reason, str) and reason.strip()), f"missing gives {reason!r}. Look at missing"
    assert subject.built.minimum_size >= 1, f"minimum_size is {subject.built.minimum_size}. Look at minimum_size"


def _features(subject: Subject, built: Any) -> list[Tensor]:
    available(built)
    return [built.features(_bytes(subject, built))]


def features_are_as_announced(subject: Subject) -> None:
    """uint8 images give finite float32 features (B, D), and are left as they are."""
    available(subject.built)
    images = _bytes(subject, subject.built)
    before = images.clone()
    features = subject.built.features(images)
    expected = (BATCH, subject.built.dimensions)
    assert features.dtype == torch.float32 and tuple(features.shape) == expected, (
        f"features are {features.dtype} {tuple(features.shape)}, and dimensions says float32 {expected}. Look at features"
    )
    assert bool(features.isfinite().all()), "some features are not finite. Look at the last layer"
    assert torch.equal(images, before), "the images were changed. Look for operations in place"


def features_do_not_depend_on_the_batch(subject: Subject) -> None:
    """The features of an image are the same in every batch, up to rounding."""
    available(subject.built)
    images = _bytes(subject, subject.built)
    together = subject.built.features(images)
    alone = torch.cat([subject.built.features(image[None]) for image in images])
    assert close(alone, together, 1e-3), f"alone: {difference(alone, together)}. Look for statistics of the batch"


def features_under_autocast(subject: Subject) -> None:
    """Under autocast to bfloat16, in which a tokenizer may be training, features are the same float32."""
    available(subject.built)
    images = _bytes(subject, subject.built)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = subject.built.features(images)
    exact = subject.built.features(images)
    assert close(rough, exact, 0.1), f"{difference(rough, exact)}. Look at without_autocast"


def _distances(subject: Subject, built: Any) -> list[Tensor]:
    available(built)
    with torch.no_grad():
        return [built.distance(*_pair(subject, built))]


def distances_are_as_announced(subject: Subject) -> None:
    """Two batches of images give finite, non-negative float32 distances (B,)."""
    available(subject.built)
    (distances,) = _distances(subject, subject.built)
    assert distances.dtype == torch.float32 and distances.shape == (BATCH,), (
        f"they are {distances.dtype} {tuple(distances.shape)}"
    )
    assert bool(distances.isfinite().all()) and bool((distances >= 0).all()), f"they are {distances.tolist()}. Look at distance"
    assert subject.built.default_weight >= 0, f"default_weight is {subject.built.default_weight}"


def equal_images_have_no_distance(subject: Subject) -> None:
    """The distance of an image from itself is zero, and gradients there are finite."""
    available(subject.built)
    image = _pair(subject, subject.built)[0].clone().requires_grad_()
    distances = subject.built.distance(image, image.detach())
    assert bool((distances.abs() <= 1e-5).all()), f"it is {distances.tolist()}. Look at distance"
    if distances.requires_grad:
        distances.sum().backward()
        assert image.grad is not None and bool(image.grad.isfinite().all()), "a gradient is not finite. Look at roots and norms"


def gradients_flow_to_both(subject: Subject) -> None:
    """Gradients flow to both images, and to no weight; a distance that weighs nothing may have none."""
    available(subject.built)
    images = [one.clone().requires_grad_() for one in _pair(subject, subject.built)]
    distances = subject.built.distance(*images)
    if not subject.built.default_weight and not distances.requires_grad:
        return
    distances.sum().backward()
    for number, one in enumerate(images):
        assert one.grad is not None and bool(one.grad.isfinite().all()) and bool(one.grad.any()), (
            f"the {('first', 'second')[number]} images have no finite gradient other than zero. Look for no_grad and detach"
        )


def distances_do_not_depend_on_the_batch(subject: Subject) -> None:
    """The distance of a pair is the same in every batch, up to rounding, also after inference mode."""
    available(subject.built)
    images, others = _pair(subject, subject.built)
    with torch.inference_mode():
        together = subject.built.distance(images, others).clone()
    with torch.no_grad():
        alone = torch.cat([subject.built.distance(one[None], other[None]) for one, other in zip(images, others, strict=True)])
    assert close(alone, together, 1e-3), f"alone: {difference(alone, together)}. Look for statistics of the batch"


def distances_under_autocast(subject: Subject) -> None:
    """Under autocast to bfloat16, in which a tokenizer may be training, distances are float32 and close to the exact ones."""
    available(subject.built)
    (exact,) = _distances(subject, subject.built)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (rough,) = _distances(subject, subject.built)
    assert close(rough, exact, 0.1), f"{difference(rough, exact)}. Look at without_autocast"


def distances_are_counted_without_memory(subject: Subject) -> None:
    """On the meta device it does without its weights, so that the cost of a training can be estimated where they are not."""
    images, others = (one.to("meta") for one in _pair(subject, subject.built))
    distances = subject.make().distance(images, others)
    assert distances.is_meta and distances.shape == (BATCH,), f"they are on {distances.device}, {tuple(distances.shape)}"


def _log_probabilities(subject: Subject, built: Any) -> list[Tensor]:
    available(built)
    with torch.no_grad():
        return [built.log_probabilities(_bytes(subject, built))]


def log_probabilities_are_normalised(subject: Subject) -> None:
    """uint8 images give finite float32 log-probabilities (B, L) of the named classes, which sum to one."""
    available(subject.built)
    (found,) = _log_probabilities(subject, subject.built)
    expected = (BATCH, len(subject.built.label_names))
    assert found.dtype == torch.float32 and tuple(found.shape) == expected, (
        f"they are {found.dtype} {tuple(found.shape)}, not {expected}"
    )
    assert bool((found.logsumexp(1).abs() <= 1e-3).all()), (
        f"probabilities sum to {found.exp().sum(1).tolist()}. Look at log_softmax"
    )


def classes_do_not_depend_on_the_batch(subject: Subject) -> None:
    """The log-probabilities of an image are the same in every batch, up to rounding, and twice the same."""
    available(subject.built)
    images = _bytes(subject, subject.built)
    with torch.no_grad():
        together = subject.built.log_probabilities(images)
        alone = torch.cat([subject.built.log_probabilities(image[None]) for image in images])
        check_same([subject.built.log_probabilities(images)], [together], "asked again", "for dropout")
    assert close(alone, together, 1e-3), f"alone: {difference(alone, together)}. Look for statistics of the batch"


def _make_classifier(subject: Subject, cls: Any, config: Config, parts: Mapping[str, Any]) -> Any:
    if not issubclass(cls, TrainedClassifier):
        return make_plainly(subject, cls, config, parts)
    reason = cls.refusal(config, subject.info)
    if reason is not None:
        raise NotApplicable(f"it refuses the dataset, because {reason}; give info")
    return cls(config, parts, subject.info)


def _labelled(subject: Subject, count: int) -> dict[str, Tensor]:
    """What a classifier is trained on: flat areas of random colours with some noise, of classes in turn."""
    info = subject.info
    generator = torch.Generator().manual_seed(0)
    flat = torch.rand(BATCH, info.channels, 2, 2, generator=generator) * 2 - 1
    flat = torch.nn.functional.interpolate(flat, info.image_size, mode="nearest")
    noise = torch.rand(BATCH, info.channels, *info.image_size, generator=generator) * 2 - 1
    labels = torch.arange(BATCH) % len(info.label_names or ("",))
    return {"image": (0.8 * flat + 0.2 * noise)[:count].contiguous(), "label": labels[:count]}


def _of_trained(check: Check) -> Check:
    """A promise of classifiers that are trained, and of no others."""

    @functools.wraps(check)
    def examined(subject: Subject) -> None:
        if not issubclass(subject.cls, TrainedClassifier):
            raise NotApplicable("it is given its weights, and not trained")
        check(subject)

    return examined


_TRAINING = TrainingPromises(_labelled, lambda subject, count: moved(_labelled(subject, count), "meta"))


FEATURE_EXTRACTOR = KindOfComponent(
    promises=promises_of(
        LISTED,
        (
            missing_weights_are_named,
            features_are_as_announced,
            features_do_not_depend_on_the_batch,
            features_under_autocast,
        ),
        REPRODUCIBLE,
    ),
    make=make_plainly,
    result=_features,
)

PERCEPTUAL = KindOfComponent(
    promises=promises_of(
        LISTED,
        (
            missing_weights_are_named,
            distances_are_as_announced,
            equal_images_have_no_distance,
            gradients_flow_to_both,
            distances_do_not_depend_on_the_batch,
            distances_under_autocast,
            distances_are_counted_without_memory,
        ),
        REPRODUCIBLE,
    ),
    make=make_plainly,
    result=_distances,
)

CLASSIFIER = KindOfComponent(
    promises=promises_of(
        LISTED,
        (
            missing_weights_are_named,
            log_probabilities_are_normalised,
            classes_do_not_depend_on_the_batch,
            features_are_as_announced,
            features_do_not_depend_on_the_batch,
            features_under_autocast,
        ),
        tuple(_of_trained(check) for check in _TRAINING.all()),
        REPRODUCIBLE,
    ),
    make=_make_classifier,
    result=_log_probabilities,
    trained=True,
)

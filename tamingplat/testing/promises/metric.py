"""What every metric promises.

Shape letters: n and m images, B batch, N code positions, D features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from tamingplat.interfaces import references
from tamingplat.interfaces.models import (
    Example,
    ImageSubject,
    Measurement,
    Measures,
    PriorSubject,
    TokenizerSubject,
    TokenSplit,
)
from tamingplat.testing.inputs import random_codes, random_condition
from tamingplat.testing.promises.common import LISTED, REPRODUCIBLE
from tamingplat.testing.promises.kinds import KindOfComponent, check_refusal, make_plainly, promises_of
from tamingplat.testing.promises.prior import raster
from tamingplat.testing.standins import StandInDataset, StandInPrior, StandInTokenizer
from tamingplat.testing.subject import Subject
from tamingplat.testing.verdicts import NotApplicable

_CPU = torch.device("cpu")
_MOST = 320


class _Reconstructed(StandInDataset):
    """Images that the stand-in for a tokenizer reconstructs without error."""

    def read(self, split: str, index: int, view: int = 0) -> Example:
        """What the tokenizer makes of the other dataset's image."""
        example, tokenizer = super().read(split, index, view), StandInTokenizer()
        image = torch.from_numpy(example["image"])[None].float() / 127.5 - 1
        decoded = tokenizer.decode(tokenizer.encode(image), self.info.image_size)[0]
        return {**example, "image": ((decoded + 1) * 127.5).round().to(torch.uint8).numpy()}


def _images(dataset: StandInDataset, split: str, count: int) -> np.ndarray:
    return np.stack([dataset.read(split, index)["image"] for index in range(count)])


def _columns(dataset: StandInDataset, split: str, count: int) -> dict[str, np.ndarray]:
    """All columns of the first examples of a split, counted from the first again after its last."""
    examples = [dataset.read(split, index % dataset.info.splits[split]) for index in range(count)]
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}


def _tokenizer_subject(subject: Subject, *, equal: bool, batch_size: int) -> TokenizerSubject:
    dataset, tokenizer = (_Reconstructed if equal else StandInDataset)(subject.info), StandInTokenizer().eval()
    split = "validation" if "validation" in subject.info.splits else next(iter(subject.info.splits))
    images = torch.from_numpy(_images(dataset, split, subject.info.splits[split])).float() / 127.5 - 1
    space = tokenizer.code_space(subject.info.image_size)
    return TokenizerSubject(tokenizer, space, dataset, split, tokenizer.encode(images).numpy(), _CPU, batch_size)


def _prior_subject(subject: Subject, *, batch_size: int) -> PriorSubject:
    space = StandInTokenizer().code_space(subject.info.image_size)
    splits = {
        name: TokenSplit(random_codes(space, count, seed=count).numpy(), random_condition((), count).numpy())
        for name, count in (("train", 12), ("validation", 7))
    }
    prior = StandInPrior(space, ()).eval()
    dataset = StandInDataset(subject.info)
    shown = {
        name: np.stack([dataset.read("train", row)["image"] for row in range(len(one.codes))]) for name, one in splits.items()
    }
    return PriorSubject(
        prior,
        space,
        lambda rows: raster(space, len(rows)),
        False,
        splits,
        _CPU,
        batch_size,
        tokenizer=lambda: StandInTokenizer().eval(),
        images=lambda split: shown[split],
    )


def _image_subject(subject: Subject, *, equal: bool, swapped: bool = False) -> ImageSubject:
    wide = replace(subject.info, splits={"train": _MOST, "validation": _MOST})
    dataset = StandInDataset(wide)
    extractor = subject.cls.extractor
    features = subject.parts[extractor].dimensions if extractor else 1
    count = min(_MOST, max(24, features + 8))
    generator = np.random.default_rng(0)
    copied = (
        generator.standard_normal((2, count, features)).astype(np.float32) if subject.cls.looks_for_copies else (None, None)
    )
    sets = []
    columns: list[dict[str, np.ndarray]] = []
    for split, size in (("train", count), ("train" if equal else "validation", count if equal else count - 4)):
        mixed = generator.standard_normal((size, features)) * np.linspace(0.5, 2, features) + (split == "train")
        sets.append((_images(dataset, split, size), mixed.astype(np.float32)))
        columns.append(_columns(dataset, split, size))
    if equal:
        sets[1] = sets[0]
    if swapped:
        columns.reverse()
    (images, own), (reference, others) = reversed(sets) if swapped else sets
    labels = np.arange(len(images), dtype=np.int64) % len(wide.label_names or ("",))
    return ImageSubject(
        images,
        lambda: labels if wide.label_names else None,
        own if extractor else None,
        others if extractor and subject.cls.reads_reference else None,
        "train",
        reference,
        _CPU,
        training_features=copied[0],
        held_out_features=copied[1],
        conditions=lambda: columns[0],
        reference_conditions=lambda: columns[1],
    )


def _measured(subject: Subject, *, equal: bool = False, batch_size: int = 4) -> Any:
    match subject.cls.measures:
        case "tokenizer":
            return _tokenizer_subject(subject, equal=equal, batch_size=batch_size)
        case "prior":
            return _prior_subject(subject, batch_size=batch_size)
        case _:
            return _image_subject(subject, equal=equal)


def _values(measurements: Sequence[Measurement]) -> Tensor:
    return torch.tensor([measurement.value for measurement in measurements], dtype=torch.float64)


def _result(subject: Subject, built: Any) -> list[Tensor]:
    return [_values(built.run(_measured(subject)))]


def what_it_measures_is_declared(subject: Subject) -> None:
    """The class says what it measures, and an extractor that it names is one of its settings."""
    measures, extractor = getattr(subject.cls, "measures", None), subject.cls.extractor
    assert measures in get_args(Measures), f"measures is {measures!r}, not {' or '.join(get_args(Measures))}. Look at the class"
    named = {name for name, one in references(subject.component.config).items() if one.kind == "feature_extractor"}
    assert extractor is None or extractor in named, (
        f"extractor is {extractor!r}, and the settings that name feature extractors are {', '.join(named) or 'none'}"
    )
    assert extractor is None or measures == "images", f"it measures a {measures}, of which no features are extracted"


def measurements_are_complete(subject: Subject) -> None:
    """Measurements have finite values, names of their own, a direction, and a description."""
    measurements = subject.built.run(_measured(subject))
    assert measurements, "it measures nothing. Look at run"
    names = [measurement.name for measurement in measurements]
    assert len(set(names)) == len(names), f"names occur twice: {', '.join(names)}"
    for one in measurements:
        assert isinstance(one.value, float) and math.isfinite(one.value), f"{one.name} is {one.value!r}, no finite number"
        assert one.better in ("lower", "higher", ""), f"{one.name}: better is {one.better!r}"
        assert one.name.strip() and one.description.strip(), f"{one.name!r} has no description"


def values_per_image_have_the_mean(subject: Subject) -> None:
    """Where a measurement has a value per image, they are float64, one for each, and their mean is the measurement's."""
    measured = _measured(subject)
    count = len(measured.codes) if isinstance(measured, TokenizerSubject) else None
    if isinstance(measured, PriorSubject):
        count = len(measured.splits["validation"].codes)
    if isinstance(measured, ImageSubject):
        count = len(measured.images)
    having = [one for one in subject.built.run(measured) if one.values is not None]
    if not having:
        raise NotApplicable("no measurement has a value per image")
    for one in having:
        values = one.values
        assert values is not None and values.dtype == np.float64 and values.shape == (count,), (
            f"{one.name}: values are not float64 ({count},). Look at values"
        )
        assert abs(values.mean() - one.value) <= 1e-6 * (1 + abs(one.value)), (
            f"{one.name} is {one.value:.6g}, and its values have the mean {values.mean():.6g}. Look at values"
        )


def equal_inputs_give_finite_values(subject: Subject) -> None:
    """Where images and reference are the same, or a tokenizer makes no error, values are finite, and as declared."""
    if subject.cls.measures == "prior":
        raise NotApplicable("a prior is compared with nothing")
    declared: float | Mapping[str, float] | None = getattr(subject.cls, "at_equality", None)
    for one in subject.built.run(_measured(subject, equal=True)):
        assert math.isfinite(one.value), f"{one.name} is {one.value}. Look for divisions and logarithms of what can be zero"
        name = one.name.partition(" (")[0]
        expected = declared.get(name) if isinstance(declared, Mapping) else declared
        assert expected is None or abs(one.value - expected) <= 1e-3 * (1 + abs(expected)), (
            f"{one.name} is {one.value:.6g}, and at_equality says {expected:.6g}. Look at the class's declaration"
        )


def symmetry_is_as_declared(subject: Subject) -> None:
    """Where images and reference change places, values stay or change as the class declares."""
    declared = getattr(subject.cls, "symmetric", None)
    if subject.cls.measures != "images" or declared is None:
        raise NotApplicable("the class declares nothing of it: symmetric is None")
    first = _values(subject.built.run(_image_subject(subject, equal=False)))
    second = _values(subject.built.run(_image_subject(subject, equal=False, swapped=True)))
    same = bool(((first - second).abs() <= 1e-4 * (1 + first.abs())).all())
    assert same == declared, (
        f"exchanged, they give {second.tolist()} and not {first.tolist()}, and symmetric is {declared}. "
        "Look at the class's declaration"
    )


def batches_do_not_matter(subject: Subject) -> None:
    """Values are the same whatever the batch size, one included, up to rounding."""
    if subject.cls.measures == "images":
        raise NotApplicable("it is given whole sets of images")
    one, several = (_values(subject.built.run(_measured(subject, batch_size=size))) for size in (1, 5))
    assert bool(((one - several).abs() <= 1e-4 * (1 + one.abs())).all()), (
        f"in batches of 1 it gives {one.tolist()}, in batches of 5 {several.tolist()}. Look for means of means"
    )


def refusals_are_sentences(subject: Subject) -> None:
    """Any dataset and number of images is taken, or refused with a sentence; refusing raises nothing."""
    for info in (subject.info, replace(subject.info, channels=1), replace(subject.info, image_size=(4, 4))):
        for samples in (1, 100_000):
            check_refusal(
                subject.built.refusal(info, samples=samples, reference=samples), f"{samples} images of {info.image_size}"
            )


OWN = (
    what_it_measures_is_declared,
    measurements_are_complete,
    values_per_image_have_the_mean,
    equal_inputs_give_finite_values,
    symmetry_is_as_declared,
    batches_do_not_matter,
    refusals_are_sentences,
)

KIND = KindOfComponent(promises=promises_of(LISTED, OWN, REPRODUCIBLE), make=make_plainly, result=_result)

"""No condition, and the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from tamingplat_conditioners.classes import ClassCondition
from tamingplat_conditioners.config import ClassConfig
from tamingplat_conditioners.none import NoCondition
from tamingplat_conditioners.plugin import tamingplat_components

from tamingplat.interfaces import ConditionPart, DataError, DatasetInfo, NoConfig


def info(names: Sequence[str] | None = ("cat", "dog", "fox", "owl")) -> DatasetInfo:
    columns = ("image",) if names is None else ("image", "label")
    return DatasetInfo((8, 8), 3, {"train": 10}, None if names is None else tuple(names), columns)


def condition(**settings: Any) -> ClassCondition:
    config = ClassConfig(**settings)
    assert ClassCondition.refusal(config, info()) is None
    return ClassCondition(config, {}, info())


def test_components() -> None:
    assert [component.name for component in tamingplat_components()] == [
        "none",
        "class",
        "segmentation",
        "depth",
        "edges",
        "low-resolution",
        "keypoints",
        "coordinates",
        "combined",
    ]


def test_no_condition_has_no_tokens() -> None:
    none = NoCondition(NoConfig(), {}, info(None))
    assert NoCondition.refusal(NoConfig(), info(None)) is None
    assert none.layout((8, 8)) == () and none.columns == () and none.dropout == 0
    for tokens in (none.encode({"image": torch.zeros(5, 3, 8, 8)}), none.null(5)):
        assert tokens.shape == (5, 0) and tokens.dtype == torch.int64


def test_all_classes() -> None:
    one = condition()
    assert one.layout((8, 8)) == (ConditionPart("class", 5, None),)
    tokens = one.encode({"label": torch.tensor([3, 0, 0, 1])})
    assert tokens.dtype == torch.int64 and tokens.tolist() == [[3], [0], [0], [1]]
    assert one.null(2).tolist() == [[4], [4]] and one.null(2).dtype == torch.int64
    assert one.columns == ("label",)


def test_some_classes_share_a_token() -> None:
    one = condition(classes=("owl", "cat"))
    assert one.layout((8, 8))[0].vocab_size == 4
    assert one.encode({"label": torch.arange(4)}).tolist() == [[1], [2], [2], [0]]
    assert one.null(1).tolist() == [[3]]


def test_all_classes_in_another_order_need_no_further_token() -> None:
    one = condition(classes=("owl", "fox", "dog", "cat"))
    assert one.layout((8, 8))[0].vocab_size == 5
    assert one.encode({"label": torch.arange(4)}).tolist() == [[3], [2], [1], [0]]


def test_the_null_token_is_never_an_images_own() -> None:
    for classes in (None, ("dog",), ("cat", "dog", "fox")):
        one = condition(classes=classes)
        assert int(one.null(1)) not in one.encode({"label": torch.arange(4)}).flatten().tolist()
        assert int(one.null(1)) == one.layout((8, 8))[0].vocab_size - 1


@pytest.mark.parametrize("labels", [[0, 4], [-1, 0]])
def test_labels_outside_the_classes(labels: list[int]) -> None:
    with pytest.raises(DataError, match=r"label (4|-1) is outside the dataset's 4 classes"):
        condition().encode({"label": torch.tensor(labels)})


@pytest.mark.parametrize("names", [None, ()])
def test_a_dataset_without_classes_is_refused(names: Sequence[str] | None) -> None:
    refusal = ClassCondition.refusal(ClassConfig(), info(names))
    assert refusal is not None and "no classes" in refusal and "label column" in refusal and "none" in refusal


def test_unknown_classes_are_refused_with_a_guess() -> None:
    refusal = ClassCondition.refusal(ClassConfig(classes=("cats", "zebra", "dog")), info())
    assert refusal is not None
    assert "cats (did you mean cat?), zebra" in refusal and "it has cat, dog, fox, owl" in refusal


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": ()}, "at least one class"),
        ({"classes": ("cat", "dog", "cat")}, "cat more than once"),
        ({"dropout": 1.0}, "less than 1"),
        ({"dropout": -0.1}, "greater than or equal to 0"),
        ({"drop": 0.1}, "Extra inputs"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ClassConfig(**settings)


def test_dropout_is_the_settings() -> None:
    assert condition(dropout=0.1).dropout == 0.1

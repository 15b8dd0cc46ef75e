"""What every conditioner promises.

Shape letters: B batch, P condition positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import Config, TamingplatError, references
from tamingplat.testing.conditioners import check_condition_maps, check_condition_of_each_example, check_condition_tokens
from tamingplat.testing.promises.common import LISTED, REPRODUCIBLE
from tamingplat.testing.promises.kinds import KindOfComponent, check_refusal, promises_of
from tamingplat.testing.standins import StandInDataset
from tamingplat.testing.subject import BATCH, Subject
from tamingplat.testing.verdicts import NotApplicable


def _make(subject: Subject, cls: Any, config: Config, parts: Mapping[str, Any]) -> Any:
    reason = cls.refusal(config, subject.info)
    if reason is not None:
        raise TamingplatError(f"it refuses the dataset that it is examined with, because {reason}; give info and columns")
    return cls(config, parts, subject.info)


def _columns(subject: Subject, count: int = BATCH) -> dict[str, Tensor]:
    given = subject.request.columns
    if given is None:
        given = StandInDataset(subject.info).batch("train", count)
    return {name: value[:count] for name, value in given.items()}


def _result(subject: Subject, built: Any) -> list[Tensor]:
    if not built.layout(subject.info.image_size):
        return [built.null(BATCH)]
    with torch.no_grad():
        return [built.encode(built.derive(_columns(subject))), built.null(BATCH)]


def tokens_are_as_the_layout_says(subject: Subject) -> None:
    """Tokens are int64 (B, P) as the layout says, each within its part's vocabulary, and the null index is not among them."""
    built = subject.built
    if not built.layout(subject.info.image_size):
        value = built.null(BATCH)
        assert value.shape == (BATCH, 0) and value.dtype == torch.int64, (
            f"without parts there are no tokens: null gives {value.dtype} {tuple(value.shape)}. Look at null and layout"
        )
        return
    check_condition_tokens(built, _columns(subject), subject.info.image_size)


def each_example_stands_alone(subject: Subject) -> None:
    """The condition of an example is the same whatever batch it is in, also in a batch of one."""
    if not subject.built.layout(subject.info.image_size):
        raise NotApplicable("it has no tokens")
    check_condition_of_each_example(subject.built, _columns(subject))


def maps_are_as_announced(subject: Subject) -> None:
    """What its own tokenizer sees is finite and as maps_info says, where it has one."""
    if subject.cls.maps_info(subject.config, subject.info) is None:
        raise NotApplicable("it has no tokenizer of its own")
    check_condition_maps(subject.built, _columns(subject))


def columns_are_named(subject: Subject) -> None:
    """The columns that it names are all that it reads."""
    built, columns = subject.built, _columns(subject)
    missing = [name for name in built.columns if name not in subject.info.columns]
    assert not missing, f"it reads {', '.join(missing)}, which the dataset does not have, and refuses nothing. Look at refusal"
    named = {name: columns[name] for name in built.columns}
    try:
        derived = built.derive(named)
        if named:
            built.encode(derived)
    except KeyError as error:
        raise AssertionError(f"it reads {error}, which columns does not name. Look at columns") from error


def dropout_is_a_share(subject: Subject) -> None:
    """The share of examples that lose their condition lies in [0, 1)."""
    dropout = subject.built.dropout
    assert 0 <= dropout < 1, f"dropout is {dropout}. Look at dropout"


def a_bare_dataset_is_refused_or_served(subject: Subject) -> None:
    """A dataset without what it needs is refused with a sentence, before anything is built."""
    if any(reference.kind == "conditioner" for reference in references(subject.component.config).values()):
        raise NotApplicable("it is made of other conditioners, which refuse for themselves")
    bare = replace(subject.info, columns=("image",), label_names=None, segmentation_classes=None, joints=None)
    reason = subject.cls.refusal(subject.config, bare)
    check_refusal(reason, "a dataset of images alone")
    needed = [name for name in subject.built.columns if name != "image"]
    assert reason is not None or not needed, (
        f"it reads {', '.join(needed)} and does not refuse a dataset that has only images. Look at refusal"
    )


OWN = (
    tokens_are_as_the_layout_says,
    each_example_stands_alone,
    maps_are_as_announced,
    columns_are_named,
    dropout_is_a_share,
    a_bare_dataset_is_refused_or_served,
)

KIND = KindOfComponent(promises=promises_of(LISTED, OWN, REPRODUCIBLE), make=_make, result=_result)

"""What every checkpoint format promises."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import Config, NoConfig, ProblemsError
from tamingplat.interfaces.models import (
    CheckpointModel,
    CheckpointModels,
    CheckpointPrior,
    CheckpointRequest,
    CheckpointTokenizer,
)
from tamingplat.testing.promises.common import LISTED, REPRODUCIBLE
from tamingplat.testing.promises.kinds import KindOfComponent, make_plainly, promises_of
from tamingplat.testing.subject import Subject, parts_of
from tamingplat.testing.verdicts import NotApplicable


def _request(subject: Subject) -> CheckpointRequest:
    asked: CheckpointRequest | None = subject.request.checkpoint
    if asked is None:
        raise NotApplicable("a checkpoint in this format is needed: give checkpoint, a CheckpointRequest")
    return asked


def _all(models: CheckpointModels) -> Iterator[tuple[str, CheckpointModel]]:
    for name in ("tokenizer", "prior", "condition_tokenizer"):
        model: CheckpointModel | None = getattr(models, name)
        if model is not None:
            yield name, model


def _result(subject: Subject, built: Any) -> list[Tensor]:
    models = built.read(_request(subject))
    return [model.tensors[name] for _, model in _all(models) for name in sorted(model.tensors)]


def every_name_is_accounted_for(subject: Subject) -> None:
    """Every name of the file is in a model's tensors, dropped with a reason, or told as unknown, and none twice."""
    request = _request(subject)
    models = subject.built.read(request)
    seen = {id(model): model for _, model in _all(models)}.values()
    told = [model.file_name(name) for model in seen for name in model.tensors] + [*models.dropped, *models.unknown]
    missing, invented = set(request.tensors) - set(told), set(told) - set(request.tensors)
    assert not missing, f"nothing is said of {', '.join(sorted(missing)[:5])} ({len(missing)} names). Look at read"
    assert not invented, f"{', '.join(sorted(invented)[:5])} are not in the file. Look at prefix and renamed"
    assert len(told) == len(set(told)), "a name is told of twice. Look at dropped and unknown"
    assert all(reason.strip() for reason in models.dropped.values()), "something is dropped without a reason"


def models_fit_their_components(subject: Subject) -> None:
    """Each model's settings are its component's, and its tensors have the names and shapes of the component's state."""
    for place, model in _all(subject.built.read(_request(subject))):
        with torch.device("meta"):
            built = _build(subject, model)
        expected = {name: tuple(value.shape) for name, value in built.state_dict().items()}
        found = {name: tuple(value.shape) for name, value in model.tensors.items()}
        wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
        assert not wrong, (
            f"the {place}, {model.component}, differs from its component in {', '.join(wrong[:5])} ({len(wrong)} names): "
            f"{[(found.get(name), expected.get(name)) for name in wrong[:5]]}. Look at settings and at renaming"
        )


def _config(subject: Subject, model: CheckpointModel) -> Config:
    kind = "prior" if isinstance(model, CheckpointPrior) else "tokenizer"
    return subject.registry.find(kind, model.component).config.model_validate(dict(model.config))


def _build(subject: Subject, model: CheckpointModel) -> Any:
    config, parts = _config(subject, model), parts_of(subject, _config(subject, model))
    if isinstance(model, CheckpointPrior):
        component = subject.registry.find("prior", model.component)
        return subject.registry.load_class(component)(model.space, model.layout, config, parts)
    assert isinstance(model, CheckpointTokenizer)
    component = subject.registry.find("tokenizer", model.component)
    return subject.registry.load_class(component)(config, parts, image_size=model.image_size, channels=model.channels)


def what_is_written_reads_the_same(subject: Subject) -> None:
    """What is read and written again reads as the same components, settings and tensors, bit by bit."""
    request = _request(subject)
    first = subject.built.read(request)
    complete: dict[str, Any] = {}
    for place, model in _all(first):
        config = _config(subject, model)
        changed = {name for name, field in type(config).model_fields.items() if getattr(config, name) != field.default}
        complete[place] = replace(model, config=config.model_dump(mode="json"), changed=frozenset(changed))
        if isinstance(model, CheckpointPrior) and model.order is None:
            ordering = subject.registry.load_class(subject.registry.find("ordering", model.ordering))
            complete[place] = replace(complete[place], order=_order(ordering, model))
    tensors, configuration = subject.built.write(replace(first, **complete))
    second = subject.built.read(replace(request, tensors=tensors, configuration=configuration))
    assert [place for place, _ in _all(second)] == [place for place, _ in _all(first)], "other models are read. Look at write"
    for (place, one), (_, other) in zip(_all(first), _all(second), strict=True):
        assert one.component == other.component, f"the {place} was {one.component}, and reads as {other.component}"
        assert _config(subject, one) == _config(subject, other), (
            f"the settings of the {place} were {_config(subject, one)}, and read as {_config(subject, other)}. Look at write"
        )
        wrong = [
            name
            for name in {*one.tensors, *other.tensors}
            if name not in one.tensors or name not in other.tensors or not torch.equal(one.tensors[name], other.tensors[name])
        ]
        assert not wrong, f"tensors of the {place} differ: {', '.join(sorted(wrong)[:5])}. Look at write"


def _order(ordering: Any, model: CheckpointPrior) -> Tensor:
    order: Tensor = ordering(NoConfig(), {}).plan(model.space, 1).order[0]
    return order


def reading_leaves_the_file_alone(subject: Subject) -> None:
    """Reading changes neither tensors nor configuration."""
    request = _request(subject)
    before, configuration = (
        {name: value.clone() for name, value in request.tensors.items()},
        copy.deepcopy(request.configuration),
    )
    subject.built.read(request)
    assert request.configuration == configuration, "the configuration was changed. Look for pop and update"
    assert set(request.tensors) == set(before), "names were added or removed. Look for pop"
    changed = [name for name, value in request.tensors.items() if not torch.equal(value, before[name])]
    assert not changed, f"{', '.join(changed[:5])} were changed. Look for operations in place"


def a_foreign_configuration_is_refused(subject: Subject) -> None:
    """A configuration that is of no model is refused with problems, each with its place."""
    try:
        subject.built.read(CheckpointRequest(tensors={}, configuration={"no": "model"}))
    except ProblemsError as error:
        assert all(problem.what for problem in error.problems), f"a problem says nothing: {error.problems}"
        return
    raise AssertionError("it was read. Look at what read makes of a configuration without the fields that it needs")


OWN = (
    every_name_is_accounted_for,
    models_fit_their_components,
    what_is_written_reads_the_same,
    reading_leaves_the_file_alone,
    a_foreign_configuration_is_refused,
)

KIND = KindOfComponent(promises=promises_of(LISTED, OWN, REPRODUCIBLE), make=make_plainly, result=_result)

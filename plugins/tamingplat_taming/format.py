"""The format ``taming``: checkpoints of the authors' public code, https://github.com/CompVis/taming-transformers.

A state dict, and a configuration whose table ``model`` names a class by ``target`` and its arguments by ``params``. Where that
leaves settings of ours open, a table ``tamingplat`` beside ``params``, which the reference never looks at, states them.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tamingplat.interfaces import Problem, ProblemsError
from tamingplat.interfaces.models import CheckpointFormat, CheckpointModels, CheckpointRequest
from tamingplat_taming.section import Section
from tamingplat_taming.tokenizer_settings import CLASSES, class_name
from tamingplat_taming.tokenizers import TokenizerReader, write_tokenizer
from tamingplat_taming.transformers import TARGET, TwoStageReader, write_two_stage


class Taming(CheckpointFormat):
    """Reads and writes the layout of the published checkpoints."""

    def read(self, request: CheckpointRequest) -> CheckpointModels:
        """See the interface."""
        problems: list[Problem] = []
        root = Section(request.configuration, "", problems)
        model = root.section("model")
        name = class_name(model.text("target"))
        if name == class_name(TARGET):
            models = TwoStageReader(model, request.tensors, request.codes, request.condition_length).read()
        elif name in CLASSES:
            dropped: dict[str, str] = {}
            unknown: list[str] = []
            reader = TokenizerReader(model, request.tensors, "", dropped, unknown)
            tokenizer, settings = reader.read(), reader.settings
            models = CheckpointModels(
                tokenizer=tokenizer,
                dropped=dropped,
                unknown=unknown,
                notes=settings.notes if settings else (),
                information=settings.information if settings else {},
            )
            if request.codes is not None or request.condition_length is not None:
                model.wrong("target", f"{name} is a tokenizer", "--codes and --condition-length are for transformers")
        else:
            what = f"there is no model {model.text('target')}" if name else "names no class"
            model.wrong("target", what, f"the classes that can be read are {', '.join((class_name(TARGET), *CLASSES))}")
            models = CheckpointModels()
        if problems:
            raise ProblemsError(dict.fromkeys(problems))
        rate = model.value("base_learning_rate")
        information = {**models.information, **({} if rate is None else {"base_learning_rate": rate})}
        return CheckpointModels(**{**vars(models), "information": information})

    def write(self, models: CheckpointModels) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """See the interface."""
        if models.prior is not None:
            tensors, table = write_two_stage(models)
        else:
            assert models.tokenizer is not None, "there is something to write"
            tensors, table = write_tokenizer(models.tokenizer, "")
        rate = models.information.get("base_learning_rate")
        return tensors, {"model": ({} if rate is None else {"base_learning_rate": rate}) | table}

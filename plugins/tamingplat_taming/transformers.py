"""Two-stage checkpoints: a transformer with its first stage and its conditional stage.

Shape letters: N code positions, P condition positions, P₀ = max(P, 1), C width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, Problem, TamingplatError, layout_length
from tamingplat.interfaces.models import CheckpointModels, CheckpointPrior, CheckpointTokenizer
from tamingplat_taming.conditions import FIRST_STAGE, Condition, ConditionReader, write_condition
from tamingplat_taming.permuters import grid_of_permuter, read_permuter, write_permuter
from tamingplat_taming.section import Section
from tamingplat_taming.tokenizer_settings import CLASSES, class_name, settings_beside
from tamingplat_taming.tokenizers import TokenizerReader, write_tokenizer

TARGET = "taming.models.cond_transformer.Net2NetTransformer"
_TRANSFORMER = "transformer."
_DUMMY = "DummyCondStage"
_MASK = "which tokens may attend to which, as the settings say"


class TwoStageReader:
    """Reads a transformer with what came with it.

    Args:
        model: The table with ``target`` and ``params``.
        tensors: The whole state dict.
        codes: Shape of the code grid, where the user gives it.
        condition_length: P, where the user gives it.
    """

    def __init__(
        self, model: Section, tensors: Mapping[str, Tensor], codes: tuple[int, ...] | None, condition_length: int | None
    ) -> None:
        self._model, self._params, self._tensors = model, model.section("params"), tensors
        beside = model.section("tamingplat")
        stated = beside.value("codes")
        self._codes = tuple(beside.integers("codes")) if codes is None and stated is not None else codes
        length = beside.value("condition_length")
        stated_length = None if length is None else beside.integer("condition_length")
        self._length = stated_length if condition_length is None else condition_length
        self._settings = beside.settings()
        self._dropped: dict[str, str] = {}
        self._unknown: list[str] = []
        self._notes: list[str] = []

    def read(self) -> CheckpointModels:
        """The models; meaningless where something was noted to be wrong."""
        transformer = self._params.section("transformer_config")
        if class_name(transformer.text("target")) != "GPT":
            transformer.wrong(
                "target", f"there is no transformer {transformer.text('target') or 'here'}", "the one that can be read is GPT"
            )
        sizes = transformer.section("params")
        vocabulary = sizes.integer("vocab_size")
        first_stage = self._first_stage()
        permuter = self._params.section("permuter_config")
        ordering, order = read_permuter(permuter, self._tensors, self._dropped)
        space = self._space(first_stage, permuter, vocabulary, order)
        reader = ConditionReader(self._params, self._tensors, vocabulary, self._length, self._dropped, self._unknown)
        condition = reader.read(space, first_stage) if space is not None else None
        tokenizer = first_stage.read() if first_stage is not None else None
        prior = None
        if space is not None and condition is not None:
            config = self._config(sizes, vocabulary, space, condition) | self._settings
            prior = CheckpointPrior(
                component="gpt",
                config=config,
                tensors=self._of_the_transformer(),
                prefix=_TRANSFORMER,
                space=space,
                layout=condition.layout,
                conditioner=condition.conditioner,
                ordering=ordering,
                order=order,
            )
        own = tokenizer if condition and condition.first_stage else condition.tokenizer if condition else None
        prefixes = [model.prefix for model in (prior, tokenizer, own) if model is not None]
        read = {*self._dropped, *self._unknown}
        self._unknown += [name for name in self._tensors if not name.startswith(tuple(prefixes)) and name not in read]
        for name in ("first_stage_key", "cond_stage_key", "ckpt_path", "ignore_keys", "monitor"):
            self._params.value(name)
        self._notes += [f"{path} is left aside" for path in (*self._params.unread(), *sizes.unread())]
        if first_stage is not None and first_stage.settings is not None:
            self._notes += first_stage.settings.notes
        self._notes += condition.notes if condition is not None else ()
        return CheckpointModels(
            tokenizer=tokenizer,
            prior=prior,
            condition_tokenizer=own,
            dropped=self._dropped,
            unknown=self._unknown,
            notes=self._notes,
        )

    def _first_stage(self) -> TokenizerReader | None:
        section = self._params.section("first_stage_config")
        target = section.text("target")
        if class_name(target) == _DUMMY:
            section.section("params")
            return None
        if class_name(target) not in CLASSES:
            remedy = (
                f"the classes that can be read are {', '.join(CLASSES)}, and {_DUMMY} where the first stage is not in the file"
            )
            section.wrong("target", f"there is no first stage {target or 'here'}", remedy)
            return None
        return TokenizerReader(section, self._tensors, FIRST_STAGE, self._dropped, self._unknown)

    def _space(
        self, first_stage: TokenizerReader | None, permuter: Section, vocabulary: int, order: Tensor | None
    ) -> CodeSpace | None:
        space = first_stage.space if first_stage is not None else None
        if first_stage is not None and space is None:
            return None  # what is wrong with its configuration is noted
        grid = self._codes or grid_of_permuter(permuter) or (space.grids[0] if space is not None else None)
        size = space.vocab_size if space is not None else vocabulary
        if grid is None:
            said = f", {order.numel()} of them," if order is not None else ""
            self._params.wrong(
                "first_stage_config",
                f"does not say in which grid the codes{said} lie",
                "state it with --codes, as in --codes 16x16",
            )
            return None
        found = CodeSpace((grid,), size)
        if order is not None and order.numel() != found.length:
            shape = "×".join(map(str, grid))
            permuter.wrong(
                "", f"it orders {order.numel()} codes, and a grid of {shape} has {found.length}", "state it with --codes"
            )
        if size > vocabulary:
            self._params.wrong("transformer_config.params.vocab_size", f"is {vocabulary}, fewer than the {size} codes")
        return found

    def _config(self, sizes: Section, vocabulary: int, space: CodeSpace, condition: Condition) -> dict[str, Any]:
        length = layout_length(condition.layout)
        largest = max([space.vocab_size, *(part.vocab_size for part in condition.layout)])
        if largest > vocabulary:
            sizes.wrong(
                "vocab_size", f"is {vocabulary}, and the condition has {largest} tokens", "the table needs a row for each"
            )
        unmasked = sizes.integer("n_unmasked", 0, least=0)
        if unmasked not in (0, 1, length):
            remedy = "state the condition's length with --condition-length" if self._length is None else ""
            what = f"is {unmasked}, and the condition has {length} tokens: prior:gpt lets all of them see each other, or none"
            sizes.wrong("n_unmasked", what, remedy)
        dropouts = {name: sizes.number(name, 0.0) for name in ("embd_pdrop", "resid_pdrop", "attn_pdrop")}
        if len(set(dropouts.values())) > 1:
            self._notes.append(
                f"{sizes.path}: embd_pdrop and attn_pdrop are left aside: prior:gpt has one dropout, resid_pdrop"
            )
        # The output layer has a row for each row of the table; ours has one for each code unless it is told otherwise.
        more = vocabulary != space.vocab_size
        return {
            "layers": sizes.integer("n_layer", 12),
            "heads": sizes.integer("n_head", 8),
            "width": sizes.integer("n_embd", 256),
            "dropout": dropouts["resid_pdrop"],
            "pkeep": self._params.number("pkeep", 1.0),
            "bidirectional_condition": unmasked > 1,
            "vocabulary": "shared",
            "positions": "time",
            "target_positions": False,
            "block_size": sizes.integer("block_size"),
            "vocabulary_rows": vocabulary if more else None,
        }

    def _of_the_transformer(self) -> dict[str, Tensor]:
        tensors = {}
        for name, value in self._tensors.items():
            if name.startswith(_TRANSFORMER):
                if name.endswith(".attn.mask"):
                    self._dropped[name] = _MASK
                else:
                    tensors[name.removeprefix(_TRANSFORMER)] = value
        return tensors


def write_two_stage(models: CheckpointModels) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state dict, and the table with ``target`` and ``params``.

    Raises:
        TamingplatError: The reference has no such model.
    """
    prior, tokenizer = models.prior, models.tokenizer
    assert prior is not None and prior.order is not None
    config = dict(prior.config)
    if prior.component != "gpt":
        raise TamingplatError(f"the reference implementation has no model like prior:{prior.component}")
    if config["vocabulary"] != "shared" or config["target_positions"]:
        raise TamingplatError(
            "the reference implementation has one table for codes and conditions, and no embedding of the position that is "
            'predicted; only priors with vocabulary = "shared" and target_positions = false can be written'
        )
    if len(prior.space.grids) > 1:
        raise TamingplatError("the reference implementation has codes on one grid")
    grid, prefix = prior.space.grids[0], max(1, layout_length(prior.layout))
    tensors, config = _by_time(prior, config, prefix)
    state = {f"{_TRANSFORMER}{name}": value for name, value in tensors.items()}
    rows, block_size = tensors["tok_emb.weight"].shape[0], tensors["pos_emb"].shape[1]
    if tensors["head.weight"].shape[0] != rows:
        raise TamingplatError(
            "the reference implementation's output layer has a row for each token of the condition, and this prior's has them "
            f"for codes alone; train it with vocabulary_rows = {rows} to write it"
        )
    unmasked = prefix if config["bidirectional_condition"] and prefix > 1 else 0
    mask = torch.ones(block_size, block_size).tril()
    mask[:unmasked, :unmasked] = 1
    for layer in range(config["layers"]):
        state[f"{_TRANSFORMER}blocks.{layer}.attn.mask"] = mask[None, None].clone()
    lists, permuter = write_permuter(prior.ordering, prior.order, grid)
    own_tensors, condition, length = write_condition(prior, models.condition_tokenizer, tokenizer)
    state |= lists | own_tensors
    first_stage: dict[str, Any] = {"target": f"taming.models.dummy_cond_stage.{_DUMMY}"}
    if tokenizer is not None:
        first_tensors, first_stage = write_tokenizer(tokenizer, FIRST_STAGE)
        state |= first_tensors
    dropout = config["dropout"]
    params: dict[str, Any] = {
        "pkeep": config["pkeep"],
        "transformer_config": {
            "target": "taming.modules.transformer.mingpt.GPT",
            "params": {
                "vocab_size": rows,
                "block_size": block_size,
                "n_layer": config["layers"],
                "n_head": config["heads"],
                "n_embd": config["width"],
                "embd_pdrop": dropout,
                "resid_pdrop": dropout,
                "attn_pdrop": dropout,
                "n_unmasked": unmasked,
            },
        },
        "first_stage_config": first_stage,
        "cond_stage_config": condition,
    }
    if permuter is not None:
        params["permuter_config"] = permuter
    if prior.conditioner == "depth" or (models.condition_tokenizer is not None and prior.layout):
        params["cond_stage_key"] = prior.layout[0].name
    table = {"target": TARGET, "params": params}
    return state, table | _beside(table, lists, prior, config, tokenizer, length)


def _by_time(prior: CheckpointPrior, config: dict[str, Any], prefix: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors with the position embedding in the order of time, as the reference has it."""
    tensors = dict(prior.tensors)
    assert prior.order is not None
    if config["positions"] == "canonical" and prior.ordering != "raster":
        rows = tensors["pos_emb"].clone()
        rows[:, prefix : prefix + len(prior.order)] = tensors["pos_emb"][:, prefix + prior.order]
        tensors["pos_emb"], config = rows, {**config, "positions": "time"}
    return tensors, config


def _beside(
    table: dict[str, Any],
    lists: Mapping[str, Tensor],
    prior: CheckpointPrior,
    config: dict[str, Any],
    tokenizer: CheckpointTokenizer | None,
    length: int | None,
) -> dict[str, Any]:
    """What reading the table would not give, as a table ``tamingplat``."""
    problems: list[Problem] = []
    codes = prior.space.grids[0]
    read = TwoStageReader(Section(table, "model", problems), lists, codes, length).read()
    assert read.prior is not None and not problems, problems
    beside: dict[str, Any] = {}
    if settings := settings_beside(config, prior.changed, read.prior.config):
        beside["settings"] = settings
    side = None
    if tokenizer is not None:
        side = min(tokenizer.image_size) >> int(tokenizer.config["downsampling"])
    if codes != (side, side):
        beside["codes"] = list(codes)
    if length is not None:
        beside["condition_length"] = length
    return {"tamingplat": beside} if beside else {}

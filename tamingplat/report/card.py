"""The model card of a shared model: what it is, its numbers exactly as the table has them, and how they were made."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tamingplat.report.card_table import CardTable, in_cell, in_code, origin_lines, row_name, sides, table_notes
from tamingplat.report.formats import count
from tamingplat.stages.sharing import (
    PriorEntry,
    RowEntry,
    SharedModel,
    TokenizerEntry,
    weights_file,
)

_TEMPLATES = Path(__file__).parent / "templates"


def render_card(model: SharedModel, *, source: str, name: str) -> str:
    """The model card, Markdown under the hub's YAML.

    Args:
        model: The description that the card goes with; nothing else is known to it.
        source: Where others get the model from: ``hf://owner/name``, or what stands for a folder.
        name: What the model is called in the example of its use.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters["cell"] = in_cell
    environment.filters["code"] = in_code
    results = model.results
    rows = results.rows if results is not None else ()
    table = CardTable(results) if results is not None else None
    settings = {"evaluate": results.evaluate, **results.settings} if results is not None else None
    return environment.get_template("card.md.jinja").render(
        metadata=yaml.safe_dump(_metadata(model, name), sort_keys=False, allow_unicode=True),
        title=_title(model),
        summary=_summary(model),
        source=source,
        name=name,
        names=[name, *(f"{name}-{role}" for role in model.models if role != model.about)],
        manifest=_manifest(model, name),
        models=[_file(model, role) for role in model.models],
        facts=list(_facts(model)),
        rows=table.lines if table else [],
        headings=table.headings if table else [],
        rules=table.rules if table else [],
        notes=list(table_notes(results)) if results is not None and rows else [],
        manifest_name=results.manifest if results is not None else "",
        cost_headings=table.cost_headings if table else [],
        cost_rules=table.cost_rules if table else [],
        costs=table.costs if table else [],
        origins=[{"role": f"The {role}", "lines": list(origin_lines(entry.origin))} for role, entry in model.models.items()],
        settings=json.dumps(settings, indent=2, ensure_ascii=False) if settings else "",
        licence=f"`{model.license}`" if model.license else "Its author has stated no licence: ask before you use it.",
    )


def _title(model: SharedModel) -> str:
    main = model.main
    if isinstance(main, PriorEntry):
        return f"{main.component} on the codes of {model.models['tokenizer'].component}"
    return main.component


def _summary(model: SharedModel) -> str:
    tokenizer = model.models["tokenizer"]
    assert isinstance(tokenizer, TokenizerEntry), "a model's tokenizer"
    images = f"{sides(tokenizer.image_size)} images of {tokenizer.channels} channels"
    by = f"Made with tamingplat and pushed by version {model.tamingplat}."
    main = model.main
    if isinstance(main, TokenizerEntry):
        return f"A tokenizer of images, `{main.component}`, for {images}. {by}"
    grids = " and ".join(map(sides, main.grids))
    condition = f", given conditioner:{main.conditioner or 'unknown'}" if main.layout else ", without a condition"
    return (
        f"A prior, `{main.component}`, of {grids} codes out of {main.vocab_size} visited in the order "
        f"`{main.ordering}`{condition}; with its tokenizer, `{tokenizer.component}`, for {images}. {by}"
    )


def _metadata(model: SharedModel, name: str) -> dict[str, Any]:
    main = model.main
    metadata: dict[str, Any] = {"library_name": "tamingplat"}
    if model.license:
        metadata["license"] = model.license
    metadata["tags"] = list(dict.fromkeys(["tamingplat", "image-generation", f"image-{main.kind}", main.component]))
    listed = [entry for row in (model.results.rows if model.results else ()) if (entry := _index(model, row))]
    if listed:
        metadata["model-index"] = [{"name": name, "results": listed}]
    return metadata


def _index(model: SharedModel, row: RowEntry) -> dict[str, Any] | None:
    """A row as the hub lists it; rows of real images are nobody's, and what is not finite is no number there."""
    metrics = {column: value for column, value in row.metrics.items() if math.isfinite(value)}
    if row.kind == "real" or not metrics:
        return None
    task = "image-to-image" if row.kind != "cell" else "unconditional-image-generation"
    return {
        "task": {"type": task, "name": row_name(row)},
        "dataset": {"type": row.dataset, "name": row.dataset, "split": str(row.evaluation.get("split", ""))},
        "metrics": [{"type": column, "name": column, "value": value} for column, value in metrics.items()],
    }


def _manifest(model: SharedModel, name: str) -> str:
    main = model.main
    if isinstance(main, TokenizerEntry):
        return f'[tokenizer.pulled]\nartifact = "{name}"'
    lines = ["[tokenizer.pulled]", f'artifact = "{name}-tokenizer"', "", "[prior.pulled]", f'artifact = "{name}"']
    lines += ["", "[matrix]", 'tokenizer = ["pulled"]', 'prior = ["pulled"]', f'ordering = ["{main.ordering}"]']
    own = {"condition": f"{name}-condition", "tokenizer": f"{name}-tokenizer"}
    if main.condition_tokenizer:
        lines.append(
            f"# conditioner: a block of {main.conditioner} whose tokenizer is the artifact {own[main.condition_tokenizer]}"
        )
    elif main.conditioner:
        lines.append(f'conditioner = ["{main.conditioner}"]')
    return "\n".join(lines)


def _file(model: SharedModel, role: Any) -> dict[str, Any]:
    entry = model.models[role]
    component = entry.components[0]
    return {
        "file": weights_file(role),
        "role": role,
        "reference": component.reference,
        "revision": component.revision,
        "distribution": component.distribution,
        "version": component.version,
        "parameters": count(entry.parameters),
        "key": entry.key[:12],
        "sha256": model.files[weights_file(role)].sha256[:12],
    }


def _facts(model: SharedModel) -> Iterator[str]:
    for role, entry in model.models.items():
        if isinstance(entry, TokenizerEntry):
            yield f"{role}: images of {sides(entry.image_size)} pixels and {entry.channels} channels"
        else:
            parts = "; ".join(
                f"{part.name}: {sides(part.grid) if part.grid else '1'} of {part.vocab_size}" for part in entry.layout
            )
            yield f"{role}: {' and '.join(map(sides, entry.grids))} codes of {entry.vocab_size}"
            yield f"{role}: ordering `{entry.ordering}`; condition: {parts or 'none'}"
        if entry.left_out:
            yield f"{role}: {', '.join(entry.left_out)} named a file in training, and has its default here"

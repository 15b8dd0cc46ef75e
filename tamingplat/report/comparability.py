"""Which rows may be in one ranking: those that share every setting which their number depends on beside what is compared.

What matters depends on what the number is of. A likelihood is of codes: it depends on the tokenizer artifact that made them, on
the condition and on the split. A distance of samples depends on the tokenizer artifact and the condition too, on how they were
decoded, on the reference with its preprocessing, on the extractor, and on how many images there are. A number of a tokenizer,
or of its reconstructions, compares tokenizers: it depends on the split, its preprocessing, the reference and the extractor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tamingplat.stages import Instrument, ResultRow

SETTINGS = (
    "tokenizer",
    "condition",
    "split",
    "preprocessing",
    "reference",
    "extractor",
    "metric",
    "N",
    "decoding",
)
"""Every setting that can keep rows out of one ranking, in the order in which they are told."""


@dataclass(frozen=True)
class Setting:
    """One thing that a number depends on.

    Attributes:
        identity: Equal where it is the same: a content key, a hash or the value.
        label: What a person calls it.
    """

    identity: str
    label: str


def settings_of(row: ResultRow, column: str) -> dict[str, Setting]:
    """What a row's number depends on and has to share with those that it is ranked with, by setting."""
    instrument = row.instruments.get(column, Instrument("prior" if row.kind == "cell" else "images"))
    wanted = _wanted(row, instrument)
    return {name: setting for name, setting in _all(row, column, instrument).items() if name in wanted}


def _wanted(row: ResultRow, instrument: Instrument) -> Sequence[str]:
    with_what = ("extractor", "N") if instrument.extractor else ("metric", "N")
    match instrument.measures, row.kind:
        case "prior", _:
            return ("tokenizer", "condition", "split", "preprocessing", *with_what)
        case "images", "cell":
            return ("tokenizer", "condition", "preprocessing", "reference", "decoding", *with_what)
        case "images", _:
            return ("split", "preprocessing", "reference", *with_what)
        case _:
            return ("split", "preprocessing", *with_what)


def _all(row: ResultRow, column: str, instrument: Instrument) -> dict[str, Setting]:
    evaluation = row.evaluation

    def hashed(identity: str, label: str) -> Setting:
        return Setting(identity, label) if identity else Setting(label, label)

    seed = "" if row.tokenizer_seed is None else f" (seed {row.tokenizer_seed})"
    images = evaluation.get("samples", "") if instrument.measures == "images" else ""
    if column in row.per_image:
        images = len(row.per_image[column])
    return {
        "tokenizer": hashed(row.artifacts.get("tokenizer", ""), f"{row.tokenizer}{seed}"),
        "condition": hashed(row.settings.get("condition", ""), row.conditioner),
        "split": hashed("", str(evaluation.get("split", ""))),
        "preprocessing": hashed(row.settings.get("preprocessing", ""), row.dataset),
        "reference": hashed(str(evaluation.get("reference_hash", "")), str(evaluation.get("reference", ""))),
        "extractor": hashed(instrument.metric, instrument.extractor),
        "metric": hashed(instrument.metric, column.split(" (")[0]),
        "N": hashed("", str(images)),
        "decoding": hashed(row.settings.get("decoding", ""), row.sampler),
    }


def in_words(settings: dict[str, Setting]) -> dict[str, str]:
    """Settings for a reader: the label, with the beginning of the hash where the label is no hash's whole."""
    told = {}
    for name in SETTINGS:
        if name in settings and settings[name].label:
            setting = settings[name]
            told[name] = setting.label if setting.identity == setting.label else f"{setting.label} #{setting.identity[:8]}"
    return told

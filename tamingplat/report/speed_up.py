"""How many times as fast whole images are sampled as with the most codes to an image (the paper's Fig. 7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tamingplat.report.published import PublishedTable
from tamingplat.stages import ResultRow, Results

PUBLISHED = "sampling-speed-up"
"""What tables of published figures call it in ``metric``."""

COST = "sampling_speed_up"
"""The number's name among a row's costs."""

_Pool = tuple[str, str]


def asks_for_speed_ups(tables: Iterable[object]) -> bool:
    """Whether one of the tables that a manifest is compared with is about speed-ups."""
    return any(isinstance(table, PublishedTable) and table.metric == PUBLISHED for table in tables)


def with_speed_ups(results: Results) -> Results:
    """Add ``sampling_speed_up`` to the costs of every sampled row: its images per second over those of a baseline.

    The baseline is the row of the same manifest, data and seeds, and of everything else that has a name, whose tokenizer has
    the most codes to an image: f = 1 where there is one. Only what was sampled alike is divided: by a sampler of the same
    settings, in batches of one size, on one host and a device of one name with one type of numbers and as many threads. A row
    without a number has a note that says why.
    """
    baselines = {pool: _baseline(rows) for pool, rows in _pools(results.rows).items()}
    by_names = {_names(row, row.tokenizer): row for row in results.rows if row.kind == "cell" and _codes(row) is not None}
    rows = []
    for row in results.rows:
        if row.kind != "cell" or _codes(row) is None:
            rows.append(row)
            continue
        tokenizer, reason = baselines[_pool(row)]
        baseline = by_names.get(_names(row, tokenizer))
        if not reason:
            reason = _difference(row, baseline, tokenizer)
        if reason or baseline is None:
            rows.append(replace(row, notes=(*row.notes, f"no speed-up: {reason}")))
        else:
            speed_up = row.cost["samples_per_second"] / baseline.cost["samples_per_second"]
            rows.append(replace(row, cost={**row.cost, COST: speed_up}))
    return replace(results, rows=tuple(rows))


def _pools(rows: Sequence[ResultRow]) -> dict[_Pool, list[ResultRow]]:
    pools: dict[_Pool, list[ResultRow]] = {}
    for row in rows:
        if row.kind == "cell" and row.status != "refused":
            pools.setdefault(_pool(row), []).append(row)
    return pools


def _pool(row: ResultRow) -> _Pool:
    return row.manifest, row.dataset


def _codes(row: ResultRow) -> int | None:
    """Codes of one image, where images were sampled."""
    speeds = [row.cost.get(name) for name in ("sampled_tokens_per_second", "samples_per_second")]
    return None if not all(speeds) else round((speeds[0] or 0) / (speeds[1] or 1))


def _baseline(rows: Sequence[ResultRow]) -> tuple[str, str]:
    """The tokenizer with the most codes to an image, or why there is none to name: samples alone tell how many there are."""
    codes = {row.tokenizer: found for row in rows if (found := _codes(row)) is not None}
    unknown = dict.fromkeys(row.tokenizer for row in rows if row.tokenizer not in codes)
    if unknown:
        return "", f"nothing was sampled yet with {', '.join(unknown)}, which may have the most codes to an image"
    most = [tokenizer for tokenizer, count in codes.items() if count == max(codes.values())]
    if len(codes) == 1:
        return "", f"{most[0]} is the only tokenizer of these images"
    if len(most) > 1:
        return "", f"{' and '.join(most)} have equally many codes to an image, and no tokenizer has more"
    return most[0], ""


def _names(row: ResultRow, tokenizer: str) -> tuple[object, ...]:
    """What a row and its baseline have in common."""
    return (
        *_pool(row),
        tokenizer,
        row.prior,
        row.ordering,
        row.conditioner,
        row.sampler,
        row.seed,
        row.tokenizer_seed,
    )


def _difference(row: ResultRow, baseline: ResultRow | None, tokenizer: str) -> str:
    """Why a row's speed cannot be divided by the baseline's; empty where it can."""
    if baseline is None:
        return (
            f"{tokenizer}, which has the most codes to an image, was not sampled with the same prior, order, sampler and seed"
        )
    one, other = _conditions(row), _conditions(baseline)
    differing = [name for name in dict.fromkeys((*one, *other)) if one.get(name) != other.get(name)]
    return f"sampled with another {' and '.join(differing)} than {tokenizer}" if differing else ""


def _conditions(row: ResultRow) -> dict[str, object]:
    """What decides the speed of sampling beside the codes, by what it is called."""
    sampling = row.machine.get("sampling", {})
    words = {
        "host": "host",
        "device": "device",
        "dtype": "dtype",
        "threads": "number of threads",
        "processes": "number of processes",
    }
    return {
        **{word: sampling.get(name) for name, word in words.items()},
        "part in what is timed (decoding)": sampling.get("decode_included"),
        "batch size": row.cost.get("sampling_batch_size"),
        "sampler setting": row.settings.get("decoding"),
    }

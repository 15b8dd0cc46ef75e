"""Numbers and quantities as text."""

from __future__ import annotations

import math

from tamingplat.report.summary import Value
from tamingplat.stages import Column


def number(value: float, digits: int = 4) -> str:
    """A number with ``digits`` significant digits, without an exponent where one is not needed."""
    if value == int(value) and abs(value) < 10**digits:
        return str(int(value))
    magnitude = abs(value)
    if magnitude >= 10**6 or magnitude < 10**-3:
        return f"{value:.{digits - 1}g}"
    leading = math.floor(math.log10(magnitude))
    return f"{value:.{max(0, digits - 1 - leading)}f}"


def with_error(value: Value | None, digits: int = 4) -> str:
    """A mean with its standard error over seeds, where there is one; an empty string for nothing."""
    if value is None:
        return ""
    text = number(value.mean, digits)
    return text if value.standard_error is None else f"{text} ± {number(value.standard_error, 2)}"


def count(value: float) -> str:
    """A count with a metric prefix: 85.1 M."""
    for size, prefix in ((1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{number(value / size, 3)}{prefix}"
    return number(value, 3)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 4.2 s, 3 min 10 s, 2 h 5 min."""
    if seconds < 60:
        return f"{number(seconds, 2)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def arrow(better: str) -> str:
    """Which way is better: down for ``lower``, up for ``higher``."""
    return {"lower": "↓", "higher": "↑"}.get(better, "")


def column_heading(column: Column) -> str:
    """A column's name with the way that is better."""
    return f"{column.name} {arrow(column.better)}".rstrip()

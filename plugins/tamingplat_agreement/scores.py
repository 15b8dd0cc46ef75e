"""What every metric here reports: a score with an image's own condition, one with another image's, and the difference.

Shape letters: n images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import ImageSubject, Measurement

Floats = npt.NDArray[np.float64]


def shifted(count: int) -> npt.NDArray[np.int64]:
    """For every image the number of another one, whose condition is taken in its own one's place: the next; of the last, the
    first. int64 (n,).
    """
    return np.roll(np.arange(count, dtype=np.int64), -1)


def too_few(samples: int, remedy: str = "set samples to 2 or more") -> str | None:
    """Why so many images are too few to be scored with each other's conditions, with what to do."""
    return None if samples >= 2 else f"conditions of other images are needed, and there is one image; {remedy}"


def column_of(subject: ImageSubject, name: str, *, reference: bool = False) -> Any:
    """The column of the conditions of the measured images, or of the reference split, read in slices.

    Raises:
        TamingplatError: The images come without conditions.
    """
    columns = subject.reference_conditions if reference else subject.conditions
    found = {} if columns is None else columns()
    if name not in found:
        raise TamingplatError(f"nothing is known of the {name} that these images were made for")
    return found[name]


def in_slices(count: int, size: int = 64) -> Iterator[slice]:
    """All of ``count`` rows, some at a time."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def with_others(count: int, score: Callable[[int, int], float]) -> tuple[Floats, Floats]:
    """``score(image, condition)`` of every image with its own condition and with the next one's, float64 (n,) each."""
    numbers = range(count)
    own = np.array([score(number, number) for number in numbers], dtype=np.float64)
    other = np.array([score(number, int(another)) for number, another in zip(numbers, shifted(count), strict=True)])
    return own, other


def measurements(
    name: str,
    own: Floats,
    other: Floats,
    *,
    unit: str,
    better: Literal["lower", "higher"],
    what: str,
    network: bool = False,
    condition: str = "condition",
    scored: npt.NDArray[np.bool_] | None = None,
) -> list[Measurement]:
    """The three columns of a score.

    The difference is positive where images agree better with what they were made for than with what others were made for,
    whichever direction is better; its standard error is that of a mean over images.

    Args:
        name: Of the column with the images' own conditions.
        own: Score of every image with its own condition, float64 (n,).
        other: Score of every image with another one's.
        unit: Of the scores.
        better: Which direction is better.
        what: Description of the score, a sentence without its full stop.
        network: Whether a network of the settings computed it.
        condition: What the images were made for.
        scored: Which images have a score of their own, bool (n,), where others were given the mean of these; they are no
            evidence, and count for no standard error.
    """

    def measurement(
        suffix: str, values: Floats, better: Literal["lower", "higher", ""], told: str, headline: bool
    ) -> Measurement:
        evidence = values if scored is None else values[scored]
        error = float(evidence.std(ddof=1) / math.sqrt(len(evidence))) if len(evidence) > 1 else None
        return Measurement(
            f"{name}{suffix}",
            float(values.mean()),
            unit,
            better,
            told,
            network=network,
            headline=headline,
            values=np.asarray(values, dtype=np.float64),
            standard_error=error,
        )

    gain = own - other if better == "higher" else other - own
    differs = f"{what}: how much better with each image's own {condition} than with another image's."
    return [
        measurement("", own, better, f"{what}.", True),
        measurement(" shuffled", other, "", f"{what}, where every image is held against the next one's {condition}.", False),
        measurement(" gain", gain, "higher", differs, True),
    ]

"""What every tokenizer promises.

Shape letters: B batch, C/H/W image, N code positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import Config, TamingplatError
from tamingplat.testing.inputs import random_codes
from tamingplat.testing.promises.common import LISTED, REPRODUCIBLE
from tamingplat.testing.promises.kinds import KindOfComponent, check_refusal, promises_of
from tamingplat.testing.promises.trainable import TrainingPromises, moved
from tamingplat.testing.subject import BATCH, Subject
from tamingplat.testing.tokenizers import check_code_range, check_encode_deterministic, check_round_trip_state

_SIZES = ((16, 24), (32, 48), (32, 32), (64, 64), (128, 128), (256, 256))
_ODD = ((1, 1), (7, 5), (17, 32), (8, 1024))


def _sizes(subject: Subject, cls: Any, config: Config) -> tuple[tuple[int, int], int]:
    """The first size and number of channels that the tokenizer does not refuse, of those that its author leaves open."""
    if "sizes" not in subject.kept:
        asked = subject.request
        given = asked.columns["image"] if asked.columns else None
        sizes = ((asked.image_size[0], asked.image_size[1]),) if asked.image_size else _SIZES
        channels = (asked.channels,) if asked.channels else (3, 1)
        if given is not None:
            sizes, channels = ((given.shape[2], given.shape[3]),), (given.shape[1],)
        refusals = {}
        for size, count in product(sizes, channels):
            reason = cls.refusal(config, image_size=size, channels=count)
            if reason is None:
                subject.kept["sizes"] = (size, count)
                break
            refusals[size, count] = reason
        else:
            first, reason = next(iter(refusals.items()))
            raise TamingplatError(
                f"it refuses images of every size that was tried, {first[0]} with {first[1]} channels because {reason}; "
                "give image_size and channels that it takes"
            )
    found: tuple[tuple[int, int], int] = subject.kept["sizes"]
    return found


def _make(subject: Subject, cls: Any, config: Config, parts: Mapping[str, Any]) -> Any:
    size, channels = _sizes(subject, cls, config)
    return cls(config, parts, image_size=size, channels=channels)


def _batch(subject: Subject, count: int) -> dict[str, Tensor]:
    if subject.request.columns:
        return {name: value[:count] for name, value in subject.request.columns.items()}
    size, channels = _sizes(subject, subject.cls, subject.config)
    generator = torch.Generator().manual_seed(0)
    # Not noise alone: flat areas are where normalisation divides by little.
    flat = torch.rand(BATCH, channels, 2, 2, generator=generator) * 2 - 1
    flat = torch.nn.functional.interpolate(flat, size, mode="nearest")
    noise = torch.rand(BATCH, channels, *size, generator=generator) * 2 - 1
    return {"image": (0.8 * flat + 0.2 * noise).clamp(-1, 1)[:count].contiguous()}


def _result(subject: Subject, built: Any) -> list[Tensor]:
    images = _batch(subject, BATCH)["image"]
    with torch.no_grad():
        codes = built.encode(images)
        return [codes, built.decode(codes, (images.shape[2], images.shape[3])).float()]


TRAINING = TrainingPromises(_batch, lambda subject, count: moved(_batch(subject, count), "meta"))


def codes_are_in_range(subject: Subject) -> None:
    """Codes are int64 (B, N) in [0, V) as the code space says, and decode to finite float images of the same shape."""
    check_code_range(subject.make(), _batch(subject, BATCH)["image"])


def encoding_is_deterministic(subject: Subject) -> None:
    """In eval mode, encoding draws nothing and changes nothing."""
    check_encode_deterministic(subject.make(), _batch(subject, BATCH)["image"])


def any_codes_decode(subject: Subject) -> None:
    """Whatever codes a prior samples decode to finite images, one image or many."""
    built, images = subject.built, _batch(subject, BATCH)["image"]
    size = (images.shape[2], images.shape[3])
    for count in (1, BATCH):
        with torch.no_grad():
            decoded = built.decode(random_codes(built.code_space(size), count), size)
        assert decoded.shape == (count, *images.shape[1:]) and bool(decoded.isfinite().all()), (
            f"{count} random images of codes decode to {decoded.dtype} {tuple(decoded.shape)}, "
            f"{int((~decoded.isfinite()).sum())} of them not finite. Look at decode, and at where codes are looked up"
        )


def codes_do_not_depend_on_the_batch(subject: Subject) -> None:
    """The codes of an image are the same in every batch, but for near ties: one in a hundred may differ by rounding."""
    built, images = subject.built, _batch(subject, BATCH)["image"]
    with torch.no_grad():
        together = built.encode(images)
        alone = torch.cat([built.encode(image[None]) for image in images])
    unequal = int((together != alone).sum())
    assert unequal <= 0.01 * together.numel(), (
        f"{unequal} of {together.numel()} codes differ where each image is encoded alone. Look for statistics of the batch"
    )


def state_survives_a_file(subject: Subject) -> None:
    """The state, written as safetensors and read into a newly built tokenizer, gives the same codes and images, bit by bit."""
    trained = subject.make()
    TRAINING.train(subject, trained)
    check_round_trip_state(trained, lambda: subject.make(seed=1), _batch(subject, BATCH)["image"])


def encodes_in_bfloat16(subject: Subject) -> None:
    """Under autocast to bfloat16 codes are in range and decode to finite images."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        check_code_range(subject.make(), _batch(subject, BATCH)["image"])


def code_space_is_known_without_memory(subject: Subject) -> None:
    """The code space is the same on the meta device, where plans ask for it."""
    size, _ = _sizes(subject, subject.cls, subject.config)
    with torch.device("meta"):
        space = subject.make().code_space(size)
    expected = subject.built.code_space(size)
    assert space == expected, f"on the meta device the code space is {space}, and else {expected}. Look at code_space"


def refusals_are_sentences(subject: Subject) -> None:
    """Images of any size and channels are taken, or refused with a sentence; refusing raises nothing."""
    for size, channels in product(_ODD, (1, 3, 5)):
        check_refusal(subject.cls.refusal(subject.config, image_size=size, channels=channels), f"{size}×{channels}")


OWN = (
    codes_are_in_range,
    encoding_is_deterministic,
    any_codes_decode,
    codes_do_not_depend_on_the_batch,
    state_survives_a_file,
    encodes_in_bfloat16,
    code_space_is_known_without_memory,
    refusals_are_sentences,
)

KIND = KindOfComponent(
    promises=promises_of(LISTED, OWN, TRAINING.all(), REPRODUCIBLE), make=_make, result=_result, trained=True
)

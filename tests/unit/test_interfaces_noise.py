"""Noise by address: known answers, and independence of how addresses are batched."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from tamingplat.interfaces.models import gumbel_noise, philox, uniform_noise


def _words(*values: int) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(value, dtype=torch.int64) for value in values)


def test_philox_gives_the_published_known_answers() -> None:
    # From the test vectors that accompany Salmon et al. 2011: counter, key, result.
    ones = 0xFFFFFFFF
    vectors = [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ones,) * 4, (ones, ones), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ]
    for counter, key, expected in vectors:
        assert tuple(int(word) for word in philox(_words(*counter), key)) == expected


@given(
    seed=st.integers(0, 2**63 - 1),
    indices=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5),
    positions=st.lists(st.integers(0, 5000), min_size=1, max_size=4),
    count=st.integers(1, 9),
    stream=st.integers(0, 3),
)
def test_noise_depends_on_its_address_alone(
    seed: int, indices: list[int], positions: list[int], count: int, stream: int
) -> None:
    index_B = torch.tensor(indices)
    position_BK = torch.tensor(positions).expand(len(indices), -1)
    whole = uniform_noise(seed, index_B, position_BK, count, stream=stream)
    for row in range(len(indices)):
        for column in range(len(positions)):
            single = uniform_noise(
                seed, index_B[row : row + 1], position_BK[row : row + 1, column : column + 1], count, stream=stream
            )
            assert torch.equal(whole[row, column], single[0, 0])
    longer = uniform_noise(seed, index_B, position_BK, count + 3, stream=stream)
    assert torch.equal(longer[..., :count], whole)


def test_noise_of_different_addresses_differs() -> None:
    base = uniform_noise(1, torch.tensor([5]), torch.tensor([[7]]), 64)
    others = [
        uniform_noise(2, torch.tensor([5]), torch.tensor([[7]]), 64),
        uniform_noise(1, torch.tensor([6]), torch.tensor([[7]]), 64),
        uniform_noise(1, torch.tensor([5]), torch.tensor([[8]]), 64),
        uniform_noise(1, torch.tensor([5]), torch.tensor([[7]]), 64, stream=1),
        uniform_noise(1 + (1 << 40), torch.tensor([5]), torch.tensor([[7]]), 64),
    ]
    for other in others:
        assert not torch.isclose(base, other).any()


def test_uniform_numbers_are_uniform_and_gumbel_numbers_gumbel() -> None:
    uniform = uniform_noise(0, torch.arange(64), torch.arange(16).expand(64, -1), 256)
    count = uniform.numel()
    assert uniform.min() > 0 and uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 5 * math.sqrt(1 / 12 / count)
    histogram = torch.histc(uniform.float(), 64, 0, 1)
    chi_square = ((histogram - count / 64) ** 2 / (count / 64)).sum()
    assert chi_square < 63 + 5 * math.sqrt(2 * 63)
    gumbel = gumbel_noise(0, torch.arange(64), torch.arange(16).expand(64, -1), 256)
    assert abs(gumbel.mean() - 0.5772156649) < 5 * math.pi / math.sqrt(6 * count)
    assert torch.isfinite(gumbel).all()


def test_the_maximum_of_logits_plus_noise_samples_their_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0], dtype=torch.float64)
    draws = 40_000
    noise = gumbel_noise(3, torch.arange(draws), torch.zeros(draws, 1, dtype=torch.int64), 4)[:, 0]
    frequency = torch.bincount((logits + noise).argmax(-1), minlength=4) / draws
    expected = logits.softmax(-1)
    assert ((frequency - expected).abs() < 5 * (expected * (1 - expected) / draws).sqrt()).all()

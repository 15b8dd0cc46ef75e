"""The palette tokenizer: seeding, mini-batches, exact palettes, and the tokenizer's contract."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tamingplat_kmeans.clustering import DISTANCES_AT_A_TIME, MiniBatchKMeans, draw, nearest, plus_plus
from tamingplat_kmeans.config import KMeansConfig
from tamingplat_kmeans.kmeans import KMeans

from tamingplat.interfaces import DataError
from tamingplat.testing.tokenizers import check_code_range, check_encode_deterministic, check_round_trip_state


def model(size: int = 4, channels: int = 3, **options: int) -> KMeans:
    return KMeans(KMeansConfig(**options), {}, image_size=(size, size), channels=channels).eval()


def from_bytes(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32)) / 127.5 - 1


def in_batches(images: torch.Tensor, count: int = 4) -> Callable[[int], Iterator[torch.Tensor]]:
    def batches(epoch: int) -> Iterator[torch.Tensor]:
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch))
        yield from images[order].split(count)

    return batches


def nothing(step: int, terms: Mapping[str, float]) -> None:
    assert np.isfinite(list(terms.values())).all(), step


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photographs(count: int = 12, size: int = 16, channels: int = 3) -> torch.Tensor:
    """Smooth noise: many colours of uneven density."""
    noise = torch.randn(count, channels, size // 4, size // 4, generator=seeded(1))
    smooth = torch.nn.functional.interpolate(noise, size=(size, size), mode="bilinear")
    return ((smooth.tanh() + 1) * 127.5).round() / 127.5 - 1


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_nearest_is_brute_force_in_any_chunks(channels: int) -> None:
    points, centres = (torch.randn(count, channels, generator=seeded(count)) for count in (700, 300))
    assert len(points) * len(centres) > 3 * DISTANCES_AT_A_TIME["cpu"]
    expected = (points[:, None] - centres).square().sum(dim=2)
    index, distance = nearest(points, centres)
    torch.testing.assert_close(distance, expected.amin(dim=1))
    torch.testing.assert_close(expected.gather(1, index[:, None])[:, 0], expected.amin(dim=1))
    for size in (1, 7, 699):
        pieces = [nearest(piece, centres) for piece in points.split(size)]
        assert torch.equal(torch.cat([piece[0] for piece in pieces]), index)
        assert torch.equal(torch.cat([piece[1] for piece in pieces]), distance)


def test_seeding_is_proportional_to_squared_distance() -> None:
    points = torch.tensor([[0.0], [0.0], [1.0], [3.0]]).double()
    seconds = []
    for seed in range(4000):
        chosen = plus_plus(points, 2, seeded(seed))[:, 0].tolist()
        if chosen[0] == 0:
            seconds.append(chosen[1])
    share = seconds.count(3.0) / len(seconds)
    assert set(seconds) == {1.0, 3.0}
    assert abs(share - 0.9) < 0.03  # 9 to 1; four standard errors are 0.027


def test_seeding_takes_every_distinct_point_and_then_repeats() -> None:
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 2.0]]).double()
    chosen = plus_plus(points, 5, seeded())
    assert chosen.shape == (5, 2)
    assert len(chosen[:3].unique(dim=0)) == 3
    assert torch.equal(chosen[3:], chosen[:1].expand(2, -1))


def test_drawing_in_proportion() -> None:
    weights = torch.tensor([0.0, 1.0, 3.0, 0.0]).double()
    assert sorted(draw(weights, 3, seeded()).tolist()) == [1, 2]
    firsts = [int(draw(weights, 1, seeded(seed))) for seed in range(2000)]
    assert abs(firsts.count(2) / len(firsts) - 0.75) < 0.04


def test_mini_batches_are_sequential_averages() -> None:
    """Sculley's rule, one point after the other, against the batched form."""
    first = torch.tensor([[0.0], [10.0]]).double()
    clusters = MiniBatchKMeans(first, first)
    seen, centres = [1, 1], [0.0, 10.0]
    for batch in ([1.0, 2.0, 9.0], [4.0, 12.0, 3.0, 0.0]):
        nearest_before = [min((0, 1), key=lambda k, x=x: abs(x - centres[k])) for x in batch]
        for x, k in zip(batch, nearest_before, strict=True):
            seen[k] += 1
            centres[k] += (x - centres[k]) / seen[k]
        clusters.step(torch.tensor(batch).double()[:, None])
        np.testing.assert_allclose(clusters.centres_KC[:, 0], centres, rtol=1e-12)


def test_idle_centres_move_to_far_points() -> None:
    centres = torch.tensor([[0.0], [100.0], [101.0]]).double()
    points = torch.tensor([[0.0]] * 50 + [[10.0]] * 50).double()
    clusters = MiniBatchKMeans(centres, points)
    assert clusters.used == pytest.approx(1 / 3)
    clusters.reseed(points, seeded())
    assert set(clusters.centres_KC[1:, 0].tolist()) <= {0.0, 10.0}
    for _ in range(50):
        clusters.step(points)
    assert clusters.step(points) < 0.1  # from 25
    assert clusters.used == pytest.approx(2 / 3)


@settings(max_examples=30, deadline=None)
@given(
    channels=st.integers(1, 4),
    colours=st.integers(1, 12),
    spare=st.integers(0, 5),
    images=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_reconstruction_is_exact_where_colours_suffice(channels: int, colours: int, spare: int, images: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    palette = random.integers(0, 256, (colours, channels))
    pixels = from_bytes(palette[random.integers(0, colours, (images, 5, 3))].transpose(0, 3, 1, 2))
    tokenizer = model(channels=channels, codebook_size=colours + spare)
    tokenizer.fit(in_batches(pixels, 2), generator=seeded(), log=nothing)
    codes = tokenizer.encode(pixels)
    assert torch.equal(tokenizer.decode(codes, (5, 3)), pixels)
    distinct = len(pixels.movedim(1, -1).reshape(-1, channels).unique(dim=0))
    assert codes.max() < distinct
    assert torch.equal(tokenizer.palette[distinct:], tokenizer.palette[distinct - 1].expand(colours + spare - distinct, -1))


def test_fit_is_deterministic_and_seeded() -> None:
    images, palettes = photographs(), []
    for seed in (0, 0, 1):
        tokenizer = model(codebook_size=16, steps=30, seeding_pixels=500)
        tokenizer.fit(in_batches(images), generator=seeded(seed), log=nothing)
        palettes.append(tokenizer.palette)
    assert torch.equal(palettes[0], palettes[1])
    assert not torch.equal(palettes[0], palettes[2])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_fit_is_close_to_lloyds_optimum(channels: int) -> None:
    images = photographs(channels=channels)
    tokenizer = model(16, channels, codebook_size=12, steps=120, seeding_pixels=2000)
    terms: list[tuple[int, dict[str, float]]] = []
    tokenizer.fit(in_batches(images), generator=seeded(), log=lambda step, values: terms.append((step, dict(values))))
    points = images.movedim(1, -1).reshape(-1, channels).double()
    best = min(_lloyd(points, 12, seed) for seed in range(4))
    reached = tokenizer({"image": images}, step=0, phase="main", generator=None)["total"].item()
    assert reached < 1.3 * best
    assert [step for step, _ in terms] == [25, 50, 75, 100, 120]
    assert set(terms[0][1]) == {"mse", "used"}
    assert terms[-1][1]["used"] == 1


def _lloyd(points: torch.Tensor, count: int, seed: int) -> float:
    centres = plus_plus(points, count, seeded(seed))
    for _ in range(60):
        index, distance = nearest(points, centres)
        sums = torch.zeros_like(centres).index_add_(0, index, points)
        members = torch.bincount(index, minlength=count).double()[:, None]
        centres = torch.where(members > 0, sums / members.clamp(min=1), centres)
    return distance.mean().item() / points.shape[1]


def test_the_contract_of_a_tokenizer() -> None:
    tokenizer = model(16, codebook_size=20, steps=5, seeding_pixels=500)
    assert tokenizer.fitted
    assert tokenizer.code_space((16, 8)).grids == ((16, 8),)
    assert tokenizer.code_space((16, 8)).vocab_size == 20
    assert list(tokenizer.parameters()) == []
    assert [group.parameters for group in tokenizer.phase_parameters("main")] == [()]
    images = photographs()[:, :, :, :8]
    tokenizer.fit(in_batches(images), generator=seeded(), log=nothing)
    codes = tokenizer.encode(images)
    assert codes.shape == (12, 128)
    assert codes.dtype == torch.int64
    assert 0 <= codes.min() <= codes.max() < 20
    decoded = tokenizer.decode(codes, (16, 8))
    assert decoded.shape == images.shape
    assert torch.equal(tokenizer.encode(decoded), codes)
    for index in range(12):
        assert torch.equal(tokenizer.encode(images[index : index + 1])[0], codes[index])
    flat = images[0].movedim(0, -1).reshape(-1, 3)
    assert int(codes[0, 8 + 3]) == int((flat[8 + 3] - tokenizer.palette).square().sum(dim=1).argmin())
    terms = tokenizer({"image": images}, step=0, phase="main", generator=None)
    assert terms["total"].item() == pytest.approx((decoded - images).square().mean().item())
    assert terms["l1"].item() == pytest.approx((decoded - images).abs().mean().item())
    assert not terms["total"].requires_grad
    check_round_trip_state(tokenizer, lambda: model(16, codebook_size=20), images)
    check_encode_deterministic(tokenizer, images)
    check_code_range(tokenizer, images)
    assert set(tokenizer.state_dict()) == {"palette"}


def test_half_precision_images_and_meta_construction() -> None:
    tokenizer = model(codebook_size=4)
    tokenizer.palette.copy_(torch.tensor([[-1.0, -1, -1], [1, 1, 1], [1, -1, -1], [-1, 1, -1]]))
    images = torch.tensor([1.0, -1, -1]).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert (tokenizer.encode(images.to(dtype)) == 2).all()
        assert tokenizer({"image": images.to(dtype)}, step=0, phase="main", generator=None)["total"] == 0
    with torch.device("meta"):
        assert model(codebook_size=4).palette.shape == (4, 3)


def test_no_images_and_bad_settings() -> None:
    with pytest.raises(DataError, match="no images"):
        model().fit(lambda epoch: iter(()), generator=seeded(), log=nothing)
    with pytest.raises(ValidationError, match="smaller than codebook_size"):
        KMeansConfig(codebook_size=100, seeding_pixels=99)


def test_memory_of_encoding_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    original = torch.Tensor.argmin

    def watched(self: torch.Tensor, *arguments: object, **options: object) -> object:
        nonlocal largest
        largest = max(largest, self.numel())
        return original(self, *arguments, **options)

    monkeypatch.setattr(torch.Tensor, "argmin", watched)
    model(codebook_size=512).encode(torch.zeros(4, 3, 32, 32))
    assert 0 < largest <= DISTANCES_AT_A_TIME["cpu"]


@pytest.mark.parametrize("package", ["kmeans", "datasets", "metrics"])
def test_the_entry_point_imports_no_torch(package: str) -> None:
    code = f"import sys, tamingplat_{package}.plugin as p; p.tamingplat_components(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])

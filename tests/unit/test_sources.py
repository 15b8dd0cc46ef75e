"""Sources: exact likelihoods against enumeration, frequencies of what is drawn, addresses, symmetry, refusals."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pytest
import tamingplat_sources.drawn
import torch
from pydantic import ValidationError
from tamingplat_kmeans.config import KMeansConfig
from tamingplat_kmeans.kmeans import KMeans
from tamingplat_sources.config import MarkovMeshConfig, PottsConfig, SourceConfig
from tamingplat_sources.drawn import DrawnDataset
from tamingplat_sources.markov_mesh import MarkovMesh
from tamingplat_sources.palette import palette
from tamingplat_sources.potts import Potts
from tamingplat_sources.uniforms import dirichlet, thresholds, uniforms


def mesh(**settings: Any) -> MarkovMesh:
    return MarkovMesh(MarkovMeshConfig(**settings), {})


def potts(**settings: Any) -> Potts:
    return Potts(PottsConfig(**settings), {})


def every_image(source: DrawnDataset) -> np.ndarray:
    height, width = source.config.size
    return np.array(list(itertools.product(range(source.colours), repeat=height * width))).reshape(-1, height, width)


SMALL = [
    mesh(size=2, colours=3, concentration=1.0),
    mesh(size=(1, 4), colours=2, seed=3),
    mesh(size=(4, 1), colours=2, seed=3),
    mesh(size=(2, 3), colours=2, concentration=0.5),
    potts(size=2, colours=3),
    potts(size=(2, 3), colours=2, coupling=-0.7),
    potts(size=(1, 4), colours=3, coupling=1.2),
    potts(size=(4, 1), colours=3, coupling=0.5),
    potts(size=3, colours=2, coupling=0.9),
]


@pytest.mark.parametrize("source", SMALL, ids=lambda source: f"{type(source).__name__}{source.config.size}")
def test_probabilities_sum_to_one_and_are_the_frequencies(source: Any) -> None:
    images, count = every_image(source), 20_000
    probabilities = np.exp(source.log_probabilities(images))
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)
    drawn, log_probability = source.draw("train", range(count))
    np.testing.assert_allclose(log_probability, source.log_probabilities(drawn), rtol=1e-12)
    places = source.colours ** np.arange(images[0].size)[::-1]
    seen = np.bincount((drawn.reshape(count, -1) * places).sum(1), minlength=len(images))
    likely = probabilities * count >= 5
    expected = np.append(probabilities[likely], probabilities[~likely].sum()) * count
    observed = np.append(seen[likely], seen[~likely].sum())
    squares = ((observed - expected) ** 2 / np.maximum(expected, 1e-9)).sum()
    freedom = len(expected) - 1
    # Wilson and Hilferty: the cube root of chi-square over its freedom is nearly normal. The seeds are fixed.
    deviation = ((squares / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / np.sqrt(2 / (9 * freedom))
    assert deviation < 3.5, (squares, freedom)


def test_a_mesh_is_its_table() -> None:
    source = mesh(size=(2, 3), colours=4)
    (image,), (log_probability,) = source.draw("validation", [5])
    table, border, product = source.table, 4, 1.0
    for row, column in itertools.product(range(2), range(3)):
        left = image[row, column - 1] if column else border
        above = image[row - 1, column] if row else border
        product *= table[left, above, image[row, column]]
    assert log_probability == pytest.approx(np.log(product), rel=1e-12)
    told = source.source()
    assert np.array_equal(told["table"], table) and table.shape == (5, 5, 4)
    assert "colour 4" in told["border"] and len(told["palette"]) == 4
    np.testing.assert_allclose(table.sum(-1), 1, rtol=1e-12)
    assert not np.array_equal(mesh(size=(2, 3), colours=4, seed=1).table, table)


def test_a_mesh_prefers_a_side_and_a_potts_field_none() -> None:
    def mirrored(source: Any) -> list[np.ndarray]:
        images = source.draw("train", range(200))[0]
        sides = (images, images[:, :, ::-1], images[:, ::-1], images[:, ::-1, ::-1], images.transpose(0, 2, 1))
        return [source.log_probabilities(one) for one in sides]

    plain, *others = mirrored(potts(size=4, colours=3))
    assert all(np.allclose(other, plain, rtol=1e-12, atol=0) for other in others)
    plain, *others = mirrored(mesh(size=4, colours=3))
    assert all(abs(other - plain).max() > 1 for other in others)


def test_a_potts_field_by_brute_force() -> None:
    source = potts(size=(3, 2), colours=3, coupling=0.4)
    images = every_image(source)
    pairs = (images[:, 1:] == images[:, :-1]).sum((1, 2)) + (images[:, :, 1:] == images[:, :, :-1]).sum((1, 2))
    assert source.log_partition == pytest.approx(np.log(np.exp(0.4 * pairs).sum()), rel=1e-12)
    assert source.source()["log_partition"] == source.log_partition
    strong = potts(size=8, colours=2, coupling=10.0)  # nearly all weight lies on the two images of one colour
    assert strong.log_partition == pytest.approx(10.0 * 112 + np.log(2), rel=1e-6)
    assert potts(size=(2, 2), coupling=0.0).log_probabilities(np.zeros((1, 2, 2), int))[0] == pytest.approx(-4 * np.log(3))


@pytest.mark.parametrize(("make", "colours"), [(mesh, 5), (potts, 3)])
def test_an_image_is_its_address(make: Any, colours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"size": (4, 6), "colours": colours}
    source = make(**settings, images={"train": 30, "validation": 7})
    forwards = [source.read("train", index) for index in range(30)]
    fewer_at_a_time = make(**settings, images={"train": 30_000, "validation": 2})
    monkeypatch.setattr(tamingplat_sources.drawn, "_PIXELS_AT_A_TIME", 100)
    backwards = [fewer_at_a_time.read("train", index, view=index) for index in reversed(range(30))][::-1]
    monkeypatch.setattr(tamingplat_sources.drawn, "_PIXELS_KEPT", 0)
    one_by_one = [make(**settings, images={"train": 50}).read("train", index) for index in range(30)]
    for examples in (backwards, one_by_one):
        for one, other in zip(forwards, examples, strict=True):
            assert np.array_equal(one["image"], other["image"]) and one["log_probability"] == other["log_probability"]
    assert not np.array_equal(source.read("validation", 0)["image"], forwards[0]["image"])
    assert not np.array_equal(make(**settings, seed=1).read("train", 0)["image"], forwards[0]["image"])
    assert len({example["image"].tobytes() for example in forwards}) == 30
    assert np.array_equal(pickle.loads(pickle.dumps(source)).read("train", 3)["image"], forwards[3]["image"])


def test_kmeans_finds_the_palette() -> None:
    source = mesh(size=8, images={"train": 64})
    images = torch.from_numpy(np.stack([source.read("train", index)["image"] for index in range(64)])).float() / 127.5 - 1
    for size in (8, 11):
        tokenizer = KMeans(KMeansConfig(codebook_size=size), {}, image_size=(8, 8), channels=3)
        tokenizer.fit(lambda _: images.split(16), generator=torch.Generator().manual_seed(0), log=lambda *_: None)
        codes = tokenizer.encode(images)
        assert torch.equal(tokenizer.decode(codes, (8, 8)), images)
        assert len(codes.unique()) == 8


def test_palettes_have_different_colours() -> None:
    for colours in range(2, 33):
        assert len({tuple(colour) for colour in palette(colours).tolist()}) == colours
    assert set(palette(8).flatten().tolist()) == {0, 255}


def test_dirichlet() -> None:
    for concentration in (0.3, 2.0):
        probabilities = np.exp(dirichlet(5, concentration, 4000, 4))
        np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-12)
        np.testing.assert_allclose(probabilities.mean(0), 0.25, atol=0.02)
        np.testing.assert_allclose(probabilities.var(0), 0.25 * 0.75 / (4 * concentration + 1), rtol=0.1)
    sparse = dirichlet(0, 1e-4, 100, 4)
    assert np.isfinite(sparse).all() and (np.exp(sparse).max(1) > 0.99).mean() > 0.9


def test_what_has_no_probability_is_not_drawn() -> None:
    drawn = (uniforms(0, range(100), 100).reshape(-1, 1) >= thresholds(np.array([0.0, 0.3, 0.0, 0.7, 0.0]))).sum(1)
    assert set(drawn.tolist()) == {1, 3}
    assert (np.nextafter(1.0, 0.0) >= thresholds(np.array([0.1] * 10 + [0.0]))).sum() == 9


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (potts, {"size": (4, 9)}, "9 pixels wide, and likelihoods are exact up to 8"),
        (potts, {"size": (4, 8), "colours": 5}, "has 390625 states, above 65536; choose fewer colours or a narrower image"),
        (potts, {"size": (100, 8), "colours": 4}, "take 52428800 numbers, above 33554432; choose fewer rows"),
        (mesh, {"images": {}}, "name at least one split"),
        (mesh, {"images": {"train": 0}}, "split train has 0 images"),
        (mesh, {"size": 0}, "greater than 0"),
        (mesh, {"concentration": 0.0}, "greater than 0"),
        (mesh, {"colours": 1}, "greater than or equal to 2"),
    ],
)
def test_refused_settings(make: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make(**settings)


def test_sizes_are_one_number_or_two() -> None:
    assert SourceConfig(size=5).size == (5, 5) and SourceConfig(size=(2, 9)).size == (2, 9)

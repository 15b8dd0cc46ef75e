"""Conditions with places: what their tokenizers see, their tokens, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tamingplat_conditioners.classes import ClassCondition
from tamingplat_conditioners.combined import CombinedCondition
from tamingplat_conditioners.config import (
    ClassConfig,
    CombinedConfig,
    CoordinatesConfig,
    DepthConfig,
    EdgesConfig,
    KeypointsConfig,
    LowResolutionConfig,
    SegmentationConfig,
)
from tamingplat_conditioners.coordinates import CoordinatesCondition
from tamingplat_conditioners.depth import DepthCondition
from tamingplat_conditioners.edges import EdgesCondition
from tamingplat_conditioners.keypoints import KeypointsCondition
from tamingplat_conditioners.low_resolution import LowResolutionCondition
from tamingplat_conditioners.none import NoCondition
from tamingplat_conditioners.segmentation import SegmentationCondition
from tamingplat_conditioners.tokenized import TokenizedCondition
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tamingplat.interfaces import CodeSpace, ConditionPart, Config, DatasetInfo, MapsInfo, NoConfig, TamingplatError
from tamingplat.interfaces.models import Tokenizer
from tamingplat.testing.conditioners import (
    check_condition_maps,
    check_condition_of_each_example,
    check_condition_tokens,
)

INFO = DatasetInfo(
    image_size=(16, 24),
    channels=3,
    splits={"train": 4},
    label_names=("a", "b"),
    columns=("image", "label", "segmentation", "depth", "keypoints", "coordinates"),
    segmentation_classes=3,
    joints=("top", "left", "right"),
)
LIMBS = (("top", "left"), ("top", "right"), ("nose", "top"))


class Blocks(Tokenizer):
    """The average of each 4×4 square, quantized to 7 codes on one grid or two."""

    def __init__(self, *, grids: int = 1) -> None:
        super().__init__(NoConfig(), {}, image_size=(16, 24), channels=1)
        self.factors = (4, 8)[:grids][::-1]

    def code_space(self, image_size: tuple[int, int]) -> CodeSpace:
        if image_size[0] % 4 or image_size[1] % 4:
            raise TamingplatError("not divisible by 4")
        return CodeSpace(tuple((image_size[0] // factor, image_size[1] // factor) for factor in self.factors), 7)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        averages = [torch.nn.functional.avg_pool2d(images.mean(1), factor).flatten(1) for factor in self.factors]
        return torch.cat(averages, 1).add(1).mul(3.5).long().clamp(0, 6)

    def decode(self, codes: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor:
        raise AssertionError("a condition is never decoded")

    def forward(self, *_: Any, **__: Any) -> dict[str, torch.Tensor]:
        raise AssertionError("a condition is never trained here")


def columns(batch: int = 5) -> dict[str, torch.Tensor]:
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (batch, 3, 2, 3), np.uint8).repeat(8, 2).repeat(8, 3)
    places = generator.uniform(0, 15, (batch, 2, 3, 2))
    seen = generator.integers(0, 3, (batch, 2, 3, 1))
    example = {
        "image": image,
        "label": generator.integers(0, 2, batch),
        "segmentation": generator.integers(0, 3, (batch, 16, 24), np.uint8),
        "depth": generator.random((batch, 1, 16, 24), np.float32),
        "keypoints": np.concatenate([places * (seen > 0), seen], -1).astype(np.float32),
        "coordinates": generator.random((batch, 1, 16, 24), np.float32),
    }
    return {name: torch.from_numpy(value) for name, value in example.items()}


SPATIAL: Mapping[str, tuple[type[TokenizedCondition], type[Config], dict[str, Any]]] = {
    "segmentation": (SegmentationCondition, SegmentationConfig, {}),
    "depth": (DepthCondition, DepthConfig, {"channels": 3}),
    "edges": (EdgesCondition, EdgesConfig, {"blur": 0.5}),
    "low-resolution": (LowResolutionCondition, LowResolutionConfig, {"factor": 2}),
    "enlarged": (LowResolutionCondition, LowResolutionConfig, {"factor": 8, "enlarge": True}),
    "keypoints": (KeypointsCondition, KeypointsConfig, {"limbs": LIMBS}),
    "joints": (KeypointsCondition, KeypointsConfig, {"drawing": "joints", "thickness": 2}),
}


def spatial(name: str, *, grids: int = 1, **settings: Any) -> TokenizedCondition:
    make, config, defaults = SPATIAL[name]
    built = config(**{"tokenizer": "own", **defaults, **settings})
    assert make.refusal(built, INFO) is None
    return make(built, {"tokenizer": Blocks(grids=grids)}, INFO)


@pytest.mark.parametrize("grids", [1, 2])
@pytest.mark.parametrize("name", SPATIAL)
def test_promises(name: str, grids: int) -> None:
    condition = spatial(name, grids=grids, dropout=0.25)
    assert condition.dropout == 0.25
    check_condition_maps(condition, columns())
    check_condition_tokens(condition, columns(), INFO.image_size)
    check_condition_of_each_example(condition, columns())
    assert len(condition.layout(INFO.image_size)) == grids
    assert all(part.vocab_size == 8 and part.grid is not None for part in condition.layout(INFO.image_size))


def test_layouts_follow_the_size_of_the_image() -> None:
    assert spatial("depth").layout((32, 16)) == (ConditionPart("depth", 8, (8, 4)),)
    assert spatial("low-resolution").layout((32, 16)) == (ConditionPart("low-resolution", 8, (4, 2)),)
    assert [part.name for part in spatial("edges", grids=2).layout((16, 16))] == ["edges 0", "edges 1"]


def test_maps_of_segmentation_and_depth() -> None:
    batch = columns()
    one_hot = spatial("segmentation").maps(batch)
    assert one_hot.dtype == torch.float32 and one_hot.shape[1] == 3 and bool((one_hot.sum(1) == 1).all())
    assert torch.equal(one_hot.argmax(1), batch["segmentation"].long())
    depth = spatial("depth").maps(batch)
    assert torch.allclose(depth, (batch["depth"] * 2 - 1).expand(-1, 3, -1, -1))


def test_low_resolution_averages() -> None:
    batch = columns()
    expected = batch["image"].float().reshape(5, 3, 8, 2, 12, 2).mean((3, 5)) / 127.5 - 1
    assert torch.allclose(spatial("low-resolution").maps(batch), expected, atol=1e-6)
    enlarged = spatial("enlarged").maps(batch)  # images are flat over 8×8 pixels
    assert torch.allclose(enlarged, batch["image"].float() / 127.5 - 1, atol=1e-6)


def test_edges_are_where_grey_values_change() -> None:
    image = torch.zeros(1, 3, 16, 24, dtype=torch.uint8)
    image[..., 12:] = 200
    condition = spatial("edges", blur=0.0)
    edges = condition.maps(condition.derive({"image": image}))[0, 0]
    assert set(edges.unique().tolist()) == {-1.0, 1.0}
    assert sorted((edges[4:12] > 0).nonzero()[:, 1].unique().tolist()) in ([11], [12])
    weaker = spatial("edges", blur=0.0, low=900.0, high=900.0)
    assert not bool((weaker.derive({"image": image})["edges"]).any())


def test_keypoints_are_drawn_where_they_are() -> None:
    keypoints = torch.zeros(1, 2, 3, 3)
    keypoints[0, 0] = torch.tensor([[4.0, 2.0, 2.0], [4.0, 12.0, 1.0], [0.0, 0.0, 0.0]])
    joints = spatial("joints", thickness=1)
    channels = joints.derive({"keypoints": keypoints})["drawing"][0]
    assert channels[0, 2, 4] == 255 and channels[1, 12, 4] == 255
    assert not channels[2].any() and not channels[0, 6:].any()  # what is absent is not drawn
    skeleton = spatial("keypoints", thickness=1)
    drawing = skeleton.derive({"keypoints": keypoints})["drawing"][0]
    assert drawing[:, 2, 4].tolist() == [255, 255, 255] and drawing[:, 7, 4].tolist() == [255, 0, 0]
    assert not drawing[:, :, 6:].any()  # the limb to the absent joint


def coordinates(**settings: Any) -> CoordinatesCondition:
    config = CoordinatesConfig(**{"downsampling": 2, **settings})
    assert CoordinatesCondition.refusal(config, INFO) is None
    return CoordinatesCondition(config, {}, INFO)


@pytest.mark.parametrize("frame", ["image", "original"])
def test_coordinates(frame: str) -> None:
    condition = coordinates(frame=frame, tokens=64, dropout=0.1)
    check_condition_tokens(condition, columns(), INFO.image_size)
    check_condition_of_each_example(condition, columns())
    assert condition.layout((32, 48)) == (ConditionPart("coordinates", 65, (8, 12)),) and condition.dropout == 0.1
    assert coordinates(frame=frame).columns == (("image",) if frame == "image" else ("coordinates",))


def test_coordinates_are_averaged_raster_indices() -> None:
    condition = coordinates(tokens=1024)
    tokens = condition.encode(condition.derive(columns(2)))
    index = np.arange(16 * 24).reshape(4, 4, 6, 4).mean((1, 3)) / (16 * 24)
    np.testing.assert_array_equal(tokens[1].numpy(), np.rint(index.ravel() * 1024))
    # A crop is told where it lies in the whole.
    whole = torch.arange(64 * 64).div(64 * 64).view(1, 1, 64, 64)
    crop = coordinates(frame="original").encode({"coordinates": whole[..., 16:32, 40:64]})
    part = np.arange(64 * 64).reshape(64, 64)[16:32, 40:64].reshape(4, 4, 6, 4).mean((1, 3)) / 4096
    np.testing.assert_array_equal(crop[0].numpy(), np.rint(part.ravel() * 1024))


def combined(**settings: Any) -> CombinedCondition:
    names = ["class", "segmentation", "none"]
    parts = {
        "parts.0": ClassCondition(ClassConfig(), {}, INFO),
        "parts.1": spatial("segmentation", dropout=settings.pop("inner", 0.0)),
        "parts.2": NoCondition(NoConfig(), {}, INFO),
    }
    return CombinedCondition(CombinedConfig(parts=names, **settings), parts, INFO)


def test_combined() -> None:
    condition, batch = combined(dropout=0.3), columns()
    check_condition_tokens(condition, batch, INFO.image_size)
    check_condition_of_each_example(condition, batch)
    assert [(part.name, part.length) for part in condition.layout((16, 24))] == [("class", 1), ("segmentation", 24)]
    tokens = condition.encode(condition.derive(batch))
    assert torch.equal(tokens[:, 0], batch["label"])
    assert torch.equal(tokens[:, 1:], spatial("segmentation").encode(batch))
    assert condition.null(2).tolist() == [[2] + [7] * 24] * 2 and condition.dropout == 0.3
    assert condition.columns == ("label", "segmentation")


def test_combined_conditions_that_do_not_go_together() -> None:
    with pytest.raises(TamingplatError, match=r"segmentation has a dropout of its own.*set dropout of combined"):
        combined(inner=0.1)
    same = {f"parts.{number}": spatial("depth") for number in range(2)}
    with pytest.raises(TamingplatError, match=r"its parts give depth more than once"):
        CombinedCondition(CombinedConfig(parts=("depth", "depth")), same, INFO)


@pytest.mark.parametrize("name", ["segmentation", "depth", "keypoints"])
def test_a_dataset_without_the_column_is_refused(name: str) -> None:
    make, config, settings = SPATIAL[name]
    bare = replace(INFO, columns=("image",), segmentation_classes=None, joints=None)
    refusal = make.refusal(config(tokenizer="own", **settings), bare)
    assert refusal is not None and f"gives no {name}; set the dataset's setting {name}, or take another" in refusal


def test_other_refusals() -> None:
    factor = LowResolutionCondition.refusal(LowResolutionConfig(tokenizer="own", factor=5), INFO)
    assert factor == "images of 16×24 pixels are not divisible by factor 5; change size or factor"
    limbs = KeypointsCondition.refusal(KeypointsConfig(tokenizer="own"), INFO)
    assert limbs is not None and "top, left, right" in limbs and 'drawing = "joints"' in limbs
    square = CoordinatesCondition.refusal(CoordinatesConfig(downsampling=4), INFO)
    assert square is not None and "16×24 pixels are not divisible by 16" in square
    unsaid = CoordinatesCondition.refusal(
        CoordinatesConfig(downsampling=2, frame="original"), replace(INFO, columns=("image",))
    )
    assert unsaid is not None and "coordinates = true" in unsaid
    assert EdgesCondition.maps_info(EdgesConfig(tokenizer="own", channels=3), INFO) == MapsInfo((16, 24), 3)


@pytest.mark.parametrize(
    ("config", "settings", "expected"),
    [
        (EdgesConfig, {"low": 3.0, "high": 2.0}, "low 3.0 exceeds high 2.0"),
        (LowResolutionConfig, {"factor": 9}, "less than or equal to 8"),
        (KeypointsConfig, {"limbs": ()}, "limbs is empty"),
        (DepthConfig, {"channels": 2}, "1 or 3"),
    ],
)
def test_settings_that_make_no_sense(config: type[Config], settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        config(tokenizer="own", **settings)


@pytest.mark.parametrize("name", ["edges", "low-resolution", "enlarged"])
def test_what_a_user_already_has_stands_in_place_of_what_is_found(name: str) -> None:
    condition, batch = spatial(name), columns()
    ((own, maps),) = condition.own_maps.items()
    assert condition.contents_beside(()) == ("image",) and condition.contents_beside((own,)) == ()
    if name == "edges":
        found = condition.derive(batch)["edges"] * 255
    else:  # images are flat over 8×8 pixels
        factor = INFO.image_size[0] // maps.image_size[0]
        found = batch["image"][..., ::factor, ::factor]
    assert tuple(found.shape[1:]) == (maps.channels, *maps.image_size)
    blank = {"image": torch.zeros_like(batch["image"])}
    assert torch.equal(condition.maps(condition.derive_beside(blank, {own: found})), condition.maps(condition.derive(batch)))
    assert torch.equal(condition.maps(condition.derive_beside(batch, {})), condition.maps(condition.derive(batch)))


def test_parts_of_a_combined_condition_take_what_is_theirs() -> None:
    parts = {"parts.0": spatial("edges"), "parts.1": spatial("low-resolution")}
    condition, batch = CombinedCondition(CombinedConfig(parts=("edges", "low-resolution")), parts, INFO), columns()
    assert condition.own_maps == {"edges": MapsInfo((16, 24), 1), "low-resolution": MapsInfo((8, 12), 3)}
    assert condition.contents_beside(("edges",)) == ("image",)
    assert condition.contents_beside(("edges", "low-resolution")) == ()
    edges = torch.zeros(5, 1, 16, 24, dtype=torch.uint8)
    tokens = condition.encode(condition.derive_beside(batch, {"edges": edges}))
    assert torch.equal(tokens[:, 24:], condition.encode(condition.derive(batch))[:, 24:])
    assert torch.equal(tokens[:, :24], parts["parts.0"].encode({"edges": edges}))


def test_label_maps_are_written_at_their_final_size_alone() -> None:
    made: list[int] = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            made.extend(
                {tensor.untyped_storage().nbytes() for tensor in tree_leaves(result) if isinstance(tensor, torch.Tensor)}
            )
            return result

    condition = spatial("segmentation")
    condition.info = replace(INFO, segmentation_classes=150)
    with Sizes():
        maps = condition.maps(columns(1))
    assert maps.shape == (1, 150, 16, 24) and max(made) == maps.untyped_storage().nbytes() == 4 * maps.numel()
    assert sum(size == max(made) for size in made) <= 2  # made, and written into

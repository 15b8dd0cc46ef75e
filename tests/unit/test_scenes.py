"""Synthetic scenes: the same at any resolution and in any window, and their conditions true of their pictures."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from tamingplat_scenes.config import ScenesConfig
from tamingplat_scenes.dataset import ScenesDataset
from tamingplat_scenes.figure import JOINT_COLOURS, JOINTS
from tamingplat_scenes.layout import FAR
from tamingplat_scenes.outlines import Capsule, measure_all
from tamingplat_scenes.settings import BALL, FIGURE, GROUND, HILLS, SEGMENTS, SETTINGS, SKY, TREE


def scenes(**settings: object) -> ScenesDataset:
    return ScenesDataset(ScenesConfig(**settings), {})


def shrunk(image: np.ndarray, factor: int) -> np.ndarray:
    channels, height, width = image.shape
    return image.reshape(channels, height // factor, factor, width // factor, factor).mean((2, 4))


def test_a_window_is_that_part_of_the_whole_scene() -> None:
    whole = scenes(size=(96, 160), coordinates=True)
    windows = scenes(size=48, scene_size=(96, 160), coordinates=True)
    joints = 0
    for index in range(8):
        full = whole.read("train", index)
        for view in (0, 3):
            part = windows.read("train", index, view)
            top, left = divmod(round(float(part["coordinates"][0, 0, 0]) * 96 * 160), 160)
            for name in ("image", "segmentation", "depth", "coordinates"):
                np.testing.assert_array_equal(part[name], full[name][..., top : top + 48, left : left + 48], err_msg=name)
            assert part["label"] == full["label"]
            inside = part["keypoints"][0][part["keypoints"][0, :, 2] > 0]
            moved = full["keypoints"][0][part["keypoints"][0, :, 2] > 0] - [left, top, 0]
            np.testing.assert_allclose(inside, moved, atol=0.51)
            np.testing.assert_array_equal(inside[:, 2], moved[:, 2])
            joints += len(inside)
    assert 0 < joints < 16 * len(JOINTS)


def test_a_scene_is_the_same_at_any_resolution() -> None:
    small, large = scenes(size=48), scenes(size=192)
    for index in range(6):
        one, other = small.read("validation", index), large.read("validation", index)
        assert one["label"] == other["label"]
        assert np.abs(one["image"] - shrunk(other["image"].astype(float), 4)).mean() < 8
        centres = other["segmentation"][2::4, 2::4]
        assert (one["segmentation"] == centres).mean() > 0.97
        places, moved = one["keypoints"][0], (other["keypoints"][0, :, :2] + 0.5) / 4 - 0.5
        seen = places[:, 2] > 0
        np.testing.assert_allclose(places[seen, :2], moved[seen], atol=0.5)


def test_views_of_windows_differ_and_views_of_whole_scenes_do_not() -> None:
    windows, whole = scenes(size=16, scene_size=64), scenes(size=16)
    images = [windows.read("train", 0, view)["image"] for view in range(4)]
    assert len({image.tobytes() for image in images}) == 4
    assert np.array_equal(whole.read("train", 0, 0)["image"], whole.read("train", 0, 7)["image"])


def test_splits_indices_and_seeds_give_other_scenes() -> None:
    dataset = scenes(size=16, extra_splits={"test": 5})
    assert dataset.info.splits == {"train": 10_000, "validation": 1_000, "test": 5}
    pictures = [dataset.read(split, index)["image"] for split in dataset.info.splits for index in (0, 4)]
    pictures.append(scenes(size=16, seed=1).read("train", 0)["image"])
    assert len({picture.tobytes() for picture in pictures}) == 7


def test_what_depth_and_segmentation_say_is_consistent() -> None:
    dataset, seen = scenes(size=48), set()
    for index in range(24):
        example = dataset.read("train", index)
        classes, depth = example["segmentation"], example["depth"][0]
        assert (depth[classes == SKY] == 0).all() and (depth[classes == HILLS] == np.float32(FAR)).all()
        rows = [np.unique(depth[row][classes[row] == GROUND]) for row in range(48)]
        assert all(len(values) <= 1 for values in rows)
        grounds = np.concatenate(rows)
        assert (np.diff(grounds) > 0).all() and 0.9 < grounds[-1] < 1
        # The nearest thing is hidden by nothing, and stands on ground that is as near as it is.
        things = np.where(classes >= BALL, depth, 0)
        bottom = np.flatnonzero((things == things.max()).any(1)).max()
        if bottom < 47 and len(rows[bottom]):
            assert abs(things.max() - rows[bottom][0]) < 0.06
        seen |= set(np.unique(classes))
    assert seen == set(range(len(SEGMENTS)))


def test_seen_joints_are_where_their_colours_are() -> None:
    dataset, checked, hidden = scenes(size=96), 0, 0
    for index in range(16):
        example = dataset.read("train", index)
        for (x, y, visibility), name in zip(example["keypoints"][0], JOINTS, strict=True):
            row, column = round(float(y)), round(float(x))
            if visibility == 2:
                assert example["segmentation"][row, column] == FIGURE
            if visibility == 1:
                hidden += 1
                assert example["segmentation"][row, column] in range(BALL, TREE + 1)
            setting = list(SETTINGS)[int(example["label"])]
            if visibility == 2 and name.endswith(("wrist", "elbow")) and setting in ("meadow", "desert", "snow"):
                colour = example["image"][:, row, column] / 255
                others = {other: np.abs(colour - np.array(value)).sum() for other, value in JOINT_COLOURS.items()}
                checked += min(others, key=lambda other: others[other]) == name
    assert checked > 20 and hidden > 5


def test_only_what_is_asked_for_is_computed() -> None:
    dataset = scenes(size=16, coordinates=True)
    full = dataset.read("train", 3)
    assert set(dataset.only(("keypoints",)).read("train", 3)) == {"label", "keypoints"}
    part = dataset.only(("depth", "coordinates")).read("train", 3)
    assert "image" not in part and "keypoints" not in part
    for name, value in part.items():
        np.testing.assert_array_equal(value, full[name])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"scene_size": 32}, "scene_size 32×32 is smaller than size 64×64"),
        ({"shapes": (3, 2)}, "shapes must ascend"),
        ({"extra_splits": {"train": 3}}, "must not repeat train"),
        ({"train": 0}, "greater than 0"),
    ],
)
def test_settings_that_are_impossible(settings: dict[str, object], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        ScenesConfig(size=64, **settings)


def test_capsules_measured_together_are_what_they_are_alone() -> None:
    random = np.random.default_rng(0)
    places = random.random((9, 2, 2))
    capsules = [Capsule((x, y), (u, v), 0.1) for (x, y), (u, v) in places.tolist()]
    capsules[::4] = [Capsule(capsule.start, capsule.start, 0.2) for capsule in capsules[::4]]
    x, y = random.random((9, 1, 7), np.float32), random.random((9, 5, 1), np.float32)
    distances, along = measure_all(capsules, x, y)
    for number, capsule in enumerate(capsules):
        distance, share = capsule.measure(x[number, 0], y[number])
        assert np.array_equal(distances[number], distance)
        assert np.array_equal(along[number], np.zeros((5, 7)) if share is None else share)
    assert sum(capsule.measure(x[0, 0], y[0])[1] is None for capsule in capsules) == 3

"""A jointed figure: its pose, and what it is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tamingplat_scenes.outlines import Capsule, Place, Polygon
from tamingplat_scenes.settings import Colour
from tamingplat_scenes.things import Part, Thing

JOINT_COLOURS: dict[str, Colour] = {
    "nose": (1.0, 0.82, 0.68),
    "left_shoulder": (1.0, 0.15, 0.10),
    "right_shoulder": (0.10, 0.25, 1.0),
    "left_elbow": (1.0, 0.55, 0.0),
    "right_elbow": (0.0, 0.65, 1.0),
    "left_wrist": (1.0, 0.95, 0.10),
    "right_wrist": (0.10, 1.0, 0.85),
    "left_hip": (0.75, 0.0, 0.35),
    "right_hip": (0.35, 0.0, 0.80),
    "left_knee": (1.0, 0.25, 0.75),
    "right_knee": (0.10, 0.75, 0.20),
    "left_ankle": (1.0, 0.70, 0.90),
    "right_ankle": (0.70, 1.0, 0.20),
}
"""The colour of every joint, by its name in COCO's files; limbs blend from one joint's to the other's."""
JOINTS = tuple(JOINT_COLOURS)

_LIMBS = {
    "legs": (("hip", "knee"), ("knee", "ankle")),
    "arms": (("shoulder", "elbow"), ("elbow", "wrist")),
}
_HEAD, _LIMB, _JOINT = 0.072, 0.030, 0.040
"""Radii of head, limbs and joints, in heights of the figure."""


@dataclass(frozen=True)
class Figure:
    """A figure in its pose.

    Attributes:
        joints: Column and row of every joint, float64 (J, 2), in heights of the scene.
        thing: What is painted.
    """

    joints: npt.NDArray[np.float64]
    thing: Thing


def make_figure(random: np.random.Generator, foot: Place, height: float, near: float) -> Figure:
    """A figure in a random pose.

    Args:
        random: Draws the pose.
        foot: Where its lower foot stands; sideways its hip is there.
        height: Of the figure upright, in heights of the scene.
        near: Inverse distance, which is the depth of all its pixels.
    """
    draws = random.random(16).tolist()
    lean = (draws[0] - 0.5) * 0.5
    # Towards us or away from us, and turned a little: the person's left is on our right or on our left.
    turn = (0.7 + 0.5 * draws[1]) * (1 if draws[2] < 0.5 else -1)
    spine = (math.sin(lean), -math.cos(lean))
    side = (turn * math.cos(lean), turn * math.sin(lean))
    places: dict[str, Place] = {}
    neck = _moved((0.0, 0.0), spine, 0.31)
    places["nose"] = _moved(neck, spine, 0.135)
    for number, (name, sign) in enumerate((("left", 1.0), ("right", -1.0))):
        own = draws[4 + 5 * number :]
        # Angles from hanging straight down, outward.
        arm = -0.3 + 2.8 * own[0]
        bend = -0.2 + 1.7 * own[1]
        leg = -0.15 + 0.8 * own[2]
        knee = 0.9 * own[3] ** 2
        shoulder, hip = _moved(neck, side, 0.115 * sign), _moved((0.0, 0.0), side, 0.065 * sign)
        outward = math.copysign(1.0, turn) * sign
        elbow = _moved(shoulder, _down(arm, outward), 0.165)
        places[f"{name}_shoulder"], places[f"{name}_elbow"] = shoulder, elbow
        places[f"{name}_wrist"] = _moved(elbow, _down(arm + bend, outward), 0.155)
        joint = _moved(hip, _down(leg, outward), 0.24)
        places[f"{name}_hip"], places[f"{name}_knee"] = hip, joint
        places[f"{name}_ankle"] = _moved(joint, _down(leg - knee, outward), 0.24)
    relative = np.array([places[name] for name in JOINTS])
    lowest = relative[:, 1].max() + _LIMB
    joints = relative * height + np.array([foot[0], foot[1] - lowest * height])
    return Figure(joints, Thing("figure", near, tuple(_parts(joints, height, turn))))


def _moved(start: Place, direction: Place, length: float) -> Place:
    return start[0] + direction[0] * length, start[1] + direction[1] * length


def _down(angle: float, outward: float) -> Place:
    return outward * math.sin(angle), math.cos(angle)


def _parts(joints: npt.NDArray[np.float64], height: float, turn: float) -> list[Part]:
    """What the figure is painted of, from back to front."""
    places: dict[str, Place] = {name: (float(x), float(y)) for name, (x, y) in zip(JOINTS, joints, strict=True)}
    limb, parts = _LIMB * height, []

    def limbs(kind: str) -> None:
        for name in ("left", "right"):
            for one, other in ((f"{name}_{start}", f"{name}_{end}") for start, end in _LIMBS[kind]):
                outline = Capsule(places[one], places[other], limb)
                parts.append(Part(outline, JOINT_COLOURS[one], "blend", JOINT_COLOURS[other]))

    limbs("legs")
    first, second = ("left", "right") if turn < 0 else ("right", "left")
    corners = (f"{first}_shoulder", f"{second}_shoulder", f"{second}_hip", f"{first}_hip")
    neck = _between(places["left_shoulder"], places["right_shoulder"])
    parts.append(Part(Capsule(neck, places["nose"], limb), JOINT_COLOURS["nose"], "flat"))
    parts.append(Part(Polygon(tuple(places[name] for name in corners)), (0.92, 0.90, 0.86), "face"))
    parts.append(Part(Capsule(places["nose"], places["nose"], _HEAD * height), JOINT_COLOURS["nose"], "ball"))
    limbs("arms")
    for name in JOINTS[1:]:
        parts.append(Part(Capsule(places[name], places[name], _JOINT * height), JOINT_COLOURS[name], "flat"))
    return parts


def _between(one: Place, other: Place) -> Place:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2

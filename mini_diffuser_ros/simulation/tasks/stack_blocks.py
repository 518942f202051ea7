"""Stack the block of one named colour on the block of another; two more lie about."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final
from xml.etree import ElementTree

import numpy as np

from mini_diffuser_ros.simulation import objects
from mini_diffuser_ros.simulation.palette import COLORS
from mini_diffuser_ros.simulation.placing import ABOVE, grasp_air, scatter, smallest_yaw, top_down, yaw_of
from mini_diffuser_ros.simulation.task import Scene, Slots, Task, Waypoint
from mini_diffuser_ros.simulation.templates import named

_COUNT: Final = 4
# An open gripper beside a block must not touch the next one.
_APART: Final = 0.11
_ABOVE_STACK: Final = 0.18
_DROP: Final = 0.002
_CENTRED: Final = 0.022
_HEIGHT_TOLERANCE: Final = 0.008
_RESTING_SPEED: Final = 0.02
_GRIPPER_OPEN: Final = 0.06
_GRIPPER_AWAY: Final = 0.05

_ON: Final = r"(?:on|onto|upon|over|above|atop)"
_UNDER: Final = r"(?:under|underneath|below|beneath)"
_TO_NEXT: Final = r"(?: top)?(?: of)?(?: the| a)?"


class StackBlocks(Task):
    """``stack_blocks``, slots ``top`` and ``bottom``."""

    name = "stack_blocks"

    slots = MappingProxyType({"top": tuple(COLORS), "bottom": tuple(COLORS)})
    cues = rf"blocks?|cubes?|bricks?|pieces?|stack|tower|{_ON}|{_UNDER}|cover|covered|top|base|bottom"

    def read(self, words: str) -> Slots | None:
        """Two colours, whose order words such as "on", "under" and "cover" tell."""
        distinct = list(dict.fromkeys(named(words, tuple(COLORS))))
        if len(distinct) != 2:
            return None
        first, second = distinct
        if _support_comes_first(words, first, second):
            first, second = second, first
        return {"top": first, "bottom": second}

    def layout(self, rng: np.random.Generator, slots: Slots) -> list[ElementTree.Element]:
        """The two named blocks and two of other colours."""
        named = [slots["top"], slots["bottom"]]
        others = [color for color in COLORS if color not in named]
        colors = [*named, *map(str, rng.choice(others, _COUNT - len(named), replace=False))]
        places = scatter(rng, _COUNT, _APART)
        yaws = rng.uniform(-np.pi / 4.0, np.pi / 4.0, _COUNT)
        return [
            objects.block(_body(color), COLORS[color], place, float(yaw))
            for color, place, yaw in zip(colors, places, yaws, strict=True)
        ]

    def required_bodies(self, slots: Slots) -> tuple[str, ...]:
        """Both blocks."""
        return (_body(slots["top"]), _body(slots["bottom"]))

    def succeeded(self, scene: Scene, slots: Slots) -> bool:
        """The one rests on the other, the gripper is open and away."""
        top = scene.body_pose(_body(slots["top"]))[:3, 3]
        bottom = scene.body_pose(_body(slots["bottom"]))[:3, 3]
        offset = top - bottom
        return bool(
            np.hypot(offset[0], offset[1]) < _CENTRED
            and abs(offset[2] - objects.BLOCK_SIZE) < _HEIGHT_TOLERANCE
            and scene.body_speed(_body(slots["top"])) < _RESTING_SPEED
            and scene.gripper_width() > _GRIPPER_OPEN
            and np.linalg.norm(scene.tcp_pose()[:3] - top) > _GRIPPER_AWAY
        )

    def expert(self, scene: Scene, slots: Slots) -> list[Waypoint]:
        """Above, grasp, lift, above the other, release, retreat."""
        base_from_top = scene.body_pose(_body(slots["top"]))
        base_from_bottom = scene.body_pose(_body(slots["bottom"]))
        x, y, z = base_from_top[:3, 3]
        yaw = smallest_yaw(yaw_of(base_from_top), np.pi / 2.0)
        to_x, to_y, to_z = base_from_bottom[:3, 3]
        to_yaw = smallest_yaw(yaw_of(base_from_bottom), np.pi / 2.0)
        release = to_z + objects.BLOCK_SIZE + _DROP
        return [
            top_down(x, y, ABOVE, yaw, True),
            top_down(x, y, z, yaw, False),
            top_down(x, y, ABOVE, yaw, False),
            top_down(to_x, to_y, _ABOVE_STACK, to_yaw, False),
            top_down(to_x, to_y, release, to_yaw, True),
            top_down(to_x, to_y, _ABOVE_STACK, to_yaw, True),
        ]

    def mishap(self, scene: Scene, slots: Slots, rng: np.random.Generator) -> list[Waypoint]:
        """A grasp that closes on air."""
        base_from_top = scene.body_pose(_body(slots["top"]))
        yaw = smallest_yaw(yaw_of(base_from_top), np.pi / 2.0)
        return grasp_air(base_from_top[:3, 3], yaw, ABOVE, rng)


def _body(color: str) -> str:
    return f"block_{color}"


def _support_comes_first(words: str, first: str, second: str) -> bool:
    """Whether of two colours in a sentence the first one named is the block below."""
    before, rest = re.split(rf"\b{first}\b", words, maxsplit=1)
    between, after = re.split(rf"\b{second}\b", rest, maxsplit=1)
    if re.search(rf"\b{_ON}{_TO_NEXT} $", between):
        return False
    if re.search(rf"\b{_UNDER}{_TO_NEXT} $", between):
        return True
    if re.search(rf"\b{_UNDER}{_TO_NEXT} $", before):
        return False
    if re.search(rf"\b{_ON}{_TO_NEXT} $", before):
        return True
    if re.search(r"\b(?:cover|top|cap|crown)\b", before) and re.search(r"\bwith\b", between):
        return True
    if re.search(r"\b(?:(?:covered|topped|capped|crowned) (?:by|with)|where)\b", between):
        return True
    if re.search(r"\b(?:supported|carried|held)\b", between):
        return False
    # "find the red one and put the blue one on it"; but "take the red one to the blue one and put it on top".
    if re.search(rf"\b{_ON}(?: top of)? (?:it|that)\b", after) or (after.endswith(" on top") and " it " not in after):
        return True
    # "the red one is the base", "the red one gets the blue one", "keep the red one and ..."
    return bool(
        re.search(rf"\b(?:base|bottom|foundation|{_UNDER}|gets?|has|have|holds?|carry|carries|supports?)\b", between)
        or re.search(r"\b(?:keep|leave|base|bottom|have)\b", before)
    )

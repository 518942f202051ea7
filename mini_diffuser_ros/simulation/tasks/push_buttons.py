"""Press the button of the named colour; three lie on the table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final
from xml.etree import ElementTree

import numpy as np

from mini_diffuser_ros.simulation import objects
from mini_diffuser_ros.simulation.palette import COLORS, Rgb
from mini_diffuser_ros.simulation.placing import scatter, top_down
from mini_diffuser_ros.simulation.task import Scene, Slots, Task, Waypoint
from mini_diffuser_ros.simulation.templates import named

_COUNT: Final = 3
_APART: Final = 0.13
# Fingers end 8.5 mm below the tool centre point and push the cap down to its stop: whoever learns it misses the height
# by a few millimetres, and half the travel is enough.
_PRESS: Final = objects.BUTTON_TOP + 0.0085 - objects.BUTTON_TRAVEL
_ABOVE: Final = 0.13
# A button counts as pressed from half of its travel on.
_PRESSED: Final = -objects.BUTTON_TRAVEL / 2.0


class PushButtons(Task):
    """``push_buttons``, slot ``color``.

    Attributes:
        colors: of the caps.
    """

    name = "push_buttons"
    colors: ClassVar[Mapping[str, Rgb]] = COLORS

    slots = MappingProxyType({"color": tuple(COLORS)})
    cues = r"buttons?|press|push|hit|tap|click|poke|touch|depress|activate|trigger|switch"

    def read(self, words: str) -> Slots | None:
        """One colour with a word for pressing."""
        colors = set(named(words, self.slots["color"]))
        return {"color": colors.pop()} if len(colors) == 1 and re.search(rf"\b(?:{self.cues})\b", words) else None

    def layout(self, rng: np.random.Generator, slots: Slots) -> list[ElementTree.Element]:
        """The named button and two of other colours."""
        others = [color for color in self.colors if color != slots["color"]]
        colors = [slots["color"], *map(str, rng.choice(others, _COUNT - 1, replace=False))]
        places = scatter(rng, _COUNT, _APART)
        named = zip(colors, places, strict=True)
        return [objects.button(_body(color), self.colors[color], place) for color, place in named]

    def required_bodies(self, slots: Slots) -> tuple[str, ...]:
        """The named button."""
        return (_body(slots["color"]),)

    def succeeded(self, scene: Scene, slots: Slots) -> bool:
        """Exactly the named button was pressed."""
        pressed = {cap for cap in scene.object_joints() if scene.joint_range(cap)[0] < _PRESSED}
        return pressed == {objects.cap_joint(_body(slots["color"]))}

    def expert(self, scene: Scene, slots: Slots) -> list[Waypoint]:
        """Above, press, retreat, all with the gripper closed."""
        x, y = scene.body_pose(_body(slots["color"]))[:2, 3]
        return [
            top_down(x, y, _ABOVE, 0.0, False),
            top_down(x, y, _PRESS, 0.0, False),
            top_down(x, y, _ABOVE, 0.0, False),
        ]

    def mishap(self, scene: Scene, slots: Slots, rng: np.random.Generator) -> list[Waypoint]:
        """A push that stops above the cap, without touching it."""
        x, y = scene.body_pose(_body(slots["color"]))[:2, 3] + rng.normal(0.0, 0.01, 2)
        return [top_down(x, y, objects.BUTTON_TOP + rng.uniform(0.02, 0.04), 0.0, False)]


def _body(color: str) -> str:
    return f"button_{color}"

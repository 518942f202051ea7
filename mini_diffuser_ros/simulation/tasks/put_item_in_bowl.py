"""Put the named one of three everyday things into the bowl."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final
from xml.etree import ElementTree

import numpy as np

from mini_diffuser_ros.simulation import objects
from mini_diffuser_ros.simulation.objects import ItemShape
from mini_diffuser_ros.simulation.placing import ABOVE, LOWEST_GRASP, grasp_air, scatter, smallest_yaw, top_down, yaw_of
from mini_diffuser_ros.simulation.task import Array, Scene, Slots, Task, Waypoint
from mini_diffuser_ros.simulation.templates import named

# Several share a colour, so that shape and size have to tell them apart.
ITEMS: Final = MappingProxyType[str, ItemShape](
    {
        "apple": ItemShape("sphere", (0.030, 0.030, 0.030), (0.80, 0.08, 0.10), 0.06),
        "lime": ItemShape("sphere", (0.021, 0.021, 0.021), (0.36, 0.72, 0.10), 0.03),
        "plum": ItemShape("sphere", (0.022, 0.022, 0.022), (0.42, 0.08, 0.42), 0.03),
        "tangerine": ItemShape("sphere", (0.025, 0.025, 0.025), (1.00, 0.52, 0.04), 0.04),
        "golf ball": ItemShape("sphere", (0.0214, 0.0214, 0.0214), (0.96, 0.96, 0.96), 0.04),
        "banana": ItemShape("capsule", (0.055, 0.015, 0.015), (0.98, 0.86, 0.14), 0.05),
        "carrot": ItemShape("capsule", (0.050, 0.012, 0.012), (1.00, 0.45, 0.05), 0.04),
        "cucumber": ItemShape("capsule", (0.056, 0.016, 0.016), (0.10, 0.45, 0.12), 0.06),
        "eggplant": ItemShape("capsule", (0.050, 0.022, 0.022), (0.28, 0.06, 0.36), 0.06),
        "sausage": ItemShape("capsule", (0.045, 0.013, 0.013), (0.66, 0.24, 0.16), 0.04),
        "sponge": ItemShape("box", (0.045, 0.030, 0.014), (0.98, 0.90, 0.22), 0.02),
        "eraser": ItemShape("box", (0.030, 0.014, 0.012), (0.16, 0.36, 0.90), 0.02),
    }
)

BOWL: Final = "bowl"
_COUNT: Final = 3
_ITEMS_APART: Final = 0.13
_BOWL_APART: Final = 0.17
_ABOVE_BOWL: Final = 0.18
# The tool stays above the rim, so that the opening fingers do not touch the bowl's wall.
_RELEASE: Final = objects.BOWL_HEIGHT + 0.022
_GRIPPER_OPEN: Final = 0.06
_INSIDE_HEIGHT: Final = objects.BOWL_HEIGHT + 0.01


class PutItemInBowl(Task):
    """``put_item_in_bowl``, slot ``item``.

    Attributes:
        items: what there is to put.
    """

    name = "put_item_in_bowl"
    items: ClassVar[Mapping[str, ItemShape]] = ITEMS

    slots = MappingProxyType({"item": tuple(ITEMS)})
    cues = r"bowl|dish|basin|container|in|into|inside"

    def read(self, words: str) -> Slots | None:
        """One item: it belongs into the bowl, whatever else is said."""
        items = set(named(words, self.slots["item"]))
        return {"item": items.pop()} if len(items) == 1 else None

    def layout(self, rng: np.random.Generator, slots: Slots) -> list[ElementTree.Element]:
        """The bowl, the named item and two others."""
        others = [item for item in self.items if item != slots["item"]]
        items = [slots["item"], *map(str, rng.choice(others, _COUNT - 1, replace=False))]
        places = scatter(rng, 1 + _COUNT, lambda first, second: _ITEMS_APART if first else _BOWL_APART)
        yaws = rng.uniform(-np.pi / 2.0, np.pi / 2.0, _COUNT)
        bodies = [
            objects.item(_body(item), self.items[item], place, float(yaw))
            for item, place, yaw in zip(items, places[1:], yaws, strict=True)
        ]
        return [objects.bowl(BOWL, places[0]), *bodies]

    def required_bodies(self, slots: Slots) -> tuple[str, ...]:
        """The bowl and the named item."""
        return (BOWL, _body(slots["item"]))

    def succeeded(self, scene: Scene, slots: Slots) -> bool:
        """The named item and no other lies in the bowl, the gripper is open."""
        named = _body(slots["item"])
        others = [name for name in scene.free_bodies() if name not in (BOWL, named)]
        offset = _offset_from_bowl(scene, named)
        return bool(
            np.hypot(offset[0], offset[1]) < objects.BOWL_INNER_RADIUS
            and offset[2] < _INSIDE_HEIGHT
            and not any(np.hypot(*_offset_from_bowl(scene, name)[:2]) < objects.BOWL_INNER_RADIUS for name in others)
            and scene.gripper_width() > _GRIPPER_OPEN
        )

    def expert(self, scene: Scene, slots: Slots) -> list[Waypoint]:
        """Above, grasp, lift, above the bowl, release, retreat."""
        (x, y, z), yaw = _grasp(scene, slots["item"], self.items)
        to_x, to_y = scene.body_pose(BOWL)[:2, 3]
        return [
            top_down(x, y, ABOVE, yaw, True),
            top_down(x, y, z, yaw, False),
            top_down(x, y, ABOVE, yaw, False),
            top_down(to_x, to_y, _ABOVE_BOWL, yaw, False),
            top_down(to_x, to_y, _RELEASE, yaw, True),
            top_down(to_x, to_y, _ABOVE_BOWL, yaw, True),
        ]

    def mishap(self, scene: Scene, slots: Slots, rng: np.random.Generator) -> list[Waypoint]:
        """A grasp that closes on air."""
        target, yaw = _grasp(scene, slots["item"], self.items)
        return grasp_air(target, yaw, ABOVE, rng)


def _body(item: str) -> str:
    return f"item_{item.replace(' ', '_')}"


def _grasp(scene: Scene, item: str, items: Mapping[str, ItemShape]) -> tuple[Array, float]:
    """Centre of the grasp (3,) and its yaw: the fingers close across the long axis."""
    base_from_item = scene.body_pose(_body(item))
    centre = base_from_item[:3, 3].copy()
    centre[2] = max(centre[2], LOWEST_GRASP)
    yaw = 0.0 if items[item].is_round else smallest_yaw(yaw_of(base_from_item), np.pi)
    return centre, yaw


def _offset_from_bowl(scene: Scene, name: str) -> Array:
    """Centre of a body (3,) from the middle of the bowl's foot."""
    return scene.body_pose(name)[:3, 3] - scene.body_pose(BOWL)[:3, 3]

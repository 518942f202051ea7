"""The planner's limits and obstacles as ROS parameters."""

from __future__ import annotations

from dataclasses import replace

from mini_diffuser_ros.motion import MotionConfig, MotionConfigError, StaticBox
from mini_diffuser_ros.nodes.ros.parameters import Parameters

BOX_NUMBERS = 7
BOXES = (
    "obstacles: seven numbers a box, center x y z, half extents x y z (metres, robot's base frame) and yaw (radians), "
    "one box after another"
)


def planner_config(parameters: Parameters, max_state_age: float) -> MotionConfig:
    """Declare ``planner.*`` and return what they say.

    Args:
        parameters: of the node.
        max_state_age: seconds; the node has a parameter of its own for it.

    Raises:
        MotionConfigError: if a value, or the number of values of the boxes, makes no sense.
    """
    limits = parameters.settings(MotionConfig(), "planner", without=("boxes", "max_state_age"))
    boxes = boxes_from(parameters.numbers("planner.boxes", BOXES))
    return replace(limits, max_state_age=max_state_age, boxes=boxes)


def boxes_from(numbers: tuple[float, ...]) -> tuple[StaticBox, ...]:
    """Boxes, named after their place in the list, of a flat list as :data:`BOXES` describes it.

    Raises:
        MotionConfigError: if it does not hold seven numbers a box.
    """
    if len(numbers) % BOX_NUMBERS:
        raise MotionConfigError("boxes", f"{len(numbers)} numbers", "seven numbers a box: center, half extents, yaw")
    rows = [numbers[start : start + BOX_NUMBERS] for start in range(0, len(numbers), BOX_NUMBERS)]
    return tuple(
        StaticBox(f"box_{number}", (x, y, z), (half_x, half_y, half_z), yaw)
        for number, (x, y, z, half_x, half_y, half_z, yaw) in enumerate(rows, start=1)
    )

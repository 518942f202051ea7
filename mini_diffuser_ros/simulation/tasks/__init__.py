"""The tasks of the table-top world, one file each."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from mini_diffuser_ros.simulation.tasks.base import Goal, Scene, Slots, Task, Waypoint
from mini_diffuser_ros.simulation.tasks.push_buttons import PushButtons
from mini_diffuser_ros.simulation.tasks.put_item_in_bowl import PutItemInBowl
from mini_diffuser_ros.simulation.tasks.stack_blocks import StackBlocks

TASKS: Final = MappingProxyType[str, Task](
    {task.name: task for task in (PushButtons(), StackBlocks(), PutItemInBowl())}
)
"""Every task by name."""

__all__ = ["TASKS", "Goal", "Scene", "Slots", "Task", "Waypoint"]

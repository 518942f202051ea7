"""The table-top world: a simulated Franka arm, three RGB-D cameras, tasks, sentences and scripted experts."""

from mini_diffuser_ros.running.task_world import DemonstrationFailed
from mini_diffuser_ros.simulation.episode import demonstrate, run_expert
from mini_diffuser_ros.simulation.errors import SimulationError
from mini_diffuser_ros.simulation.sentences import (
    Instruction,
    load_templates,
    make_goal,
    match_sentence,
    read_templates,
)
from mini_diffuser_ros.simulation.task import Goal, Task
from mini_diffuser_ros.simulation.tasks import TASKS
from mini_diffuser_ros.simulation.world import GripperResult, TabletopWorld

__all__ = [
    "TASKS",
    "DemonstrationFailed",
    "Goal",
    "GripperResult",
    "Instruction",
    "SimulationError",
    "TabletopWorld",
    "Task",
    "demonstrate",
    "load_templates",
    "make_goal",
    "match_sentence",
    "read_templates",
    "run_expert",
]

"""The table-top world: a simulated Franka arm, three RGB-D cameras, tasks, sentences and scripted experts."""

from mini_diffuser_ros.simulation.errors import DemonstrationFailed, SimulationError
from mini_diffuser_ros.simulation.tasks import TASKS, Goal
from mini_diffuser_ros.simulation.world import GripperResult, TabletopWorld

__all__ = ["TASKS", "DemonstrationFailed", "Goal", "GripperResult", "SimulationError", "TabletopWorld"]

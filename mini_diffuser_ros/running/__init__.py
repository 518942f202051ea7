"""The loop from a sentence to its end: look, decide, move, until the task is done.

>>> result = run_instruction(world, policy, "press the red button")  # doctest: +SKIP
>>> result.ending, result.message, result.keyframes  # doctest: +SKIP
"""

from mini_diffuser_ros.running.deciding import DecidingPolicy, DecisionError
from mini_diffuser_ros.running.instruction_run import Decision, Ending, InstructionRun, MotionReport, RunResult
from mini_diffuser_ros.running.seen_world import SeenWorld
from mini_diffuser_ros.running.settings import LoopSettings
from mini_diffuser_ros.running.task_world import (
    DemonstrationFailed,
    ExpertWorld,
    HeavyWorld,
    KeyframeAction,
    LaidTask,
    LayoutError,
    SelfFusingWorld,
    TaskWorld,
    WorldError,
    WorldStartError,
)
from mini_diffuser_ros.running.worlds import World, run_instruction

__all__ = [
    "DecidingPolicy",
    "Decision",
    "DecisionError",
    "DemonstrationFailed",
    "Ending",
    "ExpertWorld",
    "HeavyWorld",
    "InstructionRun",
    "KeyframeAction",
    "LaidTask",
    "LayoutError",
    "LoopSettings",
    "MotionReport",
    "RunResult",
    "SeenWorld",
    "SelfFusingWorld",
    "TaskWorld",
    "World",
    "WorldError",
    "WorldStartError",
    "run_instruction",
]

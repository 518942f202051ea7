"""The loop from a sentence to its end: look, decide, move, until the task is done.

>>> result = run_instruction(world, policy, "press the red button")  # doctest: +SKIP
>>> result.ending, result.message, result.keyframes  # doctest: +SKIP
"""

from mini_diffuser_ros.running.deciding import DecidingPolicy, DecisionError
from mini_diffuser_ros.running.instruction_run import Decision, Ending, InstructionRun, MotionReport, RunResult
from mini_diffuser_ros.running.settings import LoopSettings
from mini_diffuser_ros.running.worlds import World, run_instruction

__all__ = [
    "DecidingPolicy",
    "Decision",
    "DecisionError",
    "Ending",
    "InstructionRun",
    "LoopSettings",
    "MotionReport",
    "RunResult",
    "World",
    "run_instruction",
]

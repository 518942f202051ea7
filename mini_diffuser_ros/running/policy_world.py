"""Whether a policy knows the world that it is about to move an arm in."""

from __future__ import annotations

from pathlib import Path

from mini_diffuser_ros.policy.checkpoint import Checkpoint
from mini_diffuser_ros.records import LAB, UNKNOWN

CONSENT = "allow_simulated_policy"
"""Argument of the launch and parameter of policy_node by which a policy of simulations may drive a real arm."""
_LOOKED_AT = 25  # of a task's sentences; thousands would keep the launch waiting


def simulated_by(checkpoint: Checkpoint) -> str:
    """Why a policy seems to know no real table, in words that follow its name; empty if it may.

    Known by the worlds of its demonstrations; where they do not say, by the sentences.
    """
    worlds = set(checkpoint.world.worlds)
    if LAB in worlds:
        return ""
    if worlds and UNKNOWN not in worlds:
        return f"was trained in simulation alone ({', '.join(sorted(worlds))})"
    from mini_diffuser_ros.simulation import match_sentence  # MuJoCo and all, which a launch in simulation loads later

    spread = [(known, max(1, len(known) // _LOOKED_AT)) for known in checkpoint.tasks.values()]
    sentences = [sentence for known, step in spread for sentence in known[::step]]
    if not sentences:
        return "does not say what it was taught"
    if all(match_sentence(sentence) for sentence in sentences):
        return f"was taught the simulated table's sentences alone ({', '.join(sorted(checkpoint.tasks))})"
    return ""


def other_robots(checkpoint: Checkpoint, robot: str) -> str:
    """Why a policy of a real table does not fit a robot, in words that follow its name; empty if it may.

    Args:
        checkpoint: of the policy.
        robot: name, or folder, of the arm's description.
    """
    robots = checkpoint.world.robots
    if not robots or Path(robot).name in robots:
        return ""
    return f"was trained on {', '.join(robots)}, and the arm is {robot}: give a policy that was trained on this robot"

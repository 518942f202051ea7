"""Which policy drives the arm, and that a real one is not driven by what only knows the simulated table, unasked."""

from __future__ import annotations

import os
from pathlib import Path

from mini_diffuser_ros.bringup.errors import BringupError
from mini_diffuser_ros.policy.checkpoint import CONFIG_FILE, Checkpoint, read_checkpoint
from mini_diffuser_ros.records import LAB, RLBENCH, TABLE

CONSENT = "allow_simulated_policy"
_LOOKED_AT = 25  # of a task's sentences; thousands would keep the launch waiting


def chosen_policy(text: str, robot: str, shipped: Path, allowed: bool) -> str:
    """The checkpoint directory that drives a robot.

    Args:
        text: the launch's ``checkpoint``; empty: the shipped one.
        robot: ``sim``, or the name of a real arm.
        shipped: checkpoint that was trained on the simulated table.
        allowed: whether a policy of the simulated table may drive a real arm.

    Raises:
        BringupError: there is no such checkpoint, or a real arm would be driven by one of simulations without consent,
            or by one of another robot.
    """
    folder = Path(text) if text else shipped
    if not (folder / CONFIG_FILE).is_file():
        raise BringupError(f"checkpoint '{folder}' is no checkpoint directory: there is no {CONFIG_FILE} in it")
    if robot == "sim":
        return os.path.abspath(folder)
    if not text and not allowed:
        raise BringupError(
            f"robot:={robot} needs checkpoint:=DIR, a policy trained on this cell; to drive it by the one of the "
            f"simulated table all the same, add {CONSENT}:=true"
        )
    checkpoint = read_checkpoint(folder)
    reason = simulated_by(checkpoint)
    if reason and not allowed:
        raise BringupError(
            f"checkpoint:={text} {reason}, and robot:={robot} is a real arm: train on demonstrations of this cell "
            f"(docs/training.md), or add {CONSENT}:=true"
        )
    robots = checkpoint.world.robots
    if not reason and robots and Path(robot).name not in robots:
        raise BringupError(
            f"checkpoint:={text} was trained on {', '.join(robots)}, and the arm is {robot}: give a policy that was "
            "trained on this robot"
        )
    return os.path.abspath(folder)


def simulated_by(checkpoint: Checkpoint) -> str:
    """Why a policy seems to know no real table, in words that follow its name; empty if it may.

    Known by the worlds of its demonstrations; where they do not say, by the sentences.
    """
    worlds = set(checkpoint.world.worlds)
    if LAB in worlds:
        return ""
    if worlds and not worlds - {TABLE, RLBENCH}:
        return f"was trained in simulation alone ({', '.join(sorted(worlds))})"
    from mini_diffuser_ros.simulation import match_sentence  # MuJoCo and all, which a launch in simulation loads later

    spread = [(known, max(1, len(known) // _LOOKED_AT)) for known in checkpoint.tasks.values()]
    sentences = [sentence for known, step in spread for sentence in known[::step]]
    if not sentences:
        return "does not say what it was taught"
    if all(match_sentence(sentence) for sentence in sentences):
        return f"was taught the simulated table's sentences alone ({', '.join(sorted(checkpoint.tasks))})"
    return ""

"""Which policy drives the arm, and that a real one is not driven by what only knows the simulated table, unasked."""

from __future__ import annotations

import os
from pathlib import Path

from mini_diffuser_ros.bringup.errors import BringupError
from mini_diffuser_ros.policy.checkpoint import CONFIG_FILE, read_checkpoint
from mini_diffuser_ros.running.policy_world import CONSENT, other_robots, simulated_by


def shipped_policy(shipped: Path, sensor: str) -> Path:
    """Of the checkpoints that are shipped, the one for simulated cameras of a kind.

    Args:
        shipped: that for exact cameras; that for cameras with errors lies beside it.
        sensor: the cameras, as ``simulation.sensor.sensor_of`` says them.
    """
    return shipped if sensor == "perfect" else shipped.with_name(f"{shipped.name}_d435")


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
    if not os.path.isfile(folder / CONFIG_FILE):
        raise BringupError(
            f"checkpoint '{folder}' is no checkpoint directory: there is no {CONFIG_FILE} in it; give that of a policy"
        )
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
    if not reason and (strange := other_robots(checkpoint, robot)):
        raise BringupError(f"checkpoint:={text} {strange}")
    return os.path.abspath(folder)

"""Which policy drives the arm, and that a real one is not driven by what only knows the simulated table, unasked."""

from __future__ import annotations

import os
from pathlib import Path

from mini_diffuser_ros.bringup.errors import BringupError
from mini_diffuser_ros.policy.checkpoint import CONFIG_FILE, Checkpoint, read_checkpoint

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
        BringupError: there is no such checkpoint, or a real arm would be driven by one without consent.
    """
    folder = Path(text) if text else shipped
    if not (folder / CONFIG_FILE).is_file():
        raise BringupError(f"checkpoint '{folder}' is no checkpoint directory: there is no {CONFIG_FILE} in it")
    if robot == "sim" or allowed:
        return os.path.abspath(folder)
    if not text:
        raise BringupError(
            f"robot:={robot} needs checkpoint:=DIR, a policy trained on this cell; to drive it by the one of the "
            f"simulated table all the same, add {CONSENT}:=true"
        )
    if reason := simulated_by(read_checkpoint(folder)):
        raise BringupError(
            f"checkpoint:={text} {reason}, and robot:={robot} is a real arm: train on demonstrations of this cell "
            f"(docs/training.md), or add {CONSENT}:=true"
        )
    return os.path.abspath(folder)


def simulated_by(checkpoint: Checkpoint) -> str:
    """Why a policy seems to know no real table, in words that follow its name; empty if it may.

    Known by what it was taught, whatever its directory is called.
    """
    from mini_diffuser_ros.simulation import match_sentence  # MuJoCo and all, which a launch in simulation loads later

    spread = [(known, max(1, len(known) // _LOOKED_AT)) for known in checkpoint.tasks.values()]
    sentences = [sentence for known, step in spread for sentence in known[::step]]
    if not sentences:
        return "does not say what it was taught"
    if all(match_sentence(sentence) for sentence in sentences):
        return f"was taught the simulated table's sentences alone ({', '.join(sorted(checkpoint.tasks))})"
    return ""

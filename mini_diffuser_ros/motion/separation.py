"""Speed by separation: how fast the tool may be for the distance of the nearest person.

The distance has to be at least ``v_h (T_r + T_s) + v_r T_r + d_s + C + Z`` (ISO 10218-2:2025, before it ISO/TS 15066):
the way of the person until the robot stands, the robot's own way until it brakes and while it does, and what the sensor
does not see. Solved for ``v_r`` here, with ``d_s`` bounded by ``v_r T_s``. A measure, not a certified safety function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mini_diffuser_ros.support.settings import bounded, check_fields

_NEAR = 0.5
"""Metres within which people are taken to be faster."""

_STEPS = 20
"""Of the speed, to the lower of which it is rounded: noise of a distance is no reason for another speed."""


@dataclass(frozen=True)
class SeparationConfig:
    """What the distance that is kept depends on; how to come to the numbers is for the cell's risk assessment.

    Attributes:
        topic: of the distance from robot to the nearest person, metres (std_msgs/Float32, infinite for nobody in
            sight); empty: speed does not follow separation.
        max_age: seconds without a distance after which the arm holds.
        reaction: T_r, seconds from where a person is until the arm begins to slow down: the sensor's, 0.05 between
            two words of the controller, up to 0.2 while another change is being taken up, 0.1 of lead.
        stopping: T_s, seconds that the arm needs to hold from full speed.
        human_speed: m/s of a person.
        near_human_speed: m/s of a person within 0.5 m.
        intrusion: C, metres that a part of the body may reach before the sensor sees it.
        uncertainty: Z, metres by which the positions of person and robot may be wrong.
    """

    topic: str = ""
    max_age: float = bounded(0.5, 0.05, 10.0)
    reaction: float = bounded(0.45, 0.0, 5.0)
    stopping: float = bounded(0.4, 0.0, 5.0)
    human_speed: float = bounded(1.6, 0.0, 10.0)
    near_human_speed: float = bounded(2.0, 0.0, 10.0)
    intrusion: float = bounded(0.1, 0.0, 5.0)
    uncertainty: float = bounded(0.1, 0.0, 5.0)

    def __post_init__(self) -> None:
        check_fields(self)


def speed_at(distance: float, config: SeparationConfig) -> float:
    """Largest speed of the robot, m/s, for the distance of the nearest person, metres; infinite if nobody is there."""
    human = config.near_human_speed if distance <= _NEAR else config.human_speed
    until_rest = config.reaction + config.stopping
    left = distance - human * until_rest - config.intrusion - config.uncertainty
    if left <= 0.0:
        return 0.0
    return left / until_rest if until_rest > 0.0 else np.inf


def fraction_at(distance: float, config: SeparationConfig, full_speed: float) -> float:
    """The same as a fraction, in [0, 1] and in steps, of the robot's full speed, m/s."""
    fraction = min(1.0, speed_at(distance, config) / full_speed)
    return float(np.floor(fraction * _STEPS + 1e-9) / _STEPS)

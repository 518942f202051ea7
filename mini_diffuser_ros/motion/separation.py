"""Speed by separation: how fast the arm may be for the distance of the nearest person.

The distance has to be at least ``v_h (T_r + T_s) + v_r T_r + d_s + C + Z`` (ISO 10218-2:2025, before it ISO/TS 15066):
the way of the person until the robot stands, the robot's own way until it brakes and while it does, and what the sensor
does not see. Solved for ``v_r`` here, with ``d_s`` bounded by ``v_r T_s``. ``T_r`` is all the time for which the robot
may go on as if nobody had come nearer: the sensor's latency, the silence that is put up with, and the stack's own.
A measure, not a certified safety function.
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
        topic: of the distance from robot to the nearest person, metres (std_msgs/Float32); empty: speed does not
            follow separation.
        max_range: metres that the sensor sees. Infinite says that nobody is within them, and is taken for them; what is
            farther was not measured in metres.
        max_age: seconds without a distance after which the arm holds; they count in T_r.
        max_same: seconds for which a distance may be the same bit for bit, unless it is infinite; then the arm holds. A
            sensor that measures varies; one with a few zones does not, and needs a longer time.
        trust_after: seconds of distances that can be believed, after one that cannot, until the arm goes on.
        latency: seconds from where a person is until motion_node hears it; they count in T_r.
        reaction: seconds from there until the arm begins to slow down: 0.05 between two words of the controller, up to
            0.2 while another change is being taken up, 0.1 of lead; they count in T_r.
        stopping: T_s, seconds that the arm needs to hold from full speed.
        fastest_part: times the tool's speed that elbow or flange may have; v_r is that of the whole arm.
        human_speed: m/s of a person. Nobody goes away faster either: a distance that grows by more is not believed.
        near_human_speed: m/s of a person within 0.5 m.
        intrusion: C, metres that a part of the body may reach before the sensor sees it.
        uncertainty: Z, metres by which the positions of person and robot may be wrong.
    """

    topic: str = ""
    max_range: float = bounded(10.0, 0.1, 100.0)
    max_age: float = bounded(0.3, 0.05, 10.0)
    max_same: float = bounded(10.0, 0.5, 86400.0)
    trust_after: float = bounded(1.0, 0.5, 60.0)
    latency: float = bounded(0.1, 0.0, 5.0)
    reaction: float = bounded(0.35, 0.0, 5.0)
    stopping: float = bounded(0.4, 0.0, 5.0)
    fastest_part: float = bounded(1.85, 1.0, 10.0)
    human_speed: float = bounded(1.6, 0.1, 10.0)
    near_human_speed: float = bounded(2.0, 0.1, 10.0)
    intrusion: float = bounded(0.1, 0.0, 5.0)
    uncertainty: float = bounded(0.1, 0.0, 5.0)

    @property
    def until_rest(self) -> float:
        """T_r + T_s, seconds from where a person was until the robot stands."""
        return self.latency + self.max_age + self.reaction + self.stopping

    def __post_init__(self) -> None:
        check_fields(self)


def speed_at(distance: float, config: SeparationConfig) -> float:
    """Largest speed of the robot, m/s, for the distance of the nearest person, metres."""
    human = config.near_human_speed if distance <= _NEAR else config.human_speed
    left = distance - human * config.until_rest - config.intrusion - config.uncertainty
    return max(0.0, left / config.until_rest)


def distance_at(speed: float, config: SeparationConfig) -> float:
    """Metres that have to be kept to the nearest person for a speed of the robot, m/s."""
    far = (config.human_speed + speed) * config.until_rest + config.intrusion + config.uncertainty
    near = far + (config.near_human_speed - config.human_speed) * config.until_rest
    return far if far > _NEAR else min(near, _NEAR)


def fraction_at(distance: float, config: SeparationConfig, tool_speed: float) -> float:
    """The same as a fraction, in [0, 1] and in steps, of the speed planned with, m/s of the tool."""
    fraction = min(1.0, speed_at(distance, config) / (tool_speed * config.fastest_part))
    return float(np.floor(fraction * _STEPS + 1e-9) / _STEPS)

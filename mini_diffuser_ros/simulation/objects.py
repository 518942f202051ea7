"""MJCF bodies of the things that lie on the table. Lengths in metres; poses in the base frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

import numpy as np

from mini_diffuser_ros.simulation.palette import CLAY, GREY, Rgb

BLOCK_SIZE: Final = 0.04

BUTTON_BASE_SIZE: Final = 0.07
BUTTON_BASE_HEIGHT: Final = 0.020
BUTTON_CAP_RADIUS: Final = 0.022
BUTTON_TOP: Final = 0.036
BUTTON_TRAVEL: Final = 0.010

BOWL_INNER_RADIUS: Final = 0.068
BOWL_HEIGHT: Final = 0.048
BOWL_FLOOR: Final = 0.008
_BOWL_WALL: Final = 0.006
_BOWL_PLANKS: Final = 12

# Six contact dimensions resist the spin and the roll of round things, so that a ball comes to rest where it is put.
_ROUND_FRICTION: Final = "1.0 0.02 0.003"
_FLAT_FRICTION: Final = "1.0 0.01 0.0005"
_CONTACT: Final = {"solref": "0.005 1", "solimp": "0.95 0.99 0.001"}


@dataclass(frozen=True)
class ItemShape:
    """Size of something that goes into the bowl.

    Attributes:
        kind: MuJoCo geom type: ``sphere``, ``capsule`` (lying) or ``box``.
        size: half extents along x (the long axis), y and z; metres.
        rgb: colour.
        mass: kilograms.
    """

    kind: str
    size: tuple[float, float, float]
    rgb: Rgb
    mass: float

    @property
    def resting_height(self) -> float:
        """Height of the centre above the table when it rests, metres."""
        return self.size[2]

    @property
    def is_round(self) -> bool:
        """Whether every grasp yaw is the same."""
        return self.kind == "sphere"


def block(name: str, rgb: Rgb, xy: Sequence[float], yaw: float) -> ElementTree.Element:
    """A cube with an edge of :data:`BLOCK_SIZE` that rests on the table."""
    half = BLOCK_SIZE / 2.0
    body = _free_body(name, (xy[0], xy[1], half), yaw)
    _geom(body, "box", (half, half, half), rgb, mass=0.05, friction=_FLAT_FRICTION, condim=4)
    return body


def item(name: str, shape: ItemShape, xy: Sequence[float], yaw: float) -> ElementTree.Element:
    """Something to put into the bowl, its long axis turned by ``yaw`` from the base's x axis."""
    body = _free_body(name, (xy[0], xy[1], shape.resting_height), yaw)
    if shape.kind == "sphere":
        _geom(body, "sphere", shape.size[:1], shape.rgb, mass=shape.mass, friction=_ROUND_FRICTION, condim=6)
    elif shape.kind == "capsule":
        radius = shape.size[1]
        geom = _geom(
            body,
            "capsule",
            (radius, shape.size[0] - radius),
            shape.rgb,
            mass=shape.mass,
            friction=_ROUND_FRICTION,
            condim=6,
        )
        geom.set("zaxis", "1 0 0")
    else:
        _geom(body, "box", shape.size, shape.rgb, mass=shape.mass, friction=_FLAT_FRICTION, condim=4)
    return body


def bowl(name: str, xy: Sequence[float]) -> ElementTree.Element:
    """A bowl of flat planks round a disc. The body's origin lies on the table under the bowl's middle."""
    body = _free_body(name, (xy[0], xy[1], 0.0), 0.0)
    outer = BOWL_INNER_RADIUS + _BOWL_WALL
    _geom(body, "cylinder", (outer, BOWL_FLOOR / 2.0), CLAY, mass=0.4).set("pos", _text((0, 0, BOWL_FLOOR / 2)))
    half_width = outer * np.tan(np.pi / _BOWL_PLANKS)
    half_height = (BOWL_HEIGHT - BOWL_FLOOR) / 2.0
    for angle in np.arange(_BOWL_PLANKS) * 2.0 * np.pi / _BOWL_PLANKS:
        plank = _geom(body, "box", (_BOWL_WALL / 2.0, half_width, half_height), CLAY, mass=0.01)
        radius = BOWL_INNER_RADIUS + _BOWL_WALL / 2.0
        plank.set("pos", _text((radius * np.cos(angle), radius * np.sin(angle), BOWL_FLOOR + half_height)))
        plank.set("quat", _text(_quat_wxyz(angle)))
    return body


def button(name: str, rgb: Rgb, xy: Sequence[float]) -> ElementTree.Element:
    """A grey base screwed to the table with a coloured cap on a spring.

    The cap slides on the joint :func:`cap_joint` from 0 (released) to minus :data:`BUTTON_TRAVEL` metres.
    """
    body = ElementTree.Element("body", name=name, pos=_text((xy[0], xy[1], 0.0)))
    half = BUTTON_BASE_SIZE / 2.0
    base = _geom(body, "box", (half, half, BUTTON_BASE_HEIGHT / 2.0), GREY)
    base.set("pos", _text((0, 0, BUTTON_BASE_HEIGHT / 2.0)))
    cap = ElementTree.SubElement(body, "body", name=cap_joint(name))
    ElementTree.SubElement(
        cap,
        "joint",
        name=cap_joint(name),
        type="slide",
        axis="0 0 1",
        limited="true",
        range=_text((-BUTTON_TRAVEL, 0.0)),
        stiffness="400",
        springref="0.002",
        damping="4",
        armature="0.02",
    )
    bottom = BUTTON_BASE_HEIGHT - 0.006
    geom = _geom(cap, "cylinder", (BUTTON_CAP_RADIUS, (BUTTON_TOP - bottom) / 2.0), rgb, mass=0.02)
    geom.set("pos", _text((0, 0, (BUTTON_TOP + bottom) / 2.0)))
    # The cap's foot sinks into the base: neither takes contacts from the other, both touch the robot.
    for touching in (base, geom):
        touching.set("conaffinity", "0")
    return body


def cap_joint(button: str) -> str:
    """Name of the joint of a button's cap."""
    return f"{button}_cap"


def _free_body(name: str, position: Sequence[float], yaw: float) -> ElementTree.Element:
    body = ElementTree.Element("body", name=name, pos=_text(position), quat=_text(_quat_wxyz(yaw)))
    ElementTree.SubElement(body, "freejoint", name=name)
    return body


def _geom(
    body: ElementTree.Element,
    kind: str,
    size: Sequence[float],
    rgb: Rgb,
    mass: float | None = None,
    friction: str = _FLAT_FRICTION,
    condim: int = 3,
) -> ElementTree.Element:
    attributes = {
        "type": kind,
        "size": _text(size),
        "rgba": _text((*rgb, 1.0)),
        "friction": friction,
        "condim": str(condim),
        **_CONTACT,
    }
    if mass is not None:
        attributes["mass"] = str(mass)
    return ElementTree.SubElement(body, "geom", attributes)


def _quat_wxyz(yaw: float) -> tuple[float, float, float, float]:
    return (float(np.cos(yaw / 2.0)), 0.0, 0.0, float(np.sin(yaw / 2.0)))


def _text(values: Sequence[float]) -> str:
    return " ".join(f"{value:.9g}" for value in values)

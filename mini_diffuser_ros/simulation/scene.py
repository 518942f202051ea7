"""The MuJoCo model of the table-top: robot, table, lamp, cameras and the objects of one layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from mini_diffuser_ros.geometry import quaternion_from_matrix
from mini_diffuser_ros.simulation.cameras import CameraMount
from mini_diffuser_ros.simulation.palette import TABLE
from mini_diffuser_ros.simulation.rendering import AMBIENT, DIFFUSE, LIGHT_DIRECTION

_TABLE_MIDDLE: Final = (0.60, 0.0, 0.0)
_TABLE_HALF_SIZE: Final = (0.80, 0.90, 0.05)
# Optical frames look along +z with y down, MuJoCo's cameras along -z with y up.
_OPTICAL_FROM_MUJOCO: Final = np.diag([1.0, -1.0, -1.0])


def compile_scene(
    robot_document: str, cameras: Sequence[CameraMount], bodies: Sequence[ElementTree.Element]
) -> mujoco.MjModel:
    """A model of the robot's MJCF document with table, lamp, cameras and the given bodies on the table."""
    root = ElementTree.fromstring(robot_document)
    world = root.find("worldbody")
    if world is None:
        raise ValueError("the robot's MJCF document has no <worldbody>")
    _add_visual(root)
    _add_lamp(world)
    _add_table(world)
    for camera in cameras:
        _add_camera(_body(world, camera.parent), camera)
    world.extend(bodies)
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))


def _add_visual(root: ElementTree.Element) -> None:
    visual = ElementTree.SubElement(root, "visual")
    black = "0 0 0"
    ElementTree.SubElement(visual, "headlight", ambient=black, diffuse=black, specular=black)
    # Clipping planes are multiples of the model's extent.
    ElementTree.SubElement(visual, "map", znear="0.01", zfar="5")
    ElementTree.SubElement(visual, "quality", shadowsize="0", offsamples="0")
    ElementTree.SubElement(root, "statistic", extent="1", center="0.45 0 0.2")


def _add_lamp(world: ElementTree.Element) -> None:
    ElementTree.SubElement(
        world,
        "light",
        type="directional",
        pos="0 0 3",
        dir=_text(LIGHT_DIRECTION),
        ambient=_text([AMBIENT] * 3),
        diffuse=_text([DIFFUSE] * 3),
        specular="0 0 0",
        castshadow="false",
    )


def _add_table(world: ElementTree.Element) -> None:
    ElementTree.SubElement(
        world,
        "geom",
        name="table",
        type="plane",
        pos=_text(_TABLE_MIDDLE),
        size=_text(_TABLE_HALF_SIZE),
        rgba=_text((*TABLE, 1.0)),
        friction="1.0 0.01 0.0005",
        condim="3",
    )


def _add_camera(body: ElementTree.Element, camera: CameraMount) -> None:
    x, y, z, w = quaternion_from_matrix(camera.parent_from_camera[:3, :3] @ _OPTICAL_FROM_MUJOCO)
    ElementTree.SubElement(
        body,
        "camera",
        name=camera.name,
        pos=_text(camera.parent_from_camera[:3, 3]),
        quat=_text((w, x, y, z)),
        # The robot's document counts angles in radians, but MuJoCo always takes fovy in degrees.
        fovy=f"{np.degrees(camera.fovy):.9g}",
    )


def _body(world: ElementTree.Element, name: str) -> ElementTree.Element:
    for body in world.iter("body"):
        if body.get("name") == name:
            return body
    raise ValueError(f"the robot's MJCF document has no body '{name}'")


def _text(values: ArrayLike) -> str:
    return " ".join(f"{value:.9g}" for value in np.asarray(values, dtype=np.float64))

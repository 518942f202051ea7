"""Where things are in a MuJoCo model of LIBERO, as a scripted expert may know: poses, surfaces, regions and joints.

Names are those of BDDL files: an object or fixture ``x`` is the body ``x_main``, a region is the site of its name.
Poses and points are in the base frame of the arm.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import inverse_transform, transform_points
from mini_diffuser_ros.support.errors import UserError

Array = NDArray[np.float64]

BASE: Final = "robot0_base"
"""Body whose frame is that of the arm's description."""

_COLLIDING, _SEEN = 0, 1  # geom groups of robosuite
_ROBOT: Final = ("robot0", "gripper0", "mount0")
_SPACING: Final = 0.006  # metres between points on surfaces
_MOST_POINTS: Final = 4000  # of one geom
UNIT_BOX: Final = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
"""(8, 3) corners of a box of half sizes 1."""

_BOX_FACES: Final = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)


class SceneError(UserError, LookupError):
    """The model has nothing of a name that a task speaks of."""


class Region(NamedTuple):
    """A box of space that a task speaks of.

    Attributes:
        base_from_region: (4, 4).
        half_sizes: (3,) metres, along the region's axes.
    """

    base_from_region: Array
    half_sizes: Array


class MovingJoint(NamedTuple):
    """A hinge or slide as it stands.

    Attributes:
        position: radians or metres.
        low, high: its range.
        is_hinge: whether it turns.
        axis: (3,) direction, base frame.
        anchor: (3,) a point on it, base frame.
        body: name of what it moves.
    """

    position: float
    low: float
    high: float
    is_hinge: bool
    axis: Array
    anchor: Array
    body: str


class MeasuredScene:
    """The present state of a model and its data; nothing is stored, but the shapes of things.

    Args:
        model, data: MuJoCo's own, of robosuite's ``env.sim``.
    """

    def __init__(self, model: Any, data: Any) -> None:
        self._model, self._data = model, data
        self._clouds: dict[int, Array] = {}

    def pose(self, name: str) -> Array:
        """(4, 4) of an object, a fixture or any body.

        Raises:
            SceneError: if there is none of this name.
        """
        return self._base_from(self._body(name))

    def points(self, name: str, seen: bool = True) -> Array:
        """(N, 3) points some millimetres apart on the surface of a body and of all that is jointed to it.

        Args:
            name: of an object, a fixture or any body.
            seen: of the shape that is drawn; otherwise of the one that collides.
        """
        return self._points_of(self._subtree(self._body(name)), seen)

    def surroundings(self, without: tuple[str, ...] = ()) -> Array:
        """(N, 3) points on everything that can be touched, but the arm, floors and what is named with its joints."""
        left_out = {body for name in without for body in self._subtree(self._body(name))}
        return self._points_of([body for body in self._touchable if body not in left_out], seen=False)

    def geom_points(self, body: str, seen: bool = True) -> list[Array]:
        """(N, 3) points on each shape that belongs to the body itself."""
        chosen = self._geoms([self._body(body)], seen)
        return [np.asarray(transform_points(self._base_from_geom(geom), self._cloud(geom))) for geom in chosen]

    def region(self, name: str) -> Region:
        """A region by its name.

        Raises:
            SceneError: if there is none.
        """
        index = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_SITE, name)
        if index < 0:
            raise SceneError(f"the scene has no region {name!r}")
        world_from_site = _transform(self._data.site_xpos[index], self._data.site_xmat[index])
        return Region(self._base_from_world() @ world_from_site, np.array(self._model.site_size[index]))

    def has_region(self, name: str) -> bool:
        """Whether there is a region of this name."""
        return int(mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_SITE, name)) >= 0

    def joints(self, fixture: str) -> dict[str, MovingJoint]:
        """The hinges and slides of a fixture by their names."""
        bodies, found = set(self._subtree(self._body(fixture))), {}
        for index in range(self._model.njnt):
            kind, body = mujoco.mjtJoint(int(self._model.jnt_type[index])), int(self._model.jnt_bodyid[index])
            if body in bodies and kind in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE):
                low, high = map(float, self._model.jnt_range[index])
                base_from_world = self._base_from_world()
                found[self._model.joint(index).name] = MovingJoint(
                    float(self._data.qpos[self._model.jnt_qposadr[index]]),
                    low,
                    high,
                    kind == mujoco.mjtJoint.mjJNT_HINGE,
                    base_from_world[:3, :3] @ self._data.xaxis[index],
                    np.asarray(transform_points(base_from_world, self._data.xanchor[index])),
                    self._model.body(body).name,
                )
        return found

    def nearest_joint(self, region: str, fixture: str) -> MovingJoint:
        """What moves with a region, or the only thing that moves of a fixture without one.

        Raises:
            SceneError: if nothing of the fixture moves.
        """
        joints = self.joints(fixture)
        if not joints:
            raise SceneError(f"nothing of {fixture!r} moves")
        if len(joints) == 1 or not self.has_region(region):
            return next(iter(joints.values()))
        site = mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_SITE, region)
        body = int(self._model.site_bodyid[site])
        chain = {self._model.body(body).name}
        while body:
            body = int(self._model.body_parentid[body])
            chain.add(self._model.body(body).name)
        for joint in joints.values():
            if joint.body in chain:
                return joint
        raise SceneError(f"nothing that moves belongs to the region {region!r}")

    # Bodies and geoms

    def _body(self, name: str) -> int:
        for candidate in (f"{name}_main", name):
            index = int(mujoco.mj_name2id(self._model, mujoco.mjtObj.mjOBJ_BODY, candidate))
            if index >= 0:
                return index
        raise SceneError(f"the scene has no object {name!r}")

    def _subtree(self, root: int) -> list[int]:
        bodies = [root]
        for body in range(root + 1, self._model.nbody):
            if int(self._model.body_parentid[body]) in bodies:
                bodies.append(body)
        return bodies

    @cached_property
    def _touchable(self) -> list[int]:
        names = {body: self._model.body(body).name for body in range(1, self._model.nbody)}
        return [body for body, name in names.items() if not name.startswith(_ROBOT)]

    def _geoms(self, bodies: list[int], seen: bool) -> list[int]:
        group = _SEEN if seen else _COLLIDING
        wanted = set(bodies)
        return [
            geom
            for geom in range(self._model.ngeom)
            if int(self._model.geom_bodyid[geom]) in wanted
            and self._model.geom_group[geom] == group
            and int(self._model.geom_type[geom]) != int(mujoco.mjtGeom.mjGEOM_PLANE)
        ]

    def _points_of(self, bodies: list[int], seen: bool) -> Array:
        clouds = [transform_points(self._base_from_geom(geom), self._cloud(geom)) for geom in self._geoms(bodies, seen)]
        return np.concatenate(clouds) if clouds else np.zeros((0, 3))

    def _base_from_world(self) -> Array:
        base = self._model.body(BASE).id
        return inverse_transform(_transform(self._data.xpos[base], self._data.xmat[base]))

    def _base_from(self, body: int) -> Array:
        return self._base_from_world() @ _transform(self._data.xpos[body], self._data.xmat[body])

    def _base_from_geom(self, geom: int) -> Array:
        return self._base_from_world() @ _transform(self._data.geom_xpos[geom], self._data.geom_xmat[geom])

    def _cloud(self, geom: int) -> Array:
        """(N, 3) points on a geom's surface, in its own frame."""
        if geom not in self._clouds:
            vertices, faces = self._surface(geom)
            self._clouds[geom] = _spread(vertices, faces)
        return self._clouds[geom]

    def _surface(self, geom: int) -> tuple[Array, NDArray[np.int64]]:
        kind, size = mujoco.mjtGeom(int(self._model.geom_type[geom])), np.array(self._model.geom_size[geom])
        if kind == mujoco.mjtGeom.mjGEOM_MESH:
            mesh = self._model.mesh(int(self._model.geom_dataid[geom]))
            first, count = int(mesh.vertadr[0]), int(mesh.vertnum[0])
            face, faces = int(mesh.faceadr[0]), int(mesh.facenum[0])
            return (
                np.array(self._model.mesh_vert[first : first + count], dtype=np.float64),
                np.array(self._model.mesh_face[face : face + faces], dtype=np.int64),
            )
        if kind == mujoco.mjtGeom.mjGEOM_SPHERE:
            half = np.full(3, size[0])
        elif kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
            half = np.array([size[0], size[0], size[0] + size[1]])
        elif kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
            half = np.array([size[0], size[0], size[1]])
        else:
            half = size
        return UNIT_BOX * half, _BOX_FACES


def _transform(position: Array, rotation: Array) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(rotation, (3, 3))
    matrix[:3, 3] = position
    return matrix


def _spread(vertices: Array, faces: NDArray[np.int64]) -> Array:
    """Vertices, and points spread evenly over the triangles between them; the same each time."""
    first, second, third = (vertices[faces[:, corner]] for corner in range(3))
    areas = np.linalg.norm(np.cross(second - first, third - first), axis=1) / 2.0
    count = int(min(_MOST_POINTS, areas.sum() / _SPACING**2))
    if count == 0:
        return vertices
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(faces), count, p=areas / areas.sum())
    along, across = rng.random((2, count, 1))
    outside = along + across > 1.0
    along, across = np.where(outside, 1.0 - along, along), np.where(outside, 1.0 - across, across)
    inner = first[chosen] + along * (second - first)[chosen] + across * (third - first)[chosen]
    return np.concatenate([vertices, inner])

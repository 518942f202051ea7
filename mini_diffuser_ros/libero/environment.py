"""One task of LIBERO in MuJoCo: how it is laid out, what is where, and whether it is done.

Layouts, predicates and physics are LIBERO's own; between layouts it is MuJoCo that is stepped and not robosuite, which
computes observations that nobody looks at and takes three times as long.
"""

from __future__ import annotations

import pdb
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import inverse_transform, pose_from_matrix, transform_points
from mini_diffuser_ros.libero.errors import LiberoError, PlacementError
from mini_diffuser_ros.libero.installed import libero_module, quiet
from mini_diffuser_ros.libero.measured_scene import BASE, UNIT_BOX
from mini_diffuser_ros.libero.rearranging import Arrangement, Predicate, rearranged
from mini_diffuser_ros.libero.suites import LiberoTask
from mini_diffuser_ros.running.task_world import WorldError, WorldStartError
from mini_diffuser_ros.support.errors import one_line

Array = NDArray[np.float64]
VISUAL = 1
"""Group of the geoms that are seen; those of group 0 are shapes for collision alone."""
RESTING = 0.02
"""m/s and rad/s below which a thing counts as at rest."""
_FALL_RATE = 60.0
"""1/s; of weight against the drag of what falls slowly, which makes 16 cm/s of it."""
_DIVERGED = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)
TILTED = 0.2
"""Radians; things that turn by more while a layout comes to rest have fallen over, or lie on others."""
STRAYED, RAISED = 0.05, 0.02
"""Metres; things that are to stand on the table and are farther from where they were put, or higher above it, are not
where their task has them. Regions of tables are two centimetres wide, and everything is dropped from seven."""


class LiberoEnvironment:
    """A task, to be laid out. It takes seconds to make, and a gigabyte that is not given back when it is dropped.

    Args:
        task: which one.

    Raises:
        LiberoError: if LIBERO is not installed.
        WorldStartError: if it cannot make the task.

    Attributes:
        task: as given.
        sentence: LIBERO's own, from the BDDL file.
        model, data: MuJoCo's.
        base_from_world: (4, 4) pose of MuJoCo's world in the arm's base frame.
        support_height: metres, top of table or floor in the base frame.
        movable: names of the things that can be moved.
        fixtures: names of cabinets, stoves and the like, which stand at another place in each layout.
        initial, goal: what holds at the start of what is laid out, and is to hold at the end.
    """

    def __init__(self, task: LiberoTask) -> None:
        wrapper = libero_module("libero.libero.envs.env_wrapper").ControlEnv
        try:
            with quiet(), _seeded(0):
                wrapped = wrapper(
                    bddl_file_name=str(task.bddl_file),
                    has_renderer=False,
                    has_offscreen_renderer=False,
                    use_camera_obs=False,
                    hard_reset=False,
                    ignore_done=True,
                )
        # Whatever is wrong with a file of a task, LIBERO says it by any error.
        except Exception as error:
            raise WorldStartError(
                f"{task.suite}, {task.name}: LIBERO cannot make it: {type(error).__name__}: {one_line(error)}"
            ) from error
        self.task = task
        self.sentence = str(wrapped.language_instruction)
        # Its ``reset`` tries until one succeeds, whatever the error, Ctrl-C included: hence what it wraps.
        self._libero: Any = wrapped.env
        self._wrapped = wrapped  # owns it
        self.model: mujoco.MjModel = self._libero.sim.model._model
        self.data: mujoco.MjData = self._libero.sim.data._data
        self.movable = tuple(self._libero.objects_dict)
        problem: Mapping[str, Any] = self._libero.parsed_problem
        self.initial = tuple(map(tuple, problem["initial_state"]))
        self.goal = tuple(map(tuple, problem["goal_state"]))
        placed = {thing for relation, thing, *_ in self.initial if relation == "on"}
        self.fixtures = tuple(name for name in self._libero.fixtures_dict if name in placed)
        self.base_from_world = inverse_transform(self._world_from_body(BASE))
        regions: Mapping[str, Any] = problem["regions"]
        self._on_support = {
            name for name, region in regions.items() if region["target"] not in (*self.movable, *self.fixtures)
        }
        self.support_height = self._height_of_support(regions)
        owners = {name: str(region["target"]) for name, region in regions.items()}
        middles = {name: _middle(regions[name]["ranges"][0]) for name in self._on_support if regions[name]["ranges"]}
        self._as_written = Arrangement(
            initial=self.initial,
            goal=self.goal,
            movable=self.movable,
            fixtures=self.fixtures,
            owners=owners,
            middles=dict(sorted(middles.items())),
        )
        self._usual_tilts: dict[str, float] = {}
        self._placed: dict[str, Array] = {}

    def draw_layout(self, seed: int, rearrange: bool = False) -> None:
        """Draw a layout from the regions of the BDDL file; the same seed gives the same. Things hang in the air then.

        Args:
            seed: of all that is drawn.
            rearrange: put things into other regions than the file does, see :func:`rearranged`.

        Raises:
            PlacementError: if LIBERO finds no place for something.
        """
        written = self._as_written
        self._arrange(rearranged(written, np.random.default_rng(seed)) if rearrange else written.initial)
        self._replace_fixtures()
        refused = libero_module("robosuite.utils.errors").RandomizationError
        try:
            with quiet(), _seeded(seed), _undebugged():
                self._libero.reset()
        except refused as error:
            raise PlacementError(f"{self.task.name}, seed {seed}: {one_line(error)}") from error
        self._laid_out()

    def take_state(self, state: Array, seed: int) -> None:
        """Lay out by an official start state, (1 + nq + nv,); fixtures, which states do not say, come from the seed."""
        self.draw_layout(seed)
        size = 1 + self.model.nq + self.model.nv
        if state.shape != (size,):
            raise LiberoError(
                f"{self.task.suite}, {self.task.name}: a start state has {len(state)} numbers, this MuJoCo model has "
                f"{size}: it is of another version of the benchmark"
            )
        self._libero.sim.set_state_from_flattened(state)
        self._laid_out()

    def _arrange(self, initial: tuple[Predicate, ...]) -> None:
        """Have LIBERO draw from other regions from now on."""
        if initial == self.initial:
            return
        self.initial = initial
        self._libero.parsed_problem["initial_state"] = [list(fact) for fact in initial]
        self._libero.object_property_initializers = []
        self._libero._setup_placement_initializer(None)

    def _laid_out(self) -> None:
        self.data.time = 0.0
        for kind in _DIVERGED:
            self.data.warning[kind].number = 0
        self.refresh()
        self._placed = {name: self._world_from_body(self.root_body(name)) for name in self.movable}

    def invalid(self) -> str:
        """Why what lies there, once it is at rest, is no layout of this task, in words that follow one; empty if it is.

        LIBERO's official start states were chosen by such a test, layouts that it draws are not.
        """
        where_written = {fact[1] for fact in self.initial if fact in self._as_written.initial}
        for name, angle in self._tilts().items():
            usual = self._usual_tilts.get(name, 0.0) if name in where_written else 0.0
            if abs(angle - usual) > TILTED:
                return f"{name} has tilted by {np.degrees(angle):.0f} degrees"
        for relation, name, *where in self.initial:
            if name in self.fixtures or (where and where[0] in self._on_support and self._stands_there(name)):
                continue
            if not self.holds((relation, name, *where)):
                return f"'{' '.join((relation, name, *where))}' does not hold"
        return ""

    def take_as_usual(self) -> None:
        """Call layouts valid in which things are tilted as they are now, at rest after an official start state.

        Something may lie tilted where it belongs.
        """
        self._usual_tilts = self._tilts()

    def _tilts(self) -> dict[str, float]:
        """Radians by which the vertical of each thing has turned since it was put there."""
        verticals = {
            name: float(before[2, :3] @ self._world_from_body(self.root_body(name))[2, :3])
            for name, before in self._placed.items()
        }
        return {name: float(np.arccos(np.clip(cosine, -1.0, 1.0))) for name, cosine in verticals.items()}

    def _stands_there(self, name: str) -> bool:
        """Whether a thing that was put onto table or floor is still where it was put."""
        now = self._world_from_body(self.root_body(name))
        strayed = np.linalg.norm(now[:2, 3] - self._placed[name][:2, 3])
        return bool(strayed < STRAYED and self.box(name)[0][2] < self.support_height + RAISED)

    @contextmanager
    def falling_slowly(self) -> Iterator[None]:
        """While it lasts, things sink to where they come to rest, instead of being dropped there."""
        model = self.model
        bodies = [model.body(self.root_body(name)).id for name in self.movable]
        damping = model.dof_damping.copy()
        for body in bodies:
            linear, turning = int(model.body_dofadr[body]), int(model.body_dofadr[body]) + 3
            model.dof_damping[linear:turning] = _FALL_RATE * model.body_mass[body]
            model.dof_damping[turning : turning + 3] = _FALL_RATE * model.body_inertia[body].mean()
        try:
            yield
        finally:
            model.dof_damping[:] = damping

    def holds(self, predicate: Predicate) -> bool:
        """Whether a predicate of the BDDL file holds now."""
        return bool(self._libero._eval_predicate(list(predicate)))

    def success(self) -> bool:
        """Whether the goal is reached, by LIBERO's own test."""
        return bool(self._libero._check_success())

    def refresh(self) -> None:
        """Have everything that is asked for or looked at be as the last step left it, the light of a stove included.

        Raises:
            WorldError: the physics has diverged, and what there is now means nothing.
        """
        mujoco.mj_forward(self.model, self.data)
        self._libero._post_process()
        wild = [self.data.warning[kind].number for kind in _DIVERGED]
        if any(wild) or not np.isfinite(self.data.qpos).all():
            raise WorldError(f"{self.task.suite}, {self.task.name}: the physics has diverged")

    def is_moving(self) -> bool:
        """Whether things are not at rest yet."""
        speeds = [self.data.cvel[self.model.body(self.root_body(name)).id] for name in self.movable]
        return bool(np.max(np.abs(speeds), initial=0.0) > RESTING)

    def pose(self, name: str) -> Array:
        """(7,) xyz + xyzw of a thing or fixture in the arm's base frame.

        Raises:
            LiberoError: if there is none of that name.
        """
        known = {**self._libero.objects_dict, **self._libero.fixtures_dict}
        if name not in known:
            raise LiberoError(f"{self.task.name}: nothing is called '{name}'; there are {', '.join(known)}")
        return pose_from_matrix(self.base_from_world @ self._world_from_body(known[name].root_body))

    def body_pose(self, body: str) -> Array:
        """(4, 4) ``base_from_body`` of a body of the MuJoCo model."""
        return self.base_from_world @ self._world_from_body(body)

    def box(self, name: str) -> tuple[Array, Array]:
        """Lower and upper corner (3,) of the axis-aligned box in the base frame around what is seen of a thing."""
        root = self.model.body(self.root_body(name)).id
        seen = (self.model.body_rootid[self.model.geom_bodyid] == root) & (self.model.geom_group == VISUAL)
        corners = np.concatenate([self._corners(int(geom)) for geom in np.flatnonzero(seen)])
        return corners.min(axis=0), corners.max(axis=0)

    def _corners(self, geom: int) -> Array:
        """(N, 3) points in the base frame within whose hull a geom lies: its mesh's, or those of its bounding box."""
        model = self.model
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
            start, mesh = int(model.mesh_vertadr[model.geom_dataid[geom]]), int(model.geom_dataid[geom])
            local = np.asarray(model.mesh_vert[start : start + int(model.mesh_vertnum[mesh])], dtype=np.float64)
        else:
            local = model.geom_aabb[geom, :3] + UNIT_BOX * model.geom_aabb[geom, 3:]
        world = local @ self.data.geom_xmat[geom].reshape(3, 3).T + self.data.geom_xpos[geom]
        return np.asarray(transform_points(self.base_from_world, world), dtype=np.float64)

    def root_body(self, name: str) -> str:
        """The body of the MuJoCo model that is a thing or fixture."""
        return str({**self._libero.objects_dict, **self._libero.fixtures_dict}[name].root_body)

    def close(self) -> None:
        """End it; MuJoCo's part of its memory stays in use."""
        self._wrapped.close()

    def _height_of_support(self, regions: Mapping[str, Any]) -> float:
        """Metres in the base frame: how high what is fixed to the world is in the middle of the table's regions."""
        model, data = self.model, self.data
        bodies = model.geom_bodyid
        placed = [model.body(self.root_body(name)).id for name in (*self.movable, *self.fixtures)]
        fixed = (model.body_weldid[bodies] == 0) & ~np.isin(model.body_rootid[bodies], placed)
        groups, only = model.geom_group.copy(), np.zeros(mujoco.mjNGROUP, np.uint8)
        model.geom_group[:], only[-1] = np.where(fixed, mujoco.mjNGROUP - 1, 0), 1  # rays choose by groups
        heights = []
        for name in self._on_support:
            for x0, y0, x1, y1 in regions[name]["ranges"]:
                above = self._libero.workspace_offset + np.array([(x0 + x1) / 2.0, (y0 + y1) / 2.0, 1.0])
                down, hit = np.array([0.0, 0.0, -1.0]), np.zeros(1, np.int32)
                distance = mujoco.mj_ray(model, data, above, down, only, 1, -1, hit)
                heights.append(above[2] - distance if hit[0] >= 0 else self._libero.workspace_offset[2])
        model.geom_group[:] = groups
        return float(np.median(heights)) + float(self.base_from_world[2, 3])

    def _world_from_body(self, body: str) -> Array:
        index = self.model.body(body).id
        pose = np.eye(4)
        pose[:3, :3] = self.data.xmat[index].reshape(3, 3)
        pose[:3, 3] = self.data.xpos[index]
        return pose

    def _replace_fixtures(self) -> None:
        """Fixtures to where the model has them before anything is placed.

        A layout of LIBERO places things relative to a fixture where it stands and moves both then: a second layout
        would move them twice.
        """
        for name in self.fixtures:
            index = self.model.body(self._libero.fixtures_dict[name].root_body).id
            self.model.body_pos[index], self.model.body_quat[index] = 0.0, (1.0, 0.0, 0.0, 0.0)
        mujoco.mj_forward(self.model, self.data)


def _middle(ranges: Sequence[float]) -> tuple[float, float]:
    """(x, y) of the middle of a region's lower and upper corner."""
    x0, y0, x1, y1 = map(float, ranges)
    return (x0 + x1) / 2.0, (y0 + y1) / 2.0


@contextmanager
def _undebugged() -> Iterator[None]:
    """LIBERO starts a debugger, which waits for a person, before it says that it finds no place on a fixture."""
    before = pdb.set_trace
    pdb.set_trace = lambda *_, **__: None
    try:
        yield
    finally:
        pdb.set_trace = before


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """LIBERO draws from numpy's global generator and knows no other; it is left as it was."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)

"""Scripted experts: from what a task asks for and where things are to the keyframes that do it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import axis_angle_matrix, pose_from_matrix
from mini_diffuser_ros.libero.goals import BddlTask, Fact, GoalStep, Verb, steps_of
from mini_diffuser_ros.libero.grasps import (
    Annotations,
    Grasp,
    HandleAnnotation,
    clearance,
    find_grasps,
    read_annotations,
    tool_at,
)
from mini_diffuser_ros.libero.measured_scene import MeasuredScene, MovingJoint
from mini_diffuser_ros.running.task_world import DemonstrationFailed, KeyframeAction

Array = NDArray[np.float64]

MISHAP_PROBABILITY: Final = 0.12
"""Share of demonstrations that begin after a grasp in vain."""

_ATTEMPTS: Final = 4  # at each step
_ABOVE: Final = 0.10  # the hand comes from so far behind a grasp, along its approach
_LIFT: Final = 0.12
_LOWER: Final = 0.02  # steps in which a height that is out of reach is given up
_TRAVEL_GAP: Final = 0.03  # between what is carried and what it is carried over
_CORRIDOR: Final = 0.13  # half width of the way that has to be free
_RETREAT: Final = 0.12
_FINGER_HALF: Final = 0.012
_BAR_DEPTH, _BAR_ROOM = 0.008, 0.005  # of the tool beyond a bar's middle; clearance that is enough there
_BEFORE_DOOR: Final = 0.22  # metres that a hand is drawn back before it is in front of a door
_OUT_OF_THE_WAY: Final = 0.15
_LAID_FROM: Final = 0.010  # metres above a rack from which a thing is let go
_DROP: Final = 0.006  # metres above what it will lie on that a thing is let go
_AROUND, _CELL = 0.25, 0.006
_SPARE, _FITS = 0.012, 2.0  # room beside what is put down; cost from which on other turns are tried
_YAWS: Final = (0.0, *(sign * angle for angle in range(15, 91, 15) for sign in (1.0, -1.0)))
_PLACES_TRIED: Final = 12
_UP: Final = np.array([0.0, 0.0, 1.0])


class ExpertStage(Protocol):
    """What an expert may know of the world: everything, as it is scripted."""

    @property
    def scene(self) -> MeasuredScene:
        """Where things are now."""
        ...

    @property
    def bddl(self) -> BddlTask:
        """What is asked for."""
        ...

    def holds(self, fact: Fact) -> bool:
        """Whether something is the case now, by LIBERO's own predicates."""
        ...

    def base_from_tool(self) -> Array:
        """(4, 4) of the tool centre point as measured now."""
        ...

    def reaches(self, base_from_tool: Array) -> bool:
        """Whether the arm can go there from where it is."""
        ...


class Expert:
    """Does what a task asks for, looking again after every motion; what went wrong is tried again from where it is.

    Args:
        stage: the world.
        annotations: how things are gripped; by default the package's own page.
        mishap: source of the randomness with which it begins after a grasp in vain now and then; None for never.
    """

    def __init__(
        self, stage: ExpertStage, annotations: Annotations | None = None, mishap: np.random.Generator | None = None
    ) -> None:
        self._stage = stage
        self._annotations = read_annotations() if annotations is None else annotations
        self._mishap = mishap
        self._begins = False

    def actions(self) -> Iterator[KeyframeAction]:
        """The keyframes, one after the other, each to be carried out before the next is asked for.

        Raises:
            DemonstrationFailed: if a step is not done after several attempts.
        """
        openable = {name for name, one in self._annotations.fixtures.items() if one.kind in ("drawer", "door")}
        for step in steps_of(self._stage.bddl, openable):
            for attempt in range(_ATTEMPTS):
                if self._stage.holds(step.fact):
                    break
                if attempt:
                    self._begins = True  # what was done until now did not help, and is not to be learnt
                yield from self._do(step, attempt)
            else:
                if not self._stage.holds(step.fact):
                    raise DemonstrationFailed(f"could not {step} in {_ATTEMPTS} attempts")

    def _do(self, step: GoalStep, attempt: int) -> Iterator[KeyframeAction]:
        if step.verb is Verb.PUT:
            return self._put(step, attempt)
        fixture = self._stage.bddl.owner(step.thing)
        handle = self._annotations.fixtures.get(self._stage.bddl.category(step.thing))
        if handle is None:
            raise DemonstrationFailed(f"could not {step}: grasps.yaml does not say how a {fixture} is worked")
        joint = self._stage.scene.nearest_joint(step.thing, fixture)
        if handle.kind == "knob":
            return self._turn(joint, handle, step.verb is Verb.TURN_ON)
        if handle.kind == "drawer":
            return self._pull(joint, handle) if step.verb is Verb.OPEN else self._push(joint, handle)
        return self._swing(joint, handle, step.verb is Verb.OPEN)

    # Putting things somewhere

    def _put(self, step: GoalStep, attempt: int) -> Iterator[KeyframeAction]:
        scene, thing = self._stage.scene, step.thing
        fixture = self._annotations.fixtures.get(self._stage.bddl.category(step.place))
        through_door = fixture is not None and fixture.kind == "door" and step.inside
        annotation = self._annotations.of(self._stage.bddl.category(thing), through_door)
        grasps = find_grasps(annotation, scene.pose(thing), scene.points(thing), scene.surroundings((thing,)))
        grasp = self._choose(grasps, attempt)
        if grasp is None:
            raise DemonstrationFailed(f"could not {step}: none of {len(grasps)} grasps of {thing} can be reached")
        # At the first grasp alone: a later one would take the steps before it out of what is recorded.
        mishap, self._mishap = self._mishap, None
        if mishap is not None and mishap.random() < MISHAP_PROBABILITY:
            vain = _in_vain(grasp, mishap)
            if self._stage.reaches(vain):
                yield self._action(vain, False)
                self._begins = True
        tool = grasp.base_from_tool
        above = _back(tool, _ABOVE)
        if (height := self._detour(above, thing)) is not None:
            yield self._action(_raised(above, height), True)
        yield self._action(above, True)
        yield self._action(tool, False)
        if annotation.slides and fixture is None and scene.has_region(step.place):
            slid = tool.copy()
            slid[:2, 3] = self._place(step)[:2, 3]
            yield self._action(slid, True)
            yield self._action(_retreated(slid), True)
            return
        held_at = scene.pose(thing)
        height = float(tool[2, 3]) + _LIFT if through_door else self._travel_height(tool, self._place(step), thing)
        lifted = self._over(tool, height)
        yield self._action(lifted, False)
        if scene.pose(thing)[2, 3] - held_at[2, 3] < 0.5 * (lifted[2, 3] - tool[2, 3]):
            return  # it is not in the hand
        if fixture is not None and fixture.kind == "rack":
            yield from self._lay(step)
            return
        if through_door:
            yield from self._put_through_door(step)
            return
        place = self._place(step)
        yield self._action(self._over(place, max(height, place[2, 3])), False)
        # It may have turned or slid in the hand on the way.
        place = self._place(step)
        yield self._action(place, True)
        yield self._action(_retreated(place), True)

    def _over(self, place: Array, height: float) -> Array:
        """The tool above a place, at a height, or below it by as little as the arm can go there."""
        for lower in np.arange(0.0, height - float(place[2, 3]), _LOWER):
            over = _raised(place, height - float(lower))
            if self._stage.reaches(over):
                return over
        return _raised(place, height)

    def _put_through_door(self, step: GoalStep) -> Iterator[KeyframeAction]:
        """Level with where it belongs, in, let go, and out again the same way."""
        place = self._place(step)
        inward = np.array([*place[:2, 2], 0.0])
        inward /= np.linalg.norm(inward)
        before = _moved(place, 0.012 * _UP - _BEFORE_DOOR * inward)
        yield self._action(before, False)
        yield self._action(_moved(place, 0.012 * _UP), False)
        yield self._action(place, True)
        yield self._action(_moved(place, -_BEFORE_DOOR * inward), True)

    def _choose(self, grasps: list[Grasp], attempt: int) -> Grasp | None:
        """The best grasp that can be reached; after two attempts at it, one that differs."""
        chosen: list[Grasp] = []
        for grasp in grasps:
            place = grasp.base_from_tool
            if all(_differs(place, other.base_from_tool) for other in chosen) and (
                self._stage.reaches(_back(place, _ABOVE)) and self._stage.reaches(place)
            ):
                chosen.append(grasp)
                if len(chosen) > max(attempt - 1, 0):
                    break
        return chosen[-1] if chosen else None

    def _detour(self, goal: Array, thing: str) -> float | None:
        """Height above a goal to come down from, where the hand would meet something on the straight way to it."""
        start, points = self._stage.base_from_tool(), self._stage.scene.surroundings((thing,))
        for share in np.linspace(0.2, 1.0, 7):
            between = goal.copy()
            between[:3, 3] = (1.0 - share) * start[:3, 3] + share * goal[:3, 3]
            if clearance(between, points, sweep=0.0) <= 0.0:
                near = points[np.linalg.norm(points[:, :2] - goal[:2, 3], axis=1) < 2.0 * _CORRIDOR, 2]
                return max(float(near.max()) + _ABOVE, float(goal[2, 3]))
        return None

    def _travel_height(self, start: Array, end: Array, thing: str) -> float:
        """Height of the tool with which what it holds passes over everything between two poses of it."""
        scene = self._stage.scene
        points = scene.surroundings((thing,))
        along = end[:2, 3] - start[:2, 3]
        length = float(np.linalg.norm(along)) + 1e-9
        offsets = points[:, :2] - start[:2, 3]
        forward = np.clip(offsets @ along / length, 0.0, length)
        beside = np.linalg.norm(offsets - forward[:, None] * along / length, axis=1)
        passed = points[beside < _CORRIDOR, 2]
        highest = float(passed.max()) if len(passed) else 0.0
        hanging = float(start[2, 3] - scene.points(thing)[:, 2].min())
        return max(highest + hanging + _TRAVEL_GAP, float(start[2, 3]) + _LIFT)

    def _place(self, step: GoalStep) -> Array:
        """(4, 4) of the tool that lets the thing that it holds go where it belongs.

        It stays turned as it is held, unless it only fits in otherwise.
        """
        scene, thing = self._stage.scene, step.thing
        tool = self._stage.base_from_tool()
        origin, shape = scene.pose(thing)[:3, 3], scene.points(thing)
        middle, reach = self._target(step)
        ground = _thinned(scene.surroundings((thing,)), middle)
        floor = ground[ground[:, 2] < scene.region(step.place).base_from_region[2, 3]] if step.inside else ground
        options: list[tuple[float, Array]] = []
        lowest = np.inf
        for yaw in np.radians(_YAWS):
            turn = axis_angle_matrix(_UP, yaw)[:3, :3]
            body = (shape - origin) @ turn.T
            foot = body[body[:, 2] < body[:, 2].min() + 0.012, :2]
            for aside in _offsets(reach):
                at = middle + aside
                support = _support(floor, foot + at)
                low = support + _DROP - float(body[:, 2].min())  # of the thing's origin
                room = _room(ground, body + np.array([*at, low]), support)
                cost = max(_SPARE - room, 0.0) / 0.004 + float(np.linalg.norm(aside)) / 0.05 + abs(yaw) / 1.5
                cost += support / 0.02  # on the ground rather than on what lies there already
                placed = np.eye(4)
                placed[:3, :3] = turn @ tool[:3, :3]
                placed[:3, 3] = np.array([*at, low]) + turn @ (tool[:3, 3] - origin)
                options.append((cost, placed))
                lowest = min(lowest, support)
            if yaw == 0.0 and min(cost for cost, _ in options) < _FITS + lowest / 0.02:
                break
        options.sort(key=lambda option: option[0])
        for _, placed in options[:_PLACES_TRIED]:
            raised = _above_walls(placed, ground)
            if self._stage.reaches(raised):
                return raised
        return _above_walls(options[0][1], ground)

    def _lay(self, step: GoalStep) -> Iterator[KeyframeAction]:
        """Lay what stands in the hand down along a rack, its foot away from the arm."""
        scene, thing = self._stage.scene, step.thing
        base_from_region, half = scene.region(step.place)
        along = base_from_region[:3, 0] * np.sign(base_from_region[0, 0])
        rising = max((base_from_region[:3, 1], -base_from_region[:3, 1]), key=lambda axis: float(axis[2]))
        base_from_thing, tool = scene.pose(thing), self._stage.base_from_tool()
        shape = scene.points(thing) - base_from_thing[:3, 3]
        across = np.eye(3) - np.outer(base_from_thing[:3, 2], base_from_thing[:3, 2])
        radius = float(np.linalg.norm(shape @ across, axis=1).max())
        foot = base_from_region[:3, 3] + along * 0.75 * half[0] + rising * (radius + _LAID_FROM)
        others = scene.surroundings((thing,))
        options = []
        for lean in np.radians([90.0, 75.0, 60.0]):
            for roll in np.radians([0.0, 30.0, -30.0, 60.0, -60.0, 90.0]):
                turn = axis_angle_matrix(np.cross(-_UP, along), lean)[:3, :3] @ axis_angle_matrix(_UP, roll)[:3, :3]
                laid = np.eye(4)
                laid[:3, :3] = turn @ tool[:3, :3]
                laid[:3, 3] = foot + turn @ (tool[:3, 3] - base_from_thing[:3, 3])
                room = min(clearance(laid, others, radius, 0.0), 0.005)
                options.append((-room, -lean, abs(roll), laid))
        for _, _, _, laid in sorted(options, key=lambda option: option[:3]):
            above = _moved(laid, _ABOVE * _UP)
            if self._stage.reaches(above) and self._stage.reaches(laid):
                yield self._action(above, False)
                yield self._action(laid, True)
                yield self._action(_back(laid, _RETREAT), True)
                return
        raise DemonstrationFailed(f"could not {step}: the arm cannot lay it down")

    def _target(self, step: GoalStep) -> tuple[Array, Array]:
        """Where the origin of a thing belongs, (2,) base frame, and how far (2,) from there it may be along x and y."""
        scene = self._stage.scene
        if scene.has_region(step.place):
            region = scene.region(step.place)
            half = np.abs(region.base_from_region[:3, :3] @ region.half_sizes)
            return region.base_from_region[:2, 3], np.maximum(half[:2] - 0.012, 0.0)
        return scene.pose(step.place)[:2, 3], np.zeros(2)

    # Drawers, doors, knobs

    def _pull(self, joint: MovingJoint, handle: HandleAnnotation) -> Iterator[KeyframeAction]:
        outward = joint.axis * (-1.0 if handle.opens_at == "low" else 1.0)
        tool = self._bar_grasp(joint, outward)
        already = abs(joint.position)
        pulled = tool.copy()
        pulled[:3, 3] += outward * (handle.travel - already)
        yield self._action(_back(tool, _ABOVE), True)
        yield self._action(tool, False)
        yield self._action(pulled, True)
        away = _back(pulled, _ABOVE)
        yield self._action(away, True)
        yield self._action(_raised(away, away[2, 3] + _OUT_OF_THE_WAY), True)

    def _push(self, joint: MovingJoint, handle: HandleAnnotation) -> Iterator[KeyframeAction]:
        scene = self._stage.scene
        outward = joint.axis * (-1.0 if handle.opens_at == "low" else 1.0)
        bar = _smallest(scene.geom_points(joint.body))
        centre = (bar.max(axis=0) + bar.min(axis=0)) / 2.0
        front = centre + outward * (float((bar @ outward).max()) - float(centre @ outward) + 0.012)
        closed = front - outward * (abs(joint.position) + handle.overshoot)
        sideways = np.cross(_UP, outward)
        others = scene.surroundings((joint.body,))
        options = []
        for lean in np.radians([20.0, 35.0, 50.0, 65.0]):
            approach = -np.cos(lean) * _UP - np.sin(lean) * outward
            options.append((clearance(tool_at(closed, approach, sideways), others, 0.0), -lean, approach))
        approach = max(options, key=lambda option: (min(option[0], 0.01), option[1]))[2]
        begin, end = tool_at(front + 0.06 * outward, approach, sideways), tool_at(closed, approach, sideways)
        yield self._action(_raised(begin, begin[2, 3] + 0.12), False)
        yield self._action(begin, False)
        yield self._action(end, False)
        yield self._action(_raised(_moved(end, 0.08 * outward), end[2, 3] + 0.12), True)

    def _bar_grasp(self, joint: MovingJoint, outward: Array) -> Array:
        """(4, 4) of the tool with a finger above and one below a drawer's bar, or behind it, as there is room."""
        scene = self._stage.scene
        # What reaches out farthest is the bar without the posts that it is fastened by.
        shapes = scene.geom_points(joint.body, seen=False)
        reach = [float((points @ outward).max()) for points in shapes]
        core = shapes[int(np.argmax([float((points @ outward).mean()) for points in shapes]))]
        centre = (core.max(axis=0) + core.min(axis=0)) / 2.0
        face = [
            points for points, far in zip(shapes, reach, strict=True) if far < float((core @ outward).min()) - 0.005
        ]
        others = np.concatenate([scene.surroundings((joint.body,)), *face])
        options = []
        for lean in np.radians([90.0, 75.0, 60.0, 45.0, 30.0]):
            approach = -np.cos(lean) * _UP - np.sin(lean) * outward
            closing = np.cross(approach, np.cross(_UP, outward))
            tool = tool_at(centre + _BAR_DEPTH * approach, approach, closing)
            options.append((-min(clearance(tool, others), _BAR_ROOM), np.pi / 2.0 - lean, tool))
        for _, _, tool in sorted(options, key=lambda option: option[:2]):
            if self._stage.reaches(_back(tool, _ABOVE)) and self._stage.reaches(tool):
                return tool
        raise DemonstrationFailed(f"the bar of {joint.body} cannot be reached from any direction")

    def _turn(self, joint: MovingJoint, handle: HandleAnnotation, on: bool) -> Iterator[KeyframeAction]:
        scene = self._stage.scene
        shape = scene.points(joint.body, seen=False)
        top = shape[shape[:, 2] > shape[:, 2].max() - 0.02]
        spread = np.linalg.svd(top[:, :2] - top[:, :2].mean(axis=0), full_matrices=False)[2]
        closing = np.array([*spread[1], 0.0])
        centre = np.array([*joint.anchor[:2], top[:, 2].max() - 0.018])
        tool = tool_at(centre, -_UP, closing)
        wanted = handle.travel if on == (handle.opens_at == "high") else 0.0
        turn = axis_angle_matrix(joint.axis, wanted - joint.position)
        turned = tool.copy()
        turned[:3, :3] = turn[:3, :3] @ tool[:3, :3]
        yield self._action(_back(tool, _ABOVE), True)
        yield self._action(tool, False)
        yield self._action(turned, True)
        yield self._action(_back(turned, _ABOVE), True)

    def _swing(self, joint: MovingJoint, handle: HandleAnnotation, opening: bool) -> Iterator[KeyframeAction]:
        """Push a door about its hinge, its outer edge from outside to close it."""
        scene = self._stage.scene
        leaf = scene.points(joint.body)
        arm = leaf - joint.anchor
        arm -= np.outer(arm @ joint.axis, joint.axis)
        direction = arm.mean(axis=0) / np.linalg.norm(arm.mean(axis=0))
        radius = 0.8 * float((arm @ direction).max())
        height = float(leaf[:, 2].max()) - 0.030  # the fingers alone touch it, and not the wider palm
        goal = joint.low if opening == (handle.opens_at == "low") else joint.high
        sense = np.sign(goal - joint.position)
        push = np.cross(joint.axis, direction) * sense  # the way that the edge moves
        face = float((arm[np.abs(arm @ direction - radius) < 0.02] @ push).min()) - _FINGER_HALF

        def touching(angle: float) -> Array:
            turn = axis_angle_matrix(joint.axis, angle)[:3, :3]
            at = joint.anchor + turn @ (direction * radius + face * push)
            return tool_at(np.array([*at[:2], height]), -_UP, turn @ direction)

        start, end = touching(0.0), touching(goal - joint.position + sense * handle.overshoot)
        behind = _moved(start, -0.06 * push)
        yield self._action(_raised(behind, height + 0.15), False)
        yield self._action(behind, False)
        for share in (0.33, 0.67):
            yield self._action(touching(share * (goal - joint.position)), False)
        yield self._action(end, False)
        yield self._action(_raised(end, height + 0.15), True)

    def _action(self, base_from_tool: Array, gripper_open: bool) -> KeyframeAction:
        begins, self._begins = self._begins, False
        return KeyframeAction(pose_from_matrix(base_from_tool), gripper_open, begins)


def _in_vain(grasp: Grasp, rng: np.random.Generator) -> Array:
    """The tool somewhere above where it should grip."""
    aside = np.array([*rng.normal(0.0, 0.012, 2), rng.uniform(0.06, 0.16)])
    return _moved(grasp.base_from_tool, aside)


def _differs(one: Array, other: Array) -> bool:
    apart = float(np.linalg.norm(one[:3, 3] - other[:3, 3]))
    return apart > 0.02 or float(np.trace(one[:3, :3].T @ other[:3, :3])) < 1.0 + 2.0 * np.cos(np.radians(25.0))


def _back(base_from_tool: Array, distance: float) -> Array:
    """The tool so far behind, along its approach."""
    return _moved(base_from_tool, -distance * base_from_tool[:3, 2])


def _moved(base_from_tool: Array, by: Array) -> Array:
    moved = base_from_tool.copy()
    moved[:3, 3] += by
    return moved


def _raised(base_from_tool: Array, height: float) -> Array:
    """The tool right above, at a height."""
    raised = base_from_tool.copy()
    raised[2, 3] = height
    return raised


def _retreated(base_from_tool: Array) -> Array:
    return _moved(base_from_tool, _RETREAT * _UP)


def _offsets(reach: Array) -> Iterator[Array]:
    """Places to try, (2,) from the middle of a region, the middle first."""
    yield np.zeros(2)
    if reach.any():
        yield from (np.array([x, y]) * reach for x in np.linspace(-1.0, 1.0, 7) for y in np.linspace(-1.0, 1.0, 7))


def _thinned(points: Array, middle: Array) -> Array:
    """Those of points (N, 3) around a place (2,), one in each cell of some millimetres."""
    near = points[np.linalg.norm(points[:, :2] - middle, axis=1) < _AROUND]
    cells = np.floor(near / _CELL).astype(np.int64)
    return near[np.unique(cells, axis=0, return_index=True)[1]]


def _support(ground: Array, foot: Array) -> float:
    """Height of what lies under a foot (N, 2)."""
    lower, upper = foot.min(axis=0) - 0.004, foot.max(axis=0) + 0.004
    under = ground[((ground[:, :2] > lower) & (ground[:, :2] < upper)).all(axis=1), 2]
    return float(under.max()) if len(under) else 0.0


def _room(ground: Array, body: Array, above: float) -> float:
    """Metres in the plane between a body (N, 3) and what stands beside it, at most 5 cm; less than 0 within it."""
    beside = ground[(ground[:, 2] > above + 0.012) & (ground[:, 2] < body[:, 2].max())][:, :2]
    lower, upper = body[:, :2].min(axis=0), body[:, :2].max(axis=0)
    beyond = np.maximum(np.maximum(lower - beside, beside - upper), 0.0)
    distances = np.linalg.norm(beyond, axis=1)
    return float(min(distances.min(), 0.05)) if len(distances) else 0.05


def _above_walls(base_from_tool: Array, ground: Array) -> Array:
    """The tool, raised until the palm is clear of what surrounds the place."""
    raised = base_from_tool.copy()
    for _ in range(30):
        if clearance(raised, ground, sweep=0.0, fingers=False) > 0.004:
            break
        raised[2, 3] += 0.005
    return raised


def _smallest(clouds: list[Array]) -> Array:
    """The cloud of the smallest extent: of a drawer and its bar, the bar."""
    return min(clouds, key=lambda points: float(np.ptp(points, axis=0).prod()))

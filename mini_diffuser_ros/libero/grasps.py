"""How things are gripped: candidate poses of the hand from shapes and a page of annotations, chosen by clearance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.geometry import axis_angle_matrix, inverse_transform, transform_points
from mini_diffuser_ros.records import Corner
from mini_diffuser_ros.support.settings import bounded, check_fields, from_mapping, read_yaml

Array = NDArray[np.float64]

ANNOTATIONS: Final = Path(__file__).with_name("grasps.yaml")

# The hand in the frame of its tool centre point, metres: fingers open along y, z approaches.
_PALM: Final = ((-0.034, -0.106, -0.135), (0.034, 0.106, -0.037))
_FINGER: Final = ((-0.012, 0.0, -0.051), (0.012, 0.027, 0.004))
_PADS: Final = 0.010  # from the middle of the fingers' pads to the tool centre point
_OPEN: Final = 0.039  # of each finger's inner face from the middle
_WIDEST: Final = 0.074
_SWEEP: Final = 0.10  # the way along which the hand approaches has to be free as well
_ENOUGH: Final = 0.012  # clearance beyond this counts for nothing
_TOUCHES: Final = 10.0  # cost of a grasp on whose way the hand meets something
_NEAR: Final = 0.40
_FEWEST_POINTS: Final = 8


@dataclass(frozen=True)
class GraspAnnotation:
    """How things of one category are gripped.

    Attributes:
        hold: ``body``: across its narrowest side from above; ``rim``: one finger inside, one outside; ``handle``:
            across a handle, from the side that it is on.
        depth: metres that the tool centre point goes below the top of what is gripped, at most.
        bottom: metres that it stays above the lowest point of the thing.
        inset: of a rim, metres from its outer edge to the middle of the wall.
        side: degrees, the side of a rim that is gripped where there is room: 0 is the base's x axis, 90 its y axis.
        free_sides: of a rim, whether any other side may be taken; otherwise the opposite one alone.
        part: gripped is what lies within this box of the thing's own frame, its lower and its upper corner, metres:
            a handle, say. All of it by default.
        slides: whether it is drawn along where it stands, if it belongs there too, rather than lifted: a plate's rim is
            too low to be lifted by.
        standing: whether a thing that lies tilted by more than 10 degrees is gripped from above all the same; otherwise
            along its own axis.
    """

    hold: Literal["body", "rim", "handle"] = "body"
    depth: float = bounded(0.034, 0.0, 0.2)
    bottom: float = bounded(0.011, -0.01, 0.2)
    inset: float = bounded(0.006, 0.0, 0.1)
    side: float = bounded(90.0, -180.0, 180.0)
    free_sides: bool = True
    part: tuple[Corner, Corner] = ((-9.0, -9.0, -9.0), (9.0, 9.0, 9.0))
    slides: bool = False
    standing: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class HandleAnnotation:
    """How what is opened, closed or turned of a fixture is worked.

    Attributes:
        kind: ``drawer``: a bar that is pulled; ``door``: a leaf on a hinge that is pushed; ``knob``: a bar that is
            turned; ``rack``: nothing that moves, things are laid down along the x axis of its regions.
        opens_at: which end of the joint's range is open, or on.
        travel: metres or radians that it is moved to open it or switch it on.
        overshoot: metres or radians beyond its rest that it is pushed to close it.
    """

    kind: Literal["drawer", "door", "knob", "rack"]
    opens_at: Literal["low", "high"] = "low"
    travel: float = bounded(0.16, 0.0, 3.0)
    overshoot: float = bounded(0.008, 0.0, 0.5)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Annotations:
    """The page of annotations.

    Attributes:
        things: category of an object to how it is gripped.
        through_doors: the same of what is put into something with a door, through which no hand comes from above.
        fixtures: category of a fixture to how it is worked.
        default: of things that are not named.
    """

    things: Mapping[str, GraspAnnotation]
    fixtures: Mapping[str, HandleAnnotation]
    through_doors: Mapping[str, GraspAnnotation] = field(default_factory=dict)
    default: GraspAnnotation = GraspAnnotation()

    def of(self, category: str, through_door: bool = False) -> GraspAnnotation:
        """How things of a category are gripped."""
        usual = self.things.get(category, self.default)
        return self.through_doors.get(category, usual) if through_door else usual


def read_annotations(path: Path = ANNOTATIONS) -> Annotations:
    """Annotations from a YAML file.

    Raises:
        SettingsError: naming the file and the field that is wrong.
    """
    return from_mapping(Annotations, read_yaml(path), str(path))


class Grasp(NamedTuple):
    """A pose of the hand in which the fingers close.

    Attributes:
        base_from_tool: (4, 4).
        clearance: metres to the nearest thing while the open hand comes along its approach axis; 0 where it touches.
        cost: less is better.
    """

    base_from_tool: Array
    clearance: float
    cost: float


def hand_rotation(approach: Array, closing: Array) -> Array:
    """(3, 3) of the tool whose z axis is ``approach`` and whose fingers open along ``closing``, as near as can be.

    Of the two turns that grasp alike, the one whose x axis points more along the base's x axis.
    """
    z = approach / np.linalg.norm(approach)
    y = closing - z * (z @ closing)
    y = y / np.linalg.norm(y)
    x = np.cross(y, z)
    if x[0] < -1e-9 or (abs(x[0]) <= 1e-9 and x[1] < 0.0):
        x, y = -x, -y
    return np.stack([x, y, z], axis=1)


def top_down_tool(position: Array, yaw: float) -> Array:
    """(4, 4) of a tool that points down, its fingers opening along the base's y axis turned by ``yaw``."""
    return tool_at(position, np.array([0.0, 0.0, -1.0]), np.array([-np.sin(yaw), np.cos(yaw), 0.0]))


def tool_at(position: Array, approach: Array, closing: Array) -> Array:
    """(4, 4) of a tool at a position; see :func:`hand_rotation`."""
    base_from_tool = np.eye(4)
    base_from_tool[:3, :3] = hand_rotation(approach, closing)
    base_from_tool[:3, 3] = position
    return base_from_tool


def clearance(
    base_from_tool: Array, surroundings: Array, finger_gap: float = _OPEN, sweep: float = _SWEEP, fingers: bool = True
) -> float:
    """Metres from the hand, and from the way that it comes along its approach axis, to the nearest of the points.

    Args:
        base_from_tool: (4, 4).
        surroundings: (N, 3) points, base frame.
        finger_gap: metres from the middle to each finger's inner face.
        sweep: metres of the way that count.
        fingers: whether they count, or the palm alone.

    Returns:
        0 to 0.05, farther points do not count; where points lie inside of the hand, less than 0 by how many there are.
    """
    points = transform_points(inverse_transform(base_from_tool), surroundings)
    points = points[(np.abs(points[:, :2]) < 0.16).all(axis=1) & (points[:, 2] > -0.35) & (points[:, 2] < 0.06)]
    if not len(points):
        return 0.05
    least, inside = 0.05, 0
    for lower, upper in _hand(finger_gap, sweep, fingers):
        beyond = np.maximum(np.maximum(lower - points, points - upper), 0.0)
        distances = np.linalg.norm(beyond, axis=1)
        least = min(least, float(distances.min()))
        inside += int((distances == 0.0).sum())
    return least if inside == 0 else -0.0001 * inside


def _hand(gap: float, sweep: float, fingers: bool) -> Iterator[tuple[Array, Array]]:
    back = np.array([0.0, 0.0, sweep])
    yield np.array(_PALM[0]) - back, np.array(_PALM[1])
    if fingers:
        lower, upper = np.array(_FINGER[0]), np.array(_FINGER[1])
        shift = np.array([0.0, gap, 0.0])
        yield lower + shift - back, upper + shift
        flip = np.array([1.0, -1.0, 1.0])
        yield (
            np.minimum((lower + shift) * flip, (upper + shift) * flip) - back,
            (np.maximum((lower + shift) * flip, (upper + shift) * flip)),
        )


def find_grasps(annotation: GraspAnnotation, base_from_thing: Array, shape: Array, surroundings: Array) -> list[Grasp]:
    """Ways to grip a thing, the best one first.

    Args:
        annotation: of its category.
        base_from_thing: (4, 4), its z axis being the one that points up when it stands.
        shape: (N, 3) points on its surface, base frame.
        surroundings: (N, 3) points on everything else.
    """
    low, high = map(np.asarray, annotation.part)
    own = transform_points(inverse_transform(base_from_thing), shape)
    inside = ((own >= low) & (own <= high)).all(axis=1)
    # The rest of the thing must leave room for the hand as others must, but for what the fingers close on.
    axis = shape.mean(axis=0)
    shape, surroundings = shape[inside], np.concatenate([surroundings, shape[~inside]])
    if len(shape) < _FEWEST_POINTS:
        return []
    middle = shape.mean(axis=0)
    near = surroundings[(np.abs(surroundings - middle) < _NEAR).all(axis=1)]
    found = []
    for base_from_tool, preference in _candidates(annotation, base_from_thing, shape, axis):
        free = clearance(base_from_tool, near)
        # A missing millimetre of room counts like some ten degrees of turn.
        cost = preference + max(_ENOUGH - free, 0.0) / 0.004 + (_TOUCHES if free <= 0.0 else 0.0)
        found.append(Grasp(base_from_tool, free, cost))
    return sorted(found, key=lambda grasp: grasp.cost)


def _candidates(
    annotation: GraspAnnotation, base_from_thing: Array, shape: Array, axis: Array
) -> Iterator[tuple[Array, float]]:
    """Poses of the tool with what speaks against each, whatever is around."""
    if annotation.hold == "handle":
        return _handle_grasps(shape, axis)
    return (_rim_grasps if annotation.hold == "rim" else _body_grasps)(annotation, base_from_thing, shape)


def _handle_grasps(shape: Array, axis: Array) -> Iterator[tuple[Array, float]]:
    """Across a handle from outside, level or from a little above; ``axis`` (3,) is in the middle of the thing."""
    centre = (shape.max(axis=0) + shape.min(axis=0)) / 2.0
    outward = np.array([*(centre - axis)[:2], 0.0])
    outward /= np.linalg.norm(outward)
    for lean in np.radians([90.0, 75.0, 60.0]):
        approach = np.array([0.0, 0.0, -np.cos(lean)]) - np.sin(lean) * outward
        tool = tool_at(centre + _PADS * approach, approach, np.cross((0.0, 0.0, 1.0), outward))
        yield tool, np.pi / 2.0 - float(lean)


def _body_grasps(annotation: GraspAnnotation, base_from_thing: Array, shape: Array) -> Iterator[tuple[Array, float]]:
    """Across the thing from above, at twelve yaws, where it is narrow enough."""
    low, high = float(shape[:, 2].min()), float(shape[:, 2].max())
    # The fingers' pads end some millimetres above their tips, which must not scrape over what it stands on.
    height = max(low + annotation.bottom, min((low + high) / 2.0, high - 0.006), high - annotation.depth)
    if high - low < 0.04:
        height = low + annotation.bottom
    slab = shape[np.abs(shape[:, 2] - height) < max(0.012, 0.3 * (high - low) if high - low < 0.04 else 0.012)]
    slab = slab if len(slab) > 20 else shape
    options = []
    for yaw in np.radians(np.arange(-75.0, 91.0, 15.0)):
        closing, along = np.array([-np.sin(yaw), np.cos(yaw)]), np.array([np.cos(yaw), np.sin(yaw)])
        across, lengthwise = slab[:, :2] @ closing, slab[:, :2] @ along
        width = float(np.ptp(across))
        centre = closing * (across.max() + across.min()) / 2.0 + along * (lengthwise.max() + lengthwise.min()) / 2.0
        options.append((width, float(yaw), top_down_tool(np.array([*centre, height]), float(yaw))))
    narrowest = min(width for width, _, _ in options)
    for width, yaw, base_from_tool in options:
        if width <= max(_WIDEST, narrowest + 0.001):
            yield base_from_tool, (width - narrowest) / 0.006 + abs(yaw) / 1.5


def _rim_grasps(annotation: GraspAnnotation, base_from_thing: Array, shape: Array) -> Iterator[tuple[Array, float]]:
    """One finger inside of the rim, at twenty-four sides; what lies tilted, between its axis and down."""
    axis = base_from_thing[:3, 2]
    tilt = float(np.arccos(np.clip(axis[2], -1.0, 1.0)))
    if annotation.standing or tilt < np.radians(10.0):
        base_from_upright, leans = _upright(np.eye(3), base_from_thing[:3, 3]), [0.0]
    else:
        turn = axis_angle_matrix(np.cross((0.0, 0.0, 1.0), axis), tilt)[:3, :3]
        base_from_upright, leans = _upright(turn, base_from_thing[:3, 3]), [1.0, 0.7, 0.4]
    local = transform_points(inverse_transform(base_from_upright), shape)
    top, bottom = float(local[:, 2].max()), float(local[:, 2].min())
    rim = local[local[:, 2] > top - 0.008]
    middle = (rim[:, :2].max(axis=0) + rim[:, :2].min(axis=0)) / 2.0
    radii, angles = np.linalg.norm(rim[:, :2] - middle, axis=1), np.arctan2(*(rim[:, :2] - middle).T[::-1])
    usual = float(np.median(radii[radii > np.median(radii)]))
    for side in np.radians(np.arange(-180.0, 180.0, 15.0)):
        wedge = np.abs(_wrapped(angles - side)) < np.radians(12.0)
        if not wedge.any() or radii[wedge].max() > usual + 0.008:  # nothing, or a handle
            continue
        radial = np.array([np.cos(side), np.sin(side), 0.0])
        height = max(top - annotation.depth, bottom + annotation.bottom)
        place = np.array([*middle, height]) + radial * (radii[wedge].max() - annotation.inset)
        turned = float(np.abs(_wrapped(2.0 * (side - np.radians(annotation.side))))) / 2.0
        opposite = bool(np.abs(_wrapped(side - np.radians(annotation.side))) > np.pi / 2.0)
        if turned > 0.01 and not annotation.free_sides:
            continue
        for lean in leans:
            approach = _between(np.array([0.0, 0.0, -1.0]), -base_from_upright[:3, 2], lean)
            position = np.asarray(transform_points(base_from_upright, place))
            closing = base_from_upright[:3, :3] @ radial
            yield tool_at(position, approach, closing), turned / 1.2 + 0.3 * opposite + abs(lean - 0.7) * 0.3


def _upright(rotation: Array, position: Array) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = position
    return matrix


def _between(one: Array, other: Array, share: float) -> Array:
    mixed = (1.0 - share) * one + share * other
    return mixed / np.linalg.norm(mixed)


def _wrapped(angle: Array | float) -> Array:
    return np.asarray((np.asarray(angle) + np.pi) % (2.0 * np.pi) - np.pi)

"""The few records that the rooms of the package hand to each other.

Conventions, everywhere: metres, seconds, radians; quaternions are xyzw; a pose is ``(7,)`` xyz + xyzw or a
4x4 matrix named ``parent_from_child``; clouds are float32 ``(N, 3)`` with uint8 colours.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from mini_diffuser_ros.support.settings import bounded, check_fields, later, not_expected

FloatArray = NDArray[np.floating]
ByteArray = NDArray[np.uint8]
Corner = tuple[float, float, float]


@dataclass(frozen=True)
class Workspace:
    """A box of space, axes along those of the base frame; its faces belong to it.

    Attributes:
        lower: corner with the least coordinates x, y, z, metres in the base frame.
        upper: the opposite corner, metres in the base frame.
    """

    lower: Corner
    upper: Corner

    def __post_init__(self) -> None:
        check_fields(self)
        if not all(low < high for low, high in zip(self.lower, self.upper, strict=True)):
            raise not_expected("upper", self.upper, f"each above lower {self.lower}")


@dataclass(frozen=True)
class StaticBox:
    """An obstacle that never moves: a wall, a shelf, a camera stand.

    Attributes:
        name: appears in refusals.
        center: (3,) metres, base frame.
        half_extents: (3,) metres, positive.
        yaw: radians about the base's z axis.
    """

    name: str
    center: tuple[float, float, float]
    half_extents: tuple[float, float, float]
    yaw: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.half_extents) <= 0.0:
            raise not_expected(f"half_extents of {self.name!r}", self.half_extents, "three positive numbers, metres")


@dataclass(frozen=True)
class FusionConfig:
    """Settings of :func:`~mini_diffuser_ros.perception.fuse_views`; a policy is served with those it was trained with.

    Attributes:
        frame: ROS name of the base frame when no robot description is given; otherwise the robot's own is used.
        workspace: box that is kept. Its lower z lies a little above the table top, so that the table is left out.
        voxel_size: metres; one point a voxel is left, the mean of what fell into it. 0 keeps every point.
        min_depth: metres; nearer measurements are dropped, as cameras are unreliable there.
        max_depth: metres; farther measurements are dropped.
        drop_flying_points: drop pixels whose depth lies between a near and a far neighbour: stereo and
            time-of-flight cameras invent such points in the air behind every silhouette.
        flying_point_jump: metres; the least step to both neighbours that makes a pixel a flying one. Surfaces seen
            at grazing angles step as well: 0.02 corresponds to 81 degrees at a metre and 3 mrad a pixel.
        link_margin: metres around the arm's links within which points count as the robot's.
        hand_margin: metres around the hand, likewise. It is smaller, as the hand comes near to things.
        keep_hand: leave the hand's points in the cloud.
        keep_fingers: leave the fingers' points in the cloud: they show the gripper's state and height.
        outlier_neighbors: number of neighbours for Open3D's statistical outlier removal; 0 turns it off.
        outlier_std_ratio: points farther from their neighbours than the mean plus this many standard deviations
            are outliers.
        table_height: metres, z of the table's top, for what follows.
        level_reach: metres; each view is turned and lifted such that the table lies level at its height, what seems to
            lie within this distance of it being the table's. For cameras whose calibration is a little off; 0 leaves
            their poses as they are.
        table_spreads: points that may be the table's by the noise of their view are dropped: those less than so many
            standard deviations above it. A levelled view's noise is measured on the table; 0 drops none.
        smooth_reach: pixels; each depth becomes the mean of those up to so far away, along rows and columns, that are
            of the same surface; 0 leaves depths as they are. It is done before all else.
        smooth_jump: metres; depths that differ by more from a pixel's own are of another surface.
        silhouette_jump: metres; pixels around which depths differ by more are dropped, as stereo cameras mix near and
            far there, two pixels wide; 0 drops none. Surfaces seen at grazing angles step as well.
        least_neighbors: points with fewer others within ``neighbor_radius`` are dropped: they hang in the air; 0 drops
            none. The fingers that ``draw_fingers`` draws do not count.
        neighbor_radius: metres within which ``least_neighbors`` are counted.
        draw_fingers: of the fingers' points take those that the joints tell each camera to see instead of those that it
            measures.
    """

    frame: str = "panda_link0"
    workspace: Workspace = Workspace((0.25, -0.38, 0.004), (0.80, 0.38, 0.55))
    voxel_size: float = bounded(0.005, 0.0, 1.0)
    min_depth: float = bounded(0.05, 0.0, 100.0)
    max_depth: float = bounded(3.0, 0.0, 100.0)
    drop_flying_points: bool = True
    flying_point_jump: float = bounded(0.02, 1e-4, 10.0)
    link_margin: float = bounded(0.012, 0.0, 1.0)
    hand_margin: float = bounded(0.006, 0.0, 1.0)
    keep_hand: bool = False
    keep_fingers: bool = True
    outlier_neighbors: int = bounded(0, 0, 1000)
    outlier_std_ratio: float = bounded(2.0, 0.01, 100.0)
    table_height: float = later(0.0, (-100.0, 100.0))
    level_reach: float = later(0.0, (0.0, 1.0))
    table_spreads: float = later(0.0, (0.0, 100.0))
    smooth_reach: int = later(0, (0, 100))
    smooth_jump: float = later(0.02, (1e-4, 10.0))
    silhouette_jump: float = later(0.0, (0.0, 10.0))
    least_neighbors: int = later(0, (0, 1000))
    neighbor_radius: float = later(0.012, (1e-4, 1.0))
    draw_fingers: bool = later(False)

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.max_depth > self.min_depth:
            raise not_expected("max_depth", self.max_depth, f"more than min_depth {self.min_depth}")


@dataclass(frozen=True)
class Distortion:
    """How a lens bends straight lines, as sensor_msgs/CameraInfo says it.

    Attributes:
        model: ``plumb_bob``, ``rational_polynomial`` or ``equidistant``.
        coefficients: of the model, in the order of CameraInfo's D; none, or zeros only, is a pinhole camera, but for
            ``equidistant``, which bends with zeros as well.
    """

    model: str = "plumb_bob"
    coefficients: tuple[float, ...] = ()

    @property
    def bends(self) -> bool:
        """Whether this is another camera than a pinhole."""
        return any(self.coefficients) or self.model == "equidistant"


@dataclass(frozen=True, eq=False)
class CameraView:
    """One RGB-D image with its calibration.

    Attributes:
        name: camera name, e.g. ``front``; the ROS topics of the camera live below it.
        color: (H, W, 3) uint8, RGB.
        depth: (H, W) float32, metres along the optical axis (planar z); 0, NaN and inf mean "no measurement".
        intrinsics: (3, 3) pinhole matrix, pixels; pixel centres at integer coordinates.
        base_from_camera: (4, 4) pose of the optical frame (x right, y down, z forward) in the base frame.
        stamp: seconds, time of exposure.
        distortion: of the lens, in the images as they are.
    """

    name: str
    color: ByteArray
    depth: FloatArray
    intrinsics: FloatArray
    base_from_camera: FloatArray
    stamp: float = 0.0
    distortion: Distortion = Distortion()


@dataclass(frozen=True, eq=False)
class Cloud:
    """Coloured points in one frame.

    Attributes:
        points: (N, 3) float32, metres.
        colors: (N, 3) uint8, RGB.
        frame: ROS name of the frame the points are given in.
        stamp: seconds; the oldest image that went into the cloud.
    """

    points: FloatArray
    colors: ByteArray
    frame: str
    stamp: float = 0.0

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 3:
            raise ValueError(f"Cloud.points has shape {self.points.shape}, expected (N, 3)")
        if self.colors.shape != self.points.shape:
            raise ValueError(
                f"Cloud.colors has shape {self.colors.shape}, expected {self.points.shape} like the points"
            )

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """What is known of a :class:`CameraView` before its images are read; attributes as there."""

    name: str
    intrinsics: FloatArray
    base_from_camera: FloatArray
    stamp: float


def _no_views() -> tuple[CameraView, ...]:
    return ()


@dataclass(frozen=True, eq=False)
class Keyframe:
    """One instant of a demonstration in which the arm rests: what was seen and where the end effector was.

    The action taken at keyframe t is the pose and gripper of keyframe t + 1.

    Attributes:
        pose: (7,) xyz + quaternion xyzw of the tool centre point in the base frame.
        gripper_open: True if the gripper is open.
        stamp: seconds.
        load_cloud: returns the fused cloud; called on each access of :attr:`cloud`, so that a thousand episodes
            can be opened without reading an image.
        load_views: returns the calibrated RGB-D images, an empty tuple where the source has none.
        joint_positions: joint name to position (radians; metres for fingers), empty where unknown.
        calibrations: of the cameras of :attr:`views`, where the source tells them without its images; else none.
    """

    pose: FloatArray
    gripper_open: bool
    stamp: float
    load_cloud: Callable[[], Cloud]
    load_views: Callable[[], tuple[CameraView, ...]] = _no_views
    joint_positions: Mapping[str, float] = field(default_factory=dict)
    calibrations: tuple[CameraCalibration, ...] = ()

    def __post_init__(self) -> None:
        if np.shape(self.pose) != (7,):
            raise ValueError(f"Keyframe.pose has shape {np.shape(self.pose)}, expected (7,) xyz + xyzw")

    @property
    def cloud(self) -> Cloud:
        """The fused cloud of this keyframe, in the base frame."""
        return self.load_cloud()

    @property
    def views(self) -> tuple[CameraView, ...]:
        """The RGB-D images of this keyframe."""
        return self.load_views()


LAB, TABLE, RLBENCH, LIBERO, UNKNOWN = "cell", "simulated table", "RLBench", "LIBERO", "unknown"
"""Worlds that demonstrations are made in; unknown where they do not say."""


@dataclass(frozen=True)
class Provenance:
    """In which worlds demonstrations were made: of one demonstration, of many, or of all that a policy was trained on.

    Attributes:
        worlds: kinds of them, e.g. :data:`LAB`.
        robots: names of robot descriptions.
        cells: digests of the cells, as ``cell_digest`` makes them.
        cameras: names.
        sensors: kinds of simulated cameras with errors of their own, as ``simulation.sensor`` tells them; cameras of
            real worlds, and exact ones, are none of them.
    """

    worlds: tuple[str, ...] = ()
    robots: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    sensors: tuple[str, ...] = later(())

    def __or__(self, other: Provenance) -> Provenance:
        """Of both together."""
        return Provenance(
            *(tuple(sorted({*own, *its})) for own, its in zip(astuple(self), astuple(other), strict=True))
        )

    @staticmethod
    def of_all(several: Iterable[Provenance]) -> Provenance:
        """Of all together; nothing is said of none."""
        return functools.reduce(operator.or_, several, Provenance())

    def __str__(self) -> str:
        parts = [", ".join(self.worlds) or "not said"]
        for what, names in (
            ("robot", self.robots),
            ("digest", self.cells),
            ("cameras", self.cameras),
            ("sensors", self.sensors),
        ):
            parts += [f"{what} {', '.join(names)}"] if names else []
        return "; ".join(parts)


UNSAID = Provenance((UNKNOWN,))
"""Of demonstrations that do not say where they were made."""


@dataclass(frozen=True, eq=False)
class Episode:
    """One demonstration.

    Attributes:
        task: task name, e.g. ``stack_blocks``.
        variation: number of the task's variation, 0 where a task has none.
        sentences: paraphrases of the same instruction; training draws one each time.
        keyframes: in order of time, at least two; the last action terminates the task.
        source: where it came from (file, seed), for messages.
        provenance: in which world it was made.
        frame: ROS name of the frame of its poses; empty where it does not say.
    """

    task: str
    variation: int
    sentences: tuple[str, ...]
    keyframes: Sequence[Keyframe]
    source: str
    provenance: Provenance = UNSAID
    frame: str = ""


@dataclass(frozen=True, eq=False)
class KeyframeMode:
    """One mode of the policy's distribution over the next keyframe.

    Attributes:
        pose: (7,) xyz + quaternion xyzw of the tool centre point in the base frame.
        gripper_open: gripper state to take after the arm has arrived.
        terminate: True if the task is done once this keyframe is reached.
        share: fraction of the hypotheses that fell into this mode, in (0, 1].
        spread: metres, root mean square distance of those hypotheses from ``pose``.
    """

    pose: FloatArray
    gripper_open: bool
    terminate: bool
    share: float
    spread: float


@dataclass(frozen=True, eq=False)
class SeenEnd:
    """What there is to judge by whether a task is done.

    Attributes:
        cloud: what is seen once the arm rests at its last keyframe, base frame.
        deed: (7,) xyz + xyzw, where the hand was measured at the keyframe before the last, which it then left.
        rest: (7,) measured where the hand is now.
        deed_open: gripper after the keyframe before the last.
        rest_open: gripper now.
    """

    cloud: Cloud
    deed: FloatArray
    rest: FloatArray
    deed_open: bool
    rest_open: bool


@dataclass(frozen=True)
class EndJudgement:
    """Whether a task is done, as far as its policy can tell.

    Attributes:
        score: in [0, 1]; 1 is certainly done.
        threshold: below which an end is doubted.
    """

    score: float
    threshold: float

    @property
    def is_done(self) -> bool:
        """Whether what is seen looks like the ends that the policy was taught."""
        return self.score >= self.threshold

    def __str__(self) -> str:
        if self.is_done:
            return f"what is seen looks done ({self.score:.3f}, good ends have {self.threshold:.3f} and more)"
        return f"what is seen does not look done ({self.score:.3f}, good ends have {self.threshold:.3f} and more)"


@dataclass(frozen=True)
class ModeSureness:
    """How sure the policy is of one mode: probabilities, calibrated on demonstrations that it was not trained on.

    Attributes:
        share: that all of it is right: its place within 3 cm, its rotation within 30 degrees, its gripper state.
        place: that its place is.
        rotation: that its rotation is.
        gripper: that its gripper state is.
        end: that the task is done once it is reached, or is not, as the mode says.
    """

    share: float
    place: float
    rotation: float
    gripper: float
    end: float


@dataclass(frozen=True)
class DecisionNumbers:
    """What the policy knows of the sentence and the scene of a decision; NaN and no modes where it does not know.

    Attributes:
        familiarity: of the sentence: 1 for one that it was taught, 0 for one that means none of its tasks.
        presence: probability that everything the sentence names is in the scene.
        completion: probability that the task is done already.
        modes: of each mode of the decision, in their order.
    """

    familiarity: float = math.nan
    presence: float = math.nan
    completion: float = math.nan
    modes: tuple[ModeSureness, ...] = ()


@dataclass(frozen=True, eq=False)
class Assessment:
    """A decision with what the policy knows of it.

    Attributes:
        modes: ranked, the most probable first.
        numbers: that its objections follow from.
        not_found: one line on why nothing in the scene fits what the sentence names; empty if something may.
        unsure: one line on why no mode is worth a move; empty if one is.
    """

    modes: Sequence[KeyframeMode]
    numbers: DecisionNumbers = DecisionNumbers()
    not_found: str = ""
    unsure: str = ""


@dataclass(frozen=True, eq=False)
class JointTrajectory:
    """A timed joint-space path, densely sampled.

    Attributes:
        joint_names: names of the J joints, in column order.
        times: (T,) seconds from the start, strictly increasing, first 0.
        positions: (T, J) radians.
        velocities: (T, J) rad/s; zero at both ends unless the trajectory brakes a moving arm.
        accelerations: (T, J) rad/s^2.
    """

    joint_names: tuple[str, ...]
    times: FloatArray
    positions: FloatArray
    velocities: FloatArray
    accelerations: FloatArray

    def __post_init__(self) -> None:
        shape = (len(self.times), len(self.joint_names))
        for name in ("positions", "velocities", "accelerations"):
            if getattr(self, name).shape != shape:
                raise ValueError(f"JointTrajectory.{name} has shape {getattr(self, name).shape}, expected {shape}")

    @property
    def duration(self) -> float:
        """Seconds from the first to the last sample."""
        return float(self.times[-1] - self.times[0])

"""The clouds of a bag once more, from its images, joint states and TF, by perception's own code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from sensor_msgs.msg import CameraInfo

from mini_diffuser_ros.cell import Cell
from mini_diffuser_ros.data.bags.reader import about_bag
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.nodes.bags.player import BagFrames, BagPlayer
from mini_diffuser_ros.nodes.cameras.camera_topics import subscribe_camera
from mini_diffuser_ros.nodes.cameras.camera_views import ImageFrame, frame_of, view_from_messages
from mini_diffuser_ros.nodes.cameras.image_transports import COLOR_TRANSPORTS, DEPTH_TRANSPORTS, ImageTransport
from mini_diffuser_ros.nodes.ros.joint_states import subscribe_joint_states
from mini_diffuser_ros.nodes.ros.messages import NANOSECONDS, cloud_from_message, cloud_to_message, seconds
from mini_diffuser_ros.perception import fuse_views
from mini_diffuser_ros.records import Cloud, FusionConfig
from mini_diffuser_ros.robots import RobotDescription, robot_of_data
from mini_diffuser_ros.running.recorded_decision import cloud_digest
from mini_diffuser_ros.sensing.camera_monitor import RgbdPair, SyncConfig
from mini_diffuser_ros.sensing.joint_history import JointHistory
from mini_diffuser_ros.sensing.pairing import ImagePair, Pairing
from mini_diffuser_ros.support.errors import UserError

JOINT_GAP = 0.25  # seconds between an image and the nearest joint state at most, as perception_node
TF_TIMEOUT = 0.5  # seconds of the bag
LATER = 1.0  # seconds after the stamp of a cloud in which all that it was made of has come
MOST_PAIRS = 8  # of a camera, and
MOST_SETS = 64  # of images that a cloud is tried of
SAME = 1e-6  # seconds


@dataclass(frozen=True)
class RecordedCell:
    """What perception knew besides what is in the bag.

    Attributes:
        cameras: their names, in the order in which perception_node had them.
        robot: whose points are not in the clouds.
        transports: how colour and depth travelled.
        cell: with the lenses that were calibrated; None if there was none.
    """

    cameras: tuple[str, ...]
    robot: RobotDescription
    transports: tuple[ImageTransport, ImageTransport]
    cell: Cell | None

    @classmethod
    def of_bag(cls, path: Path, cell: Cell | None) -> RecordedCell:
        """As a bag of ours says it.

        Raises:
            DataError: it is not one of record:=bag.
        """
        about = about_bag(path)
        try:
            color = {transport.suffix: transport for transport in COLOR_TRANSPORTS.values()}[about["color_transport"]]
            depth = {transport.suffix: transport for transport in DEPTH_TRANSPORTS.values()}[about["depth_transport"]]
            return cls(tuple(about["cameras"].split(",")), robot_of_data(about["robot"]), (color, depth), cell)
        except KeyError as error:
            raise DataError(
                f"{path}: does not say its {error.args[0]}: only bags of record:=bag have clouds made again of images"
            ) from error


class CloudsOfImages:
    """Looks in a bag for the images of clouds that are known by their digests.

    Args:
        path: of the bag.
        namespace: of the cameras and joint states, e.g. ``/left``.
        recorded: what perception knew.
        fusion: of the policy that the clouds were made for.
        wanted: digest to stamp, seconds, of the clouds.
        cut_off: as of ``read_bag``.
    """

    def __init__(
        self,
        path: Path,
        namespace: str,
        recorded: RecordedCell,
        fusion: FusionConfig,
        wanted: Mapping[str, float],
        cut_off: bool = False,
    ) -> None:
        self._player = BagPlayer(path, namespace, cut_off)
        self._recorded, self._pending = recorded, dict(wanted)
        self._fusion = replace(fusion, frame=recorded.robot.base_frame)
        self._lenses = {name: one.intrinsics for name, one in recorded.cell.cameras.items()} if recorded.cell else {}
        self._joints = JointHistory()
        self._frames = BagFrames(self._player, TF_TIMEOUT)
        self._infos: dict[str, CameraInfo] = {}
        self._pairs: dict[str, list[ImageFrame]] = defaultdict(list)
        self._gap = SyncConfig().longest_set_gap
        subscribe_joint_states(self._player, self._joints.add, self._player.seconds)
        for camera in recorded.cameras:
            pairing: Pairing[Any] = Pairing(SyncConfig().pair_limits)
            subscribe_camera(
                self._player,
                camera,
                recorded.transports,
                partial(self._on_image, camera, pairing.add_color),
                partial(self._on_image, camera, pairing.add_depth),
                partial(self._infos.__setitem__, camera),
                None,
            )

    def make(self) -> dict[str, Cloud]:
        """Digest to cloud, of those that come out of the images to the bit.

        Raises:
            DataError: as of ``read_bag`` and ``message_of``.
        """
        found: dict[str, Cloud] = {}
        for _ in self._player.play():
            now = self._player.now().nanoseconds / NANOSECONDS
            self._look(found, {digest for digest, stamp in self._pending.items() if now > stamp + LATER})
            if not self._pending:
                return found
        self._look(found, set(self._pending))
        return found

    def _on_image(self, camera: str, add: Any, message: Any) -> None:
        pair: ImagePair[Any] | None = add(seconds(message.header.stamp), message)
        if pair is not None and camera in self._infos and self._is_wanted(pair.stamp):
            info = self._infos[camera]
            self._pairs[camera].append(RgbdPair(pair.stamp, pair.newest, pair.color, pair.depth, camera, info))

    def _is_wanted(self, stamp: float) -> bool:
        return any(one - SAME <= stamp <= one + self._gap for one in self._pending.values())

    def _look(self, found: dict[str, Cloud], due: set[str]) -> None:
        for digest in due:
            for frames in self._sets(self._pending[digest]):
                cloud = self._cloud(frames)
                if cloud is not None and cloud_digest(cloud) == digest:
                    found[digest] = cloud
                    break
            del self._pending[digest]
        if due:
            for pairs in self._pairs.values():
                pairs[:] = [pair for pair in pairs if self._is_wanted(pair.stamp)]

    def _sets(self, stamp: float) -> Iterator[list[ImageFrame]]:
        """Images that a cloud of a stamp may be of, those that are nearest to each other first."""
        near = [
            [pair for pair in self._pairs[name] if stamp - SAME <= pair.stamp <= stamp + self._gap][:MOST_PAIRS]
            for name in self._recorded.cameras
        ]
        sets = [
            [frame for frame in frames if frame is not None]
            for frames in product(*([*pairs, None] for pairs in near))
            if any(frame is not None and abs(frame.stamp - stamp) < SAME for frame in frames)
        ]
        cameras = len(self._recorded.cameras)
        sets.sort(key=lambda frames: (cameras - len(frames), sum(frame.stamp - stamp for frame in frames)))
        yield from sets[:MOST_SETS]

    def _cloud(self, frames: list[ImageFrame]) -> Cloud | None:
        robot = self._recorded.robot
        try:
            views = [
                view_from_messages(
                    frame,
                    self._recorded.transports,
                    self._frames.parent_from_child(robot.base_frame, frame_of(frame), frame.depth.header.stamp),
                    self._lenses.get(frame.camera),
                )
                for frame in frames
            ]
            stamps = [view.stamp for view in views]
            positions = self._joints.positions_at_each(stamps, robot.arm_joint_names, JOINT_GAP)
            # As it travels: stamps are whole nanoseconds there.
            return cloud_from_message(cloud_to_message(fuse_views(views, self._fusion, robot, positions)))
        except UserError:
            return None  # nor had perception_node one of these

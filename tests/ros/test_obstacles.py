"""motion_node keeps away from what clouds show: in its plans, and in the motion under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.msg import Heartbeat
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState, PointCloud2
from std_srvs.srv import Trigger

from mini_diffuser_ros.nodes.ros.clouds import digest_of
from mini_diffuser_ros.nodes.ros.messages import cloud_to_message, seconds
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.robots import RobotDescription, load_robot

from .arm import GUARD_PATIENCE, LEFT, MOVE, PATIENCE, RIGHT, is_moving, stays_at_rest
from .conftest import Peer, Process

Result = MoveToKeyframe.Result
TABLE = np.array([[0.5, 0.5, 0.0]], np.float32)
WALL = np.stack(np.meshgrid(np.arange(0.3, 0.7, 0.02), [-0.02, 0.0, 0.02], np.arange(0.02, 0.36, 0.02)), axis=-1)
CLOUD_PERIOD = 0.1  # seconds
RESUME = "/mini_diffuser/resume"


class Clouds:
    """Shows motion_node the same points again and again, with the stamps of the newest joint states.

    It says that they are its own, as perception_node does, and can show others of which it does not.
    """

    def __init__(self, peer: Peer, joints: list[Any]) -> None:
        self.points: np.ndarray | None = TABLE
        self.remembered: np.ndarray | None = None
        self.strange: np.ndarray | None = None
        self._digests: list[int] = []
        self._heart = peer.node.create_publisher(Heartbeat, "/mini_diffuser/heartbeat/perception", 10)
        self._node = peer.node
        self._publisher = peer.node.create_publisher(PointCloud2, "/mini_diffuser/cloud", qos_profile_sensor_data)
        self._joints = joints
        self._timer = peer.node.create_timer(CLOUD_PERIOD, self._publish)

    def close(self) -> None:
        """Publish no more: the peer's node lives on with other tests."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)
        self._node.destroy_publisher(self._heart)

    def _publish(self) -> None:
        points, strange = self.points, self.strange
        if not self._joints:
            return
        if strange is not None:
            self._publisher.publish(self._message(strange))
        if points is not None:
            message = self._message(points, self.remembered)
            self._digests = [*self._digests, digest_of(message)][-32:]
            self._publisher.publish(message)
        self._heart.publish(Heartbeat(sender="perception", instance=1, serving=True, clouds=self._digests))

    def _message(self, points: np.ndarray, remembered: np.ndarray | None = None) -> PointCloud2:
        colors = np.zeros((len(points), 3), np.uint8)
        stamp = seconds(self._joints[-1].header.stamp)
        return cloud_to_message(Cloud(points.astype(np.float32), colors, "panda_link0", stamp), remembered)


@pytest.fixture(scope="module")
def joints(peer: Peer, start: Callable[..., Process]) -> list[Any]:
    start("sim_node", image_size=64)
    states = peer.collect(JointState, "/joint_states", qos_profile_sensor_data)
    peer.await_that(lambda: states)
    return states


@pytest.fixture(scope="module")
def clouds(peer: Peer, joints: list[Any]) -> Iterator[Clouds]:
    shown = Clouds(peer, joints)
    yield shown
    shown.close()


@pytest.fixture(scope="module")
def motion(start: Callable[..., Process], peer: Peer, clouds: Clouds) -> Process:
    # Slow motions leave time to come into the way.
    start("guard_node", **GUARD_PATIENCE)
    seen = {"obstacles.from_cloud": True, "obstacles.max_cloud_age": 3.0, "client_timeout": 5.0}
    process = start("motion_node", **PATIENCE, **seen, **{"planner.velocity_scaling": 0.15})
    peer.await_that(lambda: peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT]).success)
    return process


@pytest.fixture
def at_left(peer: Peer, motion: Process, clouds: Clouds) -> Iterator[None]:
    clouds.points, clouds.remembered, clouds.strange = TABLE, None, None

    def there() -> bool:
        peer.resume()
        return bool(peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT]).success)

    peer.await_that(there)
    yield
    clouds.points, clouds.remembered, clouds.strange = TABLE, None, None


def _tools(states: list[Any], robot: RobotDescription) -> np.ndarray:
    """(N, 3) metres, where the tool was in joint states."""
    found = [dict(zip(state.name, state.position, strict=True)) for state in states[::5]]
    return np.array([robot.tcp_pose(np.array([q[name] for name in robot.arm_joint_names]))[:3, 3] for q in found])


@pytest.mark.usefixtures("at_left")
def test_a_motion_leads_over_a_wall_that_clouds_show(peer: Peer, clouds: Clouds, joints: list[Any]) -> None:
    wall = WALL.reshape(-1, 3).astype(np.float32)
    clouds.points = wall
    known = len(joints)

    result = peer.await_that(lambda: _reached(peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT])))

    assert result.outcome == Result.REACHED
    tools = _tools(joints[known:], load_robot("panda"))
    distances = np.linalg.norm(tools[:, None] - wall[None], axis=2)
    assert tools[-1, 1] < -0.2
    assert distances.min() > 0.02


def _begin(peer: Peer, joints: list[Any], target: Any) -> Any:
    """Handle of a motion that has begun; clouds and joint states of a busy test may be too late for the first."""

    def moving() -> Any:
        peer.resume()
        handle = peer.send(MoveToKeyframe, MOVE, candidates=[target])
        ended = handle.get_result_async()
        peer.await_that(lambda: ended.done() or is_moving(joints))
        return None if ended.done() else handle

    return peer.await_that(moving)


def _reached(result: Any) -> Any:
    """The result of a goal that was not planned on a cloud of before; those take a moment to be overtaken."""
    return result if result.outcome == Result.REACHED else None


@pytest.mark.parametrize("known", ["shown", "remembered"])
@pytest.mark.usefixtures("at_left")
def test_something_that_comes_into_the_way_stops_the_arm_before_it(
    peer: Peer, clouds: Clouds, joints: list[Any], known: str
) -> None:
    """Also what no camera of those that deliver shows any more."""
    handle = _begin(peer, joints, RIGHT)
    block = np.random.default_rng(0).uniform((0.3, -0.2, 0.05), (0.7, -0.1, 0.6), (2000, 3)).astype(np.float32)
    clouds.points, clouds.remembered = (block, None) if known == "shown" else (TABLE, block)

    result = peer.result_of(handle.get_result_async()).result

    assert result.outcome == Result.BLOCKED, result.message
    assert "what the cameras see at [" in result.message
    peer.await_that(lambda: stays_at_rest(joints))
    assert _tools(joints[-5:], load_robot("panda"))[-1, 1] > -0.1


@pytest.mark.usefixtures("at_left")
def test_without_clouds_a_motion_ends_and_none_begins(peer: Peer, clouds: Clouds, joints: list[Any]) -> None:
    handle = _begin(peer, joints, RIGHT)
    clouds.points = None

    ended = peer.result_of(handle.get_result_async()).result
    # The motion may have come to its end before the clouds were too old.
    assert ended.outcome in (Result.STALE, Result.REACHED), ended.message
    refused = peer.await_that(lambda: _stale(peer.execute(MoveToKeyframe, MOVE, candidates=[LEFT])))

    assert "the newest cloud of use came" in refused.message
    peer.await_that(lambda: stays_at_rest(joints))


@pytest.mark.usefixtures("at_left")
def test_clouds_of_a_stranger_end_a_motion_and_none_begins_until_they_cease(
    peer: Peer, clouds: Clouds, joints: list[Any]
) -> None:
    """Whatever they show: nearly empty ones would take away what is in the way."""
    handle = _begin(peer, joints, RIGHT)
    clouds.strange = np.array([[0.5, 1.0, 0.0]])

    ended = peer.result_of(handle.get_result_async()).result
    refused = peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT])

    for result in (ended, refused):
        assert result.outcome == Result.DUPLICATE, result.message
        assert "somebody besides perception_node publishes mini_diffuser/cloud" in result.message
    peer.await_that(lambda: stays_at_rest(joints))
    clouds.strange = None
    peer.await_that(lambda: peer.call(Trigger, RESUME) and _reached(_go(peer)))


def _go(peer: Peer) -> Any:
    return peer.execute(MoveToKeyframe, MOVE, candidates=[RIGHT])


def _stale(result: Any) -> Any:
    return result if result.outcome == Result.STALE else None

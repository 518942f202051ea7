"""The services and topics by which people, and their distance, say how fast motions are to be."""

from __future__ import annotations

from mini_diffuser_msgs.msg import SpeedState
from mini_diffuser_msgs.srv import SetSpeed
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Float32

from mini_diffuser_ros.motion.separation import SeparationConfig
from mini_diffuser_ros.motion.speed_override import SpeedError, SpeedOverride
from mini_diffuser_ros.nodes.ros.process import ManagedNode
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.nodes.ros.timers import steady_timer

SET_SPEED, SPEED, SPEED_STATE = (f"mini_diffuser/{name}" for name in ("set_speed", "speed", "speed_state"))
PERIOD = 0.1  # seconds between looks whether the speed that holds has changed
COMPLAINT = 5.0  # seconds between two lines about values that cannot be


class SpeedControl:
    """Serves mini_diffuser/set_speed, hears mini_diffuser/speed and distances, tells mini_diffuser/speed_state.

    Args:
        node: that serves.
        override: is told.
        separation: names the topic of distances.
    """

    def __init__(self, node: ManagedNode, override: SpeedOverride, separation: SeparationConfig) -> None:
        self._logger = node.get_logger()
        self._override = override
        self._told: SpeedState | None = None
        self._state = node.create_publisher(SpeedState, SPEED_STATE, LATCHED)
        group = MutuallyExclusiveCallbackGroup()
        node.create_service(SetSpeed, SET_SPEED, self._on_call, callback_group=group)
        node.create_subscription(Float32, SPEED, self._on_speed, 10, callback_group=group)
        if separation.topic:
            node.create_subscription(
                Float32, separation.topic, self._on_distance, qos_profile_sensor_data, callback_group=group
            )
            self._logger.info(f"speed follows the distance to people on {separation.topic}")
        self._timer = steady_timer(node, PERIOD, self._tell)

    def _on_call(self, request: SetSpeed.Request, response: SetSpeed.Response) -> SetSpeed.Response:
        try:
            self._override.want(request.percent / 100.0)
        except SpeedError as error:
            response.message = str(error)
            return response
        response.success = True
        state = self._override.state()
        response.message = f"{100.0 * state.speed:g} %" + (f": {state.reason}" if state.reason else "")
        self._tell()
        return response

    def _on_speed(self, message: Float32) -> None:
        try:
            self._override.want(message.data / 100.0)
        except SpeedError as error:
            self._logger.warning(f"{SPEED}: {error}", throttle_duration_sec=COMPLAINT)

    def _on_distance(self, message: Float32) -> None:
        try:
            self._override.hear_distance(message.data)
        except SpeedError as error:
            self._logger.warning(str(error), throttle_duration_sec=COMPLAINT)

    def _tell(self) -> None:
        state = self._override.state()
        said = SpeedState(reason=state.reason)
        said.percent, said.wanted, said.allowed = (
            100.0 * fraction for fraction in (state.speed, state.wanted, state.allowed)
        )
        before, self._told = self._told, said
        if before is None or (said.percent, said.wanted, said.allowed) != (
            before.percent,
            before.wanted,
            before.allowed,
        ):
            self._state.publish(said)

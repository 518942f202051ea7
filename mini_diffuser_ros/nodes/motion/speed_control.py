"""The services and topics by which people, and their distance, say how fast motions are to be."""

from __future__ import annotations

from mini_diffuser_msgs.msg import SpeedState
from mini_diffuser_msgs.srv import SetSpeed
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Float32

from mini_diffuser_ros.motion.separation import SeparationConfig, distance_at
from mini_diffuser_ros.motion.speed_override import SpeedError, SpeedOverride
from mini_diffuser_ros.nodes.motion.speed_request import SET_SPEED
from mini_diffuser_ros.nodes.ros.graph import publishers_of
from mini_diffuser_ros.nodes.ros.process import ManagedNode
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.running.stop_latch import StopLatch
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.health import Health, HealthLevel

SPEED, SPEED_STATE = "mini_diffuser/speed", "mini_diffuser/speed_state"
PERIOD = 0.1  # seconds between looks whether the speed that holds has changed
COMPLAINT = 5.0  # seconds between two lines about values that cannot be


class SpeedControl:
    """Serves mini_diffuser/set_speed, hears mini_diffuser/speed and distances, tells mini_diffuser/speed_state.

    Two who publish distances are no sensor: when one of them ends nobody would notice. The arm holds until one is left.

    Args:
        node: that serves.
        override: is told.
        separation: names the topic of distances.
        tool_speed: m/s of the tool as planned.
        latch: remembers what people want.
    """

    def __init__(
        self,
        node: ManagedNode,
        override: SpeedOverride,
        separation: SeparationConfig,
        tool_speed: float,
        latch: StopLatch,
    ) -> None:
        self._node, self._logger = node, node.get_logger()
        self._override, self._distances, self._latch = override, separation.topic, latch
        self._told: tuple[float, float, float, str] | None = None
        self._complaint = ""
        self._state = node.create_publisher(SpeedState, SPEED_STATE, LATCHED)
        self.recall(latch.remembered.speed)
        group = MutuallyExclusiveCallbackGroup()
        node.create_service(SetSpeed, SET_SPEED, self._on_call, callback_group=group)
        node.create_subscription(Float32, SPEED, self._on_speed, 10, callback_group=group)
        if separation.topic:
            # Not in the group of those who wait for the disk.
            heard = MutuallyExclusiveCallbackGroup()
            node.create_subscription(
                Float32, separation.topic, self._on_distance, qos_profile_sensor_data, callback_group=heard
            )
            holds, full = (distance_at(speed, separation) for speed in (0.0, tool_speed * separation.fastest_part))
            self._logger.info(
                f"speed follows the distance to people on {separation.topic}: the arm holds when they are within "
                f"{holds:.2f} m, and goes as planned when they are {full:.2f} m away"
            )
            if full > separation.max_range:
                seen = f"the sensor sees {separation.max_range:.2f} m (separation.max_range)"
                self._logger.warning(f"{seen}: the arm never goes as fast as planned")
        self._timer = steady_timer(node, PERIOD, self._look)

    def recall(self, percent: float) -> None:
        """A motion_node that ended was told to go at this percentage, 0 to 100."""
        self._override.recall(percent)
        if (state := self._override.state()).is_recalled:
            self._logger.warning(
                f"{100.0 * state.wanted:g} % of the speed are wanted, as before motion_node was started again: "
                f"{SET_SPEED} sets another"
            )

    def hold(self) -> str:
        """Why the arm holds, in a line; empty if it does not."""
        state = self._override.state()
        return "" if state.speed > 0.0 else f"the arm holds: {state.reason}"

    def health(self) -> Health:
        """The speed that holds, for diagnostics."""
        state = self._override.state()
        values: dict[str, float | str] = {
            "speed (%)": 100.0 * state.speed,
            "wanted (%)": 100.0 * state.wanted,
            "allowed by distance (%)": 100.0 * state.allowed,
        }
        if self._complaint:
            values["last that was refused"] = self._complaint
        if hold := self.hold():
            return Health(HealthLevel.ERROR if state.is_fault else HealthLevel.WARN, hold, values)
        if state.is_recalled:
            return Health(HealthLevel.WARN, state.reason, values)
        return Health(HealthLevel.OK, state.reason or "as planned", values)

    def _on_call(self, request: SetSpeed.Request, response: SetSpeed.Response) -> SetSpeed.Response:
        try:
            self._want(request.percent)
        except UserError as error:
            response.message = str(error)
            return response
        response.success = True
        response.message = self._override.state().answer
        self._tell()  # and remembers it, before the answer
        return response

    def _want(self, percent: float) -> None:
        """The last word holds; one that waited for this node makes nothing faster."""
        wanted = 100.0 * self._override.state().wanted
        if percent > wanted and (waited := self._node.awake.waited()):
            raise SpeedError(
                f"{percent:g} % waited while motion_node stood still for {waited:.0f} s, {wanted:g} % hold: ask again"
            )
        self._override.want(percent)

    def _on_speed(self, message: Float32) -> None:
        try:
            self._want(message.data)
        except UserError as error:
            self._complain(f"{SPEED}: {error}")

    def _on_distance(self, message: Float32) -> None:
        try:
            self._override.hear_distance(message.data)
        except UserError as error:
            self._complain(str(error))

    def _complain(self, line: str) -> None:
        self._complaint = line
        self._logger.warning(line, throttle_duration_sec=COMPLAINT)

    def _look(self) -> None:
        if self._distances and len(names := publishers_of(self._node, self._distances)) > 1:
            problem = f"{self._distances} has {len(names)} publishers, {', '.join(names)}"
            self._override.doubt_distances(f"{problem}: end all but one, or have one say the smallest distance")
        self._tell()

    def _tell(self) -> None:
        state = self._override.state()
        self._latch.keep_speed(100.0 * state.wanted)
        # How near somebody is changes with every word; what it leads to does not.
        held = (state.speed, state.wanted, state.allowed, state.reason if state.is_fault else "")
        if held == self._told:
            return
        self._told = held
        said = SpeedState(reason=state.reason)
        said.percent, said.wanted, said.allowed = (
            100.0 * fraction for fraction in (state.speed, state.wanted, state.allowed)
        )
        self._state.publish(said)

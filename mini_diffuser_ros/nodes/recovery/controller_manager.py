"""The client's side of ros2_control's controller_manager."""

from __future__ import annotations

from typing import Any

from lifecycle_msgs.msg import State

from mini_diffuser_ros.nodes.recovery.service_calls import ServiceCalls, interface
from mini_diffuser_ros.running.recovery import ACTIVE, INACTIVE, HardwareState, LoadedController, RecoveryError

PACKAGE = "controller_manager_msgs"


class ControllerManager:
    """States of controllers and hardware, and their changes; each change is read back.

    Args:
        calls: services.
        name: of the controller_manager.
    """

    def __init__(self, calls: ServiceCalls, name: str) -> None:
        self._calls, self._name = calls, name

    def controllers(self) -> tuple[LoadedController, ...]:
        """Those that are loaded.

        Raises:
            RecoveryError: if there is no controller_manager.
        """
        found = self._call("ListControllers", "list_controllers").controller
        return tuple(
            LoadedController(
                one.name, one.type, one.state, bool(one.required_command_interfaces or one.claimed_interfaces)
            )
            for one in found
        )

    def hardware(self) -> tuple[HardwareState, ...]:
        """Components of the hardware; errors as of :meth:`controllers`."""
        found = self._call("ListHardwareComponents", "list_hardware_components").component
        return tuple(HardwareState(one.name, one.state.label) for one in found)

    def switch(self, name: str, activate: bool) -> str:
        """Activate or deactivate a controller; returns its state.

        Raises:
            RecoveryError: if its state is not that afterwards.
        """
        request = interface(PACKAGE, "srv", "SwitchController").Request()
        (request.activate_controllers if activate else request.deactivate_controllers).append(name)
        request.strictness = request.STRICT
        self._call("SwitchController", "switch_controller", request)
        return self._read_back(name, ACTIVE if activate else INACTIVE)

    def configure(self, name: str) -> str:
        """Configure a controller; returns its state. Errors as of :meth:`switch`."""
        request = interface(PACKAGE, "srv", "ConfigureController").Request(name=name)
        self._call("ConfigureController", "configure_controller", request)
        return self._read_back(name, INACTIVE)

    def set_active(self, name: str) -> str:
        """Set a component of the hardware active; returns its state. Errors as of :meth:`switch`."""
        request = interface(PACKAGE, "srv", "SetHardwareComponentState").Request(name=name)
        request.target_state = State(id=State.PRIMARY_STATE_ACTIVE, label=ACTIVE)
        self._call("SetHardwareComponentState", "set_hardware_component_state", request)
        state = next((one.state for one in self.hardware() if one.name == name), "gone")
        if state != ACTIVE:
            raise RecoveryError(
                f"the hardware component {name} is {state} afterwards: is the robot's error cleared, its brakes "
                "open, FCI active and the stop button released?"
            )
        return state

    def _read_back(self, name: str, wanted: str) -> str:
        state = next((one.state for one in self.controllers() if one.name == name), "gone")
        if state != wanted:
            raise RecoveryError(f"the controller {name} is {state} afterwards, expected {wanted}; see its driver's log")
        return state

    def _call(self, kind: str, service: str, request: Any = None) -> Any:
        name = f"{self._name}/{service}"
        try:
            return self._calls.call(interface(PACKAGE, "srv", kind), name, request)
        except RecoveryError as error:
            raise RecoveryError(
                f"{error}; drivers before franka_ros2 2.4 and 3.3 end with a reflex: start their launch again"
                if str(error).startswith("nobody serves")
                else str(error)
            ) from None

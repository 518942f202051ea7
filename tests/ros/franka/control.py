"""controller_manager and the action server of franka_hardware: what a reflex does to them, and what undoes it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from controller_manager_msgs.msg import ControllerState, HardwareComponentState
from controller_manager_msgs.srv import (
    ConfigureController,
    ListControllers,
    ListHardwareComponents,
    SetHardwareComponentState,
    SwitchController,
)
from franka_msgs.action import ErrorRecovery
from lifecycle_msgs.msg import State
from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from .arm import Arm

HARDWARE = "FrankaHardwareInterface"
STATES = {State.PRIMARY_STATE_ACTIVE: "active", State.PRIMARY_STATE_INACTIVE: "inactive"}


@dataclass
class Controller:
    """A controller that is loaded."""

    kind: str
    interfaces: tuple[str, ...] = ()
    state: str = "active"


@dataclass
class Control:
    """The states that hang together.

    Attributes:
        arm: that moves or not.
        joints: names of the arm's joints.
        humble: whether controllers stay active when the hardware fails, and joint states freeze, as on Humble; else
            they are deactivated, and joint states go on.
        refuses: step that fails: recovery, hardware or controllers; empty for none.
    """

    arm: Arm
    joints: tuple[str, ...]
    humble: bool
    refuses: str
    hardware: str = "active"
    in_reflex: bool = False
    controllers: dict[str, Controller] = field(default_factory=dict)

    def __post_init__(self) -> None:
        effort = tuple(f"{joint}/effort" for joint in self.joints)
        self.controllers = {
            "fr3_arm_controller": Controller("joint_trajectory_controller/JointTrajectoryController", effort),
            "joint_state_broadcaster": Controller("joint_state_broadcaster/JointStateBroadcaster"),
            "gravity_compensation_example_controller": Controller(
                "franka_example_controllers/GravityCompensationExampleController", effort, "inactive"
            ),
        }

    def reflex(self) -> None:
        """The robot stops by itself."""
        self.in_reflex = True
        self.hardware = "unconfigured" if self.humble else "inactive"
        if self.humble:
            self.arm.frozen = True
        else:
            for controller in self.controllers.values():
                if controller.interfaces:
                    controller.state = "inactive"
        self._follow()

    def recover(self) -> bool:
        """Clear the robot's error."""
        if self.refuses == "recovery":
            return False
        self.in_reflex = False
        return True

    def set_hardware(self, wanted: str) -> bool:
        """Bring the hardware into a state."""
        claimed = any(one.state == "active" and one.interfaces for one in self.controllers.values())
        if wanted == "active" and (self.in_reflex or self.refuses == "hardware" or (self.humble and claimed)):
            return False
        self.hardware = wanted
        self.arm.frozen = self.humble and wanted != "active"
        self._follow()
        return True

    def switch(self, activate: list[str], deactivate: list[str]) -> bool:
        """Strictly: all or nothing."""
        named = [*activate, *deactivate]
        if self.refuses == "controllers" or not all(name in self.controllers for name in named):
            return False
        needs_hardware = any(self.controllers[name].interfaces for name in activate)
        if needs_hardware and self.hardware != "active":
            return False
        after = {name: one.state for name, one in self.controllers.items()}
        after |= dict.fromkeys(deactivate, "inactive") | dict.fromkeys(activate, "active")
        claims = [i for name, one in self.controllers.items() if after[name] == "active" for i in one.interfaces]
        if len(claims) != len(set(claims)):
            return False
        for name, state in after.items():
            self.controllers[name].state = state
        self._follow()
        return True

    def _follow(self) -> None:
        active = {name for name, one in self.controllers.items() if one.state == "active" and self.hardware == "active"}
        self.arm.follows = "fr3_arm_controller" in active
        self.arm.gives_way = "gravity_compensation_example_controller" in active


class ControlServices:
    """The services and the action by which all that is reached.

    Args:
        manager: node named controller_manager.
        recovery: node named action_server.
        control: the states.
    """

    def __init__(self, manager: Node, recovery: Node, control: Control) -> None:
        self._control = control
        for kind, name, answer in (
            (ListControllers, "list_controllers", self._list_controllers),
            (ListHardwareComponents, "list_hardware_components", self._list_hardware),
            (SwitchController, "switch_controller", self._switch),
            (ConfigureController, "configure_controller", self._configure),
            (SetHardwareComponentState, "set_hardware_component_state", self._set_hardware),
        ):
            manager.create_service(kind, f"~/{name}", answer)
        manager.create_service(Trigger, "~/reflex", self._reflex)
        self._server = ActionServer(
            recovery,
            ErrorRecovery,
            "~/error_recovery",
            execute_callback=self._recover,
            callback_group=ReentrantCallbackGroup(),
        )

    def _reflex(self, _: Any, response: Any) -> Any:
        self._control.reflex()
        response.success = True
        return response

    def _recover(self, goal: Any) -> ErrorRecovery.Result:
        time.sleep(0.2)
        goal.succeed() if self._control.recover() else goal.abort()
        return ErrorRecovery.Result()

    def _list_controllers(self, _: Any, response: Any) -> Any:
        response.controller = [
            ControllerState(
                name=name,
                state=one.state,
                type=one.kind,
                claimed_interfaces=list(one.interfaces) if one.state == "active" else [],
                required_command_interfaces=list(one.interfaces),
            )
            for name, one in self._control.controllers.items()
        ]
        return response

    def _list_hardware(self, _: Any, response: Any) -> Any:
        state = State(label=self._control.hardware)
        response.component = [HardwareComponentState(name=HARDWARE, type="system", state=state)]
        return response

    def _switch(self, request: Any, response: Any) -> Any:
        response.ok = self._control.switch(list(request.activate_controllers), list(request.deactivate_controllers))
        return response

    def _configure(self, request: Any, response: Any) -> Any:
        controller = self._control.controllers.get(request.name)
        response.ok = controller is not None and controller.state == "unconfigured"
        if response.ok:
            controller.state = "inactive"
        return response

    def _set_hardware(self, request: Any, response: Any) -> Any:
        wanted = request.target_state.label or STATES[request.target_state.id]
        response.ok = request.name == HARDWARE and self._control.set_hardware(wanted)
        response.state = State(label=self._control.hardware)
        return response

"""What undoes a reflex of a Franka: which steps, in which order, told from the states of its controllers and hardware.

The order is that of the vendor's documentation: controllers that still claim failed hardware are deactivated (releases
for ROS 2 Humble leave that to the user), the robot's error is cleared, the hardware component is set active again, and
then the controller that is to command the arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from mini_diffuser_ros.support.errors import UserError

ACTIVE, INACTIVE, UNCONFIGURED = "active", "inactive", "unconfigured"
TRAJECTORIES = "JointTrajectoryController"


class RecoveryError(UserError, RuntimeError):
    """The robot cannot be recovered, or a step did not bring about what it should have."""

    exit_code = 1


@dataclass(frozen=True)
class LoadedController:
    """A controller that is loaded.

    Attributes:
        name: of the controller.
        kind: its class, e.g. ``joint_trajectory_controller/JointTrajectoryController``.
        state: unconfigured, inactive, active or finalized.
        commands: whether it takes command interfaces; a broadcaster takes none.
    """

    name: str
    kind: str
    state: str
    commands: bool


@dataclass(frozen=True)
class HardwareState:
    """A component of the hardware: its name, and its state as of controllers."""

    name: str
    state: str


class Deed(Enum):
    """What a step does."""

    DEACTIVATE = "deactivate the controller {}, which still claims the hardware"
    CLEAR = "clear the robot's error by {}"
    SET_ACTIVE = "set the hardware component {} active"
    CONFIGURE = "configure the controller {}"
    ACTIVATE = "activate the controller {}"


@dataclass(frozen=True)
class Step:
    """One step: what is done, and to what."""

    deed: Deed
    name: str

    def __str__(self) -> str:
        return self.deed.value.format(self.name)


def wanted_controller(controllers: Sequence[LoadedController], named: str) -> str:
    """Name of the controller that is to command the arm in the end.

    Args:
        controllers: that are loaded.
        named: by the user, or the one that motion_node sends its trajectories to; empty if neither is known.

    Raises:
        RecoveryError: if it is not loaded, or not known which of several is meant.
    """
    loaded = [one.name for one in controllers if one.commands]
    if named:
        if named not in loaded:
            raise RecoveryError(
                f"the controller {named} is not loaded; loaded are {', '.join(loaded) or 'none'}: name one of them "
                "with --controller"
            )
        return named
    still = [one.name for one in controllers if one.commands and one.state == ACTIVE]
    follow = [one.name for one in controllers if one.commands and one.kind.endswith(TRAJECTORIES)]
    candidates = still or follow
    if len(candidates) != 1:
        found = ", ".join(candidates or loaded) or "none"
        raise RecoveryError(f"which controller is to command the arm? Found are {found}: name it with --controller")
    return candidates[0]


def recovery_steps(
    controllers: Sequence[LoadedController], hardware: Sequence[HardwareState], wanted: str, recovery: str
) -> tuple[Step, ...]:
    """What is to be done, in order; nothing if the hardware is active and a controller commands it.

    Args:
        controllers: that are loaded.
        hardware: components.
        wanted: name of the controller that is to command the arm.
        recovery: name of the action that clears the robot's error.

    Raises:
        RecoveryError: if there is no hardware.
    """
    if not hardware:
        raise RecoveryError("controller_manager knows no hardware component: was the robot's driver started?")
    failed = [one.name for one in hardware if one.state != ACTIVE]
    steps = []
    if failed:
        claiming = [one.name for one in controllers if one.commands and one.state == ACTIVE]
        steps += [Step(Deed.DEACTIVATE, name) for name in claiming]
        steps.append(Step(Deed.CLEAR, recovery))
        steps += [Step(Deed.SET_ACTIVE, name) for name in failed]
    elif any(one.commands and one.state == ACTIVE for one in controllers):
        return ()
    for one in controllers:
        is_needed = one.name == wanted or not one.commands
        stays = one.state == ACTIVE and not (failed and one.commands)
        if is_needed and not stays:
            if one.state == UNCONFIGURED:
                steps.append(Step(Deed.CONFIGURE, one.name))
            steps.append(Step(Deed.ACTIVATE, one.name))
    return tuple(steps)

"""Which steps bring a robot back, from the states of controllers and hardware."""

from __future__ import annotations

import pytest

from mini_diffuser_ros.running.recovery import (
    Deed,
    HardwareState,
    LoadedController,
    RecoveryError,
    recovery_steps,
    wanted_controller,
)

ACTION = "action_server/error_recovery"
TRAJECTORY = "joint_trajectory_controller/JointTrajectoryController"


def controllers(arm: str, broadcaster: str = "active", gravity: str = "inactive") -> list[LoadedController]:
    return [
        LoadedController("arm", TRAJECTORY, arm, commands=True),
        LoadedController("gravity", "examples/GravityCompensation", gravity, commands=True),
        LoadedController("states", "joint_state_broadcaster/JointStateBroadcaster", broadcaster, commands=False),
    ]


def deeds(arm: str, hardware: str, broadcaster: str = "active", gravity: str = "inactive") -> list[tuple[Deed, str]]:
    steps = recovery_steps(controllers(arm, broadcaster, gravity), [HardwareState("hw", hardware)], "arm", ACTION)
    return [(step.deed, step.name) for step in steps]


CLEARED = [(Deed.CLEAR, ACTION), (Deed.SET_ACTIVE, "hw")]


def test_nothing_is_done_to_a_robot_that_is_well() -> None:
    assert deeds("active", "active") == []


def test_controllers_that_claim_failed_hardware_are_deactivated_first() -> None:
    assert deeds("active", "unconfigured") == [(Deed.DEACTIVATE, "arm"), *CLEARED, (Deed.ACTIVATE, "arm")]


def test_where_the_release_has_deactivated_them_the_error_is_cleared_first() -> None:
    assert deeds("inactive", "inactive") == [*CLEARED, (Deed.ACTIVATE, "arm")]


def test_another_controller_that_was_active_gives_way() -> None:
    assert deeds("inactive", "inactive", gravity="active") == [
        (Deed.DEACTIVATE, "gravity"),
        *CLEARED,
        (Deed.ACTIVATE, "arm"),
    ]


def test_broadcasters_come_back_as_well_configured_before_where_they_have_to_be() -> None:
    assert deeds("inactive", "inactive", broadcaster="unconfigured") == [
        *CLEARED,
        (Deed.ACTIVATE, "arm"),
        (Deed.CONFIGURE, "states"),
        (Deed.ACTIVATE, "states"),
    ]


def test_hardware_that_is_active_needs_its_controller_alone() -> None:
    assert deeds("inactive", "active") == [(Deed.ACTIVATE, "arm")]


def test_a_controller_that_commands_active_hardware_is_not_thrown_out() -> None:
    assert deeds("inactive", "active", gravity="active") == []


def test_without_hardware_there_is_nothing_to_recover() -> None:
    with pytest.raises(RecoveryError, match="no hardware component"):
        recovery_steps(controllers("active"), [], "arm", ACTION)


def test_the_controller_is_the_named_one_else_the_active_one_else_the_one_that_follows_trajectories() -> None:
    assert wanted_controller(controllers("inactive"), "gravity") == "gravity"
    assert wanted_controller(controllers("inactive", gravity="active"), "") == "gravity"
    assert wanted_controller(controllers("inactive"), "") == "arm"


def test_a_controller_that_is_not_loaded_is_named_with_those_that_are() -> None:
    with pytest.raises(RecoveryError, match="panda_arm_controller is not loaded; loaded are arm, gravity"):
        wanted_controller(controllers("active"), "panda_arm_controller")


def test_which_of_two_is_meant_is_asked() -> None:
    second = LoadedController("left", TRAJECTORY, "inactive", commands=True)
    with pytest.raises(RecoveryError, match="arm, left: name it with --controller"):
        wanted_controller([*controllers("inactive"), second], "")

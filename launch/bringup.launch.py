"""The whole stack: a simulated or real arm, perception, policy and motion; with an instruction also one run of it.

ros2 launch mini_diffuser_ros bringup.launch.py instruction:="press the blue button" exit_on_done:=true
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, EmitEvent, LogInfo, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

PACKAGE = "mini_diffuser_ros"
SHARE = Path(get_package_share_directory(PACKAGE))

ARGUMENTS = (
    DeclareLaunchArgument(
        "instruction",
        default_value="",
        description="Sentence to obey at once; empty: wait for sentences on /mini_diffuser/instruction.",
    ),
    DeclareLaunchArgument(
        "exit_on_done",
        default_value="false",
        choices=["true", "false"],
        description="End with the instruction: exit code 0 if it was obeyed, 1 if not.",
    ),
    DeclareLaunchArgument(
        "robot",
        default_value="sim",
        choices=["sim", "panda", "fr3"],
        description="Simulated Panda, or the names of a real arm's drivers, which are started on their own.",
    ),
    DeclareLaunchArgument(
        "checkpoint",
        default_value=str(SHARE / "models" / "tabletop"),
        description="Directory of the policy's checkpoint.",
    ),
    DeclareLaunchArgument("device", default_value="cpu", description="Where the policy computes: cpu or cuda."),
    DeclareLaunchArgument("seed", default_value="0", description="Of the simulated layout and the policy's noise."),
    DeclareLaunchArgument(
        "cameras",
        default_value="front,left_shoulder,wrist",
        description="Names of the cameras, separated by commas.",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of all nodes."),
    DeclareLaunchArgument("runs", default_value="runs", description="Folder for the run folders."),
)


def generate_launch_description() -> LaunchDescription:
    """Arguments, and one process a node."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_stack)])


def _stack(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The nodes for the arguments' values."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    instruction = value("instruction").strip()
    exit_on_done = value("exit_on_done") == "true"
    simulated = value("robot") == "sim"
    if exit_on_done and not instruction:
        raise RuntimeError("exit_on_done:=true needs an instruction, e.g. instruction:='press the blue button'")
    cameras = {"cameras": [name.strip() for name in value("cameras").split(",") if name.strip()]}
    seed = {"seed": int(value("seed"))}
    sentence = {"instruction": _text(instruction)}

    def node(name: str, *overrides: dict[str, object]) -> Node:
        config = SHARE / "config"
        files = [str(config / f"{name}.yaml"), str(config / "robots" / f"{value('robot')}.yaml")]
        return Node(
            package=PACKAGE,
            executable=name,
            name=name,
            namespace=value("namespace"),
            parameters=[*files, *overrides],
            output="screen",
        )

    required = [
        node("perception_node", cameras),
        node("policy_node", {"checkpoint": _text(value("checkpoint")), "device": _text(value("device"))}, seed),
        node("motion_node"),
    ]
    if simulated:
        required.append(node("sim_node", sentence, seed))
    handlers = [_on_exit(action, _ends_the_stack) for action in required]
    if not instruction:
        return [*handlers, *required]
    run = node("run_node", sentence, cameras, {"runs": _text(value("runs"))})
    handlers.append(_on_exit(run, _ends_the_run if exit_on_done else _is_reported))
    return [*handlers, *required, run]


def _text(value: str) -> ParameterValue:
    """A string that stays one: launch would read 'yes' or '7' as YAML."""
    return ParameterValue(value, value_type=str)


Reaction = Callable[[ProcessExited, LaunchContext], "list[LaunchDescriptionEntity] | None"]


def _on_exit(action: Node, react: Reaction) -> RegisterEventHandler:
    return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=react))


def _ends_the_stack(event: ProcessExited, context: LaunchContext) -> None:
    """Without this node nothing works: launch ends, with exit code 1, as an exception is what makes it do so."""
    if not context.is_shutdown:
        raise RuntimeError(f"{event.process_name} ended with exit code {event.returncode}; it is required")


def _ends_the_run(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
    if context.is_shutdown:
        return None
    if event.returncode != 0:
        raise RuntimeError("the instruction was not obeyed; the last line of run_node says why")
    return [EmitEvent(event=Shutdown(reason="the instruction was obeyed"))]


def _is_reported(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
    if context.is_shutdown:
        return None
    return [LogInfo(msg="ready for the next sentence: mini-diffuser say '...'")]

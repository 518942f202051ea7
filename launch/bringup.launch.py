"""The whole stack: a simulated or real arm, perception, policy and motion; with an instruction also one run of it.

ros2 launch mini_diffuser_ros bringup.launch.py instruction:="press the blue button" exit_on_done:=true
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch.actions import DeclareLaunchArgument, EmitEvent, LogInfo, OpaqueFunction, RegisterEventHandler, TimerAction
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from mini_diffuser_ros.bringup.errors import BringupError
from mini_diffuser_ros.bringup.plan import OUTCOME, RVIZ_TOPICS, Bringup, moved_topics, plan_bringup
from mini_diffuser_ros.robots import load_robot

PACKAGE = "mini_diffuser_ros"
SHARE = Path(get_package_share_directory(PACKAGE))
YES_OR_NO = ["true", "false"]
GUARD = "guard_node"  # a process of its own, always: what it is there for is that others hang or die
RESPAWN_DELAY = 1.0  # seconds
MOST_DEATHS, DEATHS_WITHIN = 5, 60.0  # seconds; a node that dies more often will not be helped by another start
RECORDER_PATIENCE = 15.0  # seconds after a run for its episode to be written
# Seconds for SIGINT and for SIGTERM to be obeyed: the arm's controllers have to let go of a motion first.
PATIENCE = {"sigterm_timeout": "5", "sigkill_timeout": "5"}

ARGUMENTS = (
    DeclareLaunchArgument(
        "robot",
        default_value="",
        description="sim, a simulated Panda, or fr3 or panda, a real arm, whose drivers are started on their own; "
        "empty: that of the cell, without one sim.",
    ),
    DeclareLaunchArgument(
        "cell",
        default_value="",
        description="YAML file of a lab's cell, as config/cells/example.yaml: robot, cameras, table, workspace, boxes, "
        "speeds, gripper. Empty: TF of the cameras comes from elsewhere, the rest is as by default.",
    ),
    DeclareLaunchArgument(
        "cameras",
        default_value="",
        description="Names of the cameras, separated by commas: <name>/color/image_raw and so on; empty: all of the "
        "cell, without one front,left_shoulder,wrist.",
    ),
    DeclareLaunchArgument(
        "camera_driver",
        default_value="none",
        choices=["none", "realsense"],
        description="Driver to start for the cameras; none: the simulation, or drivers started on their own.",
    ),
    DeclareLaunchArgument(
        "checkpoint",
        default_value="",
        description="Directory of the policy's checkpoint; perception follows the fusion in it. Empty: the one of the "
        "simulated table, for robot:=sim.",
    ),
    DeclareLaunchArgument(
        "allow_simulated_policy",
        default_value="false",
        choices=YES_OR_NO,
        description="Let a policy that knows the simulated table alone drive a real arm.",
    ),
    DeclareLaunchArgument(
        "accept_unfamiliar",
        default_value="false",
        choices=YES_OR_NO,
        description="Obey sentences that are unlike all that the policy was taught, too.",
    ),
    DeclareLaunchArgument(
        "profile",
        default_value="",
        description="Limits of motion: simulation, collaborative (0.25 m/s at the tool), fast, or a file of your own; "
        "empty: simulation for robot:=sim, collaborative for a real arm.",
    ),
    DeclareLaunchArgument(
        "speed",
        default_value="",
        description="Fraction of the profile's velocities, from 0.01 to 1; empty: the cell's, or all.",
    ),
    DeclareLaunchArgument("device", default_value="cpu", description="Where the policy computes: cpu or cuda."),
    DeclareLaunchArgument(
        "instruction",
        default_value="",
        description="Sentence to obey at once; empty: wait for sentences on mini_diffuser/instruction.",
    ),
    DeclareLaunchArgument(
        "exit_on_done",
        default_value="false",
        choices=YES_OR_NO,
        description="End with the instruction: exit code 0 if it was obeyed, 1 if not.",
    ),
    DeclareLaunchArgument(
        "confirm",
        default_value="false",
        choices=YES_OR_NO,
        description="Show each motion and begin it only when somebody consents: mini-diffuser confirm, or say.",
    ),
    DeclareLaunchArgument(
        "dry_run",
        default_value="false",
        choices=YES_OR_NO,
        description="Decide, plan and show, never move: the controllers get no goals.",
    ),
    DeclareLaunchArgument(
        "sensor",
        default_value="",
        description="Kind of the simulated cameras: perfect, or with the errors of a real one, as d435, or "
        "'d435 scale=2'; empty: perfect.",
    ),
    DeclareLaunchArgument("seed", default_value="0", description="Of the simulated layout and the policy's noise."),
    DeclareLaunchArgument("runs", default_value="runs", description="Folder for the run folders."),
    DeclareLaunchArgument(
        "record",
        default_value="false",
        choices=[*YES_OR_NO, "bag"],
        description="Write each obeyed sentence down: true, as an episode to train on; bag, as an MCAP file.",
    ),
    DeclareLaunchArgument(
        "recordings", default_value="recordings/runs", description="Folder for the recorded episodes."
    ),
    DeclareLaunchArgument("bags", default_value="bags", description="Folder for the MCAP files of record:=bag."),
    DeclareLaunchArgument(
        "viewer",
        default_value="none",
        choices=["none", "rviz", "web"],
        description="Viewer to start: rviz2 with cloud, candidate keyframes, TF, robot and camera images; or web, a "
        "page for the browser that also takes sentences and stops the arm, whose address is printed.",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of all nodes."),
    DeclareLaunchArgument(
        "composed",
        default_value="false",
        choices=YES_OR_NO,
        description="All nodes but the guard in one process instead of one process a node.",
    ),
    DeclareLaunchArgument(
        "respawn",
        default_value="false",
        choices=YES_OR_NO,
        description="Start a node that died again; false: the launch ends with its name.",
    ),
    DeclareLaunchArgument(
        "params", default_value="", description="Parameter file of your own, which overrides all others."
    ),
)


def generate_launch_description() -> LaunchDescription:
    """The arguments, and what is started for them."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_stack)])


def _stack(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The processes for the arguments' values, and what follows when one ends."""
    _refuse_unknown(context.argv)
    values = {one.name: LaunchConfiguration(one.name).perform(context) for one in ARGUMENTS}
    session = Path(tempfile.mkdtemp(prefix="mini_diffuser_launch_"))
    atexit.register(shutil.rmtree, session, ignore_errors=True)
    if values["exit_on_done"] == "true":
        atexit.register(_tell, session / OUTCOME)
    plan = plan_bringup(values, session, SHARE / "models" / "tabletop")
    values["robot"] = plan.robot
    arguments = session / "arguments.yaml"
    arguments.write_text(plan.parameter_file(), encoding="utf-8")
    start = _one_process if values["composed"] == "true" else _process_per_node
    return [*start(plan, values, arguments), *_viewer(values, arguments)]


def _tell(outcome: Path) -> None:
    """The last line of a launch that ends with its sentence: how that ended, after all that nodes say of their ends."""
    if outcome.is_file():
        sys.stdout.write(outcome.read_text(encoding="utf-8"))
        sys.stdout.flush()


def _refuse_unknown(words: Sequence[str]) -> None:
    """A genuine `ros2 launch` takes any argument; from another launch file, the words are that one's."""
    if not any(Path(word).name == Path(__file__).name for word in sys.argv):
        return
    known = [*(one.name for one in ARGUMENTS), *PATIENCE]
    unknown = [name for name, given, _ in (word.partition(":=") for word in words) if given and name not in known]
    if unknown:
        raise BringupError(f"unknown launch argument '{unknown[0]}'; known are {', '.join(known)}")


def _parameters(nodes: Sequence[str], values: dict[str, str], arguments: Path) -> list[str]:
    """Parameter files, the later ones override: defaults, the robot's, the launch's arguments, the user's own."""
    config = SHARE / "config"
    defaults = [file for node in nodes if (file := config / f"{node}.yaml").is_file()]
    names = config / "robots" / f"{values['robot']}.yaml"  # none for a robot of the user's own
    files = [*defaults, *([names] if names.is_file() else []), arguments]
    return [*map(str, files), *([os.path.abspath(values["params"])] if values["params"] else [])]


def _remappings(values: dict[str, str]) -> list[tuple[str, str]]:
    return moved_topics(values["namespace"], values["robot"] == "sim")


def _node(name: str, values: dict[str, str], arguments: Path, respawned: bool) -> Node:
    """One of our nodes in a process of its own."""
    return Node(
        package=PACKAGE,
        executable=name,
        name=name,
        namespace=values["namespace"],
        parameters=_parameters([name], values, arguments),
        remappings=_remappings(values),
        output="screen",
        respawn=respawned,
        respawn_delay=RESPAWN_DELAY,
        **PATIENCE,
    )


def _process_per_node(plan: Bringup, values: dict[str, str], arguments: Path) -> list[LaunchDescriptionEntity]:
    respawn = values["respawn"] == "true"
    entities: list[LaunchDescriptionEntity] = []
    for name in plan.nodes:
        action = _node(name, values, arguments, respawn)
        entities += [_on_exit(action, _is_respawned() if respawn else _ends_the_stack), action]
    until_done = values["exit_on_done"] == "true"
    end = _EndOfRun(recorded=plan.record or plan.bag)
    if plan.record or plan.bag:
        again = respawn and not until_done
        action = _node("bag_node" if plan.bag else "recorder_node", values, arguments, again)
        entities += [_on_exit(action, _is_respawned() if again else end.of_recorder), action]
    if plan.run:
        action = _node("run_node", values, arguments, False)
        entities += [_on_exit(action, end.of_run if until_done else _is_reported), action]
    return entities


def _one_process(plan: Bringup, values: dict[str, str], arguments: Path) -> list[LaunchDescriptionEntity]:
    respawn, until_done = values["respawn"] == "true", values["exit_on_done"] == "true"
    recorder = ["--optional", "recorder_node"] if plan.record else []
    run = ([] if until_done else ["--optional"]) + ["run_node"] if plan.run else []
    guard = _node(GUARD, values, arguments, respawn)
    action = Node(
        package=PACKAGE,
        executable="stack",
        namespace=values["namespace"],
        arguments=[*(name for name in plan.nodes if name != GUARD), *recorder, *run],
        parameters=_parameters(list(plan.overrides), values, arguments),
        remappings=_remappings(values),
        output="screen",
        respawn=respawn,
        respawn_delay=RESPAWN_DELAY,
        **PATIENCE,
    )
    react = _is_respawned() if respawn else _EndOfRun(recorded=False).of_run if until_done else _ends_the_stack
    of_guard = _is_respawned() if respawn else _ends_the_stack
    entities: list[LaunchDescriptionEntity] = [_on_exit(guard, of_guard), guard, _on_exit(action, react), action]
    if plan.bag:  # a process of its own, as what it takes in is not to slow motion
        bag = _node("bag_node", values, arguments, False)
        entities += [_on_exit(bag, _is_missed), bag]
    return entities


def _viewer(values: dict[str, str], arguments: Path) -> list[LaunchDescriptionEntity]:
    if values["viewer"] == "none":
        return []
    if values["viewer"] == "web":
        page = _node("page_node", values, arguments, values["respawn"] == "true")
        return [_on_exit(page, _is_gone), page]
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError:
        return [
            LogInfo(
                msg="viewer:=rviz: rviz2 is not installed (apt install ros-$ROS_DISTRO-rviz2); each run's folder below "
                f"{values['runs']} holds video.mp4 and cloud.png"
            )
        ]
    robot = load_robot("panda" if values["robot"] == "sim" else values["robot"])
    namespace = values["namespace"].strip("/")
    moved = [(f"/{topic}", f"/{namespace}/{topic}") for topic in RVIZ_TOPICS] if namespace else []
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", str(SHARE / "config" / "mini_diffuser.rviz"), "-f", robot.base_frame],
            remappings=[*moved, *_remappings(values)],
        )
    ]


Reaction = Callable[[ProcessExited, LaunchContext], "list[LaunchDescriptionEntity] | None"]


def _on_exit(action: Node, react: Reaction) -> RegisterEventHandler:
    def unless_all_ends(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        return None if context.is_shutdown else react(event, context)

    return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=unless_all_ends))


def _ends_the_stack(event: ProcessExited, context: LaunchContext) -> None:
    """Without this node nothing works: launch ends, with exit code 1, as an exception is what makes it do so."""
    raise RuntimeError(f"{event.process_name} ended with exit code {event.returncode}; it is required")


def _is_respawned() -> Reaction:
    deaths: deque[float] = deque(maxlen=MOST_DEATHS)

    def react(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        what = f"{event.process_name} died with exit code {event.returncode}"
        deaths.append(time.monotonic())
        if len(deaths) == MOST_DEATHS and deaths[-1] - deaths[0] < DEATHS_WITHIN:
            raise RuntimeError(f"{what}, {MOST_DEATHS} times within {DEATHS_WITHIN:.0f} s: it is not started again")
        return [LogInfo(msg=f"{what}; it is started again")]

    return react


def _is_gone(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    return [LogInfo(msg=f"{event.process_name} ended with exit code {event.returncode}: no page, the stack goes on")]


def _is_missed(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    return [LogInfo(msg=f"{event.process_name} ended with exit code {event.returncode}: nothing more is recorded")]


class _EndOfRun:
    """Ends the launch after run_node, and after recorder_node if there is one: it has the last images to write."""

    def __init__(self, recorded: bool) -> None:
        self._recording = recorded
        self._run: ProcessExited | None = None

    def of_recorder(self, event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        self._recording = False
        missed = _is_missed(event, context) if self._run is None or event.returncode != 0 else []
        return [*missed, *(self._conclude(context) if self._run is not None else [])]

    def of_run(self, event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        self._run = event
        if self._recording:
            return [TimerAction(period=RECORDER_PATIENCE, actions=[OpaqueFunction(function=self._conclude)])]
        return self._conclude(context)

    def _conclude(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if self._run is not None and self._run.returncode != 0:
            name, code = self._run.process_name, self._run.returncode
            raise RuntimeError(f"{name} ended with exit code {code}; its log says why")
        return [EmitEvent(event=Shutdown(reason="the instruction was obeyed"))]


def _is_reported(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    return [LogInfo(msg="ready for the next sentence: mini-diffuser say '...'")]

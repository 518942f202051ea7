"""``mini-diffuser replay``: the keyframes of a recorded episode once more, with the checks of every motion.

The arm has to be the one that was recorded and to be where the episode begins; objects are where you have put them.
It asks before it begins; a stack launched with confirm:=true asks before each keyframe, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from mini_diffuser_msgs.action import MoveToKeyframe
from std_msgs.msg import Header

from mini_diffuser_ros.commands.consent import asked, write
from mini_diffuser_ros.commands.motion_terminal import MotionTerminal, add_motion_arguments, motion_terminal
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.opening import open_episodes
from mini_diffuser_ros.nodes.recovery.robot_recovery import names_of_motion_node
from mini_diffuser_ros.nodes.ros.joint_states import subscribe_joint_states
from mini_diffuser_ros.nodes.ros.messages import mode_to_message
from mini_diffuser_ros.nodes.ros.process import NodeError
from mini_diffuser_ros.records import Episode, KeyframeMode
from mini_diffuser_ros.robots import RobotDescription, load_robot
from mini_diffuser_ros.running.replaying import ReplayError, check_begins_here, check_recorded_on
from mini_diffuser_ros.support.cancellation import CancellationToken

JOINTS_TIMEOUT = 5.0  # seconds


def main(arguments: list[str]) -> int:
    """Run the command; returns 0 if every keyframe was reached, or the first was planned in a dry run."""
    parser = CommandParser("replay", description=__doc__)
    parser.add_argument("episode", type=Path, help="the zip of a recorded episode")
    parser.add_argument("--move-to-start", action="store_true", help="move the arm to where the episode begins, first")
    add_motion_arguments(parser)
    values = parser.parse_args(arguments)
    episode = read_one(values.episode)
    with motion_terminal("replay", values) as terminal:
        robot = _robot(terminal)
        check_recorded_on(episode, robot)
        first = 0 if values.move_to_start else 1
        if first:
            check_begins_here(episode, robot, _arm_positions(terminal, robot))
        count = len(episode.keyframes) - first
        if not asked(f"move {robot.name} through {count} keyframes of '{episode.sentences[0]}'?", sys.stdin):
            write("nothing was moved")
            return 1
        return _replay(terminal, robot, episode, first)


def read_one(path: Path) -> Episode:
    """The episode of a file.

    Raises:
        ReplayError: if it holds several.
        UserError: if it holds none.
    """
    episodes = open_episodes(path)
    if len(episodes) != 1:
        raise ReplayError(f"{path} holds {len(episodes)} episodes, expected the file of one")
    return episodes[0]


def _robot(terminal: MotionTerminal) -> RobotDescription:
    names = names_of_motion_node(terminal.node)
    if names is None:
        raise NodeError("motion_node does not say which robot it moves; is it one of ours?")
    return load_robot(names.robot)


def _arm_positions(terminal: MotionTerminal, robot: RobotDescription) -> np.ndarray:
    token, newest = CancellationToken(), dict[str, float]()

    def take(names: object, positions: object, *_: object) -> None:
        newest.update(zip(names, positions, strict=True))  # type: ignore[call-overload]
        token.notify()

    subscribe_joint_states(terminal.node, take)
    try:
        token.wait_for(lambda: set(robot.arm_joint_names) <= set(newest), JOINTS_TIMEOUT)
    except TimeoutError:
        raise NodeError(f"no joint states of {robot.name} within {JOINTS_TIMEOUT:g} s; mini-diffuser doctor") from None
    return np.array([newest[name] for name in robot.arm_joint_names])


def _replay(terminal: MotionTerminal, robot: RobotDescription, episode: Episode, first: int) -> int:
    held = 0.0
    for number, keyframe in enumerate(episode.keyframes[first:], start=1):
        mode = KeyframeMode(np.asarray(keyframe.pose), keyframe.gripper_open, False, 1.0, 0.0)
        goal = MoveToKeyframe.Goal(header=Header(frame_id=robot.base_frame), candidates=[mode_to_message(mode)])
        goal.held = held
        result = terminal.carry_out(goal)
        held = result.held
        write(f"keyframe {number} of {len(episode.keyframes) - first}: {result.message}")
        if result.outcome == MoveToKeyframe.Result.PLANNED:
            break
    return 0

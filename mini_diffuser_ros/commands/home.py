"""``mini-diffuser home``: bring the arm to its home position by motion_node, with the same checks as every motion.

The gripper stays as it is. Ctrl-C stops on the way.
"""

from __future__ import annotations

from mini_diffuser_msgs.action import MoveToKeyframe

from mini_diffuser_ros.commands.consent import write
from mini_diffuser_ros.commands.motion_terminal import add_motion_arguments, motion_terminal
from mini_diffuser_ros.commands.parser import CommandParser


def main(arguments: list[str]) -> int:
    """Run the command; returns 0 if the arm is at home, or would be after a dry run."""
    parser = CommandParser("home", description=__doc__)
    add_motion_arguments(parser)
    values = parser.parse_args(arguments)

    with motion_terminal("home", values) as terminal:
        write(terminal.carry_out(MoveToKeyframe.Goal(home=True)).message)
    return 0

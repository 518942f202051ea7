"""``mini-diffuser confirm``: consent to each motion of a stack that was launched with confirm:=true.

Each planned motion is shown in a line, and by its markers on mini_diffuser/planned. y lets it begin, n has the policy
decide anew, stop stops the arm until mini_diffuser/resume. No answer is none: nothing moves.
"""

from __future__ import annotations

import sys

from mini_diffuser_ros.commands.arguments import namespace
from mini_diffuser_ros.commands.consent import ConsentTerminal, write
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.nodes.motion.question_client import QUESTION
from mini_diffuser_ros.nodes.ros.client_node import client_node

LOOKED = 2.0  # seconds in which a running stack is found


def main(arguments: list[str]) -> int:
    """Run the command until Ctrl-C or the end of its input; returns 0."""
    parser = CommandParser("confirm", description=__doc__)
    parser.add_argument("--namespace", type=namespace, default="", help="namespace of the stack")
    values = parser.parse_args(arguments)
    with client_node("confirm", values.namespace, threads=3) as node:
        terminal = ConsentTerminal(node, sys.stdin, at_once=True)
        write("waiting for motions to consent to; stop works at any time, Ctrl-C leaves")
        if not terminal.ended.wait(LOOKED) and not node.count_publishers(QUESTION):
            write("nobody asks yet: start the stack, ros2 launch mini_diffuser_ros bringup.launch.py confirm:=true")
        while not terminal.ended.wait(1.0):
            continue
    return 0

"""``mini-diffuser speed PERCENT``: how fast motions are from now on, also the one under way; 0 holds the arm.

Percent of the speed that the stack was launched with. Where speed follows the distance of people, the smaller holds.
A hold is no stop: any speed above 0 goes on.
"""

from __future__ import annotations

from mini_diffuser_msgs.srv import SetSpeed

from mini_diffuser_ros.commands.arguments import LONGEST_WAIT, namespace, number_between
from mini_diffuser_ros.commands.consent import write
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.nodes.motion.speed_request import SET_SPEED, speed_client
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.nodes.ros.service_call import call_service
from mini_diffuser_ros.support.cancellation import CancellationToken

TIMEOUT = 5.0  # seconds for the answer


def main(arguments: list[str]) -> int:
    """Run the command; returns 0 if the speed was taken, 1 if not."""
    parser = CommandParser("speed", description=__doc__)
    parser.add_argument("percent", type=number_between(0.0, 100.0), metavar="PERCENT", help="0 to 100")
    parser.add_argument(
        "--wait", type=number_between(0.0, LONGEST_WAIT), default=10.0, help="seconds to wait for motion_node"
    )
    parser.add_argument("--namespace", type=namespace, default="", help="namespace of the stack")
    values = parser.parse_args(arguments)

    with client_node("speed", values.namespace) as node:
        answer = call_service(
            speed_client(node),
            SetSpeed.Request(percent=values.percent),
            CancellationToken(),
            name=SET_SPEED,
            patience=values.wait,
            timeout=TIMEOUT,
            missing=f"nobody serves {node.resolve_service_name(SET_SPEED)}: is motion_node running?",
        )
    write(answer.message)
    return 0 if answer.success else 1

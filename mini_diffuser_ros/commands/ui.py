"""``mini-diffuser ui``: the page of a stack that runs already, to look at in a browser.

It prints the address and serves until Ctrl-C. The stack goes on without it; viewer:=web of the launch does the same.
"""

from __future__ import annotations

import os
import sys

from mini_diffuser_ros.commands.arguments import namespace, whole_number_from
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.viewing.live.access import page_access
from mini_diffuser_ros.viewing.live.server import PORT

LAST_PORT, LAST_DOMAIN = 65535, 232


def main(arguments: list[str]) -> int:
    """Become page_node; does not return."""
    parser = CommandParser("ui", description=__doc__)
    parser.add_argument("--namespace", type=namespace, default="", help="namespace of the stack")
    parser.add_argument("--domain", type=whole_number_from(0, LAST_DOMAIN), help="ROS_DOMAIN_ID of the stack")
    parser.add_argument(
        "--address",
        default="127.0.0.1",
        help="IP address to listen on (default: %(default)s, this machine alone); any other asks for a token",
    )
    parser.add_argument(
        "--port", type=whole_number_from(0, LAST_PORT), default=PORT, help="the next ones where it is taken; 0: any"
    )
    parser.add_argument("--token", default="", help="that a browser has to know; drawn beyond this machine")
    parser.add_argument("--proxy", default="", help="address of a proxy with TLS in front, as https://robots.example")
    values = parser.parse_args(arguments)
    page_access(values.address, values.token, values.proxy)  # what cannot be is said here, in a line
    texts = {name: f"'{getattr(values, name)}'" for name in ("address", "token", "proxy")}
    given = {**texts, "port": str(values.port)}
    words = [
        sys.executable,
        "-m",
        "mini_diffuser_ros.nodes.page_node",
        "--ros-args",
        "-r",
        f"__ns:=/{values.namespace}",
    ]
    for name, value in given.items():
        words += ["-p", f"{name}:={value}"]
    domain = {} if values.domain is None else {"ROS_DOMAIN_ID": str(values.domain)}
    try:
        os.execve(sys.executable, words, {**os.environ, **domain})
    except OSError as error:
        raise UserError(f"{sys.executable} cannot be started: {error}") from error

"""page_node: a page in the browser that shows what the stack does, takes sentences, and stops the arm."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_msgs.msg import Bool

from mini_diffuser_ros.nodes.page.readable_topics import ReadableTopics
from mini_diffuser_ros.nodes.page.stack_commands import StackCommands
from mini_diffuser_ros.nodes.page.stack_facts import known_sentences, motion_facts
from mini_diffuser_ros.nodes.page.stack_listener import StackListener
from mini_diffuser_ros.nodes.page.stack_sights import StackSights
from mini_diffuser_ros.nodes.recovery.service_calls import ServiceCalls
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.nodes.ros.process import ManagedNode, run_node
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.viewing.live.access import page_access
from mini_diffuser_ros.viewing.live.parts import NewestParts
from mini_diffuser_ros.viewing.live.run_state import RunState
from mini_diffuser_ros.viewing.live.server import PORT, PageServer

ASKING = 2.0  # seconds between two looks for nodes that are to be asked
ASKING_AGAIN = 10.0  # seconds after which nodes that have answered are asked again while somebody looks
MOST_SENTENCES = 200  # that are suggested


class PageNode(ManagedNode):
    """Serves the page. What is costly, clouds and pictures, it hears only while a page is open."""

    threads = 5

    def __init__(self) -> None:
        super().__init__("page_node")
        parameters = Parameters(self)
        address = parameters.text(
            "address",
            "127.0.0.1",
            "IP address to listen on: 127.0.0.1 for this machine alone, any other asks for a token",
        )
        port = parameters.integer("port", PORT, "to listen on; the next ones where it is taken, 0 for any", 0, 65535)
        token = parameters.text("token", "", "that a browser has to know; drawn for an address beyond this machine")
        proxy = parameters.text("proxy", "", "address of a proxy with TLS in front, as https://robots.example")
        rate = parameters.number("rate", 5.0, "updates per second", 0.5, 30.0)
        self._parts, self._state = NewestParts(), RunState()
        self._topics = ReadableTopics(self, self._state)
        self._listener = StackListener(self, self._state, self._topics)
        self._listen_to_flags()
        self._sights = StackSights(self, self._parts, self._state, self._listener, self._topics)
        self._commands = StackCommands(self, self._state)
        self._closing = threading.Event()
        access = page_access(address, token, proxy)
        self._server = PageServer(access, port, self._parts, self._commands.by_name(), rate, self._stack())
        self._timer = steady_timer(self, 1.0 / rate, self._update)
        self._asker = threading.Thread(target=self._ask, name="facts of the page", daemon=True)
        self._asker.start()
        behind = f" (port {self._server.port} here)" if proxy else ""
        self.get_logger().info(f"the page: {self._server.address}{behind}")

    def _stack(self) -> str:
        """Which stack this is the page of: of those that one address may lead to, each has another name."""
        space, domain = self.get_namespace().rstrip("/"), os.environ.get("ROS_DOMAIN_ID", "").strip() or "0"
        return f"{space}{', ' if space else ''}domain {domain} on {socket.gethostname()}"

    def _listen_to_flags(self) -> None:
        """What is so or not: ready, stopped."""
        tell, group = self._state.tell, MutuallyExclusiveCallbackGroup()
        takers: dict[str, Callable[[Bool], None]] = {
            "mini_diffuser/ready": lambda told: tell(ready=told.data),
            "mini_diffuser/stopped": lambda told: tell(stopped=told.data),
        }
        for topic, take in takers.items():
            self._topics.subscribe(Bool, topic, take, LATCHED, group)

    def close(self) -> None:
        """Let the pages go."""
        self._closing.set()
        self._commands.close()
        self._server.close()

    def _update(self) -> None:
        self._listener.look()
        if not self._server.pages:
            self._sights.close()
            self._parts.drop("state", "clock")  # who looks next gets those of then
            return
        self._sights.open()
        self._sights.pack()
        self._parts.put("state", self._state.values())
        self._parts.put("clock", {"time": time.strftime("%H:%M:%S")})  # a word a second, so that silence shows

    def _ask(self) -> None:
        """What motion and policy work with: until they have said so, and again, as either may be another one by now."""
        calls = ServiceCalls(self)
        asked = {"what motion_node plans with": self._ask_motion, "what policy_node was taught": self._ask_policy}
        answered = dict.fromkeys(asked, -float("inf"))
        while not self._closing.wait(ASKING):
            for what, ask in asked.items():
                is_old = time.monotonic() - answered[what] > ASKING_AGAIN
                is_wanted = is_old and (self._server.pages or math.isinf(answered[what]))
                if is_wanted and self._topics.read(what, partial(ask, calls)):
                    answered[what] = time.monotonic()

    def _ask_motion(self, calls: ServiceCalls) -> bool:
        """Whether it has said so."""
        if motion := motion_facts(calls):
            self._sights.know(motion)
        return motion is not None

    def _ask_policy(self, calls: ServiceCalls) -> bool:
        """Whether it has said so."""
        if sentences := known_sentences(calls):
            self._parts.put("sentences", {"known": sentences[0][:MOST_SENTENCES], "missing": sentences[1]})
        return sentences is not None


def main() -> NoReturn:
    """Entry point of the executable ``page_node``."""
    run_node(PageNode)


if __name__ == "__main__":
    main()

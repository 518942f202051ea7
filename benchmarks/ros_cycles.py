"""Start and stop a node again and again: does it leave a thread, a socket, a file or memory behind?

    python benchmarks/ros_cycles.py [--count 1000]

Each cycle joins the domain with a context of its own, makes a node with a publisher, a subscription, a timer, a
service, a client, an action server and an action client, waits until a message, a reply and the result of a goal came
back, and shuts all of it down. What the process holds after some first cycles is compared with what it holds at the
end. Prints one JSON object; ends with 1 if anything is left behind. Linux only; uses nothing but rclpy.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import rclpy
from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionClient, ActionServer
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tqdm import tqdm

PATIENCE = 30.0  # seconds for what a cycle waits for
ALLOWED_MB_PER_1000 = 4.0  # what allocators keep; a leaked entity of each cycle would take more


@dataclass(frozen=True)
class Held:
    """What the process holds; memory in MiB."""

    threads: int
    files: int
    sockets: int
    resident_mb: float

    @classmethod
    def now(cls) -> Held:
        """Counts threads, open files (sockets included) and resident memory."""
        gc.collect()
        links = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            threads=sum(1 for _ in Path("/proc/self/task").iterdir()),
            files=len(links),
            sockets=sum(link.startswith("socket:") for link in links),
            resident_mb=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        )


def settled() -> Held:
    """What the process holds as soon as two looks agree: the kernel lists a thread that has ended a moment longer."""
    deadline, held = time.monotonic() + PATIENCE, Held.now()
    while time.monotonic() < deadline:
        time.sleep(0.1)
        before, held = held, Held.now()
        if (before.threads, before.files, before.sockets) == (held.threads, held.files, held.sockets):
            break
    return held


class CycleError(RuntimeError):
    """Something that a cycle waits for did not come."""


def wait(executor: SingleThreadedExecutor, done: Callable[[], Any], what: str) -> None:
    """Runs callbacks until ``done()``."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise CycleError(f"{what} did not come within {PATIENCE:.0f} s")
        executor.spin_once(timeout_sec=0.05)


def cycle(domain_id: int) -> None:
    """One life of a context, a node with all that it may have, and an executor."""
    context = Context()
    rclpy.init(args=[], context=context, domain_id=domain_id)
    node = Node("cycles", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    heard: list[String] = []
    ticks: list[int] = []

    def execute(goal: Any) -> FollowJointTrajectory.Result:
        goal.succeed()
        return FollowJointTrajectory.Result()

    node.create_subscription(String, "chatter", heard.append, 10)
    publisher = node.create_publisher(String, "chatter", 10)
    node.create_timer(0.001, lambda: ticks.append(1))
    node.create_service(Trigger, "check", lambda request, response: response)
    client = node.create_client(Trigger, "check")
    server = ActionServer(node, FollowJointTrajectory, "move", execute)
    action = ActionClient(node, FollowJointTrajectory, "move")
    try:
        wait(executor, lambda: publisher.get_subscription_count() and client.service_is_ready(), "discovery")
        wait(executor, action.server_is_ready, "the action server")
        publisher.publish(String(data="here"))
        reply, goal = client.call_async(Trigger.Request()), action.send_goal_async(FollowJointTrajectory.Goal())
        wait(executor, lambda: heard and ticks and reply.done() and goal.done(), "a message, a tick or a reply")
        result = goal.result().get_result_async()
        wait(executor, result.done, "the result of a goal")
    finally:
        action.destroy()
        server.destroy()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the cycles and says what they left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=1000, help="cycles (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=20, help="cycles before the first look (default: %(default)s)")
    parser.add_argument("--domain", type=int, default=int(os.environ.get("ROS_DOMAIN_ID", "0")), help="ROS domain")
    options = parser.parse_args(arguments)
    with tqdm(total=options.warm_up + options.count, unit="cycle", disable=None) as progress:
        for number in range(options.warm_up + options.count):
            if number == options.warm_up:
                before, start = settled(), time.monotonic()
            cycle(options.domain)
            progress.update()
        wall, after = time.monotonic() - start, settled()
    grown = after.resident_mb - before.resident_mb
    clean = (after.threads, after.files, after.sockets) == (before.threads, before.files, before.sockets)
    # Fewer cycles do not tell growth from what allocators take at first.
    passed = clean and (options.count < 1000 or grown <= ALLOWED_MB_PER_1000 * options.count / 1000)
    row = {"cycles": options.count, "passed": passed, "seconds_per_cycle": round(wall / max(options.count, 1), 4)}
    row |= {"grown_mb": round(grown, 2), "before": asdict(before), "after": asdict(after)}
    sys.stdout.write(json.dumps(row) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

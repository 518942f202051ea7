"""Start and stop a node again and again: does it leave a thread, a socket, a file or memory behind?

Each cycle joins the domain with a context of its own, makes a node with a publisher, a subscription, a timer, a
service, a client, an action server and an action client, waits until a message, a reply and the result of a goal came
back, and shuts all of it down. What the process holds after some first cycles is compared with what it holds at the
end. Exit code 1 if anything is left behind. Linux only; of ROS it uses nothing but rclpy.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
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

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.resources import resident_mb

PATIENCE = 30.0  # seconds for what a cycle waits for
ALLOWED_MB_PER_1000 = 4.0  # what allocators keep; a leaked entity of each cycle would take more


@dataclass(frozen=True, kw_only=True)
class CyclesSetting:
    """How often.

    Attributes:
        count: cycles.
        warm_up: cycles before the first look.
        domain: ROS domain; that of ROS_DOMAIN_ID if left out.
    """

    count: int = at_least(1, 1000)
    warm_up: int = at_least(0, 20)
    domain: int | None = None


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
        return cls(
            threads=sum(1 for _ in Path("/proc/self/task").iterdir()),
            files=len(links),
            sockets=sum(link.startswith("socket:") for link in links),
            resident_mb=resident_mb(),
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


def measure_cycles(settings: Sequence[CyclesSetting]) -> Iterator[dict[str, Any]]:
    """Run the cycles and say what they left."""
    for setting in settings:
        yield _report(setting)


def _report(setting: CyclesSetting) -> dict[str, Any]:
    domain = int(os.environ.get("ROS_DOMAIN_ID", "0")) if setting.domain is None else setting.domain
    with tqdm(total=setting.warm_up + setting.count, unit="cycle", disable=None) as progress:
        for number in range(setting.warm_up + setting.count):
            if number == setting.warm_up:
                before, start = settled(), time.monotonic()
            cycle(domain)
            progress.update()
        wall, after = time.monotonic() - start, settled()
    grown = after.resident_mb - before.resident_mb
    clean = (after.threads, after.files, after.sockets) == (before.threads, before.files, before.sockets)
    # Fewer cycles do not tell growth from what allocators take at first.
    passed = clean and (setting.count < 1000 or grown <= ALLOWED_MB_PER_1000 * setting.count / 1000)
    row = {"cycles": setting.count, "passed": passed, "seconds_per_cycle": round(wall / setting.count, 4)}
    return row | {"grown_mb": round(grown, 2), "before": asdict(before), "after": asdict(after)}


BENCHMARK = Benchmark(CyclesSetting, measure_cycles, __doc__)

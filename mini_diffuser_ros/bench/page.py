"""What the page in the browser costs, and how soon it stops the arm.

Launches the simulated stack with ``viewer:=web`` in this ROS_DOMAIN_ID and looks at its page_node: share of a core and
memory without a page, with one while the arm rests and while a sentence is obeyed, and with ten and one that takes
nothing. Pages are websocket clients. Then the arm is stopped in the middle of motions, by the page's request and by
the service in turn; and a page_node alone gets large clouds while it is asked for stops that are answered at once.
Exit code 1 if an arm was not at rest when the answer said so, if a page did not get what it is to show, or if one of
the clouds that a socket's buffer holds, of 200,000 points, was never shown. Larger ones may be lost before they come.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
from mini_diffuser_msgs.srv import ResetWorld
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from mini_diffuser_ros.bench.arm_requests import TIMEOUT, result_of, until
from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, between, read_by
from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.bench.heard_process import READY, heard, launch_words
from mini_diffuser_ros.bench.open_pages import Updates, open_pages
from mini_diffuser_ros.bench.resources import cpu_seconds, resident_mb
from mini_diffuser_ros.bench.ros_stops import StoppedArm, stops_report
from mini_diffuser_ros.nodes.recovery.robot_recovery import STOP
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC
from mini_diffuser_ros.nodes.ros.messages import cloud_to_message
from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.viewing.live.sights import MOST_POINTS

TASK, SENTENCE = "stack_blocks", "stack the red block on the green block"
ADDRESS, STARTED = r"the page: (\S+)", r"\[page_node-\d+\]: process started with pid \[(\d+)\]"
SPACE = "page_points"
SETTLING = 2.0  # seconds after a page was opened or closed, or the table laid
HELD_POINTS = 200_000  # of a cloud that a socket's buffer of 4 MB holds; parts of larger ones may be lost
CLOUDS = 10  # large ones that are to be shown
SENDINGS, SHOWING = 10, 2.0  # of a large cloud that is not shown, and seconds between two
PAUSE = 0.1  # seconds between two stops meanwhile
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class PageSetting:
    """How much.

    Attributes:
        seconds: of each measurement of costs, 1 to 20: a sentence takes longer.
        count: stops by the page, and as many by the service.
        points: of the large clouds; 0 leaves them out.
        seed: of the moments.
    """

    seconds: float = read_by(between(1.0, 20.0), 10.0)
    count: int = at_least(1, 10)
    points: int = at_least(0, 1_000_000)
    seed: int = at_least(0, 0)


@dataclass(frozen=True)
class PageProcess:
    """A page_node: where it serves, and as what it runs."""

    address: str
    pid: int

    def post(self, command: str, **values: Any) -> bool:
        """Whether a command was done."""
        request = Request(f"{self.address}{command}", data=json.dumps(values).encode())
        try:
            with urlopen(request, timeout=TIMEOUT) as answer:
                return bool(json.load(answer)["done"])
        except HTTPError:
            return False


class CommandedStack:
    """A simulated stack, and the page that commands it.

    Args:
        node: that talks to the stack; somebody else spins it.
        page: of the stack.
    """

    def __init__(self, node: Node, page: PageProcess) -> None:
        self.page, self.arm = page, StoppedArm(node)
        self._reset = node.create_client(ResetWorld, "sim/reset")

    def lay(self) -> None:
        """End what is under way, and lay the table; before, the hand lets go of what motion_node would miss in it."""
        self.page.post("stop")
        until(lambda: self.page.post("resume"), "the arm stays stopped")
        until(lambda: self.arm.go(0.0), "the arm does not let go of what it holds")
        laid = result_of(self._reset.call_async(ResetWorld.Request(task=TASK, instruction=SENTENCE)))
        if not laid.success:
            raise BenchError(f"sim/reset: {laid.message}")
        time.sleep(SETTLING)  # the nodes have to hear where the arm is now, and that it may move

    def obey(self) -> None:
        """Say the sentence on a table that was laid for it, and wait until the arm moves."""
        self.lay()
        until(lambda: self.page.post("say", sentence=SENTENCE), "the page takes no sentence")
        self.arm.await_motion()


class PageCosts:
    """What a page_node takes from now on.

    Args:
        page: that is measured.
        updates: of the pages that are open.
    """

    def __init__(self, page: PageProcess, updates: Updates = ()) -> None:
        until(lambda: all(updates), "a page that is open shows nothing")
        time.sleep(SETTLING)
        self._page, self._updates = page, updates
        self._before = [len(sizes) for sizes in updates]
        self._cpu, self._began = cpu_seconds(page.pid), time.monotonic()

    def row(self) -> dict[str, Any]:
        """Share of a core, MiB; updates of the page that got the fewest, bytes of one page."""
        span = time.monotonic() - self._began
        row = {
            "cores": round((cpu_seconds(self._page.pid) - self._cpu) / span, 4),
            "resident_mb": round(resident_mb(self._page.pid), 1),
        }
        if since := self.updates_since():
            row["updates_per_s"] = round(min(map(len, since)) / span, 2)
            row["kilobytes_per_s"] = round(sum(map(sum, since)) / len(since) / span / 1e3, 1)
        # The machine's other work is part of what a share of a core means.
        return row | {"seconds": round(span, 1), "load": round(os.getloadavg()[0], 1), "passed": all(since)}

    def updates_since(self) -> list[Sequence[int]]:
        """Of each page: bytes of the updates since the beginning."""
        return [sizes[before:] for sizes, before in zip(self._updates, self._before, strict=True)]


def measure_page(settings: Sequence[PageSetting]) -> Iterator[dict[str, Any]]:
    """Rows of costs, of stops and of large clouds."""
    for setting in settings:
        with heard(launch_words(viewer="web")) as launch, client_node("bench_page", threads=3) as node:
            page = PageProcess(launch.await_line(ADDRESS)[1], int(launch.await_line(STARTED)[1]))
            launch.await_line(READY)
            stack = CommandedStack(node, page)
            yield from _costs(stack, setting.seconds)
            yield from _stops(stack, setting)
        if setting.points:
            for points in sorted({min(setting.points, HELD_POINTS), setting.points}):
                yield _large_clouds(setting, points)


def _costs(stack: CommandedStack, seconds: float) -> Iterator[dict[str, Any]]:
    page = stack.page

    def row(pages: str, doing: str, updates: Updates) -> dict[str, Any]:
        costs = PageCosts(page, updates)
        time.sleep(seconds)
        return {"pages": pages, "arm": doing, **costs.row()}

    yield row("none", "rests", ())
    with open_pages(page.address, 1) as updates:
        yield row("one", "rests", updates)
        stack.obey()
        yield row("one", "obeys a sentence", updates)
    with open_pages(page.address, 10, stalled=1) as updates:
        stack.obey()
        yield row("ten and one that stalls", "obeys a sentence", updates)


def _stops(stack: CommandedStack, setting: PageSetting) -> Iterator[dict[str, Any]]:
    stack.lay()
    rng = np.random.default_rng(setting.seed)
    ways = {"the page": lambda: stack.page.post("stop"), "the service": None}
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with open_pages(stack.page.address, 1):
        for index in range(2 * setting.count):
            # Each way stops motions to both sides.
            way = list(ways)[(index + index // 2) % 2]
            runs[way].append(stack.arm.once(0.25 * (-1) ** index, rng.uniform(0.0, 0.4), ways[way]))
    for way, made in runs.items():
        yield {"stops_by": way, **stops_report(made), "load": round(os.getloadavg()[0], 1)}


def _large_clouds(setting: PageSetting, points: int) -> dict[str, Any]:
    rng, answers, done = np.random.default_rng(setting.seed), [], []
    two = [_cloud(points, rng) for _ in range(2)]  # one that is the same is no update
    clouds = [two[number % 2] for number in range(CLOUDS)]
    words = [sys.executable, "-m", "mini_diffuser_ros.commands.main", "ui", "--namespace", SPACE, "--port", "0"]
    with client_node("bench_page", SPACE, threads=3) as node, heard(words) as process:
        node.create_service(Trigger, STOP, _stopped_at_once)
        publisher = node.create_publisher(PointCloud2, CLOUD_TOPIC, qos_profile_sensor_data)
        page = PageProcess(process.await_line(ADDRESS)[1], process.pid)
        with open_pages(page.address, 1) as updates:
            until(lambda: publisher.get_subscription_count() > 0, "page_node does not hear clouds")
            costs = PageCosts(page, updates)

            def shown() -> int:
                return sum(size > MOST_POINTS for size in costs.updates_since()[0])

            def stop() -> None:
                asked = time.monotonic()
                done.append(page.post("stop"))
                answers.append(time.monotonic() - asked)

            seen, sent = show_each(clouds, publisher.publish, shown, stop)
            row = costs.row()
    row |= {"points": points, "clouds": CLOUDS, "clouds_shown": seen, "clouds_sent": sent}
    row |= {"stops": len(answers), "answer_s_p50": round(float(np.median(answers)), 3)}
    return row | {
        "answer_s_max": round(max(answers), 3),
        "passed": all(done) and (seen == CLOUDS or points > HELD_POINTS),
    }


def show_each(
    clouds: Sequence[T],
    publish: Callable[[T], object],
    shown: Callable[[], int],
    meanwhile: Callable[[], None],
    patience: float = SHOWING,
) -> tuple[int, int]:
    """Publish clouds one after another, each until it is shown: a message of megabytes may be lost on its way.

    Args:
        clouds: each another than the one before.
        publish: sends one.
        shown: how many a page has shown.
        meanwhile: done again and again while one is waited for.
        patience: seconds after which one that is not shown is sent again, SENDINGS times at most.

    Returns:
        how many were shown, and how often one was sent; after one that never was, no other is tried.
    """
    sent = 0
    for number, cloud in enumerate(clouds):
        before = shown()
        for _ in range(SENDINGS):
            publish(cloud)
            sent += 1
            end = time.monotonic() + patience
            while shown() == before and time.monotonic() < end:
                meanwhile()
                time.sleep(min(PAUSE, patience))
            if shown() > before:
                break
        else:
            return number, sent
    return len(clouds), sent


def _cloud(points: int, rng: np.random.Generator) -> PointCloud2:
    places = rng.uniform(-0.5, 0.5, (points, 3)).astype(np.float32)
    return cloud_to_message(Cloud(places, np.zeros((points, 3), np.uint8), "panda_link0", 1.0))


def _stopped_at_once(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
    response.success = True
    return response


BENCHMARK = Benchmark(PageSetting, measure_page, __doc__)

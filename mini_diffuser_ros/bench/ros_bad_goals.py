"""Thousands of malformed goals for the nodes that run: each has to be refused with its reason.

A node that is alive at the end takes a valid goal. A row a node; exit code 1 if anything went wrong.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mini_diffuser_msgs.action import ExecuteInstruction, MoveToKeyframe
from mini_diffuser_msgs.msg import KeyframeMode
from rclpy.action import ActionClient
from rclpy.node import Node

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least, one_of, read_by
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.support.cancellation import CancellationToken

NAN, INF = float("nan"), float("inf")
DOWN = (1.0, 0.0, 0.0, 0.0)
AT_ONCE = 8  # goals on their way at the same time; the default QoS of services keeps ten
TIMEOUT = 120.0  # seconds for a server to be there
ANSWER = 15.0  # seconds after which an answer counts as lost and the goal is sent again
ATTEMPTS = 4


def keyframe(
    position: Sequence[float] = (0.45, 0.2, 0.3), quaternion: Sequence[float] = DOWN, **fields: float
) -> KeyframeMode:
    """A keyframe, valid unless something else is given."""
    mode = KeyframeMode(gripper_open=True, **{"share": 1.0, **fields})
    pose = mode.pose
    pose.position.x, pose.position.y, pose.position.z = position
    pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w = quaternion
    return mode


def bad_motion(rng: random.Random) -> tuple[str, Any]:
    """What is wrong, and a goal with it."""
    wrong = rng.choice([NAN, INF, -INF])
    axis = rng.randrange(3)
    position = [0.45, 0.2, 0.3]
    position[axis] = wrong
    quaternion = list(DOWN)
    quaternion[rng.randrange(4)] = wrong
    scale = rng.choice([1e-3, 0.5, 0.9, 1.1, 2.0, 1e6])
    kinds: dict[str, Callable[[], dict[str, Any]]] = {
        "position not finite": lambda: {"candidates": [keyframe(position)]},
        "quaternion not finite": lambda: {"candidates": [keyframe(quaternion=quaternion)]},
        "zero quaternion": lambda: {"candidates": [keyframe(quaternion=(0.0, 0.0, 0.0, 0.0))]},
        "quaternion not normalised": lambda: {"candidates": [keyframe(quaternion=[scale * q for q in DOWN])]},
        "no candidates": lambda: {"candidates": []},
        "too many candidates": lambda: {"candidates": [keyframe()] * rng.choice([101, 1000])},
        "negative share": lambda: {"candidates": [keyframe(share=-rng.random() - 1e-6)]},
        "share not finite": lambda: {"candidates": [keyframe(share=wrong)]},
        "spread not finite": lambda: {"candidates": [keyframe(spread=wrong)]},
        "huge numbers": lambda: {"candidates": [keyframe([1e300, -1e300, 1e300])]},
        "wrong frame": lambda: {"candidates": [keyframe()]},
        "very long frame": lambda: {"candidates": [keyframe()]},
    }
    kind = rng.choice(list(kinds))
    goal = MoveToKeyframe.Goal(**kinds[kind]())
    if "frame" in kind:
        goal.header.frame_id = "map" if kind == "wrong frame" else "f" * 100_000
    return kind, goal


def bad_sentence(rng: random.Random) -> tuple[str, Any]:
    """What is wrong, and a goal with it."""
    kinds = {
        "empty": "",
        "blank": " \t\n " * rng.randrange(1, 9),
        "too long": "press the button " * rng.randrange(12, 500),
        "a million characters": "x" * 10**6,
        "control characters": f"press\x07 the{rng.choice(chr(1) + chr(27) + chr(127))} button",
        "several lines": "press\nthe\nbutton",
    }
    # The largest one is rare: it is about the size of an image.
    weights = [1.0 if kind != "a million characters" else 0.05 for kind in kinds]
    kind = rng.choices(list(kinds), weights)[0]
    return kind, ExecuteInstruction.Goal(instruction=kinds[kind])


@dataclass(frozen=True)
class GoalTarget:
    """One node and its action.

    Attributes:
        node: its name.
        kind: action type.
        action: name of the action.
        make_bad: makes a malformed goal.
        good: a valid goal; the node answers to it with anything but a refusal.
        refusals: outcomes that are refusals.
    """

    node: str
    kind: Any
    action: str
    make_bad: Callable[[random.Random], tuple[str, Any]]
    good: Any
    refusals: tuple[int, ...]


TARGETS = (
    GoalTarget(
        "motion_node",
        MoveToKeyframe,
        "mini_diffuser/move_to_keyframe",
        bad_motion,
        MoveToKeyframe.Goal(candidates=[keyframe()]),
        (MoveToKeyframe.Result.REFUSED, MoveToKeyframe.Result.UNREACHABLE),
    ),
    GoalTarget(
        "policy_node",
        ExecuteInstruction,
        "mini_diffuser/execute",
        bad_sentence,
        ExecuteInstruction.Goal(instruction="press the blue button"),
        (ExecuteInstruction.Result.REFUSED,),
    ),
)


@dataclass
class GoalTally:
    """What became of the goals."""

    refused: int = 0
    problems: list[str] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)

    def count(self, target: GoalTarget, kind: str, wrapped: Any) -> None:
        """Judge one answer."""
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        result = None if wrapped is None else wrapped.result
        if result is None:
            self.problems.append(f"{target.node}: no answer to a goal with '{kind}'")
        elif result.outcome not in target.refusals or not result.message:
            self.problems.append(f"{target.node}: '{kind}' gave {result.outcome} '{result.message[:200]}'")
        else:
            self.refused += 1


class GoalSender:
    """Sends goals and waits for their results.

    Args:
        node: that spins in another thread.
        target: where they go.
    """

    def __init__(self, node: Node, target: GoalTarget) -> None:
        self._client = ActionClient(node, target.kind, target.action)
        self._target = target
        self.resent = 0

    def is_there(self) -> bool:
        """Wait for the server; whether it came."""
        return bool(self._client.wait_for_server(TIMEOUT))

    def result(self, goal: Any) -> Any:
        """Wrapped result, None if there is none in time."""
        for attempt in range(ATTEMPTS):
            self.resent += attempt > 0
            handle = _outcome(self._client.send_goal_async(goal))
            wrapped = None if handle is None or not handle.accepted else _outcome(handle.get_result_async())
            if wrapped is not None:
                return wrapped
        return None

    def flood(self, count: int, seed: int) -> GoalTally:
        """Send malformed goals, several at a time."""
        rng, tally, lock = random.Random(seed), GoalTally(), threading.Lock()
        left = count

        def work() -> None:
            nonlocal left
            while True:
                with lock:
                    if left == 0:
                        return
                    left -= 1
                    kind, goal = self._target.make_bad(rng)
                wrapped = self.result(goal)
                with lock:
                    tally.count(self._target, kind, wrapped)

        workers = [threading.Thread(target=work) for _ in range(AT_ONCE)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return tally

    def takes_a_valid_goal(self) -> bool:
        """Whether the node still does what it is asked; moving, or saying why it cannot see anything."""
        wrapped = self.result(self._target.good)
        return wrapped is not None and wrapped.result.outcome not in self._target.refusals


def _outcome(future: Any) -> Any:
    try:
        return CancellationToken().result_of(future, ANSWER)
    except TimeoutError:
        return None


def measure(node: Node, target: GoalTarget, count: int, seed: int) -> dict[str, Any]:
    """Flood one node and report."""
    sender = GoalSender(node, target)
    if not sender.is_there():
        problems = [f"no action server on {target.action} within {TIMEOUT:.0f} s"]
        return {"node": target.node, "passed": False, "problems": problems}
    start = time.monotonic()
    tally = sender.flood(count, seed)
    took = time.monotonic() - start
    valid = sender.takes_a_valid_goal()
    return {
        "node": target.node,
        "goals": count,
        "refused": tally.refused,
        "sent_again": sender.resent,
        "goals_per_s": round(count / took, 1),
        "valid_goal_afterwards": valid,
        "passed": not tally.problems and valid,
        "kinds": dict(sorted(tally.kinds.items())),
        "problems": tally.problems[:10],
    }


_NODES = tuple(target.node for target in TARGETS)


@dataclass(frozen=True, kw_only=True)
class BadGoalsSetting:
    """What is sent to whom.

    Attributes:
        count: goals for each node.
        seed: of the goals.
        node: only these nodes.
    """

    count: int = at_least(1, 10000)
    seed: int = at_least(0, 0)
    node: tuple[str, ...] = read_by(one_of(_NODES, "node with goals"), _NODES)


def measure_bad_goals(settings: Sequence[BadGoalsSetting]) -> Iterator[dict[str, Any]]:
    """A report of each node."""
    for setting in settings:
        with client_node("bad_goals") as node:
            for target in TARGETS:
                if target.node in setting.node:
                    yield measure(node, target, setting.count, setting.seed)


BENCHMARK = Benchmark(BadGoalsSetting, measure_bad_goals, __doc__)

"""kill -9 of the recorder at random moments of recording on an arm: is every keyframe that was marked still there?

Starts a recorder_node before the simulated arm, marks keyframes as ``mini-diffuser demo`` does, and kills the recorder
while it writes the next one or ends the episode; then again, where it was left. A keyframe counts as marked when the
recorder has answered so. At the end the last episode is ended and all are read: each marked keyframe has to be there,
once. Exit code 1 if one is lost or there twice.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mini_diffuser_msgs.msg import RecorderStatus
from mini_diffuser_msgs.srv import MarkKeyframe, StartEpisode
from rclpy.node import Node
from std_srvs.srv import Trigger

from mini_diffuser_ros.bench.benchmark import Benchmark, at_least
from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.nodes.recording.recording_session import BASE
from mini_diffuser_ros.nodes.ros.client_node import client_node
from mini_diffuser_ros.nodes.ros.qos import LATCHED
from mini_diffuser_ros.support.cancellation import CancellationToken

PATIENCE = 90.0  # seconds for nodes to be there
ANSWER_TIMEOUT = 10.0  # seconds; what is asked of a recorder that was killed is never answered
ATTEMPTS = 6
LONGEST_DELAY = 0.4  # seconds between a request and the kill
RECORDER = {
    "cameras": "[front]",
    "max_joint_age": "5.0",
    "keyframe.timeout": "60.0",
    "keyframe.repeats": "true",
    "camera.stale_after": "20.0",
}


@dataclass(frozen=True, kw_only=True)
class KillDemoSetting:
    """How often.

    Attributes:
        out: folder to write, not existing.
        kills: how often the recorder is killed.
        seed: of the moments.
    """

    out: Path
    kills: int = at_least(1, 100)
    seed: int = at_least(0, 0)


@dataclass
class Marked:
    """Stamps of the keyframes that were answered for, and what the recorder was at when it was killed."""

    stamps: list[float] = field(default_factory=list)
    killed_in: Counter[str] = field(default_factory=Counter)


class Operator:
    """Who marks keyframes.

    Args:
        node: that calls; somebody else spins it.
        folder: of the recorder.
    """

    def __init__(self, node: Node, folder: Path) -> None:
        self._folder = folder
        self._token = CancellationToken()
        self.statuses: list[RecorderStatus] = []
        node.create_subscription(RecorderStatus, f"{BASE}/status", self._on_status, LATCHED)
        kinds = {"start_episode": StartEpisode, "mark_keyframe": MarkKeyframe}
        names = ("start_episode", "mark_keyframe", "end_episode", "resume_episode")
        self._clients = {name: node.create_client(kinds.get(name, Trigger), f"{BASE}/{name}") for name in names}

    def await_recorder(self, heard: int) -> None:
        """Wait for a recorder that speaks after so many statuses."""
        try:
            self._token.wait_for(lambda: len(self.statuses) > heard, PATIENCE)
        except TimeoutError:
            raise BenchError(f"no recorder_node within {PATIENCE:g} s") from None

    def begin(self) -> None:
        """Go on with the episode that was interrupted, or begin one."""
        if self.statuses[-1].state == RecorderStatus.UNFINISHED:
            self.ask("resume_episode", Trigger.Request())
        elif self.statuses[-1].state == RecorderStatus.IDLE:
            self.ask("start_episode", StartEpisode.Request(task="stack_cups", sentences=["stack the cups"]))

    def mark(self) -> float:
        """Mark a keyframe; its stamp, once the recorder answers that it is on the disk."""
        self.ask("mark_keyframe", MarkKeyframe.Request())
        newest = max(self._folder.glob("unfinished/*/[0-9]*.zip"), key=lambda file: (file.stat().st_mtime, file.name))
        return stamps_in(newest)[0]

    def end(self) -> None:
        """End the episode."""
        self.ask("end_episode", Trigger.Request())

    def begin_to(self, name: str) -> None:
        """Ask for something without waiting for an answer."""
        self._clients[name].call_async(self._clients[name].srv_type.Request())

    def ask(self, name: str, request: Any) -> None:
        """Call a service until it succeeds; a request may meet the recorder that was killed before."""
        message = "it never answered"
        for _ in range(ATTEMPTS):
            with suppress(TimeoutError):
                response = self._token.result_of(self._clients[name].call_async(request), ANSWER_TIMEOUT)
                if response.success or "is being recorded" in response.message:
                    return
                message = response.message
        raise BenchError(f"{name}: {message}")

    def _on_status(self, message: RecorderStatus) -> None:
        self.statuses.append(message)
        self._token.notify()


def stamps_in(file: Path) -> list[float]:
    """Stamps of the keyframes of an episode file."""
    with zipfile.ZipFile(file) as archive:
        return [float(keyframe["stamp"]) for keyframe in json.loads(archive.read("episode.json"))["keyframes"]]


def stamps_on_disk(folder: Path) -> Counter[float]:
    """Of every keyframe of episodes that are finished or not, how often each is there."""
    files = [*folder.glob("*.zip"), *folder.glob("unfinished/*/[0-9]*.zip")]
    return Counter(stamp for file in files for stamp in stamps_in(file))


@contextmanager
def process(name: str, log: Path, **parameters: str) -> Iterator[subprocess.Popen[bytes]]:
    """A node; killed at the end if it still runs."""
    words = [sys.executable, "-m", f"mini_diffuser_ros.nodes.{name}", "--ros-args"]
    words += [word for key, value in parameters.items() for word in ("-p", f"{key}:={value}")]
    with log.open("ab") as output:
        node = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield node
    finally:
        node.kill()
        node.wait()


def kill_once(operator: Operator, recorder: Callable[[], Any], marked: Marked, rng: random.Random) -> None:
    """One life of a recorder, and its end."""
    heard = len(operator.statuses)
    with recorder() as node:
        operator.await_recorder(heard)
        operator.begin()
        marked.stamps += [operator.mark() for _ in range(rng.randint(1, 3))]
        ends = operator.statuses[-1].keyframes >= 4 and rng.random() < 0.5
        operator.begin_to("end_episode" if ends else "mark_keyframe")
        time.sleep(rng.uniform(0.0, LONGEST_DELAY))
        node.send_signal(signal.SIGKILL)
        node.wait()
    marked.killed_in["ending an episode" if ends else "marking"] += 1


def kill_often(setting: KillDemoSetting) -> dict[str, Any]:
    """A report of so many kills.

    Raises:
        BenchError: as soon as a keyframe is lost, or if the nodes do not answer.
    """
    setting.out.mkdir(parents=True)
    log, marked, rng = setting.out / "nodes.log", Marked(), random.Random(setting.seed)
    folder = setting.out / "demonstrations"

    def recorder() -> Any:
        return process("recorder_node", log, folder=str(folder), **RECORDER)

    with (
        client_node("kill_demo", threads=3) as node,
        process("sim_node", log, image_size="64", renderer="rays"),
    ):
        operator = Operator(node, folder)
        for number in range(setting.kills):
            kill_once(operator, recorder, marked, rng)
            lost = set(marked.stamps) - set(stamps_on_disk(folder))
            if lost:
                raise BenchError(f"kill {number + 1} lost {len(lost)} of {len(marked.stamps)} marked keyframes")
        heard = len(operator.statuses)
        with recorder():
            operator.await_recorder(heard)
            if operator.statuses[-1].state == RecorderStatus.UNFINISHED:
                operator.begin()
                operator.mark()
                operator.end()
    return _report(setting, marked, folder)


def _report(setting: KillDemoSetting, marked: Marked, folder: Path) -> dict[str, Any]:
    episodes = list(open_episodes(folder))
    there = Counter(keyframe.stamp for episode in episodes for keyframe in episode.keyframes)
    lost = [stamp for stamp in marked.stamps if not there[stamp]]
    twice = [stamp for stamp, count in there.items() if count > 1]
    return {
        "kills": setting.kills,
        **{f"killed while {what}": count for what, count in sorted(marked.killed_in.items())},
        "marked": len(marked.stamps),
        "lost": len(lost),
        "twice": len(twice),
        "episodes": len(episodes),
        "left_unfinished": len(list(folder.glob("unfinished/*"))),
        "passed": not lost and not twice,
    }


def measure_kills(settings: Sequence[KillDemoSetting]) -> Iterator[dict[str, Any]]:
    """A report for each setting."""
    return (kill_often(setting) for setting in settings)


BENCHMARK = Benchmark(KillDemoSetting, measure_kills, __doc__)

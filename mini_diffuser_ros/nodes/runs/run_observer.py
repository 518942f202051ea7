"""Listening to the stack while it obeys a sentence: first motion, decisions, speeds, diagnostics, pictures."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from mini_diffuser_msgs.msg import KeyframeModes
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2

from mini_diffuser_ros.geometry import evenly_spread
from mini_diffuser_ros.nodes.cameras.newest_pictures import SEARCHING, NewestPictures
from mini_diffuser_ros.nodes.ros.clouds import CLOUD_TOPIC
from mini_diffuser_ros.nodes.ros.diagnostics import level_of, own_part
from mini_diffuser_ros.nodes.ros.joint_states import subscribe_joint_states
from mini_diffuser_ros.nodes.ros.messages import cloud_from_message, in_order, mode_from_message, seconds
from mini_diffuser_ros.nodes.ros.timers import steady_timer
from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.robots import RobotDescription
from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.support.printable import printable
from mini_diffuser_ros.viewing.joint_speeds import JointSpeeds
from mini_diffuser_ros.viewing.run_film import HUNG_AFTER, RunFilm
from mini_diffuser_ros.viewing.run_page import FILM, KEPT_POINTS, RUN_PAGE, RunSights, write_run_page
from mini_diffuser_ros.viewing.run_report import (
    PICTURE,
    RUN_FILE,
    Event,
    LoggedDecision,
    RunReport,
    draw_decision,
    known_or_none,
    logged,
)
from mini_diffuser_ros.viewing.run_timeline import MOVED
from mini_diffuser_ros.viewing.run_video import Film

T = TypeVar("T")
MOVING = 0.02  # rad/s; joints at rest stay well below
VIDEO = "video.mp4"
FILM_PATIENCE = 20.0  # seconds that a film may take to be finished, and again to be made small enough for the page
HURRY = 1.0  # seconds that it may take where the run is shut down
MOST_DECISIONS = 1000  # of a run; keyframes are limited to far fewer
MOST_CLOUDS = 300  # of decisions
MOST_POINTS = 5_000_000  # of the clouds that the next decision may have looked at
LONGEST_REASON = 300  # characters


class RunObserver:
    """Fills a report with what happens, and films it.

    None of that ends the run or holds it up: what fails is left out, a line of the log says so, and the report says
    what is missing and why.

    Args:
        node: that subscribes.
        report: to fill.
        folder: for all that is written.
        cameras: names.
        robot: the arm.
        rate: frames per second of the video.
        hung_after: seconds that the encoder of the video may take for a picture.
    """

    def __init__(
        self,
        node: Node,
        report: RunReport,
        folder: Path,
        cameras: Sequence[str],
        robot: RobotDescription,
        rate: float,
        hung_after: float = HUNG_AFTER,
    ) -> None:
        self._node = node
        self._report = report
        self._folder = folder
        self._joint_names = robot.arm_joint_names
        self._speeds = JointSpeeds(robot)
        self._sent: float | None = None
        self._motion_commanded = False
        self._clouds: deque[Cloud] = deque(maxlen=30)
        self._picture: tuple[Cloud, list[KeyframeMode]] | None = None
        self._decided_on: dict[int, Cloud] = {}
        self._faults: Counter[str] = Counter()  # of each part of the record
        self._first_faults: dict[str, str] = {}
        self._ended = False
        self._lock = threading.RLock()  # of all that is kept
        self._beginning: threading.Thread | None = None  # writes what is known then
        self._film = RunFilm(folder / VIDEO, cameras, rate, hung_after)
        self._pictures = NewestPictures(node, cameras, self._on_bad_picture)

        listening = MutuallyExclusiveCallbackGroup()
        sensors = qos_profile_sensor_data
        for part, kind, topic, qos, take in (
            ("clouds", PointCloud2, CLOUD_TOPIC, sensors, self._on_cloud),
            ("decisions", KeyframeModes, "mini_diffuser/modes", 10, self._on_modes),
            ("diagnostics", DiagnosticArray, "/diagnostics", 10, self._on_diagnostics),
        ):
            node.create_subscription(kind, topic, partial(self._keep, part, take), qos, callback_group=listening)
        subscribe_joint_states(node, partial(self._keep, "joint states", self._on_joints))
        steady_timer(node, SEARCHING, partial(self._try, "pictures", self._pictures.search))
        steady_timer(node, 1.0 / rate, partial(self._try, FILM, self._look))

    def begin(self) -> None:
        """Write what there is of a run that may be killed; a disk that takes its time holds nobody up."""
        with self._lock:
            begun = self._report.begun()
        self._beginning = threading.Thread(
            target=self._try, args=(RUN_FILE, begun.write, self._folder), name="run.json", daemon=True
        )
        self._beginning.start()

    def sentence_sent(self) -> None:
        """The clock of the report starts now."""
        self._sent = time.monotonic()

    def progress(self, feedback: Any) -> None:
        """What the policy says on its way, as ExecuteInstruction's feedback; from "moving" on, motion is its doing."""
        self._keep("events", self._on_feedback, feedback)

    def elapsed(self) -> float:
        """Seconds since the sentence, 0 before it."""
        return 0.0 if self._sent is None else time.monotonic() - self._sent

    def write(self, in_a_hurry: bool) -> Path | None:
        """Write all that is kept, as far as that can be; what comes afterwards is kept no more.

        Args:
            in_a_hurry: gives up a film that does not end at once, and leaves one that is too large beside the page.

        Returns:
            the page, or else the folder if there is a record of the run in it, None if there is none.
        """
        self._report.joint_peaks = self._speeds.peaks()
        with self._lock:
            self._ended = True
        # First what is small: who shuts down does not wait long, and a full disk may have room for it.
        if self._beginning is not None:
            self._beginning.join()  # of a disk that takes nothing, there is nothing to be had
        missing = self._report.missing
        missing.pop(RUN_FILE, None)  # what could not be written in the beginning
        self._try(RUN_FILE, self._report.write, self._folder)
        before = dict(missing)
        film = self._try(FILM, self._end_film, in_a_hurry)
        if self._picture is not None:
            cloud, modes = self._picture
            self._try(PICTURE, draw_decision, self._folder / PICTURE, cloud, modes, self._report.instruction)
        sights = RunSights(clouds=self._decided_on, speeds=self._speeds, film=film)
        patience = 0.0 if in_a_hurry else FILM_PATIENCE
        page = self._try(RUN_PAGE, write_run_page, self._folder, self._report, sights, patience)
        if missing != before:
            self._try(RUN_FILE, self._report.write, self._folder)
        return page or (self._folder if (self._folder / RUN_FILE).is_file() else None)

    def _try(self, part: str, do: Callable[..., T], *given: Any) -> T | None:
        """What comes of doing something for the record; None where it fails."""
        try:
            return do(*given)
        except Exception as error:  # whatever it is: the run is what matters
            what = one_line(error) if isinstance(error, (UserError, OSError)) else f"{type(error).__name__}: {error}"
            self._miss(part, what)
            return None

    def _keep(self, part: str, take: Callable[..., object], *given: Any) -> None:
        """Have something go into the report, until that is written."""
        with self._lock:
            if not self._ended:
                self._try(part, take, *given)

    def _miss(self, part: str, why: str) -> None:
        """Part of the record is not kept: a line of the log says so the first time, and the report in the end."""
        said = printable(" ".join(why.split()), LONGEST_REASON)
        with self._lock:
            self._faults[part] += 1
            times = self._faults[part]
            first = self._first_faults.setdefault(part, said)
            self._report.missing[part] = first if times == 1 else f"{first} (the first of {times} times)"
        if times == 1:
            self._node.get_logger().warning(f"not all of this run is kept, {part}: {said}")

    def _on_cloud(self, message: PointCloud2) -> None:
        self._clouds.append(cloud_from_message(message))
        while len(self._clouds) > 1 and sum(map(len, self._clouds)) > MOST_POINTS:
            self._clouds.popleft()

    def _on_modes(self, message: KeyframeModes) -> None:
        if len(self._report.decisions) >= MOST_DECISIONS:
            raise ValueError(f"a run of more than {MOST_DECISIONS}")
        modes = [mode_from_message(mode) for mode in message.modes]
        stamp = seconds(message.header.stamp)
        seen = next((cloud for cloud in self._clouds if abs(cloud.stamp - stamp) < 1e-6), None)
        last = self._report.events[-1] if self._report.events else None
        self._report.decisions.append(
            LoggedDecision(
                round(self.elapsed(), 3),
                None if seen is None else len(seen),
                logged(modes),
                keyframe=0 if last is None else last.keyframe,
                seed=message.seed,
                familiarity=known_or_none(message.familiarity),
                presence=known_or_none(message.presence),
                completion=known_or_none(message.completion),
                sureness=[known_or_none(each.share) for each in message.sureness],
            )
        )
        self._report.checkpoint = message.checkpoint
        self._report.computed_on = f"{message.device}, {message.threads} threads, {message.library}"
        if seen is not None and len(self._decided_on) < MOST_CLOUDS:
            self._decided_on[len(self._report.decisions) - 1] = _thinned(seen)
        if self._picture is None and seen is not None and modes:
            self._picture = (seen, modes)

    def _on_joints(
        self, names: Sequence[str], positions: Sequence[float], velocities: Sequence[float], stamp: float, now: float
    ) -> None:
        if self._sent is None:
            return
        wanted, elapsed = self._joint_names, now - self._sent
        speeds = self._speeds.add(
            elapsed, stamp, in_order(names, positions, wanted), in_order(names, velocities, wanted)
        )
        waits = self._report.sentence_to_first_motion_s is None and self._motion_commanded
        if waits and speeds is not None and (speeds > MOVING).any():
            self._report.sentence_to_first_motion_s = round(elapsed, 3)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            part = own_part(status.name, self._node.get_namespace())
            if part is not None:
                self._report.diagnosed(self.elapsed(), part, level_of(status), status.message)

    def _on_feedback(self, feedback: Any) -> None:
        if feedback.phase == "moving":
            self._motion_commanded = True
        if feedback.phase == MOVED:
            self._report.moved(None if feedback.chosen < 0 else feedback.chosen, feedback.refusals)
        event = Event(round(self.elapsed(), 3), feedback.phase, feedback.keyframe, feedback.message)
        last = self._report.events[-1] if self._report.events else None
        # Progress within a phase is for those who watch, not for the record.
        if last is None or (last.phase, last.keyframe) != (event.phase, event.keyframe):
            self._report.events.append(event)

    def _on_bad_picture(self, camera: str, error: Exception) -> None:
        self._miss(f"pictures of {camera}", one_line(error))

    def _look(self) -> None:
        """Film what cameras show now, unless that was given up."""
        if self._sent is None or self._ended or FILM in self._report.missing:
            return
        if self._film.problem:
            self._miss(FILM, self._film.problem)
        elif pictures := self._pictures.look():
            elapsed = self.elapsed()
            self._film.add(pictures, f"{self._report.instruction}   {elapsed:.1f} s", elapsed)

    def _end_film(self, in_a_hurry: bool) -> Film | None:
        film = self._film.end(HURRY if in_a_hurry else FILM_PATIENCE, leave=in_a_hurry)
        unseen = self._pictures.unseen()
        if film is None and FILM not in self._report.missing:
            nothing = "; ".join(f"{camera}: {why}" for camera, why in unseen.items()) or "nothing was to be filmed"
            self._miss(FILM, self._film.problem or nothing)
        for camera, why in unseen.items() if film is not None else ():
            self._miss(f"pictures of {camera}", why)
        return film


def _thinned(cloud: Cloud) -> Cloud:
    """What is kept of a cloud for its page: a run may have many."""
    kept = evenly_spread(len(cloud), KEPT_POINTS)
    return Cloud(cloud.points[kept], cloud.colors[kept], cloud.frame, cloud.stamp)

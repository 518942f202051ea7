"""Demonstrations of the table-top's scripted expert, as they are recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.motion import MotionConfig, MotionPlanner
from mini_diffuser_ros.records import TABLE, Episode, Keyframe
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.running.recording import Demonstrate, RecordingError, refuse_another_world
from mini_diffuser_ros.simulation.cameras import cameras_named, tabletop_cameras
from mini_diffuser_ros.simulation.episode import demonstrate
from mini_diffuser_ros.simulation.sensor import sensor_of
from mini_diffuser_ros.simulation.tasks import TASKS
from mini_diffuser_ros.simulation.world import TabletopWorld

ROBOT = "panda"
"""The robot of the table-top world."""


@dataclass(frozen=True)
class TabletopSource:
    """The table-top's scripted expert.

    Attributes:
        renderer: of the cameras' images, see :class:`TabletopWorld`.
        image_size: height and width of the images, pixels.
        sensor: what kind of cameras they are, a line as :func:`sensor_of` reads it.
        cameras: names of those that there are; all of the world's where none is named.
    """

    renderer: str = "rays"
    image_size: int = 256
    sensor: str = "perfect"
    cameras: tuple[str, ...] = ()

    @property
    def robot(self) -> str:
        """Of the table-top."""
        return ROBOT

    @property
    def tasks(self) -> tuple[str, ...]:
        """All of the table-top's."""
        return tuple(TASKS)

    @property
    def tasks_per_process(self) -> int:
        """As many as one likes."""
        return 0

    def refuse_others(self, store: EpisodeStore, tasks: Sequence[str]) -> None:
        """Known by the cameras of one episode of each task, and as :func:`refuse_another_world` knows it.

        Raises:
            RecordingError: they have other errors, there are others, or the world is another.
            SimulationError: there is no camera of a name.
        """
        sensor, size = sensor_of(self.sensor), self.image_size
        wanted = () if sensor.exact else (str(sensor),)
        mounts = cameras_named(self.cameras or None, tabletop_cameras(load_robot(ROBOT)))
        names = {mount.name for mount in mounts}
        for task in tasks:
            for seed in sorted(store.seeds(task))[:1]:
                episode = open_episodes(store.file_of(task, seed))[0]
                seen_by = {view.name for view in episode.keyframes[0].views}
                for option, there, asked in (
                    ("sensor", *(" ".join(sensors) or "perfect" for sensors in (episode.provenance.sensors, wanted))),
                    ("cameras", *(",".join(sorted(each)) for each in (seen_by, names))),
                    ("image-size", str(len(episode.keyframes[0].views[0].color)), str(size)),
                ):
                    if there != asked:
                        raise RecordingError(
                            f"{store.path} was recorded with --{option} {there}, not {asked}; choose another --out"
                        )
        settings = {
            "renderer": self.renderer,
            "image_size": size,
            "sensor": " ".join(wanted) or "perfect",
            "cameras": sorted(names),
        }
        refuse_another_world(store, {"world": "tabletop", "settings": settings}, TABLE, unmarked=True)

    def demonstrator(self) -> tuple[Demonstrate, Callable[[], None]]:
        """The expert at a table of this process."""
        size = (self.image_size, self.image_size)
        world = TabletopWorld(self.renderer, size, sensor=sensor_of(self.sensor), cameras=self.cameras or None)
        planner = MotionPlanner(world.robot, MotionConfig())
        return lambda task, seed: from_time_zero(demonstrate(world, planner, task, seed)), world.close


def from_time_zero(episode: Episode) -> Episode:
    """The episode with stamps that count from its first keyframe, not from the start of the worker's world.

    With them the file of a seed depends on the seed alone.
    """
    start = episode.keyframes[0].stamp

    def shifted(keyframe: Keyframe) -> Keyframe:
        views = tuple(replace(view, stamp=round(view.stamp - start, 6)) for view in keyframe.views)
        return replace(keyframe, stamp=round(keyframe.stamp - start, 6), load_views=lambda: views)

    return replace(episode, keyframes=tuple(map(shifted, episode.keyframes)))

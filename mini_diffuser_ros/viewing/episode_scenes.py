"""What was seen in the episodes of an evaluation that failed, for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mini_diffuser_ros.evaluation.rollout import EpisodeResult, JudgedDecision
from mini_diffuser_ros.support.drawing import glyphs_of_modes
from mini_diffuser_ros.viewing.report_page import Block
from mini_diffuser_ros.viewing.run_report import DRAWN_MODES
from mini_diffuser_ros.viewing.scene import POINT_BYTES, scene_values

_MOST_BYTES = 15_000_000  # of all scenes together, as text: a page has to open

_Key = tuple[str, int, str]
"""Task, seed and sentence of an episode, by which its record is known."""


class EpisodeScenes:
    """Collects the decisions of failed episodes with the clouds that they were made on, up to a size."""

    def __init__(self) -> None:
        self._room = _MOST_BYTES
        self._kept: dict[_Key, list[Block]] = {}

    def keep(self, result: EpisodeResult) -> None:
        """What was seen in an episode, if it failed and there is room."""
        if result.success or result.failure:
            return
        points = sum(0 if each.made.cloud is None else len(each.made.cloud) for each in result.decisions)
        if 0 < points * POINT_BYTES <= self._room:
            self._room -= points * POINT_BYTES
            scenes = [_scene(each, number) for number, each in enumerate(result.decisions)]
            self._kept[result.task, result.seed, result.sentence] = [each for each in scenes if each is not None]

    def by_number(self, records: Sequence[Mapping[str, Any]]) -> dict[int, list[Block]]:
        """The same by the number of the episode among the records of a report."""
        keys = [(record["task"], record["seed"], record["sentence"]) for record in records]
        return {number: self._kept[key] for number, key in enumerate(keys) if key in self._kept}


def _scene(judged: JudgedDecision, number: int) -> Block | None:
    made = judged.made
    if made.cloud is None:
        return None
    scene = scene_values(made.cloud, glyphs_of_modes(made.modes[:DRAWN_MODES]))
    parts = [f"decision {number + 1}, for keyframe {made.keyframe}", made.report.message, str(scene["left_out"])]
    return {"label": str(made.keyframe), "about": "; ".join(filter(None, parts)), "scene": scene}

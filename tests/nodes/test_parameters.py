"""Descriptions of parameters come from the classes they configure."""

from __future__ import annotations

from dataclasses import fields

import pytest

from mini_diffuser_ros.motion import MotionConfig
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.sensing.camera_frames import SyncConfig
from mini_diffuser_ros.support.settings import attribute_descriptions


@pytest.mark.parametrize("kind", [FusionConfig, MotionConfig, SyncConfig])
def test_every_field_is_described_in_one_line(kind: type) -> None:
    descriptions = attribute_descriptions(kind)
    for entry in fields(kind):
        assert len(descriptions[entry.name]) > 10
        assert "\n" not in descriptions[entry.name]


def test_continued_lines_belong_to_the_field_above() -> None:
    class Example:
        """One.

        Attributes:
            first: begins here
                and ends here.
            second, third: both.
        """

    assert attribute_descriptions(Example) == {
        "first": "begins here and ends here.",
        "second": "both.",
        "third": "both.",
    }

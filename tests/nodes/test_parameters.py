"""Parameters of a node come from the settings classes they configure."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from types import SimpleNamespace
from typing import Any

import pytest
from rcl_interfaces.msg import ParameterDescriptor

from mini_diffuser_ros.motion import MotionConfig
from mini_diffuser_ros.nodes.ros.parameters import Parameters
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.running import LoopSettings
from mini_diffuser_ros.sensing.camera_monitor import SyncConfig
from mini_diffuser_ros.support.settings import SettingsError, attribute_descriptions, bounded, check_fields


@pytest.mark.parametrize("kind", [FusionConfig, MotionConfig, SyncConfig, LoopSettings])
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


@dataclass(frozen=True)
class Box:
    """A box.

    Attributes:
        lower: corner, metres.
        upper: the other corner, metres.
    """

    lower: tuple[float, float, float] = (0.0, 0.0, 0.0)
    upper: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.lower < self.upper:
            raise SettingsError("upper", f"is {self.upper!r}, expected more than lower {self.lower!r}")


@dataclass(frozen=True)
class Settings:
    """What a node is told.

    Attributes:
        frame: of the robot.
        count: of things.
        box: in which they are.
    """

    frame: str = "base"
    count: int = bounded(3, 1, 9)
    box: Box = field(default_factory=Box)


class FakeNode:
    """Declares parameters as a node does, with the values that a launch gave."""

    def __init__(self, **given: Any) -> None:
        self.given = given
        self.declared: dict[str, ParameterDescriptor] = {}

    def declare_parameter(self, name: str, default: Any, descriptor: ParameterDescriptor) -> SimpleNamespace:
        self.declared[name] = descriptor
        return SimpleNamespace(value=self.given.get(name, default))


def read(node: Any, defaults: Settings, without: tuple[str, ...] = ()) -> Settings:
    return Parameters(node).settings(defaults, "world", without)


def test_nested_settings_are_parameters_by_dotted_names() -> None:
    node = FakeNode(**{"world.box.lower": [0.25, 0.0, 0.0], "world.count": 4})
    settings = read(node, Settings(frame="fr3_link0"), without=("frame",))
    assert settings == Settings(frame="fr3_link0", count=4, box=Box(lower=(0.25, 0.0, 0.0)))
    assert list(node.declared) == ["world.count", "world.box.lower", "world.box.upper"]
    assert node.declared["world.box.lower"].description == "corner, metres."
    assert [(one.from_value, one.to_value) for one in node.declared["world.count"].integer_range] == [(1, 9)]
    assert all(descriptor.read_only for descriptor in node.declared.values())


def test_a_refused_value_is_named_by_its_parameter() -> None:
    with pytest.raises(SettingsError, match=r"parameters: world\.box\.upper is \(-1\.0, 0\.0, 0\.0\), expected more"):
        read(FakeNode(**{"world.box.upper": [-1.0, 0.0, 0.0]}), Settings())
    with pytest.raises(SettingsError, match=r"parameters: world\.box\.lower is \[1\.0\], expected a list of 3"):
        read(FakeNode(**{"world.box.lower": [1.0]}), Settings())


def test_settings_without_a_prefix_are_parameters_by_their_own_names() -> None:
    node: Any = FakeNode(candidates=3, settle_time=1.5)
    settings = Parameters(node).settings(LoopSettings(), without=("max_tries", "ends_on"))
    assert settings == LoopSettings(candidates=3, settle_time=1.5)
    assert list(node.declared) == [
        "samples",
        "steps",
        "candidates",
        "decisions_per_keyframe",
        "keyframe_limit",
        "fruitless_keyframes",
        "unchanged_distance",
        "unchanged_share",
        "settle_time",
        "accept_unfamiliar",
        "confirm_end",
        "further_rounds",
    ]
    (bounds,) = node.declared["settle_time"].floating_point_range
    assert (bounds.from_value, bounds.to_value) == (0.0, 10.0)

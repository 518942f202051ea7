"""Settings come back equal from every source, and what is wrong is named with source, field, value and remedy."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.support.settings import (
    SettingsError,
    bounded,
    check_fields,
    from_mapping,
    later,
    leaves,
    read_settings,
    to_mapping,
    with_values,
    write_settings,
    yaml_of_word,
)


@dataclass(frozen=True)
class Box:
    """A box.

    Attributes:
        lower, upper: (3,) metres, its corners.
    """

    lower: tuple[float, float, float] = (0.0, 0.0, 0.0)
    upper: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        check_fields(self)
        if not all(low < high for low, high in zip(self.lower, self.upper, strict=True)):
            raise SettingsError("upper", f"is {self.upper}, expected more than lower, {self.lower}")


@dataclass(frozen=True)
class Arm:
    """An arm.

    Attributes:
        speed: share of the limits.
        tries: how often.
        mode: how.
        box: where.
        names: of its joints,
            from the base outwards.
        weights: by task.
        note: or none.
    """

    speed: float = bounded(0.5, 0.0, 1.0)
    tries: int = bounded(3, 1, 10)
    mode: Literal["slow", "fast"] = "slow"
    box: Box = field(default_factory=Box)
    names: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    note: str | None = None
    live: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


numbers = st.floats(-10, 10)
arms = st.builds(
    Arm,
    speed=st.floats(0, 1),
    tries=st.integers(1, 10),
    mode=st.sampled_from(["slow", "fast"]),
    box=st.builds(Box, st.tuples(numbers, numbers, numbers), st.just((11.0, 12.0, 13.5))),
    names=st.lists(st.text(max_size=5)).map(tuple),
    weights=st.dictionaries(st.text(max_size=5), numbers, max_size=3),
    note=st.none() | st.text(max_size=5),
    live=st.booleans(),
)


@given(arms)
def test_a_mapping_reads_back_equal(arm: Arm) -> None:
    assert from_mapping(Arm, to_mapping(arm), "test", complete=True) == arm


@given(arms)
def test_yaml_reads_back_equal(tmp_path_factory: pytest.TempPathFactory, arm: Arm) -> None:
    file = tmp_path_factory.mktemp("settings") / "arm.yaml"
    write_settings(arm, file)
    assert read_settings(Arm, file) == arm


@given(arms)
def test_leaves_put_into_the_defaults_give_the_same(arm: Arm) -> None:
    assert with_values(Arm(), {leaf.name: leaf.default for leaf in leaves(arm)}, "parameters") == arm


def test_leaves_tell_what_a_parameter_needs() -> None:
    told = {leaf.name: leaf for leaf in leaves(Arm(), "planner")}
    assert told["planner.speed"].bounds == (0.0, 1.0)
    assert told["planner.names"].description == "of its joints, from the base outwards."
    assert told["planner.box.upper"].description == "(3,) metres, its corners."
    assert told["planner.box.lower"].default == (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Grown:
    """A dataclass that files had been written of before it had its second field."""

    old: int = 0
    new: tuple[str, ...] = later(())


def test_a_complete_mapping_may_lack_what_was_added_later() -> None:
    assert from_mapping(Grown, {"old": 1}, "config.json", complete=True) == Grown(1)
    assert to_mapping(Grown(1)) == {"old": 1}
    assert to_mapping(Grown(1, ("a",))) == {"old": 1, "new": ["a"]}
    with pytest.raises(SettingsError, match="old is missing"):
        from_mapping(Grown, {"new": ["a"]}, "config.json", complete=True)


@pytest.mark.parametrize("left_out", ["speed", "box", "note"])
def test_a_complete_mapping_states_every_field(left_out: str) -> None:
    values = to_mapping(Arm())
    del values[left_out]
    assert from_mapping(Arm, values, "config.json") == Arm()
    with pytest.raises(SettingsError, match=rf"^config\.json: {left_out} is missing"):
        from_mapping(Arm, values, "config.json", complete=True)
    values = to_mapping(Arm())
    del values["box"]["upper"]
    with pytest.raises(SettingsError, match=r"^config\.json: box\.upper is missing"):
        from_mapping(Arm, values, "config.json", complete=True)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"sped": 1}, "a.yaml: sped is unknown: unknown field 'sped'; did you mean 'speed'?"),
        ({"box": {"upper": [1, 2]}}, "a.yaml: box.upper is [1, 2], expected a list of 3"),
        (
            {"box": {"lower": [2, 0, 0]}},
            "a.yaml: box.upper is (1.0, 1.0, 1.0), expected more than lower, (2.0, 0.0, 0.0)",
        ),
        ({"speed": 2}, "a.yaml: speed is 2.0, expected a number in [0, 1]"),
        ({"speed": float("nan")}, "a.yaml: speed is nan, expected a finite number"),
        ({"speed": True}, "a.yaml: speed is True, expected a number"),
        ({"tries": 2.0}, "a.yaml: tries is 2.0, expected a whole number"),
        ({"mode": "quick"}, "a.yaml: mode is 'quick', expected one of 'slow', 'fast'"),
        ({"weights": {"a": "b"}}, "a.yaml: weights.a is 'b', expected a number"),
        ({"names": [1]}, "a.yaml: names[0] is 1, expected a text"),
        ({"live": 1}, "a.yaml: live is 1, expected true or false"),
        ([1], "a.yaml: the top level is [1], expected a mapping of fields"),
    ],
)
def test_faults_name_source_field_value_and_remedy(values: Any, line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_mapping(Arm, values, "a.yaml")
    assert str(caught.value) == line


def test_a_program_is_told_the_field_alone() -> None:
    with pytest.raises(SettingsError, match=r"^tries is 11, expected a number in \[1, 10\]$"):
        Arm(tries=11)


def test_the_command_line_comes_last(tmp_path: Path) -> None:
    file = tmp_path / "arm.yaml"
    file.write_text("speed: 1e-3\nbox: {upper: [3, 3, 3]}\n")
    arm = read_settings(Arm, file, [("tries", "4"), ("box.lower", "[1, 1, 1]"), ("names", "a,b")])
    assert (arm.speed, arm.tries, arm.names) == (1e-3, 4, ("a", "b"))
    assert arm.box == Box((1.0, 1.0, 1.0), (3.0, 3.0, 3.0))
    with pytest.raises(SettingsError, match=r"command line: tires is unknown.*'tries'"):
        read_settings(Arm, file, [("tires", "4")])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("speed: 0.1\nspeed: 1.0\n", "speed is written twice, in lines 1 and 2"),
        ("box: {upper: [3, 3, 3], upper: [4, 4, 4]}\n", "box.upper is written twice, in lines 1 and 1"),
    ],
)
def test_a_field_that_is_written_twice_is_refused(tmp_path: Path, text: str, line: str) -> None:
    """YAML would keep the last without a word."""
    file = tmp_path / "arm.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=rf"arm\.yaml: {line}"):
        read_settings(Arm, file)


@pytest.mark.parametrize(
    ("content", "line"), [(b"{", "is not YAML"), (b"\xff\xfe\x00", "is no text in UTF-8"), (None, "cannot be read")]
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None, line: str) -> None:
    file = tmp_path / "arm.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=rf"arm\.yaml {line}"):
        read_settings(Arm, file)


@pytest.mark.parametrize(
    ("name", "word", "value"),
    [
        ("note", "rec #2", "rec #2"),
        ("note", "12", "12"),
        ("note", "", ""),
        ("note", "''", ""),
        ("note", '"12 "', "12 "),
        ("note", "it's", "it's"),
        ("names", "a,2026,on", ("a", "2026", "on")),
        ("names", "[a, b]", ("a", "b")),
        ("names", "a, b ,", ("a", "b")),
        ("names", "'a','b'", ("a", "b")),
        ("names", "- a\n- b", ("a", "b")),
        ("names", "", ()),
        ("mode", "fast", "fast"),
    ],
)
def test_words_of_a_command_line_are_texts_where_a_field_is_one(
    tmp_path: Path, name: str, word: str, value: object
) -> None:
    file = tmp_path / "said.yaml"
    file.write_text("{}\n")
    said = read_settings(Said, file, [(name, yaml_of_word(Said, name, word))])
    assert getattr(said, name) == value


@pytest.mark.parametrize(("name", "word"), [("speed", "1e-3"), ("box.lower", "[0, 0, 0.5]"), ("wings", "two")])
def test_other_words_are_yaml(name: str, word: str) -> None:
    assert yaml_of_word(Arm, name, word) == word


@given(
    text=st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1).filter(
        lambda t: t[0] not in "'\""
    )
)
def test_whatever_is_typed_comes_through(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "empty.yaml"
    file.write_text("{}\n")
    assert read_settings(Said, file, [("note", yaml_of_word(Said, "note", text))]).note == text


@dataclass(frozen=True)
class Said:
    """What somebody says."""

    note: str = "nothing"
    names: tuple[str, ...] = ("one",)
    mode: Literal["slow", "fast"] = "slow"

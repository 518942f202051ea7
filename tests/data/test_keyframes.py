"""Keyframes are found where the published rule finds them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.data.keyframes import discover_keyframes


def discover(gripper: str, moving: str) -> list[int]:
    """``o`` and ``c``: open and closed; ``m`` and ``.``: moving and slow."""
    velocities = np.array([[0.5 if sign == "m" else 0.05] * 7 for sign in moving])
    return discover_keyframes(np.array([float(sign == "o") for sign in gripper]), velocities)


@pytest.mark.parametrize(
    ("gripper", "moving", "expected"),
    [
        ("oooooooooo", "mmmmmmmmmm", [0, 9]),
        ("ooooocccccc", "mmmmmmmmmmm", [0, 5, 10]),
        ("oooooooooo", "mmmm.mmmmm", [0, 4, 9]),
        ("oooooooooooooo", "mmm.......mmmm", [0, 3, 8, 13]),  # four frames pass before the next stop
        ("oooooocccccccc", "mmmmm...mmmmmm", [0, 6, 13]),  # not slow enough around a change of the gripper
        ("oooooocccccccc", "mmmmm....mmmmm", [0, 6, 8, 13]),
        ("oooooooooo", "mmmmmmmm.m", [0, 9]),  # the last but one frame is no stop
        ("oooooooooc", "mmmmmmmmmm", [0, 9]),
        ("oooooooocc", "mmmmmmmmmm", [0, 9]),  # of two neighbours at the end the last is kept
        ("oo", "mm", [0, 1]),
        ("o", "m", [0]),
    ],
)
def test_the_rule(gripper: str, moving: str, expected: list[int]) -> None:
    assert discover(gripper, moving) == expected


@given(st.lists(st.tuples(st.sampled_from("oc"), st.sampled_from("m.")), min_size=2, max_size=60))
def test_the_first_and_the_last_frame_always_count_and_order_is_kept(signs: list[tuple[str, str]]) -> None:
    frames = discover("".join(g for g, _ in signs), "".join(m for _, m in signs))
    assert frames[0] == 0
    assert frames[-1] == len(signs) - 1
    assert frames == sorted(set(frames))

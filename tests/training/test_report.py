"""Validation figures: decision frames apart from the rest, rotations up to the gripper's symmetry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.geometry import gripper_symmetric_pose, top_down_quaternion
from mini_diffuser_ros.training.frames import FrameKind
from mini_diffuser_ros.training.report import FrameError, as_lines, as_table, rotation_error, score, summarise


def error(kind: FrameKind, position: float, task: str = "stack") -> FrameError:
    return FrameError(task, kind, position, rotation=0.1, gripper=True, terminate=True)


def test_a_wrong_object_shows_in_the_decision_frames_alone() -> None:
    wrong = [error(FrameKind.FIRST, 0.2) for _ in range(4)]
    right = [error(kind, 0.004) for kind in (FrameKind.LATER, FrameKind.GRASP, FrameKind.OTHER) for _ in range(10)]
    groups = summarise(wrong + right)["stack"]
    assert groups["first"].within_3cm == 0.0
    assert groups["first"].median_mm == pytest.approx(200.0)
    assert groups["later"].within_1cm == groups["rest"].within_1cm == 1.0
    assert groups["rest"].frames == 20
    assert score({"stack": groups}) == pytest.approx(2 / 3)


def test_groups_without_frames_are_left_out() -> None:
    report = summarise([error(FrameKind.FIRST, 0.01, "push"), error(FrameKind.OTHER, 0.01, "push")])
    assert list(report["push"]) == ["first", "rest"]
    assert "push" in as_table(report)
    assert len(list(as_lines(report))) == 1


@given(yaw=st.floats(-3.0, 3.0), turn=st.floats(0.0, 1.5))
def test_rotation_error_does_not_tell_the_fingers_apart(yaw: float, turn: float) -> None:
    demonstrated = top_down_quaternion(yaw)
    predicted = np.concatenate([np.zeros(3), top_down_quaternion(yaw + turn)])
    assert rotation_error(demonstrated, predicted[3:]) == pytest.approx(turn, abs=1e-6)
    assert rotation_error(demonstrated, gripper_symmetric_pose(predicted)[3:]) == pytest.approx(turn, abs=1e-6)

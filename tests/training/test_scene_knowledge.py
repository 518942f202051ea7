"""What is on a table, asked and answered without labels; and what a policy says of itself, made true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, Policy
from mini_diffuser_ros.policy.knowledge.knowledge import Knowledge
from mini_diffuser_ros.policy.knowledge.presence import PresenceHead
from mini_diffuser_ros.records import Cloud, KeyframeMode, ModeSureness
from mini_diffuser_ros.training.dataset import Frame
from mini_diffuser_ros.training.demonstrations import Demonstration
from mini_diffuser_ros.training.errors import DatasetError
from mini_diffuser_ros.training.frames import FrameKind
from mini_diffuser_ros.training.knowledge.learning import learn
from mini_diffuser_ros.training.knowledge.lesson import Demonstrations, Lesson
from mini_diffuser_ros.training.knowledge.presence import Answered, learn_presence, losses, threshold_of
from mini_diffuser_ros.training.knowledge.questions import KINDS, UNSURE, Question, Questions
from mini_diffuser_ros.training.knowledge.sureness import Claim, fitted, learn_sureness, truth
from mini_diffuser_ros.training.knowledge.things import likeness, places_of, thing_at, things_of

RED, GREEN, BLUE, GREY = (220, 20, 20), (20, 160, 30), (20, 40, 220), (115, 115, 120)
SPOTS = ((0.40, -0.15), (0.50, 0.05), (0.60, 0.2))
Color = tuple[int, int, int]


def block(color: Color, spot: tuple[float, float], side: float = 0.04) -> tuple[np.ndarray, np.ndarray]:
    steps = np.arange(0.0, side, 0.005)
    grid = np.stack(np.meshgrid(steps, steps, steps + 0.005), -1).reshape(-1, 3)
    points = grid + np.array([spot[0] - side / 2, spot[1] - side / 2, 0.0])
    return points.astype(np.float32), np.tile(np.uint8(color), (len(points), 1))


def table(*colors: Color) -> Cloud:
    parts = [block(color, spot) for color, spot in zip(colors, SPOTS, strict=False)]
    hand = np.random.default_rng(0).uniform((0.3, 0.3, 0.3), (0.32, 0.32, 0.35), (50, 3)).astype(np.float32)
    points = np.concatenate([*(points for points, _ in parts), hand])
    return Cloud(points, np.concatenate([*(own for _, own in parts), np.tile(np.uint8(GREY), (50, 1))]), "base")


def stacking(colors: tuple[Color, Color, Color], top: int, bottom: int, sentence: str) -> Demonstration:
    """The block of one number goes onto that of another."""
    way = [(0.45, 0.0, 0.3), (*SPOTS[top], 0.14), (*SPOTS[top], 0.02), (*SPOTS[bottom], 0.18), (*SPOTS[bottom], 0.06)]
    poses = np.array([[*place, 1.0, 0.0, 0.0, 0.0] for place in [*way, (*SPOTS[bottom], 0.18)]])
    opens = np.array([True, True, False, False, True, True])
    return Demonstration("stack", (sentence,), sentence, poses, opens, (table(*colors),) * len(poses))


def pressing(color: Color, spot: int, colors: tuple[Color, Color, Color], sentence: str) -> Demonstration:
    way = [(0.45, 0.0, 0.3), (*SPOTS[spot], 0.13), (*SPOTS[spot], 0.04), (*SPOTS[spot], 0.13)]
    poses = np.array([[*place, 1.0, 0.0, 0.0, 0.0] for place in way])
    return Demonstration("press", (sentence,), sentence, poses, np.zeros(4, bool), (table(*colors),) * 4)


RED_ON_GREEN = stacking((RED, GREEN, GREY), 0, 1, "red on green")
BLUE_ON_GREEN = stacking((GREEN, GREY, BLUE), 2, 0, "blue on green")
PRESS_BLUE = pressing(BLUE, 0, (BLUE, RED, GREY), "press blue")


def test_places_are_where_the_gripper_closes_and_opens_or_where_the_hand_is_lowest() -> None:
    places = places_of(RED_ON_GREEN)
    assert places.first[:2] == pytest.approx(SPOTS[0])
    assert places.last[:2] == pytest.approx(SPOTS[1])
    assert places.untouched == 2
    pressed = places_of(PRESS_BLUE)
    assert pressed.first[:2] == pytest.approx(SPOTS[0])
    assert np.array_equal(pressed.first, pressed.last)


def test_things_are_told_apart_by_free_table_and_compared_by_colour_and_length() -> None:
    cloud = table(RED, GREEN, RED)
    assert len(things_of(cloud)) == 3  # and no hand
    one, other, again = things_of(cloud)
    assert likeness(one, again) == "alike"
    assert likeness(one, other) == "different"
    points, colors = block(RED, SPOTS[0], side=0.09)
    (longer,) = things_of(Cloud(points, colors, "base"))
    assert likeness(one, longer) == "different"
    assert thing_at(cloud, things_of(cloud), np.array([0.8, 0.0, 0.02])) is None


def asked(number: int, kind: str, seed: int = 0) -> Question:
    question = Questions([RED_ON_GREEN, BLUE_ON_GREEN, PRESS_BLUE]).ask(number, kind, np.random.default_rng(seed))
    assert question is not None
    return question


def seen_colors(question: Question, role: int, answer: int) -> set[str]:
    """Of the points with an answer, the strongest channel."""
    return strongest(question.cloud.colors[question.named[:, role] == answer])


def strongest(colors: np.ndarray) -> set[str]:
    """The strongest channels of colours that are not grey."""
    own = colors.astype(int)
    return {"rgb"[channel] for channel in own[np.ptp(own, axis=1) > 60].argmax(1)}


def test_of_its_own_scene_a_demonstration_tells_what_is_named() -> None:
    question = asked(0, "own")
    assert question.present.tolist() == [1, 1]
    assert (seen_colors(question, 0, 1), seen_colors(question, 1, 1)) == ({"r"}, {"g"})
    other = asked(0, "other cut")
    assert other.present.tolist() == [1, 1]
    assert len(things_of(other.cloud)) == 2


@pytest.mark.parametrize("seed", range(12))
def test_what_is_cut_out_is_absent_and_what_is_left_is_not(seed: int) -> None:
    question = asked(0, "named cut", seed)
    assert question.present.min() == 0
    for role, color in enumerate("rg"):
        assert (question.present[role] == 1) == (color in strongest(question.cloud.colors))
    assert asked(2, "named cut", seed).present.tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(8))
def test_a_sentence_of_another_scene_is_answered_by_what_looks_so(seed: int) -> None:
    question = asked(0, "sentence", seed)
    assert question.sentence == "blue on green"
    assert question.present.tolist() == [0, UNSURE]  # no blue here; a green one, but is it the one?
    assert seen_colors(question, 1, UNSURE) == {"g"}
    assert asked(0, "foreign sentence", seed).present.tolist() == [0, 0]


def test_a_free_place_that_something_is_put_down_on_names_nothing() -> None:
    poses = RED_ON_GREEN.poses.copy()
    poses[3:, :2] = (0.7, -0.3)
    put = Demonstration("put", ("put red away",), "put", poses, RED_ON_GREEN.gripper_open, RED_ON_GREEN.clouds)
    question = Questions([put]).ask(0, "own", np.random.default_rng(0))
    assert question is not None
    assert [seen_colors(question, role, 1) for role in range(2)] == [{"r"}, {"r"}]


def test_demonstrations_that_act_on_nothing_seen_are_left_out() -> None:
    empty = Demonstration(
        "stack", ("x",), "x", RED_ON_GREEN.poses + np.array([0.3, 0, 0, 0, 0, 0, 0]), RED_ON_GREEN.gripper_open,
        RED_ON_GREEN.clouds,
    )  # fmt: skip
    assert len(Questions([empty, RED_ON_GREEN])) == 1
    alone = Questions([RED_ON_GREEN])
    assert [alone.ask(0, kind, np.random.default_rng(0)) is None for kind in KINDS] == [False, False, False, True, True]


def claim(said: float, true: float, share: float = 1.0) -> Claim:
    return Claim(ModeSureness(share, said, said, said, said), ModeSureness(true, true, true, true, true), True, True)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans(), st.floats(0.01, 1.0)), min_size=1, max_size=60))
def test_a_calibration_of_any_claims_rises_within_what_can_be(rows: list[tuple[float, bool, float]]) -> None:
    curve = fitted([claim(said, float(true), share) for said, true, share in rows], "place")
    assert list(curve.true) == sorted(curve.true)
    assert all(0.0 <= curve(said) <= 1.0 for said, _, _ in rows)


def test_claims_that_are_too_sure_are_made_true() -> None:
    random = np.random.default_rng(0)
    said = random.uniform(0.0, 1.0, 20_000)
    claims = [claim(float(one), float(random.random() < one**2)) for one in said]
    curve = fitted(claims, "rotation")
    assert max(abs(curve(one) - one**2) for one in np.linspace(0.05, 1.0, 20)) < 0.08


def test_a_mode_is_right_if_place_rotation_and_gripper_are() -> None:
    pose = np.array([0.5, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0])
    frame = Frame("stack", ("x",), table(RED), pose, True, False, FrameKind.FIRST)
    assert truth(KeyframeMode(pose, True, False, 1.0, 0.0), frame, True) == ModeSureness(1, 1, 1, 1, 1)
    half_a_turn = np.array([0.5, 0.0, 0.1, 0.0, 1.0, 0.0, 0.0])
    assert truth(KeyframeMode(half_a_turn, True, True, 1.0, 0.0), frame, True) == ModeSureness(1, 1, 1, 1, 0)
    assert truth(KeyframeMode(half_a_turn, True, True, 1.0, 0.0), frame, False) == ModeSureness(0, 1, 0, 1, 0)
    away = KeyframeMode(pose + np.array([0.04, 0, 0, 0, 0, 0, 0]), False, False, 1.0, 0.0)
    assert truth(away, frame, True) == ModeSureness(0, 0, 1, 0, 1)


def lesson(training: list[Demonstration], held_out: list[Demonstration]) -> Lesson:
    torch.manual_seed(0)
    policy = Policy(MiniDiffuser(MiniDiffuserConfig.small()))
    return Lesson(policy, lambda: Demonstrations(training, held_out), progress=False)


def test_a_little_learning_tells_a_scene_without_what_is_named() -> None:
    others = [pressing(RED, 1, (GREY, RED, BLUE), "press red"), pressing(GREEN, 2, (RED, GREY, GREEN), "press green")]
    known = learn_presence(lesson([RED_ON_GREEN, BLUE_ON_GREEN, PRESS_BLUE, *others], [PRESS_BLUE, *others]), 100, 30)
    threshold = known.facts.thresholds["things"]
    assert threshold.cases > 0
    assert threshold.refuses <= 0.01
    assert threshold.catches is not None
    assert threshold.catches > 0.3


def test_without_held_out_demonstrations_nothing_is_learned_and_it_is_said() -> None:
    with pytest.raises(DatasetError, match="none held out"):
        learn(lesson([RED_ON_GREEN, BLUE_ON_GREEN], []), ("presence", "sureness"), Knowledge())


def test_how_sure_a_policy_is_is_learned_from_what_is_held_out() -> None:
    known = learn_sureness(lesson([], [PRESS_BLUE])).facts
    assert known.thresholds["share"].value <= 0.3
    assert known.learned_from.endswith("3 frames held out")
    assert set(known.settings) == {"share", "place", "rotation", "gripper", "end"}


def test_held_out_scenes_that_tell_nothing_for_sure_set_no_threshold() -> None:
    alike = pressing(RED, 0, (RED, RED, RED), "press red")
    with pytest.raises(DatasetError, match="some scene shows all that is named and some does not"):
        learn_presence(lesson([RED_ON_GREEN, BLUE_ON_GREEN, PRESS_BLUE], [alike]), 30, 2)


def two_thing_questions(random: np.random.Generator, features: int) -> list[Answered]:
    """Scenes of random features with two things, of which either may be absent and points may be unsure."""
    answers = np.array([UNSURE, 0, 1], np.int8)
    return [
        Answered(
            features=torch.from_numpy(random.normal(size=(30, features)).astype(np.float32)).half(),
            named=torch.from_numpy(random.choice(answers, (30, 2), p=(0.1, 0.7, 0.2))),
            present=torch.from_numpy(random.choice(answers, 2, p=(0.1, 0.3, 0.6))),
            sentence="red and green",
            paraphrases=("red and green",),
        )
        for _ in range(6)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_which_of_two_things_is_acted_on_first_changes_nothing_that_is_learned(seed: int) -> None:
    config = MiniDiffuserConfig.small()
    questions = two_thing_questions(np.random.default_rng(seed), PresenceHead(config).points.in_features)
    # Each on its own, so that some are asked in one order and some in the other within a batch.
    turned = [
        replace(one, named=one.named.flip(1), present=one.present.flip(0)) if number % 2 else one
        for number, one in enumerate(questions)
    ]
    tokens = {"red and green": torch.from_numpy(np.random.default_rng(0).normal(size=(3, config.text.width))).float()}

    def learned(answered: list[Answered]) -> list[float]:
        torch.manual_seed(seed)
        return list(losses(PresenceHead(config), answered, tokens, np.random.default_rng(seed), 4))

    assert np.allclose(learned(questions), learned(turned), rtol=1e-4)


def test_a_threshold_keeps_away_from_both_sides() -> None:
    present, absent = torch.tensor([1, 1], dtype=torch.int8), torch.tensor([0, 1], dtype=torch.int8)
    some = two_thing_questions(np.random.default_rng(0), 4)[0]
    good, bad = np.linspace(0.9, 0.99, 200), np.linspace(0.01, 0.1, 200)
    unclear = np.array([0.3, 0.7])  # one of each
    scores = np.concatenate([good, unclear[:1], bad, unclear[1:]])
    answered = [replace(some, present=present)] * 201 + [replace(some, present=absent)] * 201
    assert 0.3 < threshold_of(scores, answered).value < 0.9

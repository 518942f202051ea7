"""Colours exchanged in clouds and sentences: what is said stays what is seen."""

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.training.demonstrations import Demonstration
from mini_diffuser_ros.training.recoloring import NAMED, mentioned, recolored, recolored_versions

SHADES = (1.0, 0.9, 0.8, 0.7)
EACH = 24  # points of a thing
GREY, WOOD, BLACK, WHITE = (115, 115, 120), (158, 140, 120), (20, 20, 20), (240, 240, 240)
NAMES = st.lists(st.sampled_from(sorted(NAMED)), min_size=1, max_size=3, unique=True)
SEEDS = st.integers(0, 2**32 - 1)


TOOL = np.array([0.5, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0])  # pointing down
HAND = ((0.52, 0.05, 0.2), (0.5, -0.04, 0.115))
STAYS = 8


def demonstration(names, sentence):
    """A lit thing of each colour beside another, then what stays: clay, wood, and a white hand with a black finger."""
    lit = [np.rint(np.outer(np.tile(SHADES, EACH // len(SHADES)), NAMED[name])) for name in names]
    colors = np.array([*np.concatenate(lit), *([GREY, WOOD] * 3), WHITE, BLACK], np.uint8)
    things = np.linspace(0.0, 0.1, 3 * (len(colors) - len(HAND))).reshape(-1, 3)
    cloud = Cloud(points=np.concatenate([things, HAND]).astype(np.float32), colors=colors, frame="base")
    return Demonstration("task", (sentence,), "one", np.stack([TOOL, TOOL]), np.array([True, True]), (cloud, cloud))


def colour_of(colors):
    """The named colour that some points have, apart from how bright they are: black is dark."""
    if colors.max() < 41:
        return "black"
    directions = {name: np.array(rgb) / np.linalg.norm(rgb) for name, rgb in NAMED.items() if name != "black"}
    seen = colors.astype(float).sum(axis=0)
    return min(directions, key=lambda name: np.linalg.norm(seen / np.linalg.norm(seen) - directions[name]))


def seen(version, cloud=0):
    """The colours of its things, in their order."""
    colors = version.clouds[cloud].colors
    return [colour_of(colors[start : start + EACH]) for start in range(0, len(colors) - STAYS, EACH)]


@given(names=NAMES, seed=SEEDS, count=st.integers(1, 9))
def test_the_named_things_are_where_the_sentence_says_under_their_new_names(names, seed, count):
    original = demonstration(names, " on ".join(names))
    versions = recolored(original, count, np.random.default_rng(seed))
    assert count <= len(versions) < count + len(names)
    for version in versions:
        renamed = version.sentences[0].split(" on ")
        assert len(set(renamed)) == len(names)
        for index, before in enumerate(original.clouds):
            assert seen(version, index) == renamed
            assert np.array_equal(version.clouds[index].points, before.points)
            assert np.array_equal(version.clouds[index].colors[-STAYS:], before.colors[-STAYS:])


@given(seed=SEEDS)
def test_two_things_of_different_colours_never_come_to_have_the_same(seed):
    names = sorted(NAMED)
    for version in recolored(demonstration(names, "press the red one"), 5, np.random.default_rng(seed)):
        assert sorted(seen(version)) == names


def test_words_keep_their_capitals_and_words_that_only_contain_a_colour_stay():
    versions = recolored(demonstration(["red"], "Red button, reddish, BORED RED"), 9, np.random.default_rng(0))
    said = [version.sentences[0].split(" ", 1) for version in versions]
    assert {first for first, _ in said} == {name.capitalize() for name in NAMED if name != "red"}
    assert {rest for _, rest in said} == {f"button, reddish, BORED {first.upper()}" for first, _ in said}


def test_what_names_no_colour_is_repeated_so_that_all_are_drawn_as_often():
    original = demonstration(["green"], "put the lime into the bowl")
    assert recolored(original, 3, np.random.default_rng(0)) == [original] * 3


def with_points(original, points, colors):
    """A demonstration with more points in each cloud."""
    clouds = [
        replace(
            cloud,
            points=np.concatenate([cloud.points, np.asarray(points, np.float32)]),
            colors=np.concatenate([cloud.colors, np.broadcast_to(np.array(colors, np.uint8), np.shape(points))]),
        )
        for cloud in original.clouds
    ]
    return replace(original, clouds=tuple(clouds))


def test_a_colour_that_much_of_the_table_has_stays_and_keeps_its_name_however_few_its_points():
    grid = np.stack(np.meshgrid(np.arange(-0.3, 0.3, 0.02), np.arange(0.2, 0.8, 0.02), [0.0]), -1).reshape(-1, 3)
    original = with_points(demonstration(["green"], "push the green one to where it is black"), grid, BLACK)
    for version in recolored(original, 9, np.random.default_rng(0)):
        assert (version.clouds[0].colors[-len(grid) :] == BLACK).all()
        assert version.sentences[0].endswith("where it is black")
        assert colour_of(version.clouds[0].colors[:EACH]) == version.sentences[0].split()[2] != "black"


def test_the_only_thing_of_a_scene_is_exchanged():
    original = demonstration(["green"], "lift the green one")
    alone = [replace(each, points=each.points[:EACH], colors=each.colors[:EACH]) for each in original.clouds]
    versions = recolored(replace(original, clouds=tuple(alone)), 9, np.random.default_rng(0))
    assert len({version.sentences[0] for version in versions}) == 9


@given(seed=SEEDS)
def test_what_is_said_and_not_seen_keeps_its_name_and_nothing_else_gets_it(seed):
    original = demonstration(["red"], "put the black mug on the red plate")  # a mug that cameras show as grey
    for version in recolored(original, 5, np.random.default_rng(seed)):
        words = version.sentences[0].split()
        assert words[2] == "black"
        assert seen(version) == [words[6]] != ["black"]


@given(seed=SEEDS)
def test_the_dark_side_of_a_coloured_thing_is_not_black(seed):
    dark = np.zeros((EACH, 3))
    original = with_points(demonstration(["red", "black"], "red on black"), dark, (36, 4, 4))
    for version in recolored(original, 5, np.random.default_rng(seed)):
        assert (version.clouds[0].colors[-EACH:] == (36, 4, 4)).all()


@pytest.mark.parametrize("is_open", [True, False])
def test_what_stands_between_the_fingers_is_exchanged_as_a_whole(is_open):
    mug = np.stack(np.meshgrid([0.47, 0.5, 0.53], [-0.02, 0.0, 0.02], np.linspace(0.06, 0.15, 6)), -1).reshape(-1, 3)
    original = with_points(demonstration(["green"], "lift the black one"), mug, BLACK)
    held = replace(original, gripper_open=np.array([is_open, is_open]))
    for version in recolored(held, 5, np.random.default_rng(0)):
        assert colour_of(version.clouds[0].colors[-len(mug) :]) == version.sentences[0].split()[2]
        assert len({colour_of(each[None]) for each in version.clouds[0].colors[-len(mug) :]}) == 1


def test_each_two_colours_come_in_both_orders_and_all_before_any_again():
    pairs = [("red", "blue"), ("green", "white"), ("black", "pink")]
    demonstrations = [replace(demonstration(pair, " on ".join(pair)), source=" on ".join(pair)) for pair in pairs]
    versions = recolored_versions(demonstrations, len(demonstrations) * 30, 0)
    said = Counter(each.sentences[0] for of_one in versions.values() for each in of_one) + Counter(versions.keys())
    assert said.keys() == {f"{top} on {bottom}" for top, bottom in permutations(NAMED, 2)}
    assert set(said.values()) == {1}


def test_wordings_make_no_difference_to_which_colours_come_next():
    plain = demonstration(["red", "blue"], "red on blue")
    wordy = replace(plain, sentences=("Lift the mug", "Put the RED mug onto the blue plate", "lift it, red"))
    assert mentioned(wordy) == mentioned(plain) == ("red", "blue")
    said = {
        each.source: [mentioned(version) for version in recolored(each, 90, np.random.default_rng(0))]
        for each in (replace(plain, source="plain"), replace(wordy, source="wordy"))
    }
    assert len(set(said["plain"])) == len(set(said["wordy"]) | {("red", "blue")}) == 90


@pytest.mark.parametrize("count", [6, 7])
def test_the_same_things_lie_there_when_it_is_the_other_way_round(count):
    original = demonstration(["red", "blue", "green"], "red on blue")
    versions = recolored(original, count, np.random.default_rng(0))
    assert len(versions) == 7
    assert versions[0].sentences == ("blue on red",)
    for one, other in ((1, 2), (3, 4), (5, 6)):
        assert sorted(seen(versions[one])) == sorted(seen(versions[other]))
        assert versions[one].sentences[0].split(" on ") == versions[other].sentences[0].split(" on ")[::-1]


def test_versions_follow_from_the_seed_and_leave_the_original_alone():
    original = demonstration(["red", "green"], "red on green")
    kept = original.clouds[0].colors.copy()
    once, again, other = (recolored_versions([original], 6, seed)["one"] for seed in (1, 1, 2))
    assert len(once) == 5
    assert [one.sentences for one in once] == [one.sentences for one in again]
    for one, other_one in zip(once, again, strict=True):
        assert np.array_equal(one.clouds[0].colors, other_one.clouds[0].colors)
    assert [one.sentences for one in once] != [one.sentences for one in other]
    assert np.array_equal(original.clouds[0].colors, kept)


@given(wanted=st.integers(0, 20), tasks=st.lists(st.integers(1, 6), min_size=1, max_size=3))
def test_each_task_comes_to_as_many_as_are_wanted_with_equally_many_versions_of_each(wanted, tasks):
    demonstrations = [
        replace(demonstration(["red"], "press red"), task=f"task {number}", source=f"{number}, {index}")
        for number, count in enumerate(tasks)
        for index in range(count)
    ]
    versions = recolored_versions(demonstrations, wanted, 0)
    for number, count in enumerate(tasks):
        made = [len(versions[f"{number}, {index}"]) for index in range(count)]
        assert len(set(made)) == 1
        assert count + sum(made) >= wanted
        assert made[0] == 0 or count * made[0] < wanted

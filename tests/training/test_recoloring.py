"""Colours exchanged in clouds and sentences: what is said stays what is seen."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.training.demonstrations import Demonstration
from mini_diffuser_ros.training.recoloring import NAMED, recolored, recolored_versions

SHADES = (1.0, 0.9, 0.8, 0.7)
GREY, WOOD, BLACK = (115, 115, 120), (158, 140, 120), (20, 20, 20)
NAMES = st.lists(st.sampled_from(sorted(NAMED)), min_size=1, max_size=3, unique=True)


def demonstration(names, sentence):
    """A lit thing of each colour beside another, then what stays as it is."""
    lit = [[np.rint(np.array(NAMED[name]) * shade) for shade in SHADES] for name in names]
    colors = np.array([*np.concatenate(lit), GREY, WOOD, BLACK], np.uint8)
    points = np.linspace(0.0, 0.1, 3 * len(colors)).reshape(-1, 3).astype(np.float32)
    cloud = Cloud(points=points, colors=colors, frame="base")
    pose = np.array([0.5, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0])
    return Demonstration("task", (sentence,), "one", np.stack([pose, pose]), np.array([True, False]), (cloud, cloud))


def colour_of(colors):
    """The named colour that some points have, apart from how bright they are."""
    directions = {name: np.array(rgb) / np.linalg.norm(rgb) for name, rgb in NAMED.items()}
    seen = colors.astype(float).sum(axis=0)
    return min(NAMED, key=lambda name: np.linalg.norm(seen / np.linalg.norm(seen) - directions[name]))


@given(names=NAMES, seed=st.integers(0, 2**32 - 1))
def test_the_named_things_are_where_the_sentence_says_under_their_new_names(names, seed):
    original = demonstration(names, " on ".join(names))
    (version,) = recolored(original, 1, np.random.default_rng(seed))
    renamed = version.sentences[0].split(" on ")
    assert len(set(renamed)) == len(names)
    assert not set(map(tuple, zip(names, renamed, strict=True))) & {(name, name) for name in names}
    for cloud, before in zip(version.clouds, original.clouds, strict=True):
        for index, name in enumerate(renamed):
            assert colour_of(cloud.colors[4 * index : 4 * index + 4]) == name
        assert np.array_equal(cloud.points, before.points)
        assert np.array_equal(cloud.colors[-3:], before.colors[-3:])


@given(seed=st.integers(0, 2**32 - 1))
def test_two_things_of_different_colours_never_come_to_have_the_same(seed):
    names = sorted(NAMED)
    (version,) = recolored(demonstration(names, "press the red one"), 1, np.random.default_rng(seed))
    found = [colour_of(version.clouds[0].colors[4 * index : 4 * index + 4]) for index in range(len(names))]
    assert sorted(found) == names


def test_words_keep_their_capitals_and_words_that_only_contain_a_colour_stay():
    (version,) = recolored(demonstration(["red"], "Red button, reddish, bored"), 1, np.random.default_rng(0))
    first, rest = version.sentences[0].split(" ", 1)
    assert first.lower() in NAMED
    assert first[0].isupper()
    assert first != "Red"
    assert rest == "button, reddish, bored"


@pytest.mark.parametrize("sentence", ["put the lime into the bowl", "press the black button"])
def test_what_names_no_colour_to_exchange_is_repeated_so_that_all_are_drawn_as_often(sentence):
    original = demonstration(["green"], sentence)
    assert recolored(original, 3, np.random.default_rng(0)) == [original] * 3


def test_versions_follow_from_the_seed_and_leave_the_original_alone():
    original = demonstration(["red", "green"], "red on green")
    kept = original.clouds[0].colors.copy()
    once, again, other = (recolored_versions([original], 5, seed)["one"] for seed in (1, 1, 2))
    assert len(once) == 4
    assert [one.sentences for one in once] == [one.sentences for one in again]
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

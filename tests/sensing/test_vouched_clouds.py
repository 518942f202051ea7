"""Clouds count by perception's word, in whatever order it and they come; others are a stranger's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.sensing.vouched_clouds import GRACE, HELD, WAITING, VouchedClouds

QUEUE = 4


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 0.9 * GRACE)), min_size=1, max_size=40), st.integers(1, 32))
def test_clouds_of_perception_are_used_each_once_and_never_taken_for_a_strangers(
    deliveries: list[tuple[bool, float]], named: int
) -> None:
    """The word may come before or after its cloud, and each word names those before it."""
    clouds, used, now = VouchedClouds[int](QUEUE), [], 0.0
    clouds.vouch([], now)
    for number, (word_first, between) in enumerate(deliveries):
        now += 0.05
        word = range(max(0, number - named + 1), number + 1)
        if word_first:
            used.append(clouds.vouch(word, now))
        used.append(clouds.take(number, number, now + between))
        if not word_first:
            used.append(clouds.vouch(word, now + between))
        now += between
        assert not clouds.has_stranger(now)
    assert [one for one in used if one is not None] == list(range(len(deliveries)))


@given(st.lists(st.booleans(), min_size=20, max_size=80))
def test_no_cloud_of_a_stranger_is_used_and_it_is_noticed(strangers: list[bool]) -> None:
    clouds, now = VouchedClouds[int](QUEUE), 0.0
    clouds.vouch([], now)
    first = None
    for number, strange in enumerate(strangers):
        now += 0.05
        if strange:
            first = now if first is None else first
            assert clouds.take(-number - 1, -number - 1, now) is None
            assert clouds.vouch([], now) is None
        else:
            assert clouds.vouch([number], now) is None
            assert clouds.take(number, number, now) == number
        if first is not None and now > first + GRACE + 0.05 * (QUEUE + 2):
            assert clouds.has_stranger(now)


@given(st.floats(0.0, 60.0), st.integers(0, QUEUE), st.integers(1, 8))
def test_words_that_waited_while_nobody_listened_make_no_stranger_of_perception(
    held: float, old: int, behind: int
) -> None:
    """A cloud was taken, then the process was held up: what it hears first then is from before that cloud."""
    clouds = VouchedClouds[int](QUEUE)
    clouds.vouch([1], 0.0)
    for number in range(2, 2 + behind):
        assert clouds.take(number, number, 0.1) is None
    for _ in range(old):
        assert clouds.vouch([1], 0.1 + held) is None
    assert not clouds.has_stranger(0.1 + held)
    assert clouds.vouch(range(1, 2 + behind), 0.1 + held) == 1 + behind
    assert not clouds.has_stranger(0.2 + held)


def test_a_stranger_who_has_ended_is_forgotten() -> None:
    clouds = VouchedClouds[str](QUEUE)
    clouds.vouch([1], 0.0)
    clouds.take(7, "strange", 0.1)
    for _ in range(QUEUE + 1):
        clouds.vouch([1], 0.1 + 2.0 * GRACE)
    assert clouds.has_stranger(1.0)
    for tick in range(100):
        clouds.vouch([tick], 1.0 + 0.05 * tick)
    assert not clouds.has_stranger(0.1 + 2.0 * GRACE + HELD + 0.1)


def test_a_perception_that_has_died_is_not_replaced_by_anybody() -> None:
    clouds = VouchedClouds[str](QUEUE)
    clouds.vouch([1], 0.0)
    assert [clouds.take(number, "strange", 1.0 + 0.1 * number) for number in range(2, WAITING)] == [None] * (
        WAITING - 2
    )


def test_a_flood_of_clouds_is_noticed_though_none_can_wait_for_long() -> None:
    clouds = VouchedClouds[str](QUEUE)
    clouds.vouch([1], 0.0)
    for number in range(2, 2 * WAITING):
        clouds.take(number, "strange", 1e-4 * number)
    assert clouds.has_stranger(0.1)


def test_clouds_of_a_program_of_ones_own_are_used_until_a_perception_speaks() -> None:
    clouds = VouchedClouds[str](QUEUE)
    assert clouds.take(1, "own", 0.0) == "own"
    clouds.vouch([2], 1.0)
    assert clouds.take(3, "own", 1.1) is None
    assert clouds.take(2, "perception's", 1.1) == "perception's"

"""Other arrangements of a task's things leave its sentence true."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mini_diffuser_ros.libero.errors import PlacementError
from mini_diffuser_ros.libero.rearranging import Arrangement, Predicate, rearranged

MIDDLES = {
    "table_plate_region": (0.06, 0.2),
    "table_box_region": (0.07, 0.03),
    "table_ramekin_region": (-0.2, 0.2),
    "table_next_to_box_region": (0.13, -0.07),
    "table_next_to_ramekin_region": (-0.18, 0.32),
    "table_between_plate_ramekin_region": (-0.05, 0.2),
    "table_center": (-0.075, 0.0),
    "table_front": (0.2, 0.0),
    "table_cabinet_region": (0.03, -0.27),
}
DRAWER_AND_TOP = ("cabinet_1_top_region", "cabinet_1_top_side")
SEEDS = range(60)


def task(first: Predicate, second: Predicate) -> Arrangement:
    """Two bowls, of which the first is meant, a plate to put it on, and what stands there besides."""
    return Arrangement(
        initial=(
            first,
            second,
            ("on", "plate_1", "table_plate_region"),
            ("on", "cookies_1", "table_box_region"),
            ("on", "ramekin_1", "table_ramekin_region"),
            ("on", "cabinet_1", "table_cabinet_region"),
            ("open", "cabinet_1_top_region"),
        ),
        goal=(("on", "bowl_1", "plate_1"),),
        movable=("bowl_1", "bowl_2", "plate_1", "cookies_1", "ramekin_1"),
        fixtures=("cabinet_1",),
        owners={
            **dict.fromkeys(MIDDLES, "table"),
            "cabinet_1_top_region": "cabinet_1",
            "cabinet_1_top_side": "cabinet_1",
        },
        middles=MIDDLES,
    )


def drawn(of: Arrangement) -> list[dict[str, str]]:
    """Thing to place, in sixty arrangements."""
    return [placed(rearranged(of, np.random.default_rng(seed))) for seed in SEEDS]


def placed(facts: tuple[Predicate, ...]) -> dict[str, str]:
    """Thing to place."""
    return {fact[1]: fact[2] for fact in facts if len(fact) == 3}


BESIDE_RAMEKIN = task(("on", "bowl_1", "table_next_to_ramekin_region"), ("on", "bowl_2", "table_next_to_box_region"))
ON_RAMEKIN = task(("on", "bowl_1", "ramekin_1"), ("on", "bowl_2", "cookies_1"))
BETWEEN = task(("on", "bowl_1", "table_between_plate_ramekin_region"), ("on", "bowl_2", "table_next_to_ramekin_region"))
IN_DRAWER = task(("in", "bowl_1", "cabinet_1_top_region"), ("on", "bowl_2", "cabinet_1_top_side"))


@pytest.mark.parametrize(
    ("of", "stay"),
    [
        (BESIDE_RAMEKIN, {"bowl_1", "ramekin_1"}),
        (ON_RAMEKIN, {"bowl_1", "ramekin_1"}),
        (BETWEEN, {"bowl_1", "ramekin_1", "plate_1"}),
        (IN_DRAWER, {"bowl_1", "cabinet_1"}),
    ],
)
def test_what_is_meant_and_what_its_place_is_named_after_stay_and_the_rest_moves(
    of: Arrangement, stay: set[str]
) -> None:
    written = placed(of.initial)
    moved = {thing for places in drawn(of) for thing in places if places[thing] != written[thing]}
    assert moved == written.keys() - stay


def test_facts_that_place_nothing_stay() -> None:
    assert ("open", "cabinet_1_top_region") in rearranged(IN_DRAWER, np.random.default_rng(0))


def test_no_other_bowl_is_as_near_to_what_the_sentence_names() -> None:
    ramekin, meant = MIDDLES["table_ramekin_region"], MIDDLES["table_next_to_ramekin_region"]
    rivals = {places["bowl_2"] for places in drawn(BESIDE_RAMEKIN)}
    assert "table_between_plate_ramekin_region" not in rivals
    assert len(rivals) > 3
    for place in rivals & MIDDLES.keys():
        assert math.dist(MIDDLES[place], ramekin) > math.dist(meant, ramekin) + 0.03


def test_no_other_bowl_comes_to_be_on_the_same_thing() -> None:
    for places in drawn(replace(ON_RAMEKIN, initial=(*ON_RAMEKIN.initial[:1], *BESIDE_RAMEKIN.initial[1:]))):
        assert places["bowl_2"] != "ramekin_1"
    on_cabinet = task(("on", "bowl_1", "cabinet_1_top_side"), ("on", "bowl_2", "table_center"))
    assert all(places["bowl_2"] != "cabinet_1_top_region" for places in drawn(on_cabinet))


def test_things_have_room_and_none_stands_on_itself() -> None:
    for places in drawn(ON_RAMEKIN):
        assert places["cookies_1"] != "cookies_1"
        on_table = [MIDDLES[place] for place in places.values() if place in MIDDLES]
        assert len(set(on_table)) == len(on_table)
        standing = [MIDDLES[place] for thing, place in places.items() if place in MIDDLES and thing != "cabinet_1"]
        assert all(math.dist(one, other) > 0.09 for i, one in enumerate(standing) for other in standing[:i])


def test_the_same_draws_are_the_same_arrangement() -> None:
    assert drawn(BETWEEN) == drawn(BETWEEN)


def test_a_task_in_which_it_cannot_be_clear_what_is_meant_is_told() -> None:
    crowded = replace(BESIDE_RAMEKIN, middles=dict.fromkeys(MIDDLES, (0.0, 0.0)))
    with pytest.raises(PlacementError, match="in none is it clear which bowl_1 is meant"):
        rearranged(crowded, np.random.default_rng(0))

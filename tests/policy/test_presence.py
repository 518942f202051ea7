"""What a policy knows of scene and modes: stored and read back, and said without a change to its modes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, Policy, load_policy, save_policy
from mini_diffuser_ros.policy.knowledge.facts import Threshold
from mini_diffuser_ros.policy.knowledge.knowledge import Knowledge, write_knowledge
from mini_diffuser_ros.policy.knowledge.presence import ROLES, Presence, PresenceHead, scene_logits
from mini_diffuser_ros.policy.knowledge.sureness import Calibration, Calibrations, Sureness
from mini_diffuser_ros.records import Cloud, ModeSureness

HALF = Calibration((0.0, 1.0), (0.0, 0.5))
SENTENCE = "press the red button"


def presence(threshold: float) -> Presence:
    torch.manual_seed(1)
    return Presence(PresenceHead(MiniDiffuserConfig.small()), Threshold(threshold, 0.01, 200, 0.99), "by hand")


def sureness(threshold: float) -> Sureness:
    return Sureness(Calibrations(HALF, HALF, HALF, HALF, HALF), Threshold(threshold, 0.0, 200, 0.5), "by hand")


def test_an_assessed_decision_has_the_same_modes_and_calibrated_numbers(
    model: MiniDiffuser, block_cloud: Callable[..., Cloud]
) -> None:
    policy = Policy(model, knowledge=Knowledge(presence=presence(0.0), sureness=sureness(0.0)))
    decided = policy.decide(block_cloud(), SENTENCE, samples=8, steps=2, seed=3)
    assessed = policy.assess(block_cloud(), SENTENCE, samples=8, steps=2, seed=3)
    assert [mode.pose.tobytes() for mode in assessed.modes] == [mode.pose.tobytes() for mode in decided]
    assert [mode.share for mode in assessed.modes] == [mode.share for mode in decided]
    assert 0.0 < assessed.numbers.presence < 1.0
    assert [mode.share / 2 for mode in decided] == pytest.approx([mode.share for mode in assessed.numbers.modes])
    assert all(0.0 <= number <= 0.5 for mode in assessed.numbers.modes for number in asdict(mode).values())
    assert (assessed.not_found, assessed.unsure) == ("", "")


def test_what_a_policy_was_not_taught_is_not_a_number_and_no_objection(
    model: MiniDiffuser, block_cloud: Callable[..., Cloud]
) -> None:
    assessed = Policy(model).assess(block_cloud(), SENTENCE, samples=4, steps=1)
    assert math.isnan(assessed.numbers.presence)
    assert (assessed.numbers.modes, assessed.not_found, assessed.unsure) == ((), "", "")


def test_it_objects_below_its_thresholds_in_a_line_that_names_the_sentence(
    model: MiniDiffuser, block_cloud: Callable[..., Cloud]
) -> None:
    policy = Policy(model, knowledge=Knowledge(presence=presence(1.0), sureness=sureness(1.0)))
    assessed = policy.assess(block_cloud(), SENTENCE, samples=4, steps=1)
    assert assessed.not_found.startswith(f"nothing in the scene fits what '{SENTENCE}' names")
    assert assessed.unsure.startswith("the policy is not sure where to go")
    assert "\n" not in assessed.not_found + assessed.unsure


def test_presence_and_sureness_come_back_as_they_were(
    model: MiniDiffuser, block_cloud: Callable[..., Cloud], tmp_path: Path
) -> None:
    save_policy(model, tmp_path)
    known = Knowledge(presence=presence(0.4), sureness=sureness(0.2))
    write_knowledge(known, tmp_path)
    restored = load_policy(tmp_path)
    before = Policy(model, knowledge=known).assess(block_cloud(), SENTENCE, samples=4, steps=1)
    after = restored.assess(block_cloud(), SENTENCE, samples=4, steps=1)
    assert after.numbers.presence == pytest.approx(before.numbers.presence, abs=2e-3)  # stored in half precision
    assert after.numbers.modes == before.numbers.modes
    assert {name: part.facts for name, part in restored.knowledge.parts().items()} == {
        "presence": known.presence.facts if known.presence else None,
        "sureness": known.sureness.facts if known.sureness else None,
    }


def test_knowledge_that_does_not_fit_is_refused() -> None:
    config = MiniDiffuserConfig.small()
    good = presence(0.5)
    with pytest.raises(ValueError, match=r"has no attend\.weight"):
        Presence.restored(good.facts, {**good.tensors(), "attend.weight": torch.zeros(1, 1)}, config)
    with pytest.raises(ValueError, match="expected one of 'things'"):
        Presence.restored(replace(good.facts, thresholds={}), good.tensors(), config)
    for said, true in (((0.5, 0.2), (0.1, 0.2)), ((0.2, 0.5), (0.2, 0.1)), ((0.2, 1.5), (0.1, 0.2)), ((), ())):
        settings = {**sureness(0.5).facts.settings, "place": {"said": list(said), "true": list(true)}}
        with pytest.raises(ValueError, match="rise"):
            Sureness.restored(replace(sureness(0.5).facts, settings=settings), {}, config)


@given(
    st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5),
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6, unique=True),
    st.data(),
)
def test_a_calibration_never_turns_the_order_of_modes(
    said: list[float], knots: list[float], data: st.DataObject
) -> None:
    true = data.draw(st.lists(st.floats(0.0, 1.0), min_size=len(knots), max_size=len(knots)))
    curve = Calibration(tuple(sorted(knots)), tuple(sorted(true)))
    found = sureness_of(curve, said)
    assert found == sorted(found)
    assert all(min(true) <= one <= max(true) for one in found)


def sureness_of(curve: Calibration, said: list[float]) -> list[float]:
    part = Sureness(Calibrations(curve, curve, curve, curve, curve), Threshold(0.0, 0.0, 1, None), "")
    return [part.calibrated(ModeSureness(one, one, one, one, one)).place for one in sorted(said)]


def test_the_few_highest_points_of_each_scene_speak_for_it() -> None:
    logits = torch.tensor([[9.0], [1.0], [7.0], [5.0], [3.0], [2.0], [4.0]]).expand(-1, ROLES)
    scenes = scene_logits(logits, torch.tensor([0, 0, 0, 0, 0, 1, 1]), 2)
    assert np.allclose(scenes.numpy(), [[6.0] * ROLES, [3.0] * ROLES])

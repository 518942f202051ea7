"""Every way in which a sentence ends has its number and its name."""

import pytest

pytest.importorskip("torch", reason="policy_node imports it")

from mini_diffuser_ros.nodes.policy_node import OUTCOMES
from mini_diffuser_ros.nodes.ros.outcomes import outcome_name
from mini_diffuser_ros.running import Ending


def test_every_ending_has_an_outcome() -> None:
    assert set(OUTCOMES) == set(Ending)


def test_what_is_not_confirmed_does_not_count_as_done() -> None:
    assert outcome_name(OUTCOMES[Ending.NOT_CONFIRMED]) == "NOT_CONFIRMED"
    assert OUTCOMES[Ending.NOT_CONFIRMED] != OUTCOMES[Ending.TERMINATED]

"""Consent asked for and given on the page, in a real browser, on a simulated arm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mini_diffuser_msgs.action import MoveToKeyframe
from mini_diffuser_msgs.msg import MotionQuestion
from mini_diffuser_msgs.srv import AnswerQuestion
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from visualization_msgs.msg import Marker, MarkerArray

from .arm import GUARD_PATIENCE, LEFT, MOVE, PATIENCE, RIGHT, is_moving, stays_at_rest
from .browser import BROWSER, WITHOUT, Tab, browsing
from .conftest import DISCOVERY, LATCHED, Peer, Process
from .live_page import Page, page_of, shown

SPACE = "/left"
ANSWER = f"{SPACE}/mini_diffuser/answer"
ASKED = "!document.getElementById('question').hidden"
NOT_ASKED = "document.getElementById('question').hidden"
Result = MoveToKeyframe.Result

pytestmark = pytest.mark.skipif(BROWSER is None, reason=WITHOUT)


@pytest.fixture(scope="module")
def states(peer: Peer, start: Callable[..., Process]) -> list[Any]:
    """Joint states of an arm that asks before each motion."""
    start("sim_node", namespace=SPACE, image_size=64, camera_rate=1.0)
    start("guard_node", namespace=SPACE, **GUARD_PATIENCE)
    start("motion_node", namespace=SPACE, **PATIENCE, confirm=True, confirm_timeout=90.0)
    heard = peer.collect(JointState, f"{SPACE}/joint_states", qos_profile_sensor_data)
    peer.await_that(lambda: heard)
    return heard


@pytest.fixture(scope="module")
def questions(peer: Peer) -> list[Any]:
    return peer.collect(MotionQuestion, f"{SPACE}/mini_diffuser/question", LATCHED)


@pytest.fixture(scope="module")
def page(states: list[Any], peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with page_of(peer, "left", tmp_path_factory.mktemp("page")) as made:
        yield made


@pytest.fixture(scope="module")
def tab(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(page.address(), tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def asked(peer: Peer, questions: list[Any], *candidates: Any) -> tuple[Any, Any]:
    """Handle of a goal, and the question that it is asked about."""
    before = {0, *(one.id for one in questions)}
    handle = peer.send(MoveToKeyframe, f"{SPACE}{MOVE}", candidates=list(candidates))
    return handle, peer.await_that(lambda: next((one for one in questions if one.id not in before), None))


def outcome(peer: Peer, handle: Any) -> int:
    return int(peer.result_of(handle.get_result_async()).result.outcome)


def at_rest(peer: Peer, states: list[Any]) -> bool:
    states.clear()
    peer.await_that(lambda: len(states) > 50)
    return stays_at_rest(states)


def click(tab: Tab, button: str) -> None:
    tab.await_that(f"!document.getElementById('{button}').disabled")  # as soon as the question could be read
    tab.tell(f"document.getElementById('{button}').click()")


def test_a_motion_begins_when_the_page_consents_and_not_before(
    tab: Tab, peer: Peer, states: list[Any], questions: list[Any]
) -> None:
    handle, question = asked(peer, questions, RIGHT)
    tab.await_that(ASKED, DISCOVERY)
    assert tab.text("#asked") == question.text
    assert "candidate 1 of 1: tool to" in question.text
    assert at_rest(peer, states)
    click(tab, "consent")
    assert outcome(peer, handle) == Result.REACHED
    assert any(is_moving([state]) for state in states)
    tab.await_that(NOT_ASKED, DISCOVERY)
    assert tab.text("#answer") == "it may begin"
    markers = peer.collect(MarkerArray, f"{SPACE}/mini_diffuser/planned", LATCHED)
    peer.await_that(lambda: markers and markers[-1].markers[0].action == Marker.DELETEALL)  # it is over


def test_what_the_page_declines_does_not_move(tab: Tab, peer: Peer, states: list[Any], questions: list[Any]) -> None:
    states.clear()
    handle, _ = asked(peer, questions, LEFT)
    tab.await_that(ASKED, DISCOVERY)
    click(tab, "decline")
    assert outcome(peer, handle) == Result.REFUSED
    tab.await_that(NOT_ASKED, DISCOVERY)
    assert stays_at_rest(states)


def test_a_question_that_is_over_cannot_be_answered(
    tab: Tab, peer: Peer, states: list[Any], questions: list[Any]
) -> None:
    """Though another one is open, and the press is of the question of before, as it stood there a moment ago."""
    declined, first = asked(peer, questions, LEFT)
    tab.await_that(f"{ASKED} && document.getElementById('question').dataset.id === '{first.id}'", DISCOVERY)
    assert peer.call(AnswerQuestion, ANSWER, id=first.id, consent=False).success
    assert outcome(peer, declined) == Result.REFUSED
    handle, second = asked(peer, questions, LEFT)
    shows_second = f"document.getElementById('question').dataset.id === '{second.id}'"
    tab.await_that(shows_second, DISCOVERY)
    tab.await_that("!document.getElementById('consent').disabled")
    question = "document.getElementById('question').dataset"
    press = "document.getElementById('consent').click()"
    tab.tell(f"{question}.id = '{first.id}'; {press}; {question}.id = '{second.id}'")
    tab.await_that("document.getElementById('answer').textContent.includes('not open any more')", DISCOVERY)
    assert at_rest(peer, states)
    assert tab.tell(f"{ASKED} && {shows_second}")
    click(tab, "decline")
    assert outcome(peer, handle) == Result.REFUSED
    tab.await_that(NOT_ASKED, DISCOVERY)
    click(tab, "consent")  # with nothing asked
    tab.await_that("document.getElementById('answer').textContent.includes('an answer is the id')", DISCOVERY)
    assert at_rest(peer, states)


def test_a_page_and_a_browser_that_come_late_show_the_open_question(
    peer: Peer, states: list[Any], questions: list[Any], tmp_path: Path
) -> None:
    handle, question = asked(peer, questions, LEFT)
    profile = tmp_path / "browser"
    profile.mkdir()
    with page_of(peer, "left", tmp_path) as late, browsing(late.address(), profile) as tab:
        tab.await_that(ASKED, DISCOVERY)
        assert tab.text("#asked") == question.text
        assert shown(late.address())[1]["state"]["question"]["id"] == str(question.id)
        click(tab, "consent")
        assert outcome(peer, handle) == Result.REACHED
        tab.await_that(NOT_ASKED, DISCOVERY)
